//! The record of a refusal, and the line that tells of it: the same keys in every format.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::{HeaderValue, StatusCode};

use super::Level;
use super::format::{Field, Line};
use super::redact::redact;
use crate::domain::credential::AuthForm;
use crate::domain::head::RequestFacts;
use crate::domain::reason::Reason;
use crate::domain::token::Fingerprint;

/// What a line shows of one text of a stranger, at most.
const MOST: usize = 512;

/// Paths may be longer, and are what a reader looks for.
const MOST_PATH: usize = 2048;

/// What we and Grafana say may be longer than what a stranger sends.
const MOST_SAID: usize = 1536;

/// Everything that is known about one refused request. Holds no secret.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// When it was refused.
    pub at: SystemTime,
    /// The status of the answer.
    pub status: u16,
    /// The reason.
    pub reason: Reason,
    /// What speaks for it.
    pub detail: String,
    /// The next step.
    pub hint: String,
    /// The permissions that Grafana said were needed.
    pub permission: Option<String>,
    /// The request.
    pub facts: RequestFacts,
    /// Its id.
    pub request_id: String,
    /// Its trace.
    pub trace_id: Option<String>,
    /// Who sent it.
    pub client: Option<IpAddr>,
    /// The configured name of its token.
    pub token_name: Option<Arc<str>>,
    /// What stands for its token.
    pub fingerprint: Option<Fingerprint>,
    /// The limit that refused it.
    pub limit: Option<&'static str>,
    /// How long until a retry succeeds.
    pub retry_after: Option<Duration>,
    /// From its head to the head of the answer.
    pub duration: Duration,
    /// Of that, Grafana's.
    pub upstream: Option<Duration>,
}

impl Refusal {
    /// The refusal of a request whose head could not be read.
    pub fn unread(reason: Reason, status: u16, detail: String, hint: String) -> Self {
        Self {
            at: SystemTime::now(),
            status,
            reason,
            detail,
            hint,
            permission: None,
            facts: RequestFacts { unread: true, ..RequestFacts::default() },
            request_id: String::new(),
            trace_id: None,
            client: None,
            token_name: None,
            fingerprint: None,
            limit: None,
            retry_after: None,
            duration: Duration::ZERO,
            upstream: None,
        }
    }

    /// `none`, `other`, or the configured name: what a metric may say about the token.
    pub fn token_label(&self) -> &str {
        if let Some(name) = &self.token_name {
            return name;
        }
        // A session is a credential, too.
        let carried = self.fingerprint.is_some() || self.facts.session_cookie;
        if carried || self.facts.auth.received != AuthForm::None { "other" } else { "none" }
    }

    /// The path as it is shown.
    pub(super) fn path(&self) -> Cow<'_, str> {
        if self.facts.unread { Cow::default() } else { cut(self.facts.uri.path().as_bytes(), MOST_PATH) }
    }

    /// The line, with the number of equal ones that were left out before it.
    pub(super) fn line(&self, suppressed: u64) -> Line<'_> {
        let mut line = Line::new(self.at, self.reason.level().into(), "request_refused");
        line.put("status", Field::Integer(self.status.into()));
        line.put("source", Field::Static(self.reason.source().name()));
        line.put("reason", Field::Static(self.reason.code()));
        line.put_some("detail", text(&self.detail));
        line.put_some("hint", text(&self.hint));
        line.put("doc", Field::Text(self.reason.doc_url().into()));
        line.put_some("request_id", (!self.request_id.is_empty()).then(|| shown(self.request_id.as_bytes(), MOST)));
        line.put_some("trace_id", self.trace_id.as_deref().map(|id| Field::Text(id.into())));
        put_request(&mut line, &self.facts, self.client, self.token_name.as_deref());
        put_decisions(&mut line, &self.facts, self.fingerprint);
        line.put_some("permission", self.permission.as_deref().and_then(text));
        line.put_some("limit", self.limit.map(Field::Static));
        line.put_some("retry_after_ms", self.retry_after.map(|time| Field::Integer(millis_up(time))));
        line.put("duration_ms", Field::Millis(self.duration));
        line.put_some("upstream_ms", self.upstream.map(Field::Millis));
        line.put_some("suppressed", (suppressed > 0).then_some(Field::Integer(suppressed)));
        line
    }
}

/// A request that was served, for `log.requests: all`.
#[derive(Clone, Copy, Debug)]
pub struct ServedLine<'a> {
    /// The request.
    pub facts: &'a RequestFacts,
    /// The status of the answer.
    pub status: StatusCode,
    /// Its id.
    pub request_id: &'a HeaderValue,
    /// Who sent it.
    pub client: IpAddr,
    /// What stands for its token.
    pub fingerprint: Option<Fingerprint>,
    /// From its head to the head of the answer.
    pub duration: Duration,
    /// Of that, Grafana's.
    pub upstream: Option<Duration>,
}

impl ServedLine<'_> {
    pub(super) fn line(&self) -> Line<'_> {
        let mut line = Line::new(SystemTime::now(), Level::Info, "request_served");
        line.put("status", Field::Integer(self.status.as_u16().into()));
        line.put("request_id", shown(self.request_id.as_bytes(), MOST));
        line.put_some("trace_id", self.facts.trace_id().map(|id| Field::Text(id.into())));
        put_request(&mut line, self.facts, Some(self.client), None);
        put_decisions(&mut line, self.facts, self.fingerprint);
        line.put("duration_ms", Field::Millis(self.duration));
        line.put_some("upstream_ms", self.upstream.map(Field::Millis));
        line
    }
}

/// What was asked, and by whom. Of a request that could not be read there is only the client.
fn put_request<'a>(line: &mut Line<'a>, facts: &'a RequestFacts, client: Option<IpAddr>, token_name: Option<&'a str>) {
    if !facts.unread {
        line.put("method", shown(facts.method.as_str().as_bytes(), MOST));
        line.put("path", shown(facts.uri.path().as_bytes(), MOST_PATH));
    }
    line.put_some("client", client.map(|client| Field::Text(address(client).into())));
    line.put_some("forwarded_for", facts.forwarded_for.as_ref().map(|value| shown(value.as_bytes(), MOST)));
    line.put_some("user_agent", facts.user_agent.as_ref().map(|value| shown(value.as_bytes(), MOST)));
    line.put_some("token_name", token_name.map(|name| Field::Text(name.into())));
}

/// An address as text: most are of four numbers, for which the machinery of formatting is dear.
fn address(address: IpAddr) -> String {
    let IpAddr::V4(address) = address else { return address.to_string() };
    let mut buffer = itoa::Buffer::new();
    let mut text = String::with_capacity(15);
    for (place, number) in address.octets().into_iter().enumerate() {
        text.push_str(if place > 0 { "." } else { "" });
        text.push_str(buffer.format(number));
    }
    text
}

fn put_decisions<'a>(line: &mut Line<'a>, facts: &'a RequestFacts, fingerprint: Option<Fingerprint>) {
    if facts.unread {
        return;
    }
    let (auth, org) = (&facts.auth, &facts.org);
    line.put_some("token_kind", auth.token.map(|token| Field::Static(token.kind.name())));
    line.put_some("token_fingerprint", fingerprint.map(|print| Field::Text(print.to_string().into())));
    line.put("auth_received", Field::Static(auth.received.name()));
    line.put("auth_sent", Field::Static(auth.sent.name()));
    if !auth.changes.is_empty() {
        line.put("changes", Field::List(auth.changes.iter().map(|change| change.name()).collect()));
    }
    line.put_some("org_received", org.received.as_deref().map(|received| shown(received.as_bytes(), MOST)));
    line.put_some("org_sent", org.sent.map(|org| Field::Integer(org.into())));
    line.put("org_by", Field::Static(org.by.name()));
}

/// What a stranger sent, fit to be told: no secret, at most `most` bytes, bytes that are no UTF-8 as `\xff`.
fn shown(bytes: &[u8], most: usize) -> Field<'_> {
    Field::Text(cut(bytes, most))
}

fn cut(bytes: &[u8], most: usize) -> Cow<'_, str> {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => redact(text),
        Err(_) => Cow::Owned(redact(&spelled_out(bytes)).into_owned()),
    };
    if text.len() <= most {
        return text;
    }
    // The cut comes last: before, it could make a token too short to be known.
    let mut text = text.into_owned();
    text.truncate(text.floor_char_boundary(most));
    text.push('…');
    Cow::Owned(text)
}

fn spelled_out(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    text
}

/// What we or Grafana said, if anything was.
fn text(text: &str) -> Option<Field<'_>> {
    (!text.is_empty()).then(|| shown(text.as_bytes(), MOST_SAID))
}

/// Rounded up: a retry after so many milliseconds succeeds.
fn millis_up(time: Duration) -> u64 {
    u64::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
