pub async fn process(message: less::Value, context: less::Context) -> less::Result<()> {
    println!("{message} ({})", context.attempt());
    Ok(())
}
