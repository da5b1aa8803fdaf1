use less::topics::ordered::Ordered;

pub async fn process(message: Ordered, context: less::Context) -> less::Result<()> {
    let attempt = faults_app::Attempt::new("ordered", "book", message.n, context.attempt(), context.key());
    if !faults_app::misbehave(message.n, context.attempt()).await? {
        return Err(less::reject("on purpose"));
    }
    attempt.done();
    Ok(())
}
