//! The line of a request that was served, for `log.requests: all`: each request pays for it.
//!
//! Callers ask for the same again and again. What a line says of who asks, with what, and for which path is therefore kept
//! as text for the last few, and only id and times are written anew.

use std::cell::RefCell;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode};

use super::Level;
use super::format::{Field, Keys, Opening, Tell};
use super::record::{MOST, put_decisions, put_request, shown};
use super::redact::MARK;
use crate::domain::credential::{AuthForm, Changes};
use crate::domain::head::{OrgFacts, RequestFacts};
use crate::domain::org::OrgBy;
use crate::domain::token::{Fingerprint, TokenKind};

/// What is kept at most: so many texts, each of so many bytes, of requests that bring so many.
const SLOTS: usize = 64;
const MOST_TEXT: usize = 1024;
const MOST_BROUGHT: usize = 512;

/// A request that was served.
#[derive(Clone, Copy, Debug)]
pub struct ServedLine<'a> {
    /// When it was answered.
    pub at: SystemTime,
    /// The request.
    pub facts: &'a RequestFacts,
    /// The status of the answer.
    pub status: StatusCode,
    /// Its id.
    pub request_id: &'a HeaderValue,
    /// The id is of our own making.
    pub own_id: bool,
    /// Who sent it.
    pub client: IpAddr,
    /// The configured name of its token.
    pub token_name: Option<&'a str>,
    /// What stands for its token.
    pub fingerprint: Option<Fingerprint>,
    /// From its head to the head of the answer.
    pub duration: Duration,
    /// Of that, Grafana's.
    pub upstream: Option<Duration>,
}

impl Tell for ServedLine<'_> {
    fn opening(&self) -> Opening<'_> {
        Opening { at: self.at, level: Level::Info, event: Field::Static("request_served") }
    }

    fn tell(&self, keys: &mut impl Keys) {
        keys.put("status", Field::Digits(self.status.as_str()));
        // Nothing in an id of ours has to be looked at twice.
        let id = self.request_id.as_bytes();
        let own = std::str::from_utf8(id).ok().filter(|_| self.own_id).map(Field::Plain);
        keys.put("request_id", own.unwrap_or_else(|| shown(id, MOST)));
        keys.put_some("trace_id", self.facts.trace_id().map(|id| Field::Text(id.into())));
        self.tell_request(keys);
        keys.put("duration_ms", Field::Millis(self.duration));
        keys.put_some("upstream_ms", self.upstream.map(Field::Millis));
    }
}

thread_local! {
    static KEPT: RefCell<[Option<Box<Kept>>; SLOTS]> = const { RefCell::new([const { None }; SLOTS]) };
}

impl ServedLine<'_> {
    /// What was asked, by whom, and what was decided about it.
    fn tell_request(&self, keys: &mut impl Keys) {
        let slot = self.slot();
        let mut begin = None;
        if let Some((style, out)) = keys.as_text() {
            let is_kept = KEPT.with_borrow(|kept| {
                let kept = kept.get(slot)?.as_ref().filter(|kept| kept.style == style && kept.is_of(self))?;
                out.push_str(&kept.text);
                Some(())
            });
            if is_kept.is_some() {
                return;
            }
            begin = Some(out.len());
        }
        put_request(keys, self.facts, Some(self.client), self.token_name);
        put_decisions(keys, self.facts, self.fingerprint);
        if let Some(begin) = begin
            && let Some((style, out)) = keys.as_text()
            && let Some(text) =
                out.get(begin..).filter(|text| text.len() <= MOST_TEXT && self.brought() <= MOST_BROUGHT)
            // With it, its secret would be kept.
            && !text.contains(MARK)
        {
            let kept = Some(Box::new(Kept::new(self, style, text)));
            KEPT.with_borrow_mut(|all| all.get_mut(slot).map(|slot| *slot = kept));
        }
    }

    /// Where its text is kept, if it is.
    fn slot(&self) -> usize {
        let path = self.facts.uri.path().as_bytes();
        let seed = self.fingerprint.map_or(0, Fingerprint::bits) ^ path.len() as u64;
        let end = path.iter().rev().take(4);
        let mixed = end.fold(seed, |mixed, byte| (mixed.rotate_left(5) ^ u64::from(*byte)).wrapping_mul(0x9e37_79b9));
        (mixed >> 16) as usize % SLOTS
    }

    /// Bytes of strangers that it tells.
    fn brought(&self) -> usize {
        let length = |value: &Option<Bytes>| value.as_ref().map_or(0, Bytes::len);
        self.facts.uri.path().len() + length(&self.facts.user_agent) + length(&self.facts.forwarded_for)
    }
}

/// A text, and all that it depends on.
struct Kept {
    style: u8,
    method: Method,
    path: Box<str>,
    client: IpAddr,
    forwarded_for: Option<Box<[u8]>>,
    user_agent: Option<Box<[u8]>>,
    token_name: Option<Box<str>>,
    fingerprint: Option<Fingerprint>,
    kind: Option<TokenKind>,
    forms: (AuthForm, AuthForm),
    changes: Changes,
    org: (Option<Box<str>>, Option<u32>, OrgBy),
    text: Box<str>,
}

impl Kept {
    fn new(line: &ServedLine<'_>, style: u8, text: &str) -> Self {
        let RequestFacts { auth, org, .. } = line.facts;
        let bytes = |value: &Option<Bytes>| value.as_deref().map(Into::into);
        Self {
            style,
            method: line.facts.method.clone(),
            path: line.facts.uri.path().into(),
            client: line.client,
            forwarded_for: bytes(&line.facts.forwarded_for),
            user_agent: bytes(&line.facts.user_agent),
            token_name: line.token_name.map(Into::into),
            fingerprint: line.fingerprint,
            kind: auth.token.map(|token| token.kind),
            forms: (auth.received, auth.sent),
            changes: auth.changes,
            org: (org.received.clone(), org.sent, org.by),
            text: text.into(),
        }
    }

    fn is_of(&self, line: &ServedLine<'_>) -> bool {
        let RequestFacts { auth, org, .. } = line.facts;
        let OrgFacts { received, sent, by } = org;
        self.fingerprint == line.fingerprint
            && *self.path == *line.facts.uri.path()
            && self.user_agent.as_deref() == line.facts.user_agent.as_deref()
            && self.client == line.client
            && self.method == line.facts.method
            && self.forwarded_for.as_deref() == line.facts.forwarded_for.as_deref()
            && self.token_name.as_deref() == line.token_name
            && self.kind == auth.token.map(|token| token.kind)
            && self.forms == (auth.received, auth.sent)
            && self.changes == auth.changes
            && (&self.org.0, &self.org.1, &self.org.2) == (received, sent, by)
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;
    use crate::domain::credential::Change;
    use crate::domain::head::AuthFacts;
    use crate::domain::token::HashKey;
    use crate::telemetry::LogFormat;
    use crate::telemetry::format::write_line;

    /// A request, and everything that a line may tell differently of another.
    fn requests() -> Vec<(RequestFacts, IpAddr, Option<&'static str>, Option<Fingerprint>)> {
        let print = |byte: u8| Some(HashKey::from_bytes([1; 16]).hash(1, &[byte]).fingerprint());
        let value = |text: &'static str| Some(Bytes::from_static(text.as_bytes()));
        let mut changes = Changes::default();
        changes.insert(Change::BearerAdded);
        let plain = RequestFacts {
            method: Method::GET,
            uri: "/api/dashboards/uid/a".parse().unwrap(),
            user_agent: value("curl/8"),
            ..RequestFacts::default()
        };
        let client = IpAddr::from([192, 0, 2, 7]);
        let mut all: Vec<_> = [
            plain.clone(),
            RequestFacts { method: Method::PUT, ..plain.clone() },
            RequestFacts { uri: "/api/dashboards/uid/b".parse().unwrap(), ..plain.clone() },
            RequestFacts { uri: "/other/dashboards/uid/a?b=c".parse().unwrap(), ..plain.clone() },
            RequestFacts { user_agent: value("curl/9"), ..plain.clone() },
            RequestFacts { user_agent: None, ..plain.clone() },
            RequestFacts { forwarded_for: value("192.0.2.9"), ..plain.clone() },
            RequestFacts { auth: AuthFacts { received: AuthForm::Bearer, ..plain.auth }, ..plain.clone() },
            RequestFacts { auth: AuthFacts { sent: AuthForm::Bearer, ..plain.auth }, ..plain.clone() },
            RequestFacts { auth: AuthFacts { changes, ..plain.auth }, ..plain.clone() },
            RequestFacts { org: OrgFacts { received: Some("2".into()), ..plain.org.clone() }, ..plain.clone() },
            RequestFacts { org: OrgFacts { sent: Some(2), ..plain.org.clone() }, ..plain.clone() },
            RequestFacts { org: OrgFacts { by: OrgBy::Host, ..plain.org.clone() }, ..plain.clone() },
        ]
        .map(|facts| (facts, client, None, None))
        .into();
        all.push((plain.clone(), IpAddr::from([192, 0, 2, 8]), None, None));
        all.push((plain.clone(), client, Some("ci"), None));
        all.push((plain.clone(), client, None, print(1)));
        all.push((plain, client, None, print(2)));
        all
    }

    fn line(number: usize, format: LogFormat) -> String {
        let (facts, client, token_name, fingerprint) = &requests()[number];
        let served = ServedLine {
            at: UNIX_EPOCH,
            facts,
            status: StatusCode::OK,
            request_id: &HeaderValue::from_static("0123456789abcdef0123456789abcdef"),
            own_id: true,
            client: *client,
            token_name: *token_name,
            fingerprint: *fingerprint,
            duration: Duration::from_millis(2),
            upstream: None,
        };
        let mut out = String::new();
        write_line(&mut out, format, false, &served);
        out
    }

    #[test]
    fn a_text_is_kept_for_the_same_request_only() {
        let count = requests().len();
        for format in [LogFormat::Json, LogFormat::Logfmt, LogFormat::Pretty] {
            // On threads of their own nothing is kept.
            let alone: Vec<String> =
                (0..count).map(|number| std::thread::spawn(move || line(number, format)).join().unwrap()).collect();
            let mut distinct = alone.clone();
            distinct.sort_unstable();
            distinct.dedup();
            assert_eq!(distinct.len(), count);
            // Each after each other, and twice.
            for number in 0..count * count {
                for number in [number / count, number % count, number % count] {
                    assert_eq!(line(number, format), alone[number]);
                }
            }
        }
    }

    #[test]
    fn what_is_long_or_secret_is_not_kept() {
        let long = format!("/{}", "x".repeat(MOST_BROUGHT));
        for path in [long.as_str(), "/x/glsa_yscW25imSKJIuav8zF37RZmnbiDvB05G_fcaaf58a"] {
            let facts = RequestFacts { uri: path.parse().unwrap(), ..RequestFacts::default() };
            let (id, client) = (HeaderValue::from_static("a"), IpAddr::from([192, 0, 2, 7]));
            let served = ServedLine {
                at: UNIX_EPOCH,
                facts: &facts,
                status: StatusCode::OK,
                request_id: &id,
                own_id: false,
                client,
                token_name: None,
                fingerprint: None,
                duration: Duration::ZERO,
                upstream: None,
            };
            write_line(&mut String::new(), LogFormat::Json, false, &served);
            KEPT.with_borrow(|kept| assert!(kept.iter().all(Option::is_none), "{path}"));
        }
    }
}
