use less::topics::sixteen::Sixteen;

pub async fn process(message: Sixteen) -> less::Result<()> {
    peers_app::handled(13, message.sent);
    Ok(())
}
