pub async fn ping() -> less::Result<()> {
    less::topics::pinged.publish(&less::topics::pinged::Pinged { at: 1 }).await?;
    Ok(())
}
