use less::external_topics::user_management_service::imported::Imported;

pub async fn process(message: Imported) -> less::Result<()> {
    println!("{}", message.0.len());
    Ok(())
}
