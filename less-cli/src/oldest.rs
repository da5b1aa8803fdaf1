//! How old the oldest message of a queue is: CloudWatch knows, SQS does not say.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::config::http::HttpResponse;
use aws_sdk_cloudwatch::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{Dimension, Metric, MetricDataQuery, MetricStat, ScanBy};
use less_runtime::transport::aws::{Connection, brief};

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
    let answer = answer.map_err(|error| cause(&error))?;
    let place = |id: &str| id.strip_prefix('q')?.parse::<usize>().ok();
    let ages = answer.metric_data_results().iter().filter_map(|result| {
        let queue = queues.get(place(result.id()?)?)?;
        Some(((*queue).to_owned(), *result.values().first()?))
    });
    Ok(ages.collect())
}

/// Why the numbers are not there, in one line. What is no CloudWatch at all answers without words of its own.
fn cause<E>(error: &SdkError<E, HttpResponse>) -> String
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    match error {
        SdkError::ServiceError(refusal) if refusal.err().code().is_none() => {
            format!("it answered with the HTTP status {}", refusal.raw().status().as_u16())
        }
        error => brief(error),
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_cloudwatch::error::{ConnectorError, ErrorMetadata};
    use aws_sdk_cloudwatch::operation::get_metric_data::GetMetricDataError;

    use super::*;

    fn refused(meta: ErrorMetadata) -> String {
        let answer = HttpResponse::new(501.try_into().unwrap(), "<html>".into());
        cause(&SdkError::service_error(GetMetricDataError::generic(meta), answer))
    }

    #[test]
    fn why_there_are_no_ages_is_said_in_the_services_words_and_not_in_ours() {
        let denied = ErrorMetadata::builder().code("AccessDenied").message("you may not").build();
        assert_eq!(refused(denied), "AccessDenied: you may not");
        assert_eq!(refused(ErrorMetadata::builder().build()), "it answered with the HTTP status 501");
        let gone = ConnectorError::io("connection refused".into());
        let unreached = SdkError::<GetMetricDataError, _>::dispatch_failure(gone);
        assert_eq!(cause(&unreached), "dispatch failure: io error: connection refused");
    }
}
