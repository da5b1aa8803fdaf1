use less::topics::sixteen::Sixteen;

pub async fn process(message: Sixteen) -> less::Result<()> {
    peers_app::handled(10, message.sent);
    Ok(())
}
