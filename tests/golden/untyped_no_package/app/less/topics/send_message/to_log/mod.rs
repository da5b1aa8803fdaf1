pub async fn process(message: less::Value) -> less::Result<()> {
    eprintln!("{message}");
    Ok(())
}
