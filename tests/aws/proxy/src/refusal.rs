//! Refusals in the words of SNS and SQS.

use http::{Response, StatusCode};
use serde_json::json;

use crate::call::Protocol;

/// An error that a service answers with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The status of the answer; entries of a batch have none.
    pub status: u16,
    /// The code that the SDK knows it by.
    pub code: &'static str,
    /// For people.
    pub message: &'static str,
    /// Whether the service says that the sender is at fault.
    pub sender_fault: bool,
}

impl Refusal {
    /// SNS has had enough: `Throttled`, 429.
    pub const THROTTLED: Self =
        Self { status: 429, code: "Throttled", message: "Rate exceeded", sender_fault: true };
    /// What stands before every service has had enough: `ThrottlingException`, 400.
    pub const THROTTLING: Self =
        Self { status: 400, code: "ThrottlingException", message: "Rate exceeded", sender_fault: true };
    /// SQS has had enough: `RequestThrottled`, 400.
    pub const REQUEST_THROTTLED: Self = Self {
        status: 400,
        code: "RequestThrottled",
        message: "The request was denied due to request throttling.",
        sender_fault: true,
    };
    /// Something broke inside, 500.
    pub const INTERNAL: Self = Self {
        status: 500,
        code: "InternalFailure",
        message: "The request processing has failed because of an unknown error.",
        sender_fault: false,
    };
    /// Nobody is there, 503.
    pub const UNAVAILABLE: Self = Self {
        status: 503,
        code: "ServiceUnavailable",
        message: "The request has failed due to a temporary failure of the server.",
        sender_fault: false,
    };
    /// The role may not do this, 403.
    pub const DENIED: Self = Self {
        status: 403,
        code: "AccessDenied",
        message: "User is not authorized to perform this action",
        sender_fault: true,
    };
    /// A receipt handle that is none, or no longer one.
    pub const STALE_RECEIPT: Self = Self {
        status: 400,
        code: "ReceiptHandleIsInvalid",
        message: "The receipt handle has expired.",
        sender_fault: true,
    };
    /// The message is back in its queue: its visibility has run out, or it was deleted.
    pub const NOT_IN_FLIGHT: Self = Self {
        status: 400,
        code: "MessageNotInflight",
        message: "The message referred to is not in flight.",
        sender_fault: true,
    };

    /// The whole answer.
    pub(crate) fn answer(&self, protocol: Protocol) -> Response<String> {
        let Self { status, code, message, sender_fault } = self;
        let kind = if *sender_fault { "Sender" } else { "Receiver" };
        let (content_type, body) = match protocol {
            Protocol::Json => (
                "application/x-amz-json-1.0",
                json!({ "__type": format!("com.amazonaws.sqs#{code}"), "message": message }).to_string(),
            ),
            Protocol::Query => (
                "text/xml",
                format!(
                    "<ErrorResponse><Error><Type>{kind}</Type><Code>{code}</Code><Message>{message}</Message></Error>\
                     <RequestId>of-the-proxy</RequestId></ErrorResponse>"
                ),
            ),
        };
        let mut answer = Response::new(body);
        *answer.status_mut() = StatusCode::from_u16(*status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = answer.headers_mut();
        headers.insert("content-type", http::HeaderValue::from_static(content_type));
        if let Ok(value) = format!("{code};{kind}").parse() {
            headers.insert("x-amzn-query-error", value);
        }
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_speaks_the_protocol_of_its_service() {
        let sqs = Refusal::REQUEST_THROTTLED.answer(Protocol::Json);
        assert_eq!(sqs.status(), 400);
        assert_eq!(sqs.headers()["x-amzn-query-error"], "RequestThrottled;Sender");
        assert!(sqs.body().contains(r#""__type":"com.amazonaws.sqs#RequestThrottled""#), "{}", sqs.body());
        let sns = Refusal::UNAVAILABLE.answer(Protocol::Query);
        assert_eq!(sns.status(), 503);
        assert!(
            sns.body().contains("<Type>Receiver</Type><Code>ServiceUnavailable</Code>"),
            "{}",
            sns.body()
        );
    }
}
