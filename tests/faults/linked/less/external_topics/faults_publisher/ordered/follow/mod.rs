pub async fn process(message: less::Value, context: less::Context) -> less::Result<()> {
    let n = message["n"].as_u64().unwrap_or_default();
    Ok(faults_linked::handle(n, context.attempt()).await?)
}
