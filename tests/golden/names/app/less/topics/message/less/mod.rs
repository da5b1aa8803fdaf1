pub async fn process(message: less::topics::message::Message) -> less::Result<()> {
    less::topics::message.publish(&message).await?;
    Ok(())
}
