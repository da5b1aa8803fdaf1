pub async fn process(ping: less::topics::pinged::Pinged) -> less::Result<()> {
    println!("{}", ping.at);
    own_workspace::ping().await
}
