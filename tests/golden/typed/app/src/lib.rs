//! What the handlers share.

use less::topics::{self, order_placed::OrderPlaced, user_created::UserCreated};

/// How the app greets a user.
pub fn greeting(user: &UserCreated) -> String {
    format!("Welcome, {}!", user.name)
}

/// Places an order and publishes that it was.
pub async fn place_order(order_id: u64) -> less::Result<()> {
    let details = serde_json::json!({ "gift": true });
    topics::order_placed.publish(&OrderPlaced { order_id, lines: Vec::new(), details }).await?;
    Ok(())
}
