use less::topics::order_placed::{Line, OrderPlaced, State};
use less::topics::user_created::{Contact, Role, UserCreated};
use less::topics;

pub async fn process(user: UserCreated) -> less::Result<()> {
    let sku = match (user.role, user.contact) {
        (Role::Admin, Contact::Mail { to }) => to,
        (Role::Admin | Role::Guest, _) => user.email,
    };
    let order = OrderPlaced { id: user.user_id, lines: vec![Line { sku, count: 1 }], state: State::New { at: None } };
    topics::order_placed.publish(&order).await?;
    Ok(())
}
