use less::topics::one::One;

pub async fn process(message: One) -> less::Result<()> {
    peers_app::handled(0, message.sent);
    Ok(())
}
