//! Removing: a subscription first, so that nothing more comes in; then its queue, then its dead letters; a topic last.
//!
//! What is gone already is fine: what was cut off is completed by doing it again.

use std::time::Duration;

use aws_sdk_sns::operation::delete_topic::DeleteTopicError;
use aws_sdk_sns::operation::unsubscribe::UnsubscribeError;
use aws_sdk_sqs::operation::delete_queue::DeleteQueueError;
use aws_sdk_sqs::operation::receive_message::ReceiveMessageError;

use super::error::failed;
use super::observe::read_backlog;
use super::{Backlog, ProvisionError};
use crate::transport::aws::Connection;

/// How long a look into a queue waits, in seconds: any wait at all makes SQS ask all of its servers.
const LOOK: i32 = 1;

/// Ends a subscription.
pub async fn unsubscribe(connection: &Connection, arn: &str) -> Result<(), ProvisionError> {
    let ended = connection.sns_of(arn).unsubscribe().subscription_arn(arn).send().await;
    match ended {
        Err(error) if error.as_service_error().is_some_and(UnsubscribeError::is_not_found_exception) => {
            Ok(())
        }
        other => other.map(drop).map_err(failed("end subscription", arn)),
    }
}

/// Deletes a topic; that ends its subscriptions.
pub async fn delete_topic(connection: &Connection, name: &str) -> Result<(), ProvisionError> {
    let arn = connection.site.topic_arn(name);
    let deleted = connection.sns.delete_topic().topic_arn(arn).send().await;
    match deleted {
        Err(error) if error.as_service_error().is_some_and(DeleteTopicError::is_not_found_exception) => {
            Ok(())
        }
        other => other.map(drop).map_err(failed("delete topic", name)),
    }
}

/// Deletes a queue with all that is in it.
pub async fn delete_queue(connection: &Connection, url: &str) -> Result<(), ProvisionError> {
    let deleted = connection.sqs.delete_queue().queue_url(url).send().await;
    match deleted {
        Err(error) if error.as_service_error().is_some_and(DeleteQueueError::is_queue_does_not_exist) => {
            Ok(())
        }
        other => other.map(drop).map_err(failed("delete queue", url)),
    }
}

/// Whether a queue holds messages, and how many at least. `None` where it is empty or gone.
///
/// The numbers that SQS gives lag behind by up to a minute. So where they say that it is empty, it is looked into: what is there comes out, and is to be
/// received again at once.
pub async fn has_messages(connection: &Connection, url: &str) -> Result<Option<Backlog>, ProvisionError> {
    let Some(backlog) = read_backlog(connection, url).await? else { return Ok(None) };
    if backlog.total() > 0 {
        return Ok(Some(backlog));
    }
    let look = connection.sqs.receive_message().queue_url(url).visibility_timeout(0).wait_time_seconds(LOOK);
    let seen = look.max_number_of_messages(10).send();
    // A stalled answer is no answer: the attempt's own limit ends it.
    let Ok(seen) = tokio::time::timeout(Duration::from_secs(60), seen).await else {
        return Ok(Some(backlog));
    };
    match seen {
        Ok(seen) => {
            let visible = seen.messages().len() as u64;
            Ok((visible > 0).then_some(Backlog { visible, ..backlog }))
        }
        Err(error) if error.as_service_error().is_some_and(ReceiveMessageError::is_queue_does_not_exist) => {
            Ok(None)
        }
        Err(error) => Err(failed("look into queue", url)(error)),
    }
}
