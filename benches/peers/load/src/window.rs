//! Closed loop: so many publishers, each with one publish on its way at a time.

use std::time::{Duration, Instant};

use tokio::task::JoinSet;

/// What publishing came to.
#[derive(Debug, Clone, Copy)]
pub struct Published {
    /// Messages that were confirmed: all that were begun.
    pub messages: u64,
    /// From the first publish to the last confirmation.
    pub elapsed: Duration,
    /// When the first was published, as [`crate::now`] has it.
    pub began: u64,
}

/// Publishes for this long through so many slots at the same time, and waits until all is confirmed. `publish` gets its slot's number, and
/// says how many messages it has published.
pub async fn window<F, Fut>(slots: usize, duration: Duration, publish: F) -> anyhow::Result<Published>
where
    F: Fn(usize) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = anyhow::Result<u64>> + Send,
{
    let (began, start) = (crate::now(), Instant::now());
    let mut tasks = JoinSet::new();
    for slot in 0..slots {
        let publish = publish.clone();
        tasks.spawn(async move {
            let mut count = 0;
            while start.elapsed() < duration {
                count += publish(slot).await?;
            }
            anyhow::Ok(count)
        });
    }
    let mut messages = 0;
    while let Some(count) = tasks.join_next().await {
        messages += count??;
    }
    Ok(Published { messages, elapsed: start.elapsed(), began })
}
