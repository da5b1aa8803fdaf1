//! Who is answered.

use super::*;

/// An app that asks for `KEY`.
fn with_key() -> Options {
    let config =
        less_model::config::resolve(&Settings::default(), &less_model::config::Flags::default(), |name| {
            (name == "LESS_API_KEY").then(|| KEY.to_owned())
        });
    let api_key = config.unwrap().api_key.map(|key| key.value);
    Options { api_key, ..options() }
}

#[tokio::test]
async fn a_key_is_asked_for_everywhere_but_for_health() {
    let server = server(with_key()).await;
    for path in ["/healthz", "/readyz"] {
        assert_eq!(server.get(path, "").await.status, 200);
    }
    for path in [
        "/metrics",
        "/_less/status",
        "/_less/topics",
        "/_less/contract",
        "/_less/tail?topic=user_created",
        "/nothing",
    ] {
        let answer = server.get(path, "").await;
        assert_eq!(answer.status, 401, "{path}");
        assert!(answer.head.contains("www-authenticate: bearer"));
        let wrong = server.get(path, "authorization: Bearer wrong\r\n").await;
        assert_eq!(wrong.status, 403, "{path}");
        assert!(!wrong.body.contains(KEY) && !wrong.head.contains(KEY));
    }
    assert_eq!(server.publish("", GOOD).await.status, 401);
    assert_eq!(server.publish(&format!("authorization: Bearer {KEY}\r\n"), GOOD).await.status, 202);
    assert_eq!(server.publish(&format!("x-api-key: {KEY}\r\n"), GOOD).await.status, 202);
}

#[tokio::test]
async fn only_the_apps_own_hosts_are_answered() {
    let server = server(options()).await;
    for (host, status) in [
        ("localhost:4100", 200),
        ("127.0.0.1", 200),
        ("[::1]:4100", 200),
        ("API.example.com", 200),
        ("evil.example.com", 421),
        ("localhost.evil.com", 421),
        ("evil.example.com:localhost", 421),
        ("::1", 400),
        ("[127.0.0.1", 400),
    ] {
        let request = format!("GET /healthz HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
        assert_eq!(server.raw(&request).await.status, status, "{host}");
    }
    for hosts in [
        "",
        "host: localhost\r\nhost: localhost\r\n",
        "host: localhost\r\nhost: evil.com\r\n",
        "host: a@localhost\r\n",
    ] {
        let request = format!("GET /healthz HTTP/1.1\r\nconnection: close\r\n{hosts}\r\n");
        assert_eq!(server.raw(&request).await.status, 400, "{hosts}");
    }
}

#[tokio::test]
async fn what_is_meant_for_another_app_is_refused_before_anything_else_is_asked() {
    let server = server(with_key()).await;
    let key = format!("authorization: Bearer {KEY}\r\n");
    for (path, body) in [
        ("/topics/user_created", GOOD),
        ("/_less/topics/user_created/batch", "[]"),
        ("/_less/dead-letters/user_created/send_email/purge", "{\"all\":true}"),
    ] {
        let wrong = server.post(path, &format!("less-app: billing\r\n{key}"), body).await;
        assert_eq!(wrong.status, 421, "{path}");
        let problem = wrong.json();
        assert_eq!(problem["type"], "urn:less:wrong-app");
        assert_eq!(
            problem["detail"],
            "this is the app `shop`, and the request is for `billing`: nothing was done"
        );
    }
    assert_eq!(server.publish("less-app: billing\r\n", GOOD).await.status, 421, "without a key too");
    assert!(server.fake.stored.lock().unwrap().is_empty());
    assert_eq!(server.publish(&format!("less-app: shop\r\n{key}"), GOOD).await.status, 202);
    assert_eq!(server.get("/healthz", "").await.status, 200);
}

#[tokio::test]
async fn a_client_asks_the_app_that_it_means_and_no_other() {
    let server = server(options()).await;
    let at = |app| {
        let client = crate::client::Client::at(&format!("http://{}", server.address), None).unwrap();
        client.of(app)
    };
    for app in [None, Some("shop")] {
        at(app).ready().await.unwrap();
    }
    let error = at(Some("billing")).ready().await.unwrap_err().to_string();
    assert!(
        error.ends_with(
            "answered 421: this is the app `shop`, and the request is for `billing`: nothing was done"
        ),
        "{error}"
    );
}

#[tokio::test]
async fn who_is_refused_before_its_body_is_read_sees_why_and_keeps_its_connection() {
    let server = server(options()).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    for (path, more, status) in [
        ("/topics/none", "content-type: application/json\r\n", 404),
        ("/topics/user_created", "content-type: text/plain\r\n", 415),
        ("/_less/topics/none/batch", "content-type: application/json\r\n", 404),
        ("/topics/user_created", "content-type: application/json\r\nless-app: billing\r\n", 421),
        ("/topics/user_created", "content-type: application/json\r\n", 202),
    ] {
        let length = GOOD.len();
        let head =
            format!("POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {length}\r\n{more}\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.flush().await.unwrap();
        // The answer must not overtake the body. Short: the app waits half a second for a piece of one that it does not want.
        let early = tokio::time::timeout(Duration::from_millis(5), stream.read_u8()).await;
        assert!(early.is_err(), "{path}: {early:?}");
        stream.write_all(GOOD.as_bytes()).await.unwrap();
        let mut answer = String::new();
        let whole = |answer: &str| {
            let (head, body) = answer.split_once("\r\n\r\n")?;
            let length = head.to_ascii_lowercase().split_once("content-length: ")?.1.to_owned();
            Some(body.len() >= length.lines().next()?.parse().ok()?)
        };
        while whole(&answer) != Some(true) {
            let mut piece = [0; 1024];
            let read =
                tokio::time::timeout(PATIENCE, stream.read(&mut piece)).await.expect("in time").unwrap();
            assert!(read > 0, "{path}: the connection was closed: {answer}");
            answer.push_str(std::str::from_utf8(&piece[..read]).unwrap());
        }
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{path}: {answer}");
    }
}
