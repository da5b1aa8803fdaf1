//! How old the oldest message of a queue is: CloudWatch knows, SQS does not say.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::error::{DisplayErrorContext, ProvideErrorMetadata};
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{Dimension, Metric, MetricDataQuery, MetricStat, ScanBy};
use less_runtime::transport::aws::Connection;

/// Most metrics of a call.
const BATCH: usize = 500;
/// SQS reports every minute, and a queue that was not used for some hours begins only minutes after its first message.
const PERIOD: i32 = 60;
/// How far back the last number may be.
const WINDOW: Duration = Duration::from_secs(15 * 60);
/// Longest that the numbers are waited for: they are not what a status is mostly about.
const PATIENCE: Duration = Duration::from_secs(5);

/// Ages in seconds, by the queue's name; a queue that CloudWatch says nothing of is missing. `Err` says why there are none at all.
pub(crate) async fn ages(connection: &Connection, queues: &[&str]) -> Result<BTreeMap<String, f64>, String> {
    if queues.is_empty() {
        return Ok(BTreeMap::new());
    }
    let client = Client::new(&connection.sdk);
    let asked = async {
        let mut ages = BTreeMap::new();
        for some in queues.chunks(BATCH) {
            ages.extend(ask(&client, some).await?);
        }
        Ok(ages)
    };
    let late = |_| Err(format!("no answer within {} s", PATIENCE.as_secs()));
    tokio::time::timeout(PATIENCE, asked).await.unwrap_or_else(late)
}

async fn ask(client: &Client, queues: &[&str]) -> Result<Vec<(String, f64)>, String> {
    let now = SystemTime::now();
    let queries = queues.iter().enumerate().map(|(place, queue)| {
        let dimension = Dimension::builder().name("QueueName").value(*queue).build();
        let metric = Metric::builder().namespace("AWS/SQS").metric_name("ApproximateAgeOfOldestMessage");
        let metric = metric.dimensions(dimension).build();
        let stat = MetricStat::builder().metric(metric).period(PERIOD).stat("Maximum").build();
        MetricDataQuery::builder().id(format!("q{place}")).metric_stat(stat).build()
    });
    let request = client.get_metric_data().set_metric_data_queries(Some(queries.collect()));
    let request = request.start_time(DateTime::from(now - WINDOW)).end_time(DateTime::from(now));
    let answer = request.scan_by(ScanBy::TimestampDescending).send().await;
    let answer = answer.map_err(|error| match error.as_service_error().map(ProvideErrorMetadata::meta) {
        Some(meta) if meta.code().is_some() => {
            format!("{}: {}", meta.code().unwrap_or_default(), meta.message().unwrap_or_default())
        }
        _ => DisplayErrorContext(error).to_string(),
    })?;
    let place = |id: &str| id.strip_prefix('q')?.parse::<usize>().ok();
    let ages = answer.metric_data_results().iter().filter_map(|result| {
        let queue = queues.get(place(result.id()?)?)?;
        Some(((*queue).to_owned(), *result.values().first()?))
    });
    Ok(ages.collect())
}
