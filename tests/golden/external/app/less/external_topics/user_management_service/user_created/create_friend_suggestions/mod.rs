use less::external_topics::user_management_service::user_created::{Address, UserCreated};

pub async fn process(message: UserCreated, context: less::Context) -> less::Result<()> {
    let address: Address = message.address;
    println!("{} {} {}", context.message_id(), message.id, address.street);
    less::topics::user_created.publish(&less::topics::user_created::UserCreated { friend: message.email }).await?;
    Ok(())
}
