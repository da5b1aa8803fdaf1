//! The batch calls of SNS and SQS, each answering for every entry.

use aws_sdk_sns::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sqs::types::{
    BatchResultErrorEntry, ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry,
    SendMessageBatchRequestEntry,
};

use super::batch::{Failure, answers};
use super::envelope::{Parcel, STRING};
use crate::transport::TransportError;

/// A message on its way to a topic or a queue.
#[derive(Debug, Clone)]
pub(super) struct Letter {
    pub(super) parcel: Parcel,
    /// Seconds, 0 to 900; queues alone.
    pub(super) delay: i32,
    /// Of a FIFO topic or queue: group and deduplication id.
    pub(super) fifo: Option<(String, String)>,
}

type Answers = Vec<Result<(), Failure>>;

/// What went wrong, in one line: the service's own words, or why it could not be asked.
pub fn brief<E, R>(error: &SdkError<E, R>) -> String
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
    R: std::fmt::Debug + 'static,
{
    if let (Some(code), message) = (error.code(), error.message()) {
        return message.map_or_else(|| code.to_owned(), |message| format!("{code}: {message}"));
    }
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

/// The error of a call that is no batch.
pub(super) fn failed<E, R>(action: &'static str, target: &str, error: &SdkError<E, R>) -> TransportError
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
    R: std::fmt::Debug + 'static,
{
    TransportError::Aws { action, target: target.to_owned(), cause: brief(error) }
}

fn all_failed<E, R>(count: usize, error: &SdkError<E, R>) -> Answers
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
    R: std::fmt::Debug + 'static,
{
    let failure = Failure::Call(brief(error));
    (0..count).map(|_| Err(failure.clone())).collect()
}

fn cannot_build(count: usize) -> Answers {
    (0..count).map(|_| Err(Failure::Call("the request can't be built".to_owned()))).collect()
}

fn refused(entry: &BatchResultErrorEntry) -> (String, Failure) {
    let failure = Failure::Entry {
        code: entry.code().to_owned(),
        message: entry.message().unwrap_or_default().to_owned(),
        sender: entry.sender_fault(),
    };
    (entry.id().to_owned(), failure)
}

/// Publishes to a topic.
pub(super) async fn publish(sns: &aws_sdk_sns::Client, arn: &str, letters: &[Letter]) -> Answers {
    use aws_sdk_sns::types::{MessageAttributeValue, PublishBatchRequestEntry};
    let count = letters.len();
    let entry = |(place, letter): (usize, &Letter)| {
        let mut entry =
            PublishBatchRequestEntry::builder().id(place.to_string()).message(&letter.parcel.body);
        for (name, value) in &letter.parcel.attributes {
            let value =
                MessageAttributeValue::builder().data_type(STRING).string_value(value).build().ok()?;
            entry = entry.message_attributes(name, value);
        }
        if let Some((group, deduplication)) = &letter.fifo {
            entry = entry.message_group_id(group).message_deduplication_id(deduplication);
        }
        entry.build().ok()
    };
    let Some(entries) = letters.iter().enumerate().map(entry).collect::<Option<Vec<_>>>() else {
        return cannot_build(count);
    };
    let request = sns.publish_batch().topic_arn(arn).set_publish_batch_request_entries(Some(entries));
    match request.send().await {
        Ok(output) => {
            let done = output.successful().iter().filter_map(|entry| entry.id().map(str::to_owned));
            let failed = output.failed().iter().map(|entry| {
                let failure = Failure::Entry {
                    code: entry.code().to_owned(),
                    message: entry.message().unwrap_or_default().to_owned(),
                    sender: entry.sender_fault(),
                };
                (entry.id().to_owned(), failure)
            });
            answers(count, done, failed)
        }
        Err(error) => all_failed(count, &error),
    }
}

/// Sends to a queue.
pub(super) async fn send(sqs: &aws_sdk_sqs::Client, url: &str, letters: &[Letter]) -> Answers {
    use aws_sdk_sqs::types::MessageAttributeValue;
    let count = letters.len();
    let entry = |(place, letter): (usize, &Letter)| {
        let mut entry =
            SendMessageBatchRequestEntry::builder().id(place.to_string()).message_body(&letter.parcel.body);
        for (name, value) in &letter.parcel.attributes {
            let value =
                MessageAttributeValue::builder().data_type(STRING).string_value(value).build().ok()?;
            entry = entry.message_attributes(name, value);
        }
        entry = match &letter.fifo {
            Some((group, deduplication)) => {
                entry.message_group_id(group).message_deduplication_id(deduplication)
            }
            // FIFO queues take no delay of a single message.
            None => entry.delay_seconds(letter.delay),
        };
        entry.build().ok()
    };
    let Some(entries) = letters.iter().enumerate().map(entry).collect::<Option<Vec<_>>>() else {
        return cannot_build(count);
    };
    match sqs.send_message_batch().queue_url(url).set_entries(Some(entries)).send().await {
        Ok(output) => {
            let done = output.successful().iter().map(|entry| entry.id().to_owned());
            answers(count, done, output.failed().iter().map(refused))
        }
        Err(error) => all_failed(count, &error),
    }
}

/// Deletes received messages.
pub(super) async fn delete(sqs: &aws_sdk_sqs::Client, url: &str, handles: &[String]) -> Answers {
    let count = handles.len();
    let entry = |(place, handle): (usize, &String)| {
        DeleteMessageBatchRequestEntry::builder().id(place.to_string()).receipt_handle(handle).build().ok()
    };
    let Some(entries) = handles.iter().enumerate().map(entry).collect::<Option<Vec<_>>>() else {
        return cannot_build(count);
    };
    match sqs.delete_message_batch().queue_url(url).set_entries(Some(entries)).send().await {
        Ok(output) => {
            let done = output.successful().iter().map(|entry| entry.id().to_owned());
            answers(count, done, output.failed().iter().map(refused))
        }
        Err(error) => all_failed(count, &error),
    }
}

/// Says for received messages after how many seconds they are to be seen again.
pub(super) async fn change(sqs: &aws_sdk_sqs::Client, url: &str, changes: &[(String, i32)]) -> Answers {
    let count = changes.len();
    let entry = |(place, (handle, seconds)): (usize, &(String, i32))| {
        ChangeMessageVisibilityBatchRequestEntry::builder()
            .id(place.to_string())
            .receipt_handle(handle)
            .visibility_timeout(*seconds)
            .build()
            .ok()
    };
    let Some(entries) = changes.iter().enumerate().map(entry).collect::<Option<Vec<_>>>() else {
        return cannot_build(count);
    };
    match sqs.change_message_visibility_batch().queue_url(url).set_entries(Some(entries)).send().await {
        Ok(output) => {
            let done = output.successful().iter().map(|entry| entry.id().to_owned());
            answers(count, done, output.failed().iter().map(refused))
        }
        Err(error) => all_failed(count, &error),
    }
}
