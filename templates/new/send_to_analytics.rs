use less::topics::user_created::UserCreated;

pub async fn process(user: UserCreated, context: less::Context) -> less::Result<()> {
    println!("user {} (greeted with {:?}), attempt {}", user.user_id, {{crate}}::greeting(&user), context.attempt());
    Ok(())
}
