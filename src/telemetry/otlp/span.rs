//! A refusal as a span of OTLP's JSON encoding, by the semantic conventions for HTTP servers.
//!
//! The values are those of the log line, so what is redacted there is redacted here.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::parent::Parent;
use crate::telemetry::format::{Field, Keys};
use crate::telemetry::record::Refusal;

/// A server's span.
const SERVER: u8 = 2;

const ERROR: u8 = 2;

/// Bits of `flags` beside those of the trace: it is known whether the parent is remote, and it is.
const REMOTE_KNOWN: u32 = 0x100;
const REMOTE: u32 = 0x200;

/// 24 random bytes: the ids of a span and, where it has no parent, of its trace.
pub(super) type Ids = [u8; 24];

/// What keys of the line are called by the conventions.
fn attribute(key: &str) -> Option<String> {
    Some(match key {
        // Told by the span itself.
        "trace_id" | "duration_ms" | "suppressed" => return None,
        "method" => "http.request.method".into(),
        "status" => "http.response.status_code".into(),
        "path" => "url.path".into(),
        "client" => "client.address".into(),
        "user_agent" => "user_agent.original".into(),
        own => format!("grafana_token_proxy.{own}"),
    })
}

/// The methods that conventions and metrics know.
fn is_known(method: &str) -> bool {
    matches!(method, "GET" | "HEAD" | "POST" | "PUT" | "DELETE" | "CONNECT" | "OPTIONS" | "TRACE" | "PATCH" | "QUERY")
}

fn pair(key: &str, value: Value) -> Value {
    json!({"key": key, "value": value})
}

fn text(text: &str) -> Value {
    json!({"stringValue": text})
}

fn value(field: &Field) -> Value {
    match field {
        Field::Static(value) | Field::Plain(value) => text(value),
        Field::Text(value) => text(value),
        Field::Address(address) => text(&address.to_string()),
        Field::Print(print) => text(&print.to_string()),
        Field::Digits(number) => json!({"intValue": number}),
        // 64 bits are a string in protobuf's JSON.
        Field::Integer(number) => json!({"intValue": number.to_string()}),
        Field::Millis(time) => json!({"doubleValue": time.as_secs_f64() * 1000.0}),
        Field::List(items) => {
            json!({"arrayValue": {"values": items.iter().map(|item| text(item)).collect::<Vec<_>>()}})
        }
    }
}

fn nanos(at: SystemTime) -> String {
    at.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos().to_string()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The span of one refusal.
pub(super) fn write(refusal: &Refusal, ids: &Ids) -> Value {
    let parent = refusal.facts.traceparent.as_ref().and_then(|value| Parent::read(value));
    let (own, trace) = ids.split_at(8);
    let method =
        Some(refusal.facts.method.as_str()).filter(|_| refusal.facts.reading != crate::domain::head::Reading::Nothing);
    let known = method.filter(|method| is_known(method));
    let mut span = json!({
        "traceId": parent.map_or_else(|| hex(trace), |parent| parent.trace_id.to_owned()),
        "spanId": hex(own),
        "flags": parent.map_or(1 | REMOTE_KNOWN, |parent| u32::from(parent.flags) | REMOTE_KNOWN | REMOTE),
        // No route is known that could be told without the path, whose variety is no span name's.
        "name": known.unwrap_or("HTTP"),
        "kind": SERVER,
        "startTimeUnixNano": nanos(refusal.at.checked_sub(refusal.duration).unwrap_or(refusal.at)),
        "endTimeUnixNano": nanos(refusal.at),
        "attributes": attributes(refusal, method, known),
        // A server's 4xx is the client's error: the conventions leave the status of the span unset.
        "status": if refusal.status >= 500 { json!({"code": ERROR}) } else { json!({}) },
    });
    if let (Some(parent), Some(span)) = (parent, span.as_object_mut()) {
        span.insert("parentSpanId".into(), parent.span_id.into());
    }
    span
}

struct Attributes {
    found: Vec<Value>,
    /// Whether the method is one that the conventions know.
    known: bool,
}

impl Keys for Attributes {
    fn put(&mut self, key: &'static str, field: Field<'_>) {
        if let Some(name) = attribute(key) {
            let original = name == "http.request.method" && !self.known;
            let name = if original { "http.request.method_original" } else { &name };
            self.found.push(pair(name, value(&field)));
        }
    }
}

fn attributes(refusal: &Refusal, method: Option<&str>, known: Option<&str>) -> Vec<Value> {
    let mut found = Attributes { found: Vec::new(), known: known.is_some() };
    refusal.tell(0, &mut found);
    let mut found = found.found;
    if method.is_some() && known.is_none() {
        found.push(pair("http.request.method", text("_OTHER")));
    }
    if method.is_some() {
        found.push(pair("url.scheme", text("http")));
    }
    if refusal.status >= 500 {
        found.push(pair("error.type", text(refusal.reason.code())));
    }
    found
}

/// The body of one request to the collector.
pub(super) fn envelope(resource: &[(String, String)], spans: Vec<Value>) -> Vec<u8> {
    let attributes: Vec<Value> = resource.iter().map(|(key, value)| pair(key, text(value))).collect();
    let scope = json!({"name": env!("CARGO_PKG_NAME"), "version": env!("CARGO_PKG_VERSION")});
    let document = json!({
        "resourceSpans": [{
            "resource": {"attributes": attributes},
            "scopeSpans": [{"scope": scope, "spans": spans}],
        }],
    });
    document.to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::Method;

    use super::*;
    use crate::domain::head::RequestFacts;
    use crate::domain::reason::Reason;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const TOKEN: &str = "glsa_yscW25imSKJIuav8zF37RZmnbiDvB05G_fcaaf58a";
    const IDS: Ids = [0x1a; 24];

    fn refusal(status: u16, method: &str) -> Refusal {
        let traceparent = format!("00-{TRACE}-00f067aa0ba902b7-01").into();
        let facts = RequestFacts {
            method: Method::from_bytes(method.as_bytes()).unwrap(),
            uri: format!("/api/org/{TOKEN}?auth_token={TOKEN}").parse().unwrap(),
            traceparent: Some(traceparent),
            ..RequestFacts::default()
        };
        Refusal {
            at: UNIX_EPOCH + Duration::from_nanos(1_714_979_289_012_345_678),
            duration: Duration::from_nanos(12_345_678),
            facts,
            ..Refusal::unread(Reason::TokenExpired, status, "It expired.".into(), "Make a new one.".into())
        }
    }

    fn get<'s>(span: &'s Value, key: &str) -> Option<&'s Value> {
        span["attributes"].as_array().unwrap().iter().find(|pair| pair["key"] == key).map(|pair| &pair["value"])
    }

    #[test]
    fn a_span_belongs_to_the_trace_of_its_request() {
        let span = write(&refusal(401, "GET"), &IDS);
        assert_eq!(span["traceId"], TRACE);
        assert_eq!(span["parentSpanId"], "00f067aa0ba902b7");
        assert_eq!(span["spanId"], "1a1a1a1a1a1a1a1a");
        assert_eq!((&span["flags"], &span["kind"], &span["name"]), (&json!(0x301), &json!(2), &json!("GET")));
        assert_eq!(span["startTimeUnixNano"], "1714979289000000000");
        assert_eq!(span["endTimeUnixNano"], "1714979289012345678");
        assert_eq!(get(&span, "http.response.status_code"), Some(&json!({"intValue": "401"})));
        assert_eq!(get(&span, "grafana_token_proxy.reason"), Some(&json!({"stringValue": "token_expired"})));
        assert_eq!(get(&span, "grafana_token_proxy.source"), Some(&json!({"stringValue": "grafana"})));
        assert_eq!(get(&span, "grafana_token_proxy.hint"), Some(&json!({"stringValue": "Make a new one."})));
        assert_eq!(get(&span, "http.request.method"), Some(&json!({"stringValue": "GET"})));
        assert!(get(&span, "error.type").is_none() && span["status"] == json!({}), "a 4xx is no error of a server");
        assert!(!span.to_string().contains("yscW25im"), "{span}");
    }

    #[test]
    fn a_request_without_a_trace_begins_one() {
        for value in [None, Some("00-x-y-01".into())] {
            let mut refusal = refusal(502, "PROPFIND");
            refusal.facts.traceparent = value;
            let span = write(&refusal, &IDS);
            assert_eq!(span["traceId"], "1a".repeat(16));
            assert_eq!((span.get("parentSpanId"), &span["flags"]), (None, &json!(0x101)));
            assert_eq!((&span["name"], &span["status"]), (&json!("HTTP"), &json!({"code": 2})));
            assert_eq!(get(&span, "http.request.method"), Some(&json!({"stringValue": "_OTHER"})));
            assert_eq!(get(&span, "http.request.method_original"), Some(&json!({"stringValue": "PROPFIND"})));
            assert_eq!(get(&span, "error.type"), Some(&json!({"stringValue": "token_expired"})));
        }
    }

    #[test]
    fn a_request_that_could_not_be_read_has_a_span_without_a_method() {
        let refusal = Refusal::unread(Reason::HeadMalformed, 400, "It is no HTTP.".into(), "Send HTTP.".into());
        let span = write(&refusal, &IDS);
        assert_eq!(span["name"], "HTTP");
        assert!(get(&span, "http.request.method").is_none() && get(&span, "url.path").is_none());
    }

    #[test]
    fn an_envelope_holds_resource_scope_and_spans() {
        let body = envelope(&[("service.name".into(), "proxy".into())], vec![json!({"name": "GET"})]);
        let found: Value = serde_json::from_slice(&body).unwrap();
        let group = &found["resourceSpans"][0];
        assert_eq!(group["resource"]["attributes"][0], pair("service.name", text("proxy")));
        assert_eq!(group["scopeSpans"][0]["scope"]["name"], "grafana-token-proxy");
        assert_eq!(group["scopeSpans"][0]["spans"], json!([{"name": "GET"}]));
    }
}
