//! What a request asks for.

use bytes::Bytes;
use http::HeaderMap;
use serde_json::Value;

/// How a service is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// SQS: JSON, the operation in `X-Amz-Target`.
    Json,
    /// SNS and STS: a form with `Action`, answered by XML.
    Query,
}

/// A request as its service reads it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Call {
    /// SQS.
    Json {
        /// `ReceiveMessage`
        operation: String,
        /// The parameters.
        body: Value,
    },
    /// SNS and STS.
    Query {
        /// `PublishBatch`
        operation: String,
        /// The form's fields, in order.
        fields: Vec<(String, String)>,
    },
}

impl Call {
    /// Reads a request; none where it is neither of the two protocols.
    pub(crate) fn read(headers: &HeaderMap, body: &Bytes) -> Option<Self> {
        if let Some(target) = headers.get("x-amz-target") {
            let (_, operation) = target.to_str().ok()?.rsplit_once('.')?;
            return Some(Self::Json {
                operation: operation.to_owned(),
                body: serde_json::from_slice(body).ok()?,
            });
        }
        let fields: Vec<(String, String)> = form_urlencoded::parse(body).into_owned().collect();
        let (_, operation) = fields.iter().find(|(name, _)| name == "Action")?;
        Some(Self::Query { operation: operation.clone(), fields })
    }

    /// What is asked for, such as `ReceiveMessage`.
    pub(crate) fn operation(&self) -> &str {
        match self {
            Self::Json { operation, .. } | Self::Query { operation, .. } => operation,
        }
    }

    /// How an answer is written.
    pub(crate) fn protocol(&self) -> Protocol {
        match self {
            Self::Json { .. } => Protocol::Json,
            Self::Query { .. } => Protocol::Query,
        }
    }

    /// The request's body.
    pub(crate) fn body(&self) -> Bytes {
        match self {
            Self::Json { body, .. } => Bytes::from(body.to_string()),
            Self::Query { fields, .. } => {
                Bytes::from(form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_protocols_name_their_operation() {
        let mut headers = HeaderMap::new();
        let form = Bytes::from("Action=Publish&Version=2010-03-31&Message=a%26b");
        let publish = Call::read(&headers, &form).unwrap();
        assert_eq!((publish.operation(), publish.protocol()), ("Publish", Protocol::Query));
        assert_eq!(publish.body(), form);

        headers.insert("x-amz-target", "AmazonSQS.ReceiveMessage".parse().unwrap());
        let receive = Call::read(&headers, &Bytes::from(r#"{"QueueUrl":"u"}"#)).unwrap();
        assert_eq!((receive.operation(), receive.protocol()), ("ReceiveMessage", Protocol::Json));
        assert_eq!(receive.body(), r#"{"QueueUrl":"u"}"#);
    }

    #[test]
    fn what_is_neither_protocol_is_no_call() {
        assert_eq!(Call::read(&HeaderMap::new(), &Bytes::from("hello")), None);
    }
}
