//! What errors say, and how a batch is written.

use super::*;

#[test]
fn what_the_app_answers_is_not_said_twice() {
    for error in
        [PublishError::Full("32 bytes are free".to_owned()), PublishError::Unavailable("no disk".to_owned())]
    {
        let client = Client::at("http://127.0.0.1:1", None).unwrap();
        let kind = if matches!(error, PublishError::Full(_)) { "full" } else { "unavailable" };
        let problem = json!({"type": format!("urn:less:{kind}"), "detail": error.to_string()});
        assert_eq!(client.problem(&problem).to_string(), error.to_string());
    }
}

#[test]
fn what_is_no_publish_speaks_of_no_message() {
    let client = Client::at("http://127.0.0.1:1", None).unwrap();
    let problem = json!({"type": "urn:less:unavailable", "detail": "can't read a queue's depth"});
    assert_eq!(
        client.refused(StatusCode::SERVICE_UNAVAILABLE, &problem).to_string(),
        "the app at http://127.0.0.1:1 answered 503: can't read a queue's depth"
    );
}

#[test]
fn a_body_travels_as_it_was_written() {
    for body in ["1e999", "12345678901234567890123", "{\"b\":1.10,\"a\":1,\"a\":2}", "\"\\ud800\"", "[1 , 2]"]
    {
        let text = batch(vec![(Bytes::from(body), Publish::new().key("k"))]).unwrap();
        let text = String::from_utf8(text.into()).unwrap();
        assert!(text.starts_with(&format!("[{{\"body\":{body},\"key\":\"k\",")), "{text}");
    }
    assert!(batch(vec![(Bytes::from("{"), Publish::new())]).is_err());
}
