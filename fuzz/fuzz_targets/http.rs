//! The HTTP endpoint, over a socket: never a panic, never an answer that says the server is at fault, and a whole request always has an answer.
//!
//! The bytes are sent as they are, and then once more as the parts of a well-formed request: lines of method, path and headers, an empty line, the body.
#![no_main]

use std::sync::LazyLock;

use less_runtime::fuzz::Http;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

thread_local! {
    static HTTP: LazyLock<Http> = LazyLock::new(|| Http::start().expect("the endpoint starts"));
}

fuzz_target!(|bytes: &[u8]| {
    HTTP.with(|http| {
        // Where the bytes hold several requests, or a HEAD, only the first answer's status is sure to be where it seems to be.
        if let Some(answer) = whole(&http.send(bytes), true) {
            assert!(answer.status < 500, "the server is at fault: {}", answer.head);
        }
        let request = request(bytes);
        let without_body = request.starts_with(b"HEAD ");
        let answer = http.ask(&request, |answer| whole(answer, without_body).is_some());
        match whole(&answer, without_body) {
            Some(answer) => check(&answer),
            // A preface of HTTP/2 is the one thing that hyper leaves without an answer.
            None => assert!(request.starts_with(b"PRI "), "no answer: {}", answer.escape_ascii()),
        }
    });
});

/// A request of these parts. Its head is one, because no line of it is empty; its body has the length that the head gives.
fn request(bytes: &[u8]) -> Vec<u8> {
    let (head, body) = match bytes.windows(2).position(|two| two == b"\n\n") {
        Some(at) => (&bytes[..at], &bytes[at + 2..]),
        None => (bytes, &[][..]),
    };
    let mut lines = head.split(|byte| matches!(byte, b'\n' | b'\r')).filter(|line| !line.is_empty());
    let method = lines.next().unwrap_or(b"POST");
    let path = lines.next().unwrap_or(b"/topics/user_created");
    let mut out = [method, b" ", path, b" HTTP/1.1\r\nhost: localhost\r\n"].concat();
    let length = format!("content-length: {}\r\n", body.len());
    out.extend_from_slice(length.as_bytes());
    for line in lines {
        out.extend_from_slice(line);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(body);
    out
}

/// An answer: its status, head and body.
struct Answer<'a> {
    status: u16,
    head: String,
    body: &'a [u8],
}

/// The first final answer, where it is whole.
fn whole(mut bytes: &[u8], without_body: bool) -> Option<Answer<'_>> {
    loop {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
        let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
        let body = &bytes[end + 4..];
        let status = head.split(' ').nth(1)?.parse().ok()?;
        if status == 100 {
            bytes = body;
            continue;
        }
        let length = head.split("\r\n").find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
        let length = if without_body { 0 } else { length.unwrap_or(0) };
        return Some(Answer { status, head, body: body.get(..length)? });
    }
}

fn check(answer: &Answer) {
    let shown = format!("{}\n\n{}", answer.head, answer.body.escape_ascii());
    assert!(answer.status < 500, "the server is at fault: {shown}");
    // What hyper itself refuses has no body.
    if answer.status >= 400 && !answer.body.is_empty() {
        assert!(answer.head.contains("content-type: application/problem+json"), "no problem+json: {shown}");
        let problem: Value =
            serde_json::from_slice(answer.body).unwrap_or_else(|error| panic!("{error}: {shown}"));
        assert_eq!(problem["status"], answer.status, "{shown}");
        assert!(problem["detail"].is_string(), "{shown}");
    }
}
