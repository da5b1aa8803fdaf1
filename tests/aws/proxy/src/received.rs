//! Messages received twice, or in another order.

use std::collections::HashMap;

use bytes::Bytes;
use serde_json::{Value, json};

use crate::call::Call;
use crate::rules::Rules;

/// Messages that are still to come again, by queue.
#[derive(Debug, Default)]
pub(crate) struct Duplicates {
    queues: HashMap<String, Vec<Value>>,
}

fn queue(call: &Call) -> Option<&str> {
    match call {
        Call::Json { operation, body } if operation == "ReceiveMessage" => body["QueueUrl"].as_str(),
        Call::Json { .. } | Call::Query { .. } => None,
    }
}

impl Duplicates {
    /// Asks the server not to wait where something is to come again.
    pub(crate) fn hurry(&self, call: &mut Call) {
        let waits = queue(call).is_some_and(|queue| self.queues.contains_key(queue));
        if let (true, Call::Json { body, .. }) = (waits, call) {
            body["WaitTimeSeconds"] = json!(0);
        }
    }

    /// Keeps a copy of every message of an answer, with one receive more.
    pub(crate) fn keep(&mut self, call: &Call, answer: &Bytes) {
        let (Some(queue), Ok(body)) = (queue(call), serde_json::from_slice::<Value>(answer)) else { return };
        for message in body["Messages"].as_array().into_iter().flatten() {
            let mut copy = message.clone();
            if let Some(count) = copy.pointer_mut("/Attributes/ApproximateReceiveCount") {
                let times: u64 = count.as_str().and_then(|count| count.parse().ok()).unwrap_or(1);
                *count = json!((times + 1).to_string());
            }
            self.queues.entry(queue.to_owned()).or_default().push(copy);
        }
    }

    /// Puts what is to come again into an answer, as far as the call has room.
    pub(crate) fn again(&mut self, call: &Call, answer: Bytes) -> Bytes {
        let (Some(queue), Call::Json { body: asked, .. }) = (queue(call), call) else { return answer };
        let Some(waiting) = self.queues.get_mut(queue) else { return answer };
        let Ok(mut body) = serde_json::from_slice::<Value>(&answer) else { return answer };
        let mut messages = body["Messages"].as_array().cloned().unwrap_or_default();
        let room = asked["MaxNumberOfMessages"].as_u64().unwrap_or(1);
        let room = usize::try_from(room).unwrap_or(10).saturating_sub(messages.len());
        messages.extend(waiting.drain(..room.min(waiting.len())));
        if waiting.is_empty() {
            self.queues.remove(queue);
        }
        body["Messages"] = Value::Array(messages);
        Bytes::from(body.to_string())
    }
}

/// Shuffles the messages of an answer.
pub(crate) fn reorder(answer: &Bytes, rules: &mut Rules) -> Bytes {
    let Ok(mut body) = serde_json::from_slice::<Value>(answer) else { return answer.clone() };
    if let Some(messages) = body.get_mut("Messages").and_then(Value::as_array_mut) {
        rules.shuffle(messages);
    }
    Bytes::from(body.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receive(room: u64) -> Call {
        let body = json!({ "QueueUrl": "q", "MaxNumberOfMessages": room, "WaitTimeSeconds": 20 });
        Call::Json { operation: "ReceiveMessage".to_owned(), body }
    }

    fn answer(ids: &[&str]) -> Bytes {
        let messages: Vec<Value> = ids
            .iter()
            .map(|id| json!({ "MessageId": id, "Attributes": { "ApproximateReceiveCount": "1" } }))
            .collect();
        Bytes::from(json!({ "Messages": messages }).to_string())
    }

    fn ids(answer: &Bytes) -> Vec<String> {
        let body: Value = serde_json::from_slice(answer).unwrap();
        let messages = body["Messages"].as_array().unwrap().iter();
        messages.map(|message| message["MessageId"].as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn duplicates_come_again_where_there_is_room_and_no_call_waits_for_nothing() {
        let mut duplicates = Duplicates::default();
        duplicates.keep(&receive(3), &answer(&["a", "b"]));
        let first = duplicates.again(&receive(3), answer(&["a", "b"]));
        assert_eq!(ids(&first), ["a", "b", "a"]);
        assert!(String::from_utf8_lossy(&first).contains(r#""ApproximateReceiveCount":"2""#));

        let mut next = receive(3);
        duplicates.hurry(&mut next);
        assert!(matches!(&next, Call::Json { body, .. } if body["WaitTimeSeconds"] == 0), "{next:?}");
        assert_eq!(ids(&duplicates.again(&next, Bytes::from("{}"))), ["b"]);

        let mut last = receive(3);
        duplicates.hurry(&mut last);
        assert_eq!(last, receive(3));
        assert_eq!(ids(&duplicates.again(&last, answer(&["c"]))), ["c"]);
    }

    #[test]
    fn reordering_loses_nothing() {
        let order: Vec<String> = (0..10).map(|id| id.to_string()).collect();
        let order: Vec<&str> = order.iter().map(String::as_str).collect();
        let shuffled = ids(&reorder(&answer(&order), &mut Rules::new(3)));
        assert_ne!(shuffled, order);
        let mut sorted = shuffled;
        sorted.sort();
        assert_eq!(sorted, order);
    }
}
