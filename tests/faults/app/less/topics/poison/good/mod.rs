use less::topics::poison::Poison;

pub async fn process(message: Poison, context: less::Context) -> less::Result<()> {
    let attempt = faults_app::Attempt::new("poison", "good", message.n, context.attempt(), None);
    if message.n == 0 {
        // No panic: the process is gone, with everything that it was doing.
        std::process::abort();
    }
    attempt.done();
    Ok(())
}
