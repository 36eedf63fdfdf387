//! The list of refusals, each with everything about it.

use std::fmt::Write as _;
use std::sync::Arc;

use serde_json::Value;

use super::html::{Prose, Text};
use crate::domain::reason::Source;
use crate::telemetry::ring::{Cursor, Told};
use crate::telemetry::timestamp;

/// The list; in words where it is empty.
pub(super) fn list(out: &mut String, refusals: &[Arc<Told>], last: Cursor, empty: &str) {
    if refusals.is_empty() {
        let _ = write!(out, "<p class=\"empty\">{}</p>", Text(empty));
    }
    out.push_str("<ol id=\"list\">");
    refusals.iter().for_each(|told| entry(out, told, last.at(told.sequence)));
    out.push_str("</ol>");
}

fn entry(out: &mut String, told: &Told, cursor: Cursor) {
    // Our own JSON: it can be read.
    let record: Value = serde_json::from_str(&told.json).unwrap_or_default();
    let get = |key: &str| record.get(key).and_then(Value::as_str).unwrap_or_default();
    let (at, reason) = (timestamp(told.at), told.reason);
    let source = reason.source().name();
    let times = if told.suppressed > 0 { format!(" <em>×{}</em>", told.suppressed + 1) } else { String::new() };
    let _ = write!(
        out,
        "<li id=\"r{cursor}\"><details><summary><time datetime=\"{at}\">{}</time><span class=\"status\">{}</span>\
         <span class=\"source {source}\">{source}</span><span class=\"what\"><b>{}</b>{times} <code>{}</code></span>\
         <span class=\"call\">{} {}</span><span class=\"who\">{}</span></summary>",
        at.get(11..19).unwrap_or_default(),
        told.status,
        Text(reason.title()),
        reason.code(),
        Text(get("method")),
        Text(&told.path),
        Text(&who(told, &record)),
    );
    out.push_str("<dl class=\"said\">");
    for (name, text) in [("What", get("detail")), ("Why", reason.cause()), ("Next", get("hint"))] {
        if !text.is_empty() {
            let _ = write!(out, "<dt>{name}</dt><dd>{}</dd>", Prose(text));
        }
    }
    let _ = write!(
        out,
        "<dt>More</dt><dd><a href=\"{}\" rel=\"noreferrer\">docs/reasons.md#{}</a></dd></dl>",
        Text(&reason.doc_url()),
        reason.anchor()
    );
    way(out, told, &record);
    let _ = write!(
        out,
        "<details class=\"raw\"><summary>Record</summary><pre>{}</pre></details></details></li>",
        pretty(&record)
    );
}

/// Whoever sent it, as shortly as it can be told apart.
fn who(told: &Told, record: &Value) -> String {
    match (&told.token_name, told.fingerprint, record.get("client").and_then(Value::as_str)) {
        (Some(name), ..) => name.to_string(),
        (None, Some(print), _) => print.to_string(),
        (None, None, Some(client)) => client.to_owned(),
        _ => String::new(),
    }
}

/// The way of the request from the client to Grafana, and what each of the three saw.
fn way(out: &mut String, told: &Told, record: &Value) {
    let source = told.reason.source();
    let asked = !matches!(source, Source::Proxy | Source::Client);
    let reached = record.get("auth_received").is_some();
    out.push_str("<ol class=\"way\">");
    station(
        out,
        "Client",
        "sent",
        record,
        &[
            ("credential", "auth_received"),
            ("kind", "token_kind"),
            ("fingerprint", "token_fingerprint"),
            ("organisation", "org_received"),
            ("address", "client"),
            ("forwarded for", "forwarded_for"),
            ("user agent", "user_agent"),
        ],
        if reached { "" } else { "a head that could not be read" },
    );
    station(
        out,
        "Proxy",
        "made of it",
        record,
        &[
            ("repairs", "changes"),
            ("organisation by", "org_by"),
            ("limit", "limit"),
            ("request id", "request_id"),
            ("trace", "trace_id"),
            ("after ms", "duration_ms"),
        ],
        if record.get("changes").is_some() || !reached { "" } else { "the credential as it came" },
    );
    let refused = match source {
        Source::Proxy | Source::Client => "was not asked",
        Source::Hop => "was not reached: a hop before it refused",
        Source::Datasource => "passed on what its datasource refused",
        Source::Grafana => "refused",
    };
    let rows: &[(&str, &str)] = if asked {
        &[
            ("credential", "auth_sent"),
            ("organisation", "org_sent"),
            ("status", "status"),
            ("needs", "permission"),
            ("after ms", "upstream_ms"),
        ]
    } else {
        &[]
    };
    station(out, if source == Source::Hop { "Hop, Grafana" } else { "Grafana" }, refused, record, rows, "");
    out.push_str("</ol>");
}

fn station(out: &mut String, name: &str, did: &str, record: &Value, rows: &[(&str, &str)], remark: &str) {
    let _ = write!(out, "<li><h4>{name} <small>{did}</small></h4>");
    if !remark.is_empty() {
        let _ = write!(out, "<p>{remark}</p>");
    }
    out.push_str("<dl>");
    for (name, key) in rows {
        if let Some(value) = record.get(*key) {
            let _ = write!(out, "<dt>{name}</dt><dd>{}</dd>", Text(&plain(value)));
        }
    }
    out.push_str("</dl></li>");
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

/// One key a line.
fn pretty(record: &Value) -> String {
    let Some(record) = record.as_object() else { return String::new() };
    let mut text = String::new();
    for (key, value) in record {
        let _ = writeln!(text, "{} {}", Text(key), Text(&plain(value)));
    }
    text
}
