use less::topics::user_created::UserCreated;

pub async fn process(user: UserCreated) -> less::Result<()> {
    println!("{}", golden_typed::greeting(&user));
    Ok(())
}
