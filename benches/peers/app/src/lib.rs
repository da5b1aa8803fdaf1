//! The load inside the app: what publishes, and what the subscribers tell.

use std::time::Duration;

use less::topics::{self, drive::Drive, four::Four, one::One, sixteen::Sixteen};
use less::{PublishError, Receipt};
use load::{Tally, pace, pad, window};
use serde_json::{Value, json};

static TALLY: Tally = Tally::new();

/// A handler has a message; when it returns the message is done.
pub fn handled(subscriber: usize, sent: u64) {
    TALLY.seen(sent);
    TALLY.done(subscriber, 1);
}

/// Runs a job, and writes what came out, or why nothing did.
pub async fn run(job: &Drive) -> anyhow::Result<()> {
    let result = match job.topic.as_str() {
        "one" => publish(job, |sent, pad| async move { topics::one.publish(&One { sent, pad }).await }).await,
        "four" => {
            publish(job, |sent, pad| async move { topics::four.publish(&Four { sent, pad }).await }).await
        }
        "sixteen" => {
            publish(job, |sent, pad| async move { topics::sixteen.publish(&Sixteen { sent, pad }).await })
                .await
        }
        other => Err(anyhow::anyhow!("there is no topic `{other}` to publish to")),
    };
    let text = match &result {
        Ok(result) => result.to_string(),
        Err(error) => json!({ "error": format!("{error:#}") }).to_string(),
    };
    // By a rename, so that whoever waits for the file finds all of it.
    let new = format!("{}.new", job.result);
    std::fs::write(&new, text)?;
    std::fs::rename(&new, &job.result)?;
    result.map(drop)
}

async fn publish<F, Fut>(job: &Drive, publish: F) -> anyhow::Result<Value>
where
    F: Fn(u64, String) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = Result<Receipt, PublishError>> + Send + 'static,
{
    let duration = Duration::from_millis(job.millis);
    let pad = pad(job.bytes);
    if job.per_second > 0 {
        TALLY.reset(true);
        let paced = pace(job.per_second, duration, move |_, sent| {
            let confirmed = publish(sent, pad.clone());
            async move { Ok(confirmed.await.map(drop)?) }
        });
        let paced = paced.await?;
        TALLY.wait(job.subscribers, paced.messages).await;
        return Ok(json!({
            "messages": paced.messages,
            "elapsed_ns": u64::try_from(paced.elapsed.as_nanos())?,
            "latencies_ns": TALLY.latencies(),
        }));
    }
    TALLY.reset(false);
    let published = window(job.in_flight, duration, move |_| {
        let confirmed = publish(load::now(), pad.clone());
        async move { Ok(confirmed.await.map(|_| 1)?) }
    });
    let published = published.await?;
    TALLY.wait(job.subscribers, published.messages).await;
    Ok(json!({
        "messages": published.messages,
        "elapsed_ns": u64::try_from(published.elapsed.as_nanos())?,
        "handled_ns": load::now() - published.began,
        "began": published.began,
    }))
}
