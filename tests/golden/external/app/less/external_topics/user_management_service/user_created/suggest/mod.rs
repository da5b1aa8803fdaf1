use less::external_topics::user_management_service::user_created::UserCreated;

pub async fn process(message: UserCreated) -> less::Result<()> {
    println!("{message:?}");
    Ok(())
}
