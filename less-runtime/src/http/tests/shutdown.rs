//! What clients see of the app's end.

use super::*;

const ASK: &[u8] = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n";

/// A connection that was answered once, and is kept.
async fn kept(server: &Server) -> TcpStream {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(ASK).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"ok\n") {
        assert_ne!(stream.read_buf(&mut answer).await.unwrap(), 0, "{answer:?}");
    }
    let answer = String::from_utf8(answer).unwrap();
    assert!(!answer.to_ascii_lowercase().contains("connection: close"), "{answer}");
    stream
}

#[tokio::test]
async fn a_request_on_its_way_when_the_app_stops_is_answered_and_ends_the_connection() {
    let server = server(Options { linger: PATIENCE, ..options() }).await;
    let mut known = kept(&server).await;
    // Whether it was accepted by then or waits in the system's queue.
    let mut new = TcpStream::connect(server.address).await.unwrap();
    server.switch.stop();
    for stream in [&mut known, &mut new] {
        stream
            .write_all(post("/topics/user_created", "", GOOD).replace("connection: close\r\n", "").as_bytes())
            .await
            .unwrap();
        let answer = read_answer(stream).await;
        assert_eq!(answer.status, 202, "{}", answer.body);
        assert!(answer.head.contains("connection: close"), "{}", answer.head);
    }
    // Nobody is connected any more: there is nothing to wait for.
    tokio::time::timeout(PATIENCE / 2, server.task).await.expect("the server ends").unwrap();
    assert!(TcpStream::connect(server.address).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn a_connection_that_asks_nothing_does_not_hold_up_the_end() {
    let server = server(Options { linger: Duration::from_millis(10), ..options() }).await;
    let mut idle = kept(&server).await;
    server.switch.stop();
    tokio::time::timeout(PATIENCE / 2, server.task).await.expect("the server ends").unwrap();
    let mut rest = Vec::new();
    idle.read_to_end(&mut rest).await.unwrap();
    assert!(rest.is_empty(), "{rest:?}");
}

#[tokio::test]
async fn too_many_publishes_at_once_are_told_to_come_again_and_a_shutdown_answers_those_in_progress() {
    let server = server(Options { max_publishes: 1, ..options() }).await;
    server.fake.mood.store(BLOCK, Ordering::SeqCst);
    let mut first = TcpStream::connect(server.address).await.unwrap();
    first.write_all(post("/topics/user_created", "", GOOD).as_bytes()).await.unwrap();
    let refused = loop {
        // Until the first one has arrived, this one takes its place and waits: so it asks for a topic that is not there.
        let answer = server.post("/topics/nothing", "", GOOD).await;
        if answer.status == 429 {
            break answer;
        }
        assert_eq!(answer.status, 404);
    };
    assert!(refused.head.contains("retry-after: 1"));
    server.switch.stop();
    server.fake.gate.notify_one();
    assert_eq!(read_answer(&mut first).await.status, 202);
    tokio::time::timeout(PATIENCE, server.task).await.expect("the server ends").unwrap();
    assert!(TcpStream::connect(server.address).await.is_err(), "nobody listens any more");
}
