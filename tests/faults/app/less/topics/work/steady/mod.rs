use less::topics::work::Work;

pub async fn process(message: Work, context: less::Context) -> less::Result<()> {
    faults_app::Attempt::new("work", "steady", message.n, context.attempt(), None).done();
    Ok(())
}
