//! The record of a refusal, and the line that tells of it: the same keys in every format.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::{HeaderValue, StatusCode};

use super::Level;
use super::format::{Field, Line};
use super::redact::redact;
use crate::domain::head::RequestFacts;
use crate::domain::reason::Reason;
use crate::domain::token::Fingerprint;

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
        match (&self.token_name, self.fingerprint) {
            (Some(name), _) => name,
            (None, Some(_)) => "other",
            (None, None) if self.facts.auth.received == crate::domain::credential::AuthForm::None => "none",
            (None, None) => "other",
        }
    }

    /// The line, with the number of equal ones that were left out before it.
    pub(super) fn line(&self, suppressed: u64) -> Line {
        let facts = &self.facts;
        let mut line = Line::new(self.at, self.reason.level().into(), "request_refused");
        line.put("status", Field::Integer(self.status.into()));
        line.put("source", Field::Static(self.reason.source().name()));
        line.put("reason", Field::Static(self.reason.code()));
        line.put("detail", text(&self.detail));
        line.put("hint", text(&self.hint));
        line.put("doc", Field::Text(self.reason.doc_url()));
        line.put("request_id", Field::Text(self.request_id.clone()));
        line.put_some("trace_id", self.trace_id.clone().map(Field::Text));
        if !facts.unread {
            put_request(&mut line, facts);
        }
        line.put_some("client", self.client.map(|client| Field::Text(client.to_string())));
        line.put_some("forwarded_for", facts.forwarded_for.as_ref().map(header));
        line.put_some("user_agent", facts.user_agent.as_ref().map(header));
        line.put_some("token_name", self.token_name.as_ref().map(|name| Field::Text(name.to_string())));
        if !facts.unread {
            self.put_decisions(&mut line);
        }
        line.put_some("permission", self.permission.as_deref().map(text));
        line.put_some("limit", self.limit.map(Field::Static));
        line.put_some("retry_after_ms", self.retry_after.map(|time| Field::Integer(millis_up(time))));
        line.put("duration_ms", Field::Millis(self.duration));
        line.put_some("upstream_ms", self.upstream.map(Field::Millis));
        line.put_some("suppressed", (suppressed > 0).then_some(Field::Integer(suppressed)));
        line
    }

    fn put_decisions(&self, line: &mut Line) {
        let (auth, org) = (&self.facts.auth, &self.facts.org);
        line.put_some("token_kind", auth.token.map(|token| Field::Static(token.kind.name())));
        line.put_some("token_fingerprint", self.fingerprint.map(|print| Field::Text(print.to_string())));
        line.put("auth_received", Field::Static(auth.received.name()));
        line.put("auth_sent", Field::Static(auth.sent.name()));
        if !auth.changes.is_empty() {
            line.put("changes", Field::List(auth.changes.iter().map(|change| change.name()).collect()));
        }
        line.put_some("org_received", org.received.as_deref().map(text));
        line.put_some("org_sent", org.sent.map(|org| Field::Integer(org.into())));
        line.put("org_by", Field::Static(org.by.name()));
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
    pub(super) fn line(&self) -> Line {
        let mut line = Line::new(SystemTime::now(), Level::Info, "request_served");
        line.put("status", Field::Integer(self.status.as_u16().into()));
        line.put("request_id", Field::Text(self.request_id.to_str().unwrap_or_default().to_owned()));
        line.put_some("trace_id", self.facts.trace_id().map(|id| Field::Text(id.to_owned())));
        put_request(&mut line, self.facts);
        line.put("client", Field::Text(self.client.to_string()));
        line.put_some("user_agent", self.facts.user_agent.as_ref().map(header));
        let (auth, org) = (&self.facts.auth, &self.facts.org);
        line.put_some("token_kind", auth.token.map(|token| Field::Static(token.kind.name())));
        line.put_some("token_fingerprint", self.fingerprint.map(|print| Field::Text(print.to_string())));
        line.put("auth_received", Field::Static(auth.received.name()));
        line.put("auth_sent", Field::Static(auth.sent.name()));
        if !auth.changes.is_empty() {
            line.put("changes", Field::List(auth.changes.iter().map(|change| change.name()).collect()));
        }
        line.put_some("org_sent", org.sent.map(|org| Field::Integer(org.into())));
        line.put("duration_ms", Field::Millis(self.duration));
        line.put_some("upstream_ms", self.upstream.map(Field::Millis));
        line
    }
}

fn put_request(line: &mut Line, facts: &RequestFacts) {
    line.put("method", text(facts.method.as_str()));
    line.put("path", text(facts.uri.path()));
}

fn text(text: &str) -> Field {
    Field::Text(redact(text).into_owned())
}

fn header(value: &HeaderValue) -> Field {
    text(&String::from_utf8_lossy(value.as_bytes()))
}

/// Rounded up: a retry after so many milliseconds succeeds.
fn millis_up(time: Duration) -> u64 {
    u64::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}
