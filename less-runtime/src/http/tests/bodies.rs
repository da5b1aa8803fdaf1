//! Bodies: as they were written, or refused for what is wrong with them.

use super::*;

/// A body that would be another text if it were read and written again.
pub(super) const UNUSUAL: &str = r#"{"z":12345678901234567890123,"a":1.10,"a":2}"#;

#[tokio::test]
async fn a_batch_has_a_result_for_each_message() {
    let server = server(options()).await;
    let body = r#"[{"body":{"user_id":1,"tags":[]},"key":"k"},{"body":{"user_id":"x","tags":[]}},{"body":{"user_id":2,"tags":[]}}]"#;
    let answer = server.post("/_less/topics/user_created/batch", "", body).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let results = answer.json()["results"].clone();
    assert_eq!(results[1]["error"]["pointer"], "/user_id");
    let stored = server.fake.stored.lock().unwrap();
    assert_eq!(results[0]["message_id"], stored[0].message.id.to_string());
    assert_eq!(results[2]["message_id"], stored[1].message.id.to_string());
}

#[tokio::test]
async fn a_dead_letters_body_is_shown_as_it_was_published() {
    let server = server(options()).await;
    let answer = server.get("/_less/dead-letters/user_created/send_email", "").await;
    assert!(answer.body.ends_with(&format!("\"body\":{UNUSUAL}}}]}}")), "{}", answer.body);
}

#[tokio::test]
async fn a_client_publishes_a_body_and_reads_a_dead_letter_as_they_were_written() {
    let server = server(options()).await;
    let client = crate::client::Client::at(&format!("http://{}", server.address), None).unwrap();
    let bodies =
        [r#"{"user_id":1,"x":12345678901234567890123,"tags":[]}"#, r#"{"user_id":1,"user_id":2,"tags":[]}"#];
    let messages = bodies.map(|body| (body.into(), crate::Publish::new()));
    let results = client.publish("user_created", messages.into()).await;
    assert!(results[0].is_ok(), "{results:?}");
    let twice = results[1].as_ref().unwrap_err().to_string();
    assert!(twice.contains("duplicate field `user_id`"), "{twice}");
    let stored =
        server.fake.stored.lock().unwrap().iter().map(|new| new.message.body.clone()).collect::<Vec<_>>();
    assert_eq!(stored, [bodies[0]]);
    let letters = client.dead_letters("user_created", "send_email", None, 1).await.unwrap();
    assert_eq!((letters[0].body.get(), letters[0].not_json), (UNUSUAL, false));
}

#[tokio::test]
async fn what_no_reader_could_read_is_no_json_and_has_a_place() {
    for (body, message, expected_line, column) in [
        (&b"1e999"[..], "number out of range", 1, 5),
        (br#"["\ud800"]"#, "unexpected end of hex escape", 1, 9),
        (b"\n{\"x\":\"\xff\"}", "invalid UTF-8", 2, 7),
    ] {
        let Err(PublishError::NotJson { message: said, line, column: at }) = check::<crate::Value>(body)
        else {
            panic!("{}", String::from_utf8_lossy(body));
        };
        assert_eq!((said.as_str(), line, at), (message, expected_line, column));
    }
    let skipped = check::<UserCreated>(b"{\"user_id\":1,\"tags\":[],\"x\":\"\xff\"}");
    assert!(matches!(skipped, Err(PublishError::NotJson { .. })), "{skipped:?}");
}

#[tokio::test]
async fn a_batch_of_another_form_and_an_encoded_body_are_called_what_they_are() {
    let server = server(options()).await;
    for (body, kind) in [("{\"body\":1}", "bad-batch"), ("[{\"bdy\":1}]", "bad-batch"), ("[", "not-json")] {
        let answer = server.post("/_less/topics/user_created/batch", "", body).await;
        assert_eq!(
            (answer.status, answer.json()["type"].as_str()),
            (400, Some(&*format!("urn:less:{kind}")))
        );
    }
    let answer = server.publish("content-encoding: gzip\r\n", GOOD).await;
    assert_eq!((answer.status, answer.json()["type"].as_str()), (415, Some("urn:less:encoded")));
    assert_eq!(server.publish("content-encoding: identity\r\n", GOOD).await.status, 202);
}
