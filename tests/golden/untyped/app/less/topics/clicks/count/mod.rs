pub async fn process(click: less::Value) -> less::Result<()> {
    println!("{click}");
    Ok(())
}
