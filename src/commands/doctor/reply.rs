//! An answer, as far as the doctor needs it: who made it, what it refuses, and what our proxy saw of the request.

use std::time::SystemTime;

use http::{HeaderMap, Method, StatusCode, Uri, header};
use serde_json::Value;

use crate::config::masking::{mask, mask_tokens};
use crate::domain::classify::{Answer, classify};
use crate::domain::credential::{Repair, judge};
use crate::domain::fields::Fields;
use crate::domain::head::{AuthFacts, Head, OrgFacts, RequestFacts, SignInFacts};
use crate::domain::org::OrgBy;
use crate::domain::reason::Reason;

/// `X-Token-Proxy-Saw`: what reached the proxy, and what it sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Saw {
    pub(super) received: String,
    pub(super) kind: Option<String>,
    pub(super) fingerprint: Option<String>,
    pub(super) changes: Vec<String>,
    pub(super) sent: String,
    pub(super) org: Option<String>,
    pub(super) version: String,
}

impl Saw {
    /// Reads the header; `None` where it is not one, or answers another probe.
    pub(super) fn parse(value: &str, probe: &str) -> Option<Self> {
        let mut saw = Self::default();
        let mut is_ours = false;
        for (name, value) in value.split(';').filter_map(|pair| pair.trim().split_once('=')) {
            let text = printable(value, 80);
            match name {
                "probe" => is_ours = value == probe,
                "auth_received" => saw.received = text,
                "token_kind" => saw.kind = Some(text),
                "fingerprint" => saw.fingerprint = Some(text),
                "changes" => saw.changes = text.split(',').map(str::to_owned).collect(),
                "auth_sent" => saw.sent = text,
                "org_sent" => saw.org = Some(text),
                "version" => saw.version = text,
                _ => {}
            }
        }
        (is_ours && !saw.received.is_empty()).then_some(saw)
    }
}

/// A refusal, explained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) reason: Reason,
    /// Our proxy said so in its header; else the answer alone was judged.
    pub(super) told: bool,
    pub(super) detail: String,
    pub(super) hint: String,
}

/// An answer.
#[derive(Clone, Debug, Default)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) saw: Option<Saw>,
    pub(super) refusal: Option<Refusal>,
    pub(super) location: Option<String>,
    pub(super) server: Option<String>,
    /// How far its clock is ahead of ours, in seconds.
    pub(super) skew: Option<i64>,
    /// What it says about rate limits.
    pub(super) limits: Vec<String>,
    /// The body, where it is JSON and whole.
    pub(super) body: Option<Value>,
    /// How the body begins, for eyes.
    pub(super) text: String,
}

/// What was asked.
pub(super) struct Question<'a> {
    pub(super) method: &'a Method,
    /// Without the sub-path.
    pub(super) path: &'a str,
    pub(super) headers: &'a HeaderMap,
    pub(super) probe: &'a str,
}

const LIMITS: [&str; 9] = [
    "ratelimit-policy",
    "ratelimit",
    "ratelimit-limit",
    "ratelimit-remaining",
    "ratelimit-reset",
    "x-ratelimit-limit",
    "x-ratelimit-remaining",
    "x-ratelimit-reset",
    "retry-after",
];

impl Reply {
    /// Reads an answer that came at `now`.
    pub(super) fn read(
        asked: &Question<'_>,
        status: StatusCode,
        headers: &HeaderMap,
        body: &[u8],
        now: SystemTime,
    ) -> Self {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let limits = LIMITS.iter().filter_map(|name| Some(format!("{name}: {}", printable(text(name)?, 80)))).collect();
        Self {
            status: status.as_u16(),
            saw: text("x-token-proxy-saw").and_then(|value| Saw::parse(value, asked.probe)),
            refusal: refusal(asked, status, headers, body),
            location: text(header::LOCATION.as_str()).map(|value| printable(&mask(value), 200)),
            server: text(header::SERVER.as_str()).map(|value| printable(value, 40)),
            skew: text(header::DATE.as_str()).and_then(|value| skew(value, now)),
            limits,
            body: serde_json::from_slice(body).ok(),
            text: printable(&mask(&String::from_utf8_lossy(body)), 80),
        }
    }
}

fn refusal(asked: &Question<'_>, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Option<Refusal> {
    let judged = classify(&facts(asked), &Answer { status, headers: &Fields::from(headers), body });
    let told = headers.get("x-token-proxy-reason").and_then(|value| value.to_str().ok()).and_then(Reason::parse);
    let Some(reason) = told else {
        return judged.map(|verdict| Refusal {
            reason: verdict.reason,
            told: false,
            detail: printable(&verdict.detail, 300),
            hint: verdict.hint,
        });
    };
    if let Some(verdict) = judged.filter(|verdict| verdict.reason == reason) {
        return Some(Refusal { reason, told: true, detail: printable(&verdict.detail, 300), hint: verdict.hint });
    }
    // A body of the proxy's own says it best.
    let said: Option<Value> = serde_json::from_slice(body).ok();
    let said = said.as_ref().and_then(|body| body.get("detail")).and_then(Value::as_str);
    let detail = said.map_or_else(|| reason.cause().to_owned(), |detail| printable(detail, 300));
    Some(Refusal { reason, told: true, detail, hint: reason.cure().to_owned() })
}

/// What the request itself tells: as it was sent, without any repair.
fn facts(asked: &Question<'_>) -> RequestFacts {
    let fields = Fields::from(asked.headers);
    let head = Head::collect(&fields, &[]);
    let found = judge(&head.authorization, &[], Repair::Off);
    let auth = AuthFacts::from(&found);
    let named = head.organisation.first().and_then(|value| std::str::from_utf8(value).ok());
    let by = if named.is_some() { OrgBy::Client } else { OrgBy::None };
    let org = OrgFacts { received: named.map(Into::into), sent: named.and_then(|org| org.parse().ok()), by };
    let uri: Uri = asked.path.parse().unwrap_or_default();
    RequestFacts::gather(asked.method, &uri, &head, SignInFacts::as_received(&head, &uri), auth, org)
}

fn skew(date: &str, now: SystemTime) -> Option<i64> {
    let theirs = httpdate::parse_http_date(date).ok()?;
    let seconds = |duration: std::time::Duration| i64::try_from(duration.as_secs()).ok();
    match theirs.duration_since(now) {
        Ok(ahead) => seconds(ahead),
        Err(behind) => seconds(behind.duration()).map(|behind| -behind),
    }
}

/// What a stranger wrote, fit for a terminal: no secret of anybody's, no control character, no endless line.
pub(super) fn printable(text: &str, most: usize) -> String {
    let mut shown = String::new();
    let text = mask_tokens(text);
    for (count, character) in text.split_whitespace().collect::<Vec<_>>().join(" ").chars().enumerate() {
        if count == most {
            shown.push('…');
            break;
        }
        let is_plain = character.is_ascii_graphic() || matches!(character, ' ' | '…') || character.is_alphanumeric();
        shown.push(if is_plain { character } else { '·' });
    }
    shown
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(status: u16, headers: &[(&'static str, &'static str)], body: &str) -> Reply {
        let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        let sent = HeaderMap::new();
        let asked = Question { method: &Method::GET, path: "/api/org", headers: &sent, probe: "p-1" };
        let now = httpdate::parse_http_date("Mon, 23 Nov 2026 10:00:00 GMT").unwrap();
        Reply::read(&asked, StatusCode::from_u16(status).unwrap(), &headers, body.as_bytes(), now)
    }

    #[test]
    fn what_the_proxy_saw_is_read_for_its_own_probe_only() {
        let value = "probe=p-1; auth_received=bearer; token_kind=service_account; fingerprint=0123456789ab; \
                     changes=scheme_case,newline_trimmed; auth_sent=bearer; org_sent=2; version=0.1.0";
        let saw = Saw::parse(value, "p-1").unwrap();
        assert_eq!((saw.received.as_str(), saw.sent.as_str(), saw.org.as_deref()), ("bearer", "bearer", Some("2")));
        assert_eq!(saw.changes, ["scheme_case", "newline_trimmed"]);
        assert_eq!(Saw::parse(value, "p-2"), None);
        assert_eq!(Saw::parse("nothing", "p-1"), None);
    }

    #[test]
    fn the_proxy_is_believed_before_our_own_judgement() {
        let body = r#"{"message":"Unauthorized","traceID":""}"#;
        let reply = read(401, &[("x-token-proxy-reason", "token_expired"), ("cache-control", "no-store")], body);
        let refusal = reply.refusal.unwrap();
        assert_eq!((refusal.reason, refusal.told), (Reason::TokenExpired, true));
        let refusal = read(401, &[("cache-control", "no-store")], body).refusal.unwrap();
        assert_eq!((refusal.reason, refusal.told), (Reason::CredentialMissing, false));
    }

    #[test]
    fn clocks_are_compared_and_limits_are_collected() {
        let reply = read(200, &[("date", "Mon, 23 Nov 2026 09:59:00 GMT"), ("retry-after", "7")], "{}");
        assert_eq!((reply.skew, reply.limits), (Some(-60), vec!["retry-after: 7".to_owned()]));
    }

    proptest! {
        #[test]
        fn what_is_printable_holds_no_control_character(text in "\\PC*[\\x00-\\x1f\\x7f\\x9b\\u{202e}]*\\PC*") {
            let shown = printable(&text, 50);
            prop_assert!(shown.chars().count() <= 51);
            let is_harmful = |c: char| c.is_control() || c == '\u{202e}';
            prop_assert!(!shown.contains(is_harmful));
            prop_assert_eq!(printable(&shown, 51), shown);
        }

        #[test]
        fn no_header_of_a_stranger_panics(text in "\\PC{0,80}") {
            let _ = Saw::parse(&text, "p");
        }
    }
}
