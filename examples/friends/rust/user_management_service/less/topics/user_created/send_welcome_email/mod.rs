use less::topics::user_created::UserCreated;

pub async fn process(message: UserCreated) -> less::Result<()> {
    println!("welcomed {} <{}>", message.name, message.email);
    Ok(())
}
