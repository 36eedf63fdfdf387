//! The only writer of our own answers.

use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};

use super::body::Body;
use super::headers::name;
use super::reply::Reply;
use crate::domain::reason::{Reason, Source};

/// What we say instead of forwarding.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The reason.
    pub reason: Reason,
    /// The status.
    pub status: StatusCode,
    /// What was found, for whoever asked.
    pub detail: String,
    /// What was found, for the operator alone: names and addresses behind us are nobody else's business.
    pub inside: Option<String>,
    /// The next step.
    pub hint: String,
    /// Seconds until a retry succeeds.
    pub retry_after: Option<u64>,
    /// Whether the connection ends with this answer.
    pub close: bool,
}

impl Answer {
    /// An answer with the usual status of `reason`.
    pub fn new(reason: Reason, detail: impl Into<String>, hint: impl Into<String>) -> Self {
        let status = StatusCode::from_u16(status_of(reason)).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let retry_after = match reason {
            Reason::Overloaded | Reason::ShuttingDown | Reason::LimitsUnavailable => Some(1),
            _ => None,
        };
        Self { reason, status, detail: detail.into(), inside: None, hint: hint.into(), retry_after, close: false }
    }

    /// Writes the answer. `request_id` and `trace_id` let the reader find its line in the log.
    pub fn into_reply(self, request_id: &HeaderValue, trace_id: Option<&str>) -> Reply<Body> {
        let bytes = self.body(request_id.to_str().unwrap_or_default(), trace_id.unwrap_or_default());
        let mut reply = Reply::new(self.status, Body::full(bytes));
        reply.add(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        reply.add(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        reply.add(name::REQUEST_ID, request_id.clone());
        reply.add(name::REASON, HeaderValue::from_static(self.reason.code()));
        if let Some(value) = proxy_status(self.reason, None) {
            reply.add(name::PROXY_STATUS, value);
        }
        if let Some(seconds) = self.retry_after {
            reply.add(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.reason == Reason::MethodRefused {
            reply.add(header::ALLOW, HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"));
        }
        if self.close {
            reply.add(header::CONNECTION, HeaderValue::from_static("close"));
        }
        reply
    }

    /// Grafana's members, for Grafana's clients, and RFC 9457's, for everybody's.
    fn body(&self, request_id: &str, trace_id: &str) -> Bytes {
        // The longest part is escaped once; what else there is needs none: our own words, ids of a few characters.
        let said = serde_json::to_string(&[&*self.detail, &self.hint].join(" ")).unwrap_or_default();
        let said = said.strip_prefix('"').and_then(|said| said.strip_suffix('"')).unwrap_or_default();
        let (title, code, status) = (self.reason.title(), self.reason.code(), self.status.as_str());
        let pieces = [
            "{\"message\":\"",
            title,
            ": ",
            said,
            "\",\"messageId\":\"token-proxy.",
            code,
            "\",\"statusCode\":",
            status,
            ",\"traceID\":\"",
            trace_id,
            "\",\"type\":\"",
            &self.reason.doc_url(),
            "\",\"title\":\"",
            title,
            "\",\"status\":",
            status,
            ",\"detail\":\"",
            said,
            "\",\"instance\":\"urn:request:",
            request_id,
            "\"}\n",
        ];
        pieces.concat().into()
    }
}

/// The status of a refusal that we make ourselves (contract §10). A fault in the bytes may name a closer one.
pub const fn status_of(reason: Reason) -> u16 {
    match reason {
        Reason::CredentialConflict | Reason::NewlineInHead | Reason::HeadMalformed | Reason::BodyMalformed => 400,
        Reason::OrgOverrideRefused | Reason::CallerNotAllowed => 403,
        Reason::MethodRefused => 405,
        Reason::HeadTimeout | Reason::BodyTimeout => 408,
        Reason::BodyTooLarge => 413,
        Reason::HeadTooLarge => 431,
        Reason::TokenRateLimited | Reason::ClientRateLimited | Reason::AuthFailuresLimited => 429,
        Reason::UpstreamUnreachable | Reason::UpstreamReset | Reason::UpstreamMalformed => 502,
        Reason::Overloaded | Reason::ShuttingDown | Reason::LimitsUnavailable => 503,
        Reason::UpstreamTimeout => 504,
        _ => 500,
    }
}

/// RFC 9209: who refused, in one header. `received` is the status that another sent.
pub fn proxy_status(reason: Reason, received: Option<StatusCode>) -> Option<HeaderValue> {
    let (key, word) = match (&received, reason.source()) {
        (Some(status), _) => ("received-status=", status.as_str()),
        (None, Source::Client) => ("error=", "http_request_error"),
        (None, _) => ("error=", error_type(reason)),
    };
    let value = ["grafana-token-proxy; ", key, word, "; details=\"", reason.code(), "\""].concat();
    HeaderValue::try_from(value).ok()
}

/// The error types that RFC 9209 §2.3 registers.
const fn error_type(reason: Reason) -> &'static str {
    match reason {
        Reason::UpstreamUnreachable => "connection_refused",
        Reason::UpstreamReset => "connection_terminated",
        Reason::UpstreamMalformed => "http_protocol_error",
        Reason::UpstreamTimeout => "http_response_timeout",
        Reason::InternalError => "proxy_internal_error",
        Reason::Overloaded | Reason::LimitsUnavailable => "connection_limit_reached",
        Reason::BodyTooLarge => "http_request_error",
        _ => "http_request_denied",
    }
}

/// The same answer as bytes, for a connection whose head could not be read and which therefore ends.
pub fn as_bytes(reply: &Reply<Body>, with_body: bool) -> Vec<u8> {
    let status = reply.status;
    let mut bytes =
        format!("HTTP/1.1 {} {}\r\n", status.as_str(), status.canonical_reason().unwrap_or("")).into_bytes();
    for (name, value) in &reply.own {
        bytes.extend_from_slice(name.as_str().as_bytes());
        bytes.extend_from_slice(b": ");
        bytes.extend_from_slice(value.as_bytes());
        bytes.extend_from_slice(b"\r\n");
    }
    let empty = Bytes::new();
    let body = match &reply.body {
        Body::Full(Some(body)) => body,
        _ => &empty,
    };
    bytes.extend_from_slice(format!("date: {}\r\n", httpdate::fmt_http_date(std::time::SystemTime::now())).as_bytes());
    bytes.extend_from_slice(format!("content-length: {}\r\nconnection: close\r\n\r\n", body.len()).as_bytes());
    if with_body {
        bytes.extend_from_slice(body);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_body_is_json_and_says_the_same_twice() {
        for &reason in Reason::ALL {
            let answer = Answer::new(reason, "What \"was\" found: C:\\x \u{1}\n.", "Do `this`.");
            let bytes = answer.body("a/b+c=1:2._-", "0af7651916cd43dd8448eb211c80319c");
            let body: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
            let said = "What \"was\" found: C:\\x \u{1}\n. Do `this`.";
            assert_eq!(body["message"], format!("{}: {said}", reason.title()));
            assert_eq!(body["detail"], said);
            assert_eq!((&body["statusCode"], &body["status"]), (&answer.status.as_u16().into(), &body["statusCode"]));
            assert_eq!(body["messageId"], format!("token-proxy.{}", reason.code()));
            assert_eq!((&body["type"], &body["title"]), (&reason.doc_url().into(), &reason.title().into()));
            assert_eq!(body["traceID"], "0af7651916cd43dd8448eb211c80319c");
            assert_eq!(body["instance"], "urn:request:a/b+c=1:2._-");
        }
    }
}
