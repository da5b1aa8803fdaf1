use less::topics::sixteen::Sixteen;

pub async fn process(message: Sixteen) -> less::Result<()> {
    peers_app::handled(1, message.sent);
    Ok(())
}
