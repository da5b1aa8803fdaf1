use less::topics::user_created::UserCreated;

pub async fn process(user: UserCreated) -> less::Result<()> {
    user_management_service::append("analytics.txt", &format!("signup {}", user.user_id))?;
    println!("counted user {}", user.user_id);
    Ok(())
}
