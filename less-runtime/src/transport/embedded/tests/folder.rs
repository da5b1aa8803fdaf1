//! The folder itself: its lock, its format, its rights.

use std::os::unix::fs::PermissionsExt;

use crate::clock::{Clock, ManualClock};
use crate::transport::conformance::{layout, lease, message};
use crate::transport::embedded::verify::inspect;
use crate::transport::embedded::{Options, open};
use crate::transport::{SubscriptionIndex, TopicIndex, Transport, TransportError};

#[tokio::test]
async fn a_folder_has_one_owner_and_is_free_again_when_it_is_closed() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("deep/data");
    let first = open(&data, &layout(&["a"]), Options::default(), Clock::System).expect("it opens");
    match open(&data, &layout(&["a"]), Options::default(), Clock::System) {
        Err(TransportError::InUse { pid, .. }) => assert_eq!(pid, Some(std::process::id())),
        other => panic!("{:?}", other.map(drop)),
    }
    assert_eq!(data.metadata().expect("it is there").permissions().mode() & 0o777, 0o700);
    first.close().await.expect("it closes");
    open(&data, &layout(&["a"]), Options::default(), Clock::System)
        .expect("it opens again")
        .close()
        .await
        .expect("it closes");
}

#[tokio::test]
async fn a_folder_of_another_version_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("format"), "99\n").expect("it can be written");
    let error = open(folder.path(), &layout(&[]), Options::default(), Clock::System)
        .map(drop)
        .expect_err("it is refused");
    assert!(matches!(error, TransportError::Format { ref found, known: 1, .. } if found == "99"), "{error}");
    // Whoever only looks at it is told as well.
    let error = inspect(folder.path(), super::NOON).map(drop).expect_err("it is refused");
    assert!(matches!(error, TransportError::Format { ref found, known: 1, .. } if found == "99"), "{error}");
}

#[tokio::test]
async fn nothing_is_acknowledged_once_the_folder_is_deleted() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let store = open(&data, &layout(&["a"]), Options::default(), Clock::System).expect("it opens");
    let clock = ManualClock::new(super::NOON);
    let publish = async || store.publish(TopicIndex(0), vec![message(&clock, "1")].into()).await.remove(0);
    publish().await.expect("a receipt");
    std::fs::remove_dir_all(&data).expect("it can be deleted");
    let error = publish().await.expect_err("it is not acknowledged").to_string();
    assert!(error.contains("somebody has deleted it"), "{error}");
    publish().await.expect_err("nor is anything else");
}

#[tokio::test]
async fn old_segments_go_and_dead_letters_in_them_stay() {
    use crate::transport::{AttemptError, AttemptErrorKind, DeadReason};
    let folder = tempfile::tempdir().expect("a folder");
    let clock = ManualClock::new(super::NOON);
    let options = Options { segment_size: 4_096, reserve: 0, ..Options::default() };
    let store =
        open(folder.path(), &layout(&["a"]), options, Clock::Manual(clock.clone())).expect("it opens");
    let consumer = store.consumer(SubscriptionIndex(0)).await.expect("a consumer");
    let body = format!("\"{}\"", "x".repeat(1_000));
    for n in 0..100 {
        store.publish(TopicIndex(0), vec![message(&clock, &body)].into()).await.remove(0).expect("a receipt");
        let delivery = lease(&*consumer, 1).await.remove(0);
        if n == 0 {
            let error = AttemptError { kind: AttemptErrorKind::Rejected, message: "no".to_owned(), at: 1 };
            delivery.dead_letter(DeadReason::Rejected, error).await.expect("a dead letter");
        } else {
            delivery.ack().await.expect("an ack");
        }
        // A day each: those before the last seven are past the topic's retention.
        clock.advance(std::time::Duration::from_secs(86_400));
    }
    let logs = std::fs::read_dir(folder.path())
        .expect("it can be read")
        .filter(|entry| {
            entry.as_ref().is_ok_and(|entry| entry.file_name().to_string_lossy().ends_with(".log"))
        })
        .count();
    assert!(logs < 15, "{logs} segments of about four messages are left of 100 messages");
    let dead = store.dead_letters(SubscriptionIndex(0), None, 10).await.expect("dead letters");
    assert_eq!(&dead[0].message.body[..], body.as_bytes());
}
