pub async fn process(message: less::Value) -> less::Result<()> {
    println!("{message}");
    Ok(())
}
