//! The endpoint over TLS.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::dial;
use crate::tls::Trust;
use crate::tls::tests::Files;

const REQUEST: &[u8] = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";

async fn secure(files: &Files, header_timeout: Duration) -> Server {
    server(Options { tls: Some(files.acceptor()), header_timeout, ..options() }).await
}

async fn health(server: &Server, files: &Files) -> String {
    let url = format!("https://{}", server.address).parse().unwrap();
    let trust = Trust::Authorities(files.path("ca.pem"));
    let mut stream = dial::connect(&url, &trust).await.unwrap();
    stream.write_all(REQUEST).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn requests_are_answered_while_others_say_nothing_or_nonsense() {
    let files = Files::new();
    let server = secure(&files, PATIENCE).await;
    let mut others = Vec::new();
    for begin in [&b""[..], b"\x16", b"\x16\x03\x01\xff\xff\x01"] {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(begin).await.unwrap();
        others.push(stream);
    }
    let answer = health(&server, &files).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("\r\n\r\nok\n"), "{answer}");
    // The shutdown waits for none of them.
    server.switch.stop();
    tokio::time::timeout(PATIENCE, server.task).await.unwrap().unwrap();
    drop(others);
}

#[tokio::test]
async fn a_client_that_does_not_finish_its_handshake_is_let_go() {
    let files = Files::new();
    let server = secure(&files, Duration::from_millis(50)).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(b"\x16\x03\x01").await.unwrap();
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest)).await.expect("it ends");
    assert!(ended.is_err() || rest.is_empty(), "{rest:?}");
}

#[tokio::test]
async fn plain_http_is_told_that_this_is_https() {
    let files = Files::new();
    let server = secure(&files, PATIENCE).await;
    let answer = server.publish("", GOOD).await;
    assert_eq!((answer.status, answer.json()["type"].as_str()), (400, Some("urn:less:plain-http")));
    let detail = "this address speaks HTTPS: https:// instead of http://";
    assert_eq!(answer.json()["detail"].as_str(), Some(detail));
}
