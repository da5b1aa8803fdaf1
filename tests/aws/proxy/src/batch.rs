//! Batches of which a part fails.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::Refusal;
use crate::call::Call;

/// The field prefix of the entries of a `PublishBatch`.
const PUBLISHED: &str = "PublishBatchRequestEntries.member.";

/// How many entries a call's batch has; none where it is no batch.
pub(crate) fn entries(call: &Call) -> usize {
    match call {
        Call::Json { body, .. } => body.get("Entries").and_then(Value::as_array).map_or(0, Vec::len),
        Call::Query { fields, .. } => fields
            .iter()
            .filter(|(name, _)| entry_field(name).is_some_and(|(_, field)| field == "Id"))
            .count(),
    }
}

/// The place, from 0, and the field of an entry of a `PublishBatch`.
fn entry_field(name: &str) -> Option<(usize, &str)> {
    let (place, field) = name.strip_prefix(PUBLISHED)?.split_once('.')?;
    Some((place.parse::<usize>().ok()?.checked_sub(1)?, field))
}

/// Takes the entries at these places out of a batch, and returns their ids.
pub(crate) fn take(call: &mut Call, places: &[usize]) -> Vec<String> {
    let mut taken = Vec::new();
    match call {
        Call::Json { body, .. } => {
            let Some(entries) = body.get_mut("Entries").and_then(Value::as_array_mut) else { return taken };
            let mut place = 0;
            entries.retain(|entry| {
                let stays = !places.contains(&place);
                place += 1;
                if !stays {
                    taken.push(entry["Id"].as_str().unwrap_or_default().to_owned());
                }
                stays
            });
        }
        Call::Query { fields, .. } => {
            let gone = |name: &str| entry_field(name).is_some_and(|(place, _)| places.contains(&place));
            let ids = fields.iter().filter(|(name, _)| gone(name) && name.ends_with(".Id"));
            taken.extend(ids.map(|(_, value)| value.clone()));
            fields.retain(|(name, _)| !gone(name));
            // Members are counted without gaps.
            for (name, _) in fields.iter_mut() {
                let Some((place, field)) = entry_field(name) else { continue };
                let before = places.iter().filter(|taken| **taken < place).count();
                *name = format!("{PUBLISHED}{}.{field}", place + 1 - before);
            }
        }
    }
    taken
}

/// The answer of a server that was not asked, because nothing of the batch remained.
pub(crate) fn nothing_done(call: &Call) -> Bytes {
    match call {
        Call::Json { .. } => Bytes::from(json!({ "Successful": [], "Failed": [] }).to_string()),
        Call::Query { operation, .. } => Bytes::from(format!(
            "<{operation}Response xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\"><{operation}Result><Successful/>\
             <Failed/></{operation}Result></{operation}Response>"
        )),
    }
}

/// Says in an answer that entries failed.
pub(crate) fn fail(call: &Call, answer: &Bytes, ids: &[String], refusal: &Refusal) -> Bytes {
    let Refusal { code, message, sender_fault, .. } = refusal;
    match call {
        Call::Json { .. } => {
            let Ok(mut body) = serde_json::from_slice::<Value>(answer) else { return answer.clone() };
            let failed = ids
                .iter()
                .map(|id| json!({ "Id": id, "Code": code, "Message": message, "SenderFault": sender_fault }));
            match body.get_mut("Failed").and_then(Value::as_array_mut) {
                Some(list) => list.extend(failed),
                None => body["Failed"] = failed.collect(),
            }
            Bytes::from(body.to_string())
        }
        Call::Query { operation, .. } => {
            let text = String::from_utf8_lossy(answer);
            let members: Vec<String> = ids
                .iter()
                .map(|id| {
                    format!(
                        "<member><Id>{id}</Id><Code>{code}</Code><Message>{message}</Message>\
                         <SenderFault>{sender_fault}</SenderFault></member>"
                    )
                })
                .collect();
            let members = members.concat();
            // An empty list may be written in three ways, or left out.
            let text = text.replace("<Failed/>", "").replace("<Failed />", "");
            let text = if text.contains("</Failed>") {
                text.replacen("</Failed>", &format!("{members}</Failed>"), 1)
            } else {
                let end = format!("</{operation}Result>");
                text.replacen(&end, &format!("<Failed>{members}</Failed>{end}"), 1)
            };
            Bytes::from(text)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn publish(ids: &[&str]) -> Call {
        let mut fields = vec![("Action".to_owned(), "PublishBatch".to_owned())];
        for (place, id) in ids.iter().enumerate() {
            fields.push((format!("{PUBLISHED}{}.Id", place + 1), (*id).to_owned()));
            fields.push((format!("{PUBLISHED}{}.Message", place + 1), format!("message {id}")));
        }
        Call::Query { operation: "PublishBatch".to_owned(), fields }
    }

    fn delete(ids: &[&str]) -> Call {
        let entries: Vec<Value> = ids.iter().map(|id| json!({ "Id": id })).collect();
        Call::Json { operation: "DeleteMessageBatch".to_owned(), body: json!({ "Entries": entries }) }
    }

    #[test]
    fn entries_are_taken_out_and_the_rest_is_a_whole_batch() {
        let mut call = publish(&["a", "b", "c", "d"]);
        assert_eq!(entries(&call), 4);
        assert_eq!(take(&mut call, &[0, 2]), ["a", "c"]);
        assert_eq!(call, publish(&["b", "d"]));

        let mut call = delete(&["a", "b", "c"]);
        assert_eq!(entries(&call), 3);
        assert_eq!(take(&mut call, &[1]), ["b"]);
        assert_eq!(call, delete(&["a", "c"]));
    }

    #[test]
    fn failed_entries_are_added_however_the_server_writes_none() {
        let call = publish(&["a"]);
        let failed = "<Failed><member><Id>a</Id><Code>InternalFailure</Code>";
        for none in ["<Failed/>", "<Failed />", "<Failed></Failed>", ""] {
            let answer = format!("<PublishBatchResult><Successful/>{none}</PublishBatchResult>");
            let answer = fail(&call, &Bytes::from(answer), &["a".to_owned()], &Refusal::INTERNAL);
            let text = String::from_utf8_lossy(&answer);
            assert_eq!(text.matches(failed).count(), 1, "{text}");
            assert_eq!(text.matches("<Failed").count(), 1, "{text}");
        }
        let call = delete(&["a"]);
        for none in [json!({ "Successful": [] }), json!({ "Successful": [], "Failed": [] })] {
            let answer =
                fail(&call, &Bytes::from(none.to_string()), &["a".to_owned()], &Refusal::STALE_RECEIPT);
            let answer: Value = serde_json::from_slice(&answer).unwrap();
            assert_eq!(answer["Failed"][0]["Code"], "ReceiptHandleIsInvalid");
            assert_eq!(answer["Failed"][0]["SenderFault"], true);
        }
    }
}
