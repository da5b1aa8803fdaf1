use less::topics::sixteen::Sixteen;

pub async fn process(message: Sixteen) -> less::Result<()> {
    peers_app::handled(3, message.sent);
    Ok(())
}
