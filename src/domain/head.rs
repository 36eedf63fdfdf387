//! What one pass over the headers of a request finds, and the facts about it that outlive the pass.

use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header};
use smallvec::SmallVec;

pub use super::credential::Spelling;
use super::credential::{AuthForm, Changes, Judgement};
use super::org::{self, OrgBy};
use super::token::TokenFacts;

/// The values of one field, in order.
pub type Lines<'h> = SmallVec<[&'h HeaderValue; 2]>;

/// Some names of a head.
pub type Names<'h> = SmallVec<[&'h HeaderName; 4]>;

/// The fields that matter to a decision, collected in one pass.
#[derive(Debug, Default)]
pub struct Head<'h> {
    /// All `Authorization` lines.
    pub authorization: Lines<'h>,
    /// All `X-Grafana-Org-Id` lines.
    pub organisation: Lines<'h>,
    /// All `Connection` lines.
    pub connection: Lines<'h>,
    /// All `X-Forwarded-For` lines.
    pub forwarded_for: Lines<'h>,
    /// All `Cookie` lines.
    pub cookie: Lines<'h>,
    /// `Host`.
    pub host: Option<&'h HeaderValue>,
    /// `Origin`.
    pub origin: Option<&'h HeaderValue>,
    /// `User-Agent`.
    pub user_agent: Option<&'h HeaderValue>,
    /// `X-Request-Id`.
    pub request_id: Option<&'h HeaderValue>,
    /// `Upgrade`.
    pub upgrade: Option<&'h HeaderValue>,
    /// `traceparent`.
    pub traceparent: Option<&'h HeaderValue>,
    /// `X-Token-Proxy-Probe`.
    pub probe: Option<&'h HeaderValue>,
    /// What else looks like it carries a credential.
    pub carriers: Carriers,
    /// `TE` asks for trailers.
    pub trailers: bool,
    /// Fields for one hop only, ours, and disguises of protected names: none of them goes on.
    pub dropped: Names<'h>,
    /// `X-Forwarded-*`, `Forwarded`, `X-Real-IP`: believed from trusted hops only.
    pub forwarding: Names<'h>,
    /// `X-WEBAUTH-*`, `Remote-User`: whoever may send them is anybody.
    pub identity: Names<'h>,
}

/// Headers of a request that carry, or may be meant to carry, a credential that is not in `Authorization`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Carriers {
    /// `X-API-Key`, `X-Grafana-API-Key`, `X-Auth-Token`, `Proxy-Authorization`, `X-Forwarded-Authorization` …: Grafana
    /// reads none of these.
    pub unread: Option<&'static str>,
    /// `X-WEBAUTH-USER`, which Grafana reads where `auth.proxy` is on.
    pub auth_proxy: bool,
    /// `X-JWT-Assertion` and its like hold something with three dots' parts and, decoded, a `sub`.
    pub jwt: bool,
    /// `X-Access-Token` or `X-Grafana-Id`.
    pub access_token: bool,
}

/// Header names that people put a Grafana token in though Grafana reads none of them.
const UNREAD: [&str; 9] = [
    "x-api-key",
    "x-grafana-api-key",
    "x-grafana-token",
    "x-auth-token",
    "x-forwarded-authorization",
    "x-original-authorization",
    "proxy-authorization",
    "api-key",
    "apikey",
];

/// Fields that a `Connection` line must not take away: nominating them changes nothing (RFC 9110 §7.6.1 allows only
/// fields that are meant for one hop).
const PROTECTED: [&[u8]; 8] = [
    b"authorization",
    b"host",
    b"content-length",
    b"cookie",
    b"x-grafana-org-id",
    b"x-request-id",
    b"x-forwarded-for",
    b"x-real-ip",
];

/// Whether `Connection` lines say nothing but what every client says.
pub fn is_plain(lines: &[&HeaderValue]) -> bool {
    lines.iter().all(|line| {
        let line = line.as_bytes();
        line.eq_ignore_ascii_case(b"keep-alive")
            || line.eq_ignore_ascii_case(b"close")
            || line.eq_ignore_ascii_case(b"upgrade")
    })
}

/// The names that `Connection` lines nominate.
pub fn nominated<'h>(lines: &[&'h HeaderValue]) -> impl Iterator<Item = &'h [u8]> {
    lines.iter().flat_map(|line| line.as_bytes().split(|b| *b == b',')).map(<[u8]>::trim_ascii)
}

/// Whether nominating `name` in `Connection` is ignored.
pub fn is_protected(name: &[u8]) -> bool {
    PROTECTED.iter().any(|protected| name.eq_ignore_ascii_case(protected))
}

impl<'h> Head<'h> {
    /// Whether a `Connection` line nominates a field that it must not take away.
    pub fn nominates_protected(&self) -> bool {
        !is_plain(&self.connection) && nominated(&self.connection).any(is_protected)
    }

    /// The protocol, where a WebSocket is asked for.
    pub fn websocket(&self) -> Option<&'h HeaderValue> {
        self.upgrade.filter(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"))
    }

    /// Collects from `headers`.
    pub fn collect(headers: &'h HeaderMap) -> Self {
        let mut head = Self::default();
        for (name, value) in headers {
            head.take(name, value);
        }
        head
    }

    fn take(&mut self, name: &'h HeaderName, value: &'h HeaderValue) {
        match *name {
            header::AUTHORIZATION => self.authorization.push(value),
            header::CONNECTION => {
                self.connection.push(value);
                self.dropped.push(name);
            }
            header::COOKIE => self.cookie.push(value),
            header::HOST => self.host = Some(value),
            header::ORIGIN => self.origin = Some(value),
            header::USER_AGENT => self.user_agent = Some(value),
            header::UPGRADE => {
                self.upgrade = Some(value);
                self.dropped.push(name);
            }
            header::PROXY_AUTHORIZATION => {
                self.carriers.unread = Some("Proxy-Authorization");
                self.dropped.push(name);
            }
            header::TE => {
                self.trailers = value.as_bytes().to_ascii_lowercase().starts_with(b"trailers");
                self.dropped.push(name);
            }
            header::TRANSFER_ENCODING => self.dropped.push(name),
            header::FORWARDED => self.forwarding.push(name),
            header::ACCEPT | header::ACCEPT_ENCODING | header::CONTENT_LENGTH | header::CONTENT_TYPE => {}
            _ => self.take_custom(name, value),
        }
    }

    fn take_custom(&mut self, header: &'h HeaderName, value: &'h HeaderValue) {
        let name = header.as_str();
        match name.as_bytes() {
            [b'x', b'-', ..] => match name {
                "x-grafana-org-id" => self.organisation.push(value),
                "x-forwarded-for" => {
                    self.forwarded_for.push(value);
                    self.forwarding.push(header);
                }
                "x-request-id" => self.request_id = Some(value),
                "x-token-proxy-probe" => {
                    self.probe = Some(value);
                    self.dropped.push(header);
                }
                "x-jwt-assertion" | "x-forwarded-access-token" => {
                    self.carriers.jwt |= value.as_bytes().iter().filter(|b| **b == b'.').count() == 2;
                }
                "x-access-token" | "x-grafana-id" => self.carriers.access_token = true,
                "x-real-ip" => self.forwarding.push(header),
                _ => self.take_prefixed(header),
            },
            [b't', b'r', ..] if name == "traceparent" => self.traceparent = Some(value),
            _ => match name {
                "keep-alive" | "proxy-connection" | "http2-settings" => self.dropped.push(header),
                "remote-user" => self.identity.push(header),
                _ if org::is_alias(name) => self.dropped.push(header),
                _ => self.take_unread(name),
            },
        }
    }

    fn take_prefixed(&mut self, header: &'h HeaderName) {
        let name = header.as_str();
        if name.starts_with("x-forwarded-") && name != "x-forwarded-authorization" {
            self.forwarding.push(header);
        } else if name.starts_with("x-webauth-") {
            self.carriers.auth_proxy |= name == "x-webauth-user";
            self.identity.push(header);
        } else if name.starts_with("x-token-proxy-") || org::is_alias(name) {
            self.dropped.push(header);
        } else {
            self.take_unread(name);
        }
    }

    fn take_unread(&mut self, name: &str) {
        if let Some(known) = UNREAD.iter().find(|known| **known == name) {
            self.carriers.unread = Some(known);
        }
    }
}

/// What was found out about the credential of a request, without the credential.
#[derive(Clone, Copy, Debug, Default)]
pub struct AuthFacts {
    /// The form as it came.
    pub received: AuthForm,
    /// The form as it went to Grafana.
    pub sent: AuthForm,
    /// How the value that went to Grafana (its first line) begins. Means nothing where `sent` is `None`.
    pub spelling: Spelling,
    /// The token Grafana saw, where there was one.
    pub token: Option<TokenFacts>,
    /// User or password of a `Basic` value is a token, which Grafana tries as a password in vain.
    pub basic_holds_token: bool,
    /// The repairs made.
    pub changes: Changes,
}

impl From<&Judgement<'_>> for AuthFacts {
    fn from(found: &Judgement<'_>) -> Self {
        Self {
            received: found.received,
            sent: found.sent,
            spelling: found.spelling,
            token: found.token,
            basic_holds_token: found.basic_holds_token,
            changes: found.changes,
        }
    }
}

/// What was asked for and sent as organisation.
#[derive(Clone, Debug, Default)]
pub struct OrgFacts {
    /// What the client's header (or `targetOrgId`) said, as it said it, cut to 32 characters.
    pub received: Option<Box<str>>,
    /// What Grafana was told.
    pub sent: Option<u32>,
    /// Who chose it.
    pub by: OrgBy,
}

/// All that the classifier, the log and the page may know about a request once it has gone. Holds no secret: of
/// credentials and cookies there are only facts. Cloning its parts from a head copies no bytes.
#[derive(Clone, Debug, Default)]
pub struct RequestFacts {
    /// The head could not be read: nothing below is known.
    pub unread: bool,
    /// The method.
    pub method: Method,
    /// The target.
    pub uri: Uri,
    /// `Host`.
    pub host: Option<HeaderValue>,
    /// `Origin`.
    pub origin: Option<HeaderValue>,
    /// `User-Agent`.
    pub user_agent: Option<HeaderValue>,
    /// `X-Forwarded-For`, its first line.
    pub forwarded_for: Option<HeaderValue>,
    /// `traceparent`.
    pub traceparent: Option<HeaderValue>,
    /// A session cookie of Grafana came along.
    pub session_cookie: bool,
    /// The image renderer's cookie `renderKey` came along.
    pub render_key: bool,
    /// What else looked like a credential.
    pub carriers: Carriers,
    /// The request wants to become a WebSocket.
    pub websocket: bool,
    /// The credential.
    pub auth: AuthFacts,
    /// The organisation.
    pub org: OrgFacts,
}

impl RequestFacts {
    /// Gathers the facts of a head; `auth` and `org` are filled in by whoever judged them.
    pub fn gather(method: &Method, uri: &Uri, head: &Head<'_>, auth: AuthFacts, org: OrgFacts) -> Self {
        let cloned = |value: Option<&HeaderValue>| value.cloned();
        Self {
            unread: false,
            method: method.clone(),
            uri: uri.clone(),
            host: cloned(head.host),
            origin: cloned(head.origin),
            user_agent: cloned(head.user_agent),
            forwarded_for: cloned(head.forwarded_for.first().copied()),
            traceparent: cloned(head.traceparent),
            session_cookie: session_cookie(&head.cookie).is_some(),
            render_key: cookie(&head.cookie, |name| name == b"renderKey").is_some(),
            carriers: head.carriers,
            websocket: head.websocket().is_some(),
            auth,
            org,
        }
    }
}

impl RequestFacts {
    /// The trace's id out of a well-formed `traceparent` (W3C Trace Context §3.2): 32 hex digits.
    pub fn trace_id(&self) -> Option<&str> {
        let value = self.traceparent.as_ref()?.to_str().ok()?;
        let id = value.split('-').nth(1)?;
        (id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(id)
    }
}

/// The value of Grafana's session cookie: `grafana_session`, or what an operator named so that it still ends in that.
pub fn session_cookie<'h>(lines: &[&'h HeaderValue]) -> Option<&'h [u8]> {
    cookie(lines, |name| name.ends_with(b"grafana_session")).filter(|value| !value.is_empty())
}

fn cookie<'h>(lines: &[&'h HeaderValue], wanted: impl Fn(&[u8]) -> bool) -> Option<&'h [u8]> {
    for line in lines {
        for pair in line.as_bytes().split(|b| *b == b';') {
            let pair = pair.trim_ascii_start();
            if let Some(cut) = memchr::memchr(b'=', pair) {
                let (name, value) = pair.split_at(cut);
                if wanted(name) {
                    return value.get(1..);
                }
            }
        }
    }
    None
}
