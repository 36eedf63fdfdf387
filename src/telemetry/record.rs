//! The record of a refusal, and the line that tells of it: the same keys in every format.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use smallvec::SmallVec;

use super::Level;
use super::format::{Field, Keys, Opening, Tell};
use super::redact::redact;
use crate::domain::credential::{AuthForm, Change};
use crate::domain::head::{Reading, RequestFacts};
use crate::domain::reason::Reason;
use crate::domain::token::Fingerprint;

/// What a line shows of one text of a stranger, at most.
pub(super) const MOST: usize = 512;

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
    /// It was not refused: a limit that is not enforced would have refused it.
    pub shadow: bool,
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
            facts: RequestFacts { reading: Reading::Nothing, ..RequestFacts::default() },
            request_id: String::new(),
            trace_id: None,
            client: None,
            token_name: None,
            fingerprint: None,
            limit: None,
            retry_after: None,
            shadow: false,
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
        if self.facts.reading == Reading::Nothing { Cow::default() } else { cut_text(self.facts.uri.path(), MOST_PATH) }
    }

    /// What the keys of its line are, behind those of the opening; with the number of equal ones that were left out
    /// before it.
    pub(super) fn tell(&self, suppressed: u64, keys: &mut impl Keys) {
        keys.put("status", Field::Integer(self.status.into()));
        keys.put("source", Field::Static(self.reason.source().name()));
        keys.put("reason", Field::Static(self.reason.code()));
        keys.put_some("detail", text(&self.detail));
        keys.put_some("hint", text(&self.hint));
        keys.put("doc", Field::Text(self.reason.doc_url().into()));
        keys.put_some(
            "request_id",
            (!self.request_id.is_empty()).then(|| Field::Text(cut_text(&self.request_id, MOST))),
        );
        keys.put_some("trace_id", self.trace_id.as_deref().map(|id| Field::Text(id.into())));
        put_request(keys, &self.facts, self.client, self.token_name.as_deref());
        put_decisions(keys, &self.facts, self.fingerprint);
        keys.put_some("permission", self.permission.as_deref().and_then(text));
        keys.put_some("limit", self.limit.map(Field::Static));
        keys.put_some("retry_after_ms", self.retry_after.map(|time| Field::Integer(millis_up(time))));
        keys.put("duration_ms", Field::Millis(self.duration));
        keys.put_some("upstream_ms", self.upstream.map(Field::Millis));
        keys.put_some("suppressed", (suppressed > 0).then_some(Field::Integer(suppressed)));
    }
}

/// The line of a refusal, and how many equal ones were left out before it.
#[derive(Clone, Copy, Debug)]
pub(super) struct RefusalLine<'a>(pub(super) &'a Refusal, pub(super) u64);

impl Tell for RefusalLine<'_> {
    fn opening(&self) -> Opening<'_> {
        if self.0.shadow {
            return Opening { at: self.0.at, level: Level::Info, event: Field::Static("request_would_be_refused") };
        }
        Opening { at: self.0.at, level: self.0.reason.level().into(), event: Field::Static("request_refused") }
    }

    fn tell(&self, keys: &mut impl Keys) {
        self.0.tell(self.1, keys);
    }
}

/// What was asked, and by whom. Of a request that could not be read there is only the client.
pub(super) fn put_request(
    keys: &mut impl Keys,
    facts: &RequestFacts,
    client: Option<IpAddr>,
    token_name: Option<&str>,
) {
    if facts.reading != Reading::Nothing {
        keys.put("method", Field::Text(cut_text(facts.method.as_str(), MOST)));
        keys.put("path", Field::Text(cut_text(facts.uri.path(), MOST_PATH)));
    }
    keys.put_some("client", client.map(Field::Address));
    keys.put_some("forwarded_for", facts.forwarded_for.as_ref().map(|value| shown(value, MOST)));
    keys.put_some("user_agent", facts.user_agent.as_ref().map(|value| shown(value, MOST)));
    keys.put_some("token_name", token_name.map(|name| Field::Text(name.into())));
}

pub(super) fn put_decisions(keys: &mut impl Keys, facts: &RequestFacts, fingerprint: Option<Fingerprint>) {
    if facts.reading == Reading::Nothing {
        return;
    }
    let (auth, org) = (&facts.auth, &facts.org);
    keys.put_some("token_kind", auth.token.map(|token| Field::Static(token.kind.name())));
    keys.put_some("token_fingerprint", fingerprint.map(Field::Print));
    keys.put("auth_received", Field::Static(auth.received.name()));
    keys.put("auth_sent", Field::Static(auth.sent.name()));
    if !auth.changes.is_empty() {
        let names: SmallVec<[&str; 8]> = auth.changes.iter().map(Change::name).collect();
        keys.put("changes", Field::List(&names));
    }
    keys.put_some("org_received", org.received.as_deref().map(|received| Field::Text(cut_text(received, MOST))));
    keys.put_some("org_sent", org.sent.map(|org| Field::Integer(org.into())));
    keys.put("org_by", Field::Static(org.by.name()));
}

/// What a stranger sent, fit to be told: no secret, at most `most` bytes, bytes that are no UTF-8 as `\xff`.
pub(super) fn shown(bytes: &[u8], most: usize) -> Field<'_> {
    Field::Text(cut(bytes, most))
}

fn cut(bytes: &[u8], most: usize) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => cut_text(text, most),
        Err(_) => Cow::Owned(cut_text(&spelled_out(bytes), most).into_owned()),
    }
}

fn cut_text(text: &str, most: usize) -> Cow<'_, str> {
    let text = redact(text);
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
    (!text.is_empty()).then(|| Field::Text(cut_text(text, MOST_SAID)))
}

/// Rounded up: a retry after so many milliseconds succeeds.
fn millis_up(time: Duration) -> u64 {
    u64::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
