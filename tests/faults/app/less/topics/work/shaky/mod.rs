use less::topics::work::Work;

pub async fn process(message: Work, context: less::Context) -> less::Result<()> {
    let attempt = faults_app::Attempt::new("work", "shaky", message.n, context.attempt(), None);
    if !faults_app::misbehave(message.n, context.attempt()).await? {
        return Err(less::reject("on purpose"));
    }
    attempt.done();
    Ok(())
}
