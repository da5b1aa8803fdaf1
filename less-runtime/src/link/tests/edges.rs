//! What happens at the edges: restarts under waiting leases, goodbyes with full hands, answers that are too large, other versions.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::super::VERSION;
use super::super::client::LinkState;
use super::faults::{Pair, error, message, one};
use super::rig::{connected, subscriber, until};
use crate::transport::conformance::{layout, lease};
use crate::transport::{DeadReason, Selection, TopicIndex, TransportError};

#[tokio::test]
async fn a_lease_that_waited_through_a_restart_gets_nothing_whose_old_handler_still_runs() {
    let mut pair = Pair::new(&["a"]).await;
    pair.publish(["1".to_owned()]).await;
    let consumer = pair.link.consumer(0).unwrap();
    let old = lease(&*consumer, 1).await.remove(0);
    let waiting = tokio::spawn(async move {
        let leased = lease(&*consumer, 9).await;
        (leased, consumer)
    });
    pair.stop_publisher().await;
    until("the link is down", || pair.link.status().state == LinkState::Waiting).await;
    pair.start_publisher().await;
    connected(&pair.link).await;
    pair.ledger_until("it is on its way again", |ledger| ledger.in_flight == 1).await;
    assert!(old.renew().await.is_err(), "the old handler is told");
    assert!(!waiting.is_finished(), "and the new one waits for it");
    drop(old);
    let (again, _consumer) = waiting.await.unwrap();
    again.into_iter().next().unwrap().ack().await.unwrap();
    pair.close().await;
}

#[tokio::test]
async fn a_subscriber_that_says_goodbye_with_its_hands_full_leaves_a_queue_that_can_be_dropped() {
    let pair = Pair::new(&["a"]).await;
    pair.publish(["1".to_owned(), "2".to_owned()]).await;
    let delivery = one(&pair.link).await;
    pair.link.close().await;
    assert!(matches!(delivery.ack().await, Err(TransportError::Closed)));
    pair.ledger_until("it is handed back", |ledger| ledger.pending == 2).await;
    let transport = Arc::clone(&pair.publisher().transport);
    let guest = transport.guests().await.unwrap().remove(0).0;
    let began = std::time::Instant::now();
    loop {
        match transport.drop_guest(guest.index).await {
            Ok(ledger) => break assert_eq!(ledger.pending, 2),
            // A moment after the goodbye its lease is still being let go of.
            Err(TransportError::Busy) if began.elapsed() < super::rig::PATIENCE => {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            Err(other) => panic!("{other}"),
        }
    }
    pair.close().await;
}

#[tokio::test]
async fn messages_and_dead_letters_with_large_heads_come_in_frames_that_fit() {
    const MESSAGES: usize = 40;
    let pair = Pair::new(&["a"]).await;
    for n in 0..MESSAGES {
        let mut news = message(&n.to_string(), None);
        Arc::make_mut(&mut news.message).attributes.insert("large".to_owned(), "x".repeat(500_000));
        pair.publisher().transport.publish(TopicIndex(0), vec![news].into()).await.remove(0).unwrap();
    }
    let consumer = pair.link.consumer(0).unwrap();
    let leased = lease(&*consumer, 50).await;
    assert_eq!(leased.len(), MESSAGES, "20 MB, where a frame has 16");
    for delivery in leased {
        assert_eq!(delivery.message().attributes["large"].len(), 500_000);
        delivery.dead_letter(DeadReason::Rejected, error("no")).await.unwrap();
    }
    let letters = pair.link.dead_letters(0, None, 1_000).await.unwrap();
    assert_eq!(letters.len(), MESSAGES);
    assert_eq!(pair.link.status().state, LinkState::Connected);
    assert_eq!(pair.link.release(0, Selection::All).await.unwrap(), MESSAGES as u64);
    drop(consumer);
    pair.close().await;
}

#[tokio::test]
async fn a_publisher_that_stops_in_order_waits_for_what_is_being_handled() {
    let mut pair = Pair::new(&["a"]).await;
    pair.publish(["1".to_owned()]).await;
    let delivery = one(&pair.link).await;
    let publisher = pair.take_publisher();
    publisher.stop();
    let link = Arc::clone(&publisher.link);
    let mut finishing = tokio::spawn(async move { link.finish().await });
    let early = tokio::time::timeout(Duration::from_millis(100), &mut finishing).await;
    assert!(early.is_err(), "something is held");
    delivery.ack().await.unwrap();
    finishing.await.unwrap();
    publisher.close().await;
    pair.start_publisher().await;
    assert_eq!(pair.ledger().await.done, 1, "and it counted");
    pair.close().await;
}

#[tokio::test]
async fn a_subscriber_says_that_the_other_app_speaks_another_version() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let newer = tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 4096];
            let read = stream.read(&mut request).await.unwrap();
            let request = String::from_utf8_lossy(&request[..read]).to_lowercase();
            assert!(request.contains(&format!("less-link: {VERSION}\r\n")), "{request}");
            let body = r#"{"type":"urn:less:link-version","detail":"app `shop` speaks version 9 of the link, and was asked for version 1"}"#;
            let answer = format!(
                "HTTP/1.1 426 Upgrade Required\r\ncontent-type: application/problem+json\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            );
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    let link = subscriber(&layout(&["a"]), &Arc::new(Mutex::new(address)));
    until("it says why", || link.status().error.is_some()).await;
    assert_eq!(
        link.status().error.unwrap(),
        format!(
            "http://{address} refuses the link: app `shop` speaks version 9 of the link, and was asked for version 1"
        )
    );
    link.close().await;
    newer.abort();
}
