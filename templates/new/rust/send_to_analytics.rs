use less::topics::user_created::UserCreated;

pub async fn process(user: UserCreated, context: less::Context) -> less::Result<()> {
    let greeting = {{crate}}::greeting(&user);
    println!("user {}, {greeting:?}, attempt {}", user.user_id, context.attempt());
    Ok(())
}
