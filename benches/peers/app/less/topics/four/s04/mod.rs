use less::topics::four::Four;

pub async fn process(message: Four) -> less::Result<()> {
    peers_app::handled(3, message.sent);
    Ok(())
}
