use less::topics::user_created::UserCreated;

pub async fn process(user: UserCreated) -> less::Result<()> {
    println!("to {}: {}", user.email, {{crate}}::greeting(&user));
    Ok(())
}
