//! The endpoint over real sockets: every status, as a client sees it.

mod bodies;
mod guard;
#[cfg(feature = "tls")]
mod secure;
mod shutdown;

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use less_model::contract::Contract;
use less_model::manifest::{DEFAULT_RETENTION, Manifest, Policy, Settings, Subscriber, Topic, VERSION};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::{Options, serve};
use crate::app::{App, Check, check};
use crate::clock::Clock;
use crate::message::{MessageId, StoredMessage};
use crate::metrics::Metrics;
use crate::publish::{PublishError, Receipt};
use crate::shutdown::ShutdownSwitch;
use crate::transport::{
    AttemptError, AttemptErrorKind, Consumer, DeadLetter, DeadReason, Few, Ledger, NewMessage, Selection,
    SubscriptionIndex, TopicIndex, Transport, TransportError,
};

const PATIENCE: Duration = Duration::from_secs(20);
const KEY: &str = "a key that nobody knows";

#[less::message]
struct UserCreated {
    user_id: u64,
    tags: Vec<String>,
}

/// A transport that stores in memory, and fails or blocks where it is told to.
#[derive(Default)]
struct Fake {
    stored: Mutex<Few<NewMessage>>,
    mood: AtomicU8,
    /// Publishes wait for it while the mood is [`BLOCK`].
    gate: tokio::sync::Notify,
    released: Mutex<Vec<Selection>>,
}

const FULL: u8 = 1;
const BROKEN: u8 = 2;
const BLOCK: u8 = 3;

#[async_trait]
impl Transport for Fake {
    fn name(&self) -> &'static str {
        "fake"
    }

    async fn publish(&self, _: TopicIndex, messages: Few<NewMessage>) -> Few<Result<Receipt, PublishError>> {
        let error = match self.mood.load(Ordering::SeqCst) {
            FULL => Some(PublishError::Full("no room".to_owned())),
            BROKEN => Some(PublishError::Unavailable("the disk is gone".to_owned())),
            BLOCK => {
                self.gate.notified().await;
                None
            }
            _ => None,
        };
        if let Some(error) = error {
            return smallvec::smallvec![Err(error); messages.len()];
        }
        let mut stored = self.stored.lock().unwrap();
        messages
            .into_iter()
            .map(|new| {
                let key = new.idempotency_key.as_ref();
                if let Some(first) =
                    stored.iter().find(|old| key.is_some() && old.idempotency_key.as_ref() == key)
                {
                    return Ok(Receipt::new(first.message.id, true));
                }
                let id = new.message.id;
                stored.push(new);
                Ok(Receipt::new(id, false))
            })
            .collect()
    }

    async fn consumer(&self, _: SubscriptionIndex) -> Result<Box<dyn Consumer>, TransportError> {
        Err(TransportError::Closed)
    }

    async fn ledgers(&self) -> Result<Vec<Ledger>, TransportError> {
        if self.mood.load(Ordering::SeqCst) == BROKEN {
            return Err(TransportError::Closed);
        }
        Ok(vec![Ledger { published: 3, dead: 1, done: 2, ..Ledger::default() }])
    }

    async fn dead_letters(
        &self,
        _: SubscriptionIndex,
        _: Option<MessageId>,
        _: usize,
    ) -> Result<Vec<DeadLetter>, TransportError> {
        let message = StoredMessage {
            id: MessageId::from_bytes([7; 16]),
            published_at: 1,
            key: None,
            attributes: BTreeMap::new(),
            traceparent: None,
            body: bodies::UNUSUAL.into(),
        };
        let error = AttemptError { kind: AttemptErrorKind::Rejected, message: "no".to_owned(), at: 2 };
        let (reason, history) = (DeadReason::Rejected, vec![error]);
        Ok(vec![DeadLetter { message: Arc::new(message), reason, died_at: 2, attempts: 1, history }])
    }

    async fn release(&self, _: SubscriptionIndex, which: Selection) -> Result<u64, TransportError> {
        self.released.lock().unwrap().push(which);
        Ok(1)
    }

    async fn purge(&self, _: SubscriptionIndex, _: Selection) -> Result<u64, TransportError> {
        Ok(2)
    }

    async fn replay(&self, _: SubscriptionIndex, _: crate::transport::Replay) -> Result<u64, TransportError> {
        Ok(3)
    }

    async fn close(&self) -> Result<(), TransportError> {
        Ok(())
    }
}

struct Server {
    address: SocketAddr,
    fake: Arc<Fake>,
    switch: ShutdownSwitch,
    task: tokio::task::JoinHandle<()>,
}

pub(crate) fn options() -> Options {
    Options {
        stage: "dev".to_owned(),
        hosts: vec!["api.example.com".to_owned()],
        api_key: None,
        link_tokens: Vec::new(),
        tls: None,
        link: None,
        max_connections: 100,
        max_publishes: 100,
        header_timeout: PATIENCE,
        body_timeout: PATIENCE,
        linger: Duration::ZERO,
        drain: PATIENCE,
        metrics: Arc::new(Metrics::default()),
        workers: Vec::new(),
    }
}

async fn server(options: Options) -> Server {
    let subscriber = Subscriber {
        name: "send_email".parse().unwrap(),
        language: less_model::language::Language::Rust,
        file: "x".to_owned(),
        policy: Policy::default(),
        filter: None,
    };
    let topic = Topic {
        name: "user_created".parse().unwrap(),
        message_type: Some("UserCreated".to_owned()),
        schema: None,
        retention: DEFAULT_RETENTION,
        ordered: false,
        max_message: less_model::manifest::DEFAULT_MAX_MESSAGE,
        subscribers: vec![subscriber],
    };
    let settings = Settings::default();
    let manifest = Manifest {
        contract: Some(Contract { less_contract: 1, app: "shop".parse().unwrap(), topics: Vec::new() }),
        external: Vec::new(),
        version: VERSION,
        app: "shop".parse().unwrap(),
        settings,
        workers: std::collections::BTreeMap::new(),
        topics: vec![topic],
    };
    let checks: HashMap<String, Check> =
        HashMap::from([("user_created".to_owned(), check::<UserCreated> as Check)]);
    let fake = Arc::new(Fake::default());
    let transport: Arc<dyn Transport> = Arc::<Fake>::clone(&fake);
    let app = Arc::new(App::new(manifest, &checks, transport, Clock::System, 1000));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (switch, shutdown) = crate::shutdown::channel();
    let task = tokio::spawn(serve(listener, app, options, shutdown));
    Server { address, fake, switch, task }
}

/// An answer: status, headers as text, body.
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

async fn read_answer(stream: &mut TcpStream) -> Answer {
    let mut bytes = Vec::new();
    tokio::time::timeout(PATIENCE, stream.read_to_end(&mut bytes))
        .await
        .expect("an answer in time")
        .expect("an answer");
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
}

impl Server {
    async fn raw(&self, request: &str) -> Answer {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        read_answer(&mut stream).await
    }

    async fn get(&self, path: &str, headers: &str) -> Answer {
        self.raw(&format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{headers}\r\n"))
            .await
    }

    async fn post(&self, path: &str, headers: &str, body: &str) -> Answer {
        self.raw(&post(path, headers, body)).await
    }

    async fn publish(&self, headers: &str, body: &str) -> Answer {
        self.post("/topics/user_created", headers, body).await
    }
}

fn post(path: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n{headers}\r\n{body}"
    )
}

const GOOD: &str = r#"{"user_id":1,"tags":["a"]}"#;

#[tokio::test]
async fn a_message_that_fits_is_accepted_with_its_options() {
    let server = server(options()).await;
    let headers =
        "less-key: k\r\nless-delay: 30s\r\ntraceparent: 00-1-2-01\r\nless-attribute-tenant: acme\r\n";
    let answer = server.publish(headers, GOOD).await;
    assert_eq!(answer.status, 202, "{}", answer.body);
    let stored = server.fake.stored.lock().unwrap();
    let (message, due) = (&stored[0].message, stored[0].due.unwrap());
    assert_eq!(answer.json()["message_id"], message.id.to_string());
    assert_eq!((message.key.as_deref(), message.traceparent.as_deref()), (Some("k"), Some("00-1-2-01")));
    assert_eq!(message.attributes["tenant"], "acme");
    assert_eq!(due - message.published_at, 30_000);
    assert_eq!(&message.body[..], GOOD.as_bytes(), "the body is kept as it came");
}

#[tokio::test]
async fn the_contract_is_there_for_whoever_may_ask() {
    let server = server(options()).await;
    let contract = server.get("/_less/contract", "").await.json();
    assert_eq!(contract, serde_json::json!({"less_contract": 1, "app": "shop", "topics": []}));
}

#[tokio::test]
async fn an_idempotency_key_answers_with_the_first_message() {
    let server = server(options()).await;
    let first = server.publish("idempotency-key: x\r\n", GOOD).await.json();
    let second = server.publish("idempotency-key: x\r\n", GOOD).await.json();
    assert_eq!(first["message_id"], second["message_id"]);
    assert_eq!(second["duplicate"], true);
    assert_eq!(server.fake.stored.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn bad_requests_are_told_where_they_are_bad() {
    let server = server(options()).await;
    let answer = server.publish("", "{\n  \"user_id\": x}").await;
    assert_eq!(
        (answer.status, answer.json()["line"].as_u64(), answer.json()["column"].as_u64()),
        (400, Some(2), Some(14))
    );
    assert!(answer.head.contains("content-type: application/problem+json"));
    let answer = server.publish("less-delay: soon\r\n", GOOD).await;
    assert_eq!((answer.status, answer.json()["header"].as_str()), (400, Some("less-delay")));
    let answer = server.publish(&format!("less-key: {}\r\n", "k".repeat(200)), GOOD).await;
    assert_eq!((answer.status, answer.json()["option"].as_str()), (400, Some("key")));
    let answer = server.publish("less-key: a\r\nless-key: b\r\n", GOOD).await;
    assert_eq!((answer.status, answer.json()["header"].as_str()), (400, Some("less-key")));
    let answer = server.publish("", r#"{"user_id":1,"tags":["a",2]}"#).await;
    assert_eq!((answer.status, answer.json()["pointer"].as_str()), (422, Some("/tags/1")));
    let answer = server.post("/topics/user_craeted", "", GOOD).await;
    assert_eq!((answer.status, answer.json()["nearest"].as_str()), (404, Some("user_created")));
    assert_eq!(server.get("/nothing", "").await.status, 404);
    let answer = server.get("/topics/user_created", "").await;
    assert_eq!(answer.status, 405);
    assert!(answer.head.contains("allow: post"), "{}", answer.head);
    let request = post("/topics/user_created", "", GOOD).replace("application/json", "text/plain");
    assert_eq!(server.raw(&request).await.status, 415);
    let answer = server.post("/topics/", "", GOOD).await;
    assert_eq!((answer.status, answer.json()["type"].as_str()), (404, Some("urn:less:not-found")));
    let answer = server.post("/topics/%ff", "", GOOD).await;
    assert_eq!((answer.status, answer.json()["type"].as_str()), (400, Some("urn:less:bad-path")));
    for limit in ["x", "0", "1001"] {
        let path = format!("/_less/dead-letters/user_created/send_email?limit={limit}");
        let answer = server.get(&path, "").await;
        assert_eq!(
            (answer.status, answer.json()["type"].as_str()),
            (400, Some("urn:less:bad-query")),
            "{limit}"
        );
    }
    assert!(server.fake.stored.lock().unwrap().is_empty());
    assert_eq!(
        server.post("/topics/user%5Fcreated?from=here", "", GOOD).await.status,
        202,
        "as some clients write it"
    );
}

#[tokio::test]
async fn a_large_body_is_refused_before_it_is_all_there() {
    let server = server(options()).await;
    let answer = server.publish("", &"x".repeat(1001)).await;
    assert_eq!((answer.status, &answer.json()["setting"]), (413, &serde_json::json!("max_body")));
    // Announced: nothing of it is sent.
    let head = "POST /topics/user_created HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\n";
    let answer = server.raw(&format!("{head}content-length: 1001\r\n\r\n")).await;
    assert_eq!((answer.status, answer.json()["limit"].as_u64()), (413, Some(1000)));
    // Asked for: the answer is no, and not first yes.
    let answer = server.raw(&format!("{head}content-length: 1001\r\nexpect: 100-continue\r\n\r\n")).await;
    assert_eq!(answer.status, 413);
    // In chunks: the last one never comes.
    let chunk = "x".repeat(1001);
    let answer = server.raw(&format!("{head}transfer-encoding: chunked\r\n\r\n3e9\r\n{chunk}\r\n")).await;
    assert_eq!(answer.status, 413);
}

#[tokio::test]
async fn a_client_that_sends_all_of_a_large_body_first_is_told_why_it_is_refused() {
    let server = server(options()).await;
    // More than the buffers between the two hold: were it not read, the client would see a broken pipe and nothing else.
    let body = "x".repeat(32 << 20);
    let answer = server.publish("", &body).await;
    assert_eq!((answer.status, answer.json()["limit"].as_u64()), (413, Some(1000)));
    let chunk = "x".repeat(1 << 20);
    let chunks = format!("100000\r\n{chunk}\r\n").repeat(32);
    let head = "POST /topics/user_created HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\n";
    let answer = server.raw(&format!("{head}transfer-encoding: chunked\r\n\r\n{chunks}0\r\n\r\n")).await;
    assert_eq!(answer.status, 413);
}

#[tokio::test]
async fn slow_requests_are_ended() {
    let short = Duration::from_millis(50);
    let server = server(Options { header_timeout: short, body_timeout: short, ..options() }).await;
    let head = "POST /topics/user_created HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\n";
    assert_eq!(server.raw(&format!("{head}content-length: 10\r\n\r\n{{")).await.status, 408);
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(b"POST /topics").await.unwrap();
    let mut rest = Vec::new();
    // Whether a 408 comes first is hyper's affair; the connection must end.
    tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest)).await.expect("the connection ends").ok();
}

#[tokio::test]
async fn what_could_not_be_stored_is_not_accepted() {
    let server = server(options()).await;
    for (mood, status) in [(FULL, 507), (BROKEN, 503)] {
        server.fake.mood.store(mood, Ordering::SeqCst);
        let answer = server.publish("", GOOD).await;
        assert_eq!(answer.status, status);
        assert!(answer.head.contains("retry-after:"));
    }
    assert_eq!(server.get("/readyz", "").await.status, 503);
    assert_eq!(server.get("/healthz", "").await.status, 200);
}

#[tokio::test]
async fn a_connection_over_the_limit_waits_for_its_turn() {
    let server = server(Options { max_connections: 1, ..options() }).await;
    let mut first = TcpStream::connect(server.address).await.unwrap();
    let request = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n";
    first.write_all(request).await.unwrap();
    let mut some = [0; 12];
    first.read_exact(&mut some).await.unwrap();
    let mut second = TcpStream::connect(server.address).await.unwrap();
    second.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await.unwrap();
    drop(first);
    assert_eq!(read_answer(&mut second).await.status, 200);
}

#[tokio::test]
async fn the_ledger_and_dead_letters_are_shown_and_dead_letters_released() {
    let server = server(options()).await;
    let status = server.get("/_less/status", "").await.json();
    assert_eq!((&status["app"], &status["transport"]), (&"shop".into(), &"fake".into()));
    let row = &status["subscribers"][0];
    assert_eq!(
        (row["subscriber"].as_str(), row["dead"].as_u64(), row["done"].as_u64()),
        (Some("send_email"), Some(1), Some(2))
    );
    let metrics = server.get("/metrics", "").await.body;
    assert!(
        metrics.contains(r#"less_messages{topic="user_created",subscriber="send_email",state="dead"} 1"#),
        "{metrics}"
    );
    let letters = server.get("/_less/dead-letters/user_created/send_email", "").await.json();
    assert_eq!(letters["dead_letters"][0]["published_at"], 1);
    assert_eq!(letters["dead_letters"][0]["reason"], "rejected");
    let path = "/_less/dead-letters/user_created/send_email/release";
    assert_eq!(server.post(path, "", r#"{"all":true}"#).await.json()["released"], 1);
    assert_eq!(
        server.post(path, "", r#"{"all":true,"ids":["07070707-0707-0707-0707-070707070707"]}"#).await.status,
        400
    );
    assert_eq!(server.post(path, "", "{}").await.status, 400);
    assert_eq!(*server.fake.released.lock().unwrap(), [Selection::All]);
    let path = "/_less/dead-letters/user_created/nobody/purge";
    assert_eq!(server.post(path, "", r#"{"all":true}"#).await.status, 404);
}

/// A tail that is open: nothing that is accepted from now on is missing in it.
async fn open_tail(server: &Server, query: &str) -> TcpStream {
    let (status, stream) = try_tail(server, query).await;
    assert_eq!(status, 200);
    stream
}

/// A tail's status, and the connection behind the head of its answer.
async fn try_tail(server: &Server, query: &str) -> (u16, TcpStream) {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let request = format!("GET /_less/tail?{query} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.expect("a head"));
    }
    let head = String::from_utf8(head).unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), stream)
}

/// The lines of an answer in chunks, to its end.
async fn lines(mut stream: TcpStream) -> Vec<Value> {
    let mut bytes = Vec::new();
    tokio::time::timeout(PATIENCE, stream.read_to_end(&mut bytes)).await.expect("an end in time").unwrap();
    let text = String::from_utf8(bytes).unwrap();
    text.lines()
        .filter(|line| line.starts_with('{'))
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[tokio::test]
async fn a_tail_shows_what_is_accepted_while_it_is_open_and_ends_with_the_app() {
    let server = server(options()).await;
    assert_eq!(server.publish("", GOOD).await.status, 202);
    let tail = open_tail(&server, "topic=user_created").await;
    let other = open_tail(&server, "topic=user_created&subscriber=send_email").await;
    let headers = "less-key: k\r\nless-delay: 30s\r\nless-attribute-tenant: acme\r\nidempotency-key: x\r\n";
    let first = server.publish(headers, GOOD).await.json();
    assert_eq!(server.publish(headers, GOOD).await.json()["duplicate"], true);
    assert_eq!(server.publish("", r#"{"user_id":"x"}"#).await.status, 422);
    let last = server.publish("", "{\"user_id\": 2,\n \"tags\": []}").await.json();
    // An answer without end, and the server ends all the same.
    server.switch.stop();
    tokio::time::timeout(PATIENCE, server.task).await.expect("the server ends").unwrap();
    let lines = lines(tail).await;
    assert_eq!(lines.len(), 3, "{lines:?}");
    let message = &lines[0]["message"];
    assert_eq!((&message["message_id"], &message["key"]), (&first["message_id"], &"k".into()));
    assert_eq!((&message["attributes"]["tenant"], &message["body"]["user_id"]), (&"acme".into(), &1.into()));
    let times = ["due", "published_at"].map(|name| message[name].as_u64().unwrap());
    assert_eq!(times[0] - times[1], 30_000);
    assert_eq!(lines[1]["message"]["message_id"], last["message_id"]);
    assert_eq!(lines[2], serde_json::json!({"end": "shutdown"}));
    assert_eq!(self::lines(other).await, lines, "a subscriber without a filter gets every message");
}

#[tokio::test]
async fn a_tail_that_nobody_reads_delays_neither_publishing_nor_the_shutdown() {
    let server = server(Options { drain: Duration::from_millis(100), ..options() }).await;
    let tail = open_tail(&server, "topic=user_created").await;
    // More than the buffers of both ends and the tail's own hold.
    let body = format!("{{\"user_id\":1,\"tags\":[\"{}\"]}}", "x".repeat(600));
    let items = vec![format!("{{\"body\":{body}}}"); 10_000].join(",");
    for _ in 0..3 {
        let answer = server.post("/_less/topics/user_created/batch", "", &format!("[{items}]")).await;
        assert!(answer.status == 200 && !answer.body.contains("error"), "{}", answer.status);
    }
    server.switch.stop();
    tokio::time::timeout(PATIENCE, server.task).await.expect("the server ends").unwrap();
    let lines = lines(tail).await;
    let missed: u64 = lines.iter().filter_map(|line| line["missed"].as_u64()).sum();
    let seen = lines.iter().filter(|line| line["message"].is_object()).count() as u64;
    assert!(missed > 0 && seen > 0, "{missed} missed, {seen} seen");
    assert_eq!((missed + seen, lines.last()), (30_000, Some(&serde_json::json!({"end": "shutdown"}))));
}

#[tokio::test]
async fn what_can_t_be_tailed_is_said() {
    let server = server(options()).await;
    for (query, status) in [
        ("topic=user_craeted", 404),
        ("topic=user_created&subscriber=nobody", 404),
        ("topik=user_created", 400),
        ("", 400),
    ] {
        assert_eq!(server.get(&format!("/_less/tail?{query}"), "").await.status, status, "{query}");
    }
    let mut open = Vec::new();
    for _ in 0..crate::tail::MAX_TAILS {
        open.push(open_tail(&server, "topic=user_created").await);
    }
    assert_eq!(try_tail(&server, "topic=user_created").await.0, 429);
    open.pop();
    // That its reader has gone is noticed in time, and not at once.
    let opened = async { while try_tail(&server, "topic=user_created").await.0 != 200 {} };
    tokio::time::timeout(PATIENCE, opened).await.expect("there is room again");
}
