//! The first bytes of an answer's body, read so that a cut at any byte can only make them say less.

use memchr::memmem;
use serde_json::{Deserializer, Value};

mod members;

use self::members::{First, Members};

/// What the body is.
#[derive(Debug)]
pub(super) enum Body {
    /// Nothing, or not looked at.
    Empty,
    /// A page.
    Html,
    /// Text, trimmed.
    Text(String),
    /// JSON, whole or cut.
    Json(Document),
}

/// The members of a JSON body that the rules ask for.
#[derive(Debug, Default)]
pub(super) struct Document {
    /// What else is in the first document, where it was whole. Grafana's white-list refusal is two in a row.
    whole: Option<Box<Members>>,
    /// `message`. From a cut body only together with a member that says what the message is worth.
    pub(super) message: Option<String>,
    /// `messageId`: generation B.
    pub(super) message_id: Option<String>,
    /// `accessErrorId`: a refusal of the access control, by the name that it has in Grafana's log.
    pub(super) access_error: Option<String>,
    /// `kind: Status`, or a status with a code: the Kubernetes-style API.
    pub(super) status: bool,
    /// The body as it came, for [`Document::results`], where it was not whole.
    raw: Vec<u8>,
}

/// What a query's results say about the datasource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum QueryRefusal {
    Unauthorized,
    Forbidden,
    RateLimited,
}

impl Body {
    pub(super) fn read(bytes: &[u8]) -> Self {
        let trimmed = bytes.trim_ascii();
        match trimmed.first() {
            None => Self::Empty,
            Some(b'{' | b'[') => Self::Json(Document::read(trimmed)),
            Some(b'<') => Self::Html,
            Some(_) => Self::Text(String::from_utf8_lossy(trimmed).into_owned()),
        }
    }

    pub(super) const fn json(&self) -> Option<&Document> {
        match self {
            Self::Json(document) => Some(document),
            _ => None,
        }
    }

    /// Whether it is exactly this text, but for outer blanks.
    pub(super) fn is_text(&self, text: &str) -> bool {
        matches!(self, Self::Text(found) if found == text)
    }
}

impl Document {
    fn read(raw: &[u8]) -> Self {
        // Text is judged once as a whole, bytes anew for each string.
        let first = match std::str::from_utf8(raw) {
            Ok(text) => Deserializer::from_str(text).into_iter::<First>().next(),
            Err(_) => Deserializer::from_slice(raw).into_iter::<First>().next(),
        };
        match first {
            Some(Ok(First::Object(members))) => Self::from_whole(members),
            Some(Ok(First::Other)) => Self { raw: raw.to_vec(), ..Self::default() },
            _ => Self::from_cut(raw),
        }
    }

    fn from_whole(mut members: Box<Members>) -> Self {
        let failure = members.status.as_deref() == Some("Failure");
        Self {
            message: members.message.take(),
            message_id: members.message_id.take(),
            access_error: members.access_error.take(),
            status: members.kind.as_deref() == Some("Status") || (failure && members.has_code),
            whole: Some(members),
            raw: Vec::new(),
        }
    }

    /// Salvages whole strings from a cut body. A key cannot be found inside of a string: its quotes would be escaped.
    fn from_cut(raw: &[u8]) -> Self {
        let message_id = string_member(raw, "messageId");
        let access_error = string_member(raw, "accessErrorId");
        let status = string_member(raw, "kind").as_deref() == Some("Status");
        let trusted = message_id.is_some() || access_error.is_some() || status;
        let message = if trusted { string_member(raw, "message") } else { None };
        Self { whole: None, message, message_id, access_error, status, raw: raw.to_vec() }
    }

    /// Whether `message` is this text, in any case: Grafana changed the case of some between versions.
    pub(super) fn says(&self, text: &str) -> bool {
        self.message.as_deref().is_some_and(|message| message.eq_ignore_ascii_case(text))
    }

    /// `message` in lower case; empty without one.
    pub(super) fn lower_message(&self) -> String {
        self.message.as_deref().unwrap_or_default().to_ascii_lowercase()
    }

    /// Whether it says `Unauthorized` and nothing else.
    pub(super) fn is_bare_unauthorized(&self) -> bool {
        self.says("Unauthorized") && self.whole.as_ref().is_some_and(|members| members.count == 1)
    }

    /// Whether it is exactly `message` and `traceID`: an error without an identity of its own.
    pub(super) fn is_plain_error(&self) -> bool {
        self.says("Unauthorized") && self.whole.as_ref().is_some_and(|members| members.count == 2 && members.has_trace)
    }

    /// Whether `error.id` is this.
    pub(super) fn has_error_id(&self, id: &str) -> bool {
        let error = self.whole.as_ref().and_then(|members| members.error.as_ref());
        error.and_then(|error| error.get("id")).and_then(Value::as_str) == Some(id)
    }

    /// Whether there are results of queries, and what the first refused one says.
    pub(super) fn results(&self) -> Option<Option<QueryRefusal>> {
        let Some(members) = &self.whole else {
            memmem::find(&self.raw, b"\"results\"")?;
            return Some(cut_refusal(&self.raw));
        };
        let results = members.results.as_ref()?.as_object()?;
        Some(results.values().find_map(result_refusal))
    }
}

fn result_refusal(result: &Value) -> Option<QueryRefusal> {
    let error = result.get("error").and_then(Value::as_str)?;
    match result.get("status").and_then(Value::as_u64) {
        Some(401) => Some(QueryRefusal::Unauthorized),
        Some(403) => Some(QueryRefusal::Forbidden),
        Some(429) => Some(QueryRefusal::RateLimited),
        // Up to 10.1 the status is Grafana's, and the error begins with the kind that the Prometheus API names.
        _ if error.starts_with("unauthorized:") || error.contains("401 Unauthorized") => {
            Some(QueryRefusal::Unauthorized)
        }
        _ if error.contains("403 Forbidden") => Some(QueryRefusal::Forbidden),
        _ if error.contains("429 Too Many Requests") => Some(QueryRefusal::RateLimited),
        _ => None,
    }
}

fn cut_refusal(raw: &[u8]) -> Option<QueryRefusal> {
    if string_member(raw, "error")?.starts_with("unauthorized:") {
        return Some(QueryRefusal::Unauthorized);
    }
    let rest = value_of(raw, "status")?;
    match rest.get(..3)? {
        b"401" => Some(QueryRefusal::Unauthorized),
        b"403" => Some(QueryRefusal::Forbidden),
        b"429" => Some(QueryRefusal::RateLimited),
        _ => None,
    }
}

/// What stands behind the first member of this name.
fn value_of<'b>(raw: &'b [u8], name: &str) -> Option<&'b [u8]> {
    let key = format!("\"{name}\"");
    let mut rest = raw;
    loop {
        rest = rest.get(memmem::find(rest, key.as_bytes())? + key.len()..)?;
        if let Some(value) = rest.trim_ascii_start().strip_prefix(b":") {
            return Some(value.trim_ascii_start());
        }
    }
}

fn string_member(raw: &[u8], name: &str) -> Option<String> {
    let value = value_of(raw, name)?;
    Deserializer::from_slice(value).into_iter::<String>().next()?.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(body: &str) -> Document {
        let Body::Json(document) = Body::read(body.as_bytes()) else { panic!("not JSON: {body}") };
        document
    }

    #[test]
    fn a_cut_body_keeps_its_message_id_and_loses_a_message_that_could_mislead() {
        let whole = r#"{"extra":null,"message":"Invalid username or password","messageId":"login-attempt.blocked","statusCode":401,"traceID":""}"#;
        let at = whole.find(",\"statusCode").unwrap();
        let cut = document(whole.get(..at).unwrap());
        assert_eq!(cut.message_id.as_deref(), Some("login-attempt.blocked"));
        let cut = document(whole.get(..at - 2).unwrap());
        assert_eq!((cut.message_id, cut.message), (None, None));
    }

    #[test]
    fn the_first_of_two_documents_counts() {
        let two = document("{\"message\":\"one\"}\n{\"message\":\"two\"}\n");
        assert_eq!(two.message.as_deref(), Some("one"));
    }

    #[test]
    fn results_are_read_whole_and_cut() {
        let whole = r#"{"results":{"A":{"error":"x","status":403,"frames":[]}}}"#;
        assert_eq!(document(whole).results(), Some(Some(QueryRefusal::Forbidden)));
        assert_eq!(document(whole.get(..45).unwrap()).results(), Some(Some(QueryRefusal::Forbidden)));
        assert_eq!(document(r#"{"results":{"A":{"frames":[]}}}"#).results(), Some(None));
        assert_eq!(document(r#"{"message":"x"}"#).results(), None);
        let escaped = r#"{"results":{"A":{"error":"\"status\":401","fra"#;
        assert_eq!(document(escaped).results(), Some(None));
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            let _ = Body::read(&bytes);
        }
    }
}
