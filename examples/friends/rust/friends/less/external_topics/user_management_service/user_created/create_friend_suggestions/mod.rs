use less::external_topics::user_management_service::user_created::UserCreated;

pub async fn process(message: UserCreated) -> less::Result<()> {
    let colleagues = message.email.split('@').next_back().unwrap_or_default();
    println!("suggested to {} (user {}) everybody at {colleagues}", message.name, message.user_id);
    Ok(())
}
