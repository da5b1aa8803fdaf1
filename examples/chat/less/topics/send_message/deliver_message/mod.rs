use less::Publish;
use less::topics::{self, message_delivered::MessageDelivered, send_message::SendMessage};

pub async fn process(message: SendMessage, context: less::Context) -> less::Result<()> {
    println!("{}: {}", message.email, message.message);
    let delivered = MessageDelivered { to: message.email, characters: message.message.chars().count() };
    // A second attempt of this message publishes with the same key, and so publishes once.
    let once = Publish::new().idempotency_key(context.message_id().to_string());
    topics::message_delivered.publish_with(&delivered, once).await?;
    Ok(())
}
