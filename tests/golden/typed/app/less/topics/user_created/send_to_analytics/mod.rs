mod counters;

use less::topics::user_created::UserCreated;

pub async fn process(user: UserCreated, context: less::Context) -> less::Result<()> {
    println!("user {}: {}", user.user_id, counters::label(context.attempt()));
    Ok(())
}
