//! The app's own code: subscribers use it, and it may publish.

use less::topics::{self, user_created::UserCreated};

/// How the app greets a user.
pub fn greeting(user: &UserCreated) -> String {
    format!("Welcome, {}!", user.name)
}

/// Creates a user and publishes that it was.
pub async fn create_user(user_id: u64, email: &str, name: &str) -> less::Result<()> {
    let user = UserCreated { user_id, email: email.to_owned(), name: name.to_owned() };
    topics::user_created.publish(&user).await?;
    Ok(())
}
