//! Open loop: a publish at each tick, whatever became of those before.

use std::time::{Duration, Instant};

use tokio::task::JoinSet;

/// What a paced run came to.
#[derive(Debug, Clone, Copy)]
pub struct Paced {
    /// Messages that were confirmed: all that were begun.
    pub messages: u64,
    /// From the first publish to the end of the last tick: `messages` divided by this is the rate that was held.
    pub elapsed: Duration,
}

/// Publishes at this rate for this long, then waits until all is confirmed. `publish` gets the message's number and the time at which it was
/// due to be sent, taken just before it was started.
pub async fn pace<F, Fut>(per_second: u32, duration: Duration, publish: F) -> anyhow::Result<Paced>
where
    F: Fn(usize, u64) -> Fut + Send + 'static,
    Fut: Future<Output = anyhow::Result<()>> + Send + 'static,
{
    let runtime = tokio::runtime::Handle::current();
    // A thread of its own: tokio's timers have a millisecond, half a period would be two messages at once.
    let ticks = tokio::task::spawn_blocking(move || {
        let (interval, start) = (Duration::from_secs(1) / per_second, Instant::now());
        let mut tasks = JoinSet::new();
        let mut number = 0_u32;
        while start.elapsed() < duration {
            tasks.spawn_on(publish(number as usize, crate::now()), &runtime);
            number += 1;
            let due = interval * number;
            std::thread::sleep(due.saturating_sub(start.elapsed()));
        }
        (tasks, u64::from(number), start.elapsed())
    });
    let (mut tasks, messages, elapsed) = ticks.await?;
    while let Some(confirmed) = tasks.join_next().await {
        confirmed??;
    }
    Ok(Paced { messages, elapsed })
}
