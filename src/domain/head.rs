//! What one pass over the headers of a request finds, and the facts about it that outlive the pass.

mod facts;

use http::{HeaderName, Method, Uri};
use smallvec::SmallVec;

pub use self::facts::{AuthFacts, OrgFacts, Reading, RequestFacts, SignInFacts, SignInNames};
pub use super::credential::Spelling;
use super::fields::{self, Fields};
use super::identity::jwt_like;
use super::org;

/// A request's head.
#[derive(Clone, Debug, Default)]
pub struct RequestParts {
    /// The method.
    pub method: Method,
    /// The target.
    pub uri: Uri,
    /// The fields, as they came.
    pub fields: Fields,
}

/// The values of one field, in order.
pub type Lines<'h> = SmallVec<[&'h [u8]; 2]>;

/// What a line is, for whoever passes the head on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Nothing of ours.
    Plain,
    /// `Authorization`.
    Authorization,
    /// `X-Grafana-Org-Id`.
    Organisation,
    /// `X-Request-Id`.
    RequestId,
    /// For one hop only, ours, or a disguise of a protected name: none of them goes on.
    Dropped,
    /// A name, or a disguise of one, by which nobody may name a user (`X-WEBAUTH-*`, `Remote-User`): dropped, and worth a
    /// word in an explanation.
    Disguised,
    /// `X-Forwarded-*`, `Forwarded`, `X-Real-IP`: believed from trusted hops only.
    Forwarding,
    /// A header by which the operator lets trusted proxies name the user: dropped from every other peer.
    Identity,
}

/// The fields that matter to a decision, collected in one pass.
#[derive(Debug)]
pub struct Head<'h> {
    /// All fields.
    pub fields: &'h Fields,
    /// What each of them is.
    pub kinds: SmallVec<[Kind; 32]>,
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
    pub host: Option<&'h [u8]>,
    /// `Origin`.
    pub origin: Option<&'h [u8]>,
    /// `User-Agent`.
    pub user_agent: Option<&'h [u8]>,
    /// `X-Request-Id`.
    pub request_id: Option<&'h [u8]>,
    /// `Upgrade`.
    pub upgrade: Option<&'h [u8]>,
    /// `traceparent`.
    pub traceparent: Option<&'h [u8]>,
    /// `X-Token-Proxy-Probe`.
    pub probe: Option<&'h [u8]>,
    /// What else looks like it carries a credential.
    pub carriers: Carriers,
    /// The first value, outside `Authorization`, that Grafana could read as a JWT.
    pub jwt: Option<&'h [u8]>,
    /// There are others.
    pub has_several_jwts: bool,
    /// The header it is in.
    pub jwt_in: Option<&'h [u8]>,
    /// Lines by which trusted proxies may name the user.
    pub identity: SmallVec<[IdentityLine<'h>; 2]>,
    /// The name of the first header that names a user and goes to Grafana from no peer at all.
    pub identity_dropped: Option<&'h [u8]>,
    /// `TE` asks for trailers.
    pub trailers: bool,
}

/// Headers of a request that carry, or may be meant to carry, a credential that is not in `Authorization`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Carriers {
    /// `X-API-Key`, `X-Grafana-API-Key`, `X-Auth-Token`, `Proxy-Authorization`, `X-Forwarded-Authorization` …: Grafana
    /// reads none of these.
    pub unread: Option<&'static str>,
    /// A header by which a trusted proxy names the user went to Grafana, which reads it where `auth.proxy` is on.
    pub auth_proxy: bool,
    /// A header, or `?auth_token=`, holds what Grafana could read as a JWT.
    pub jwt: bool,
    /// `X-Access-Token` or `X-Grafana-Id`.
    pub access_token: bool,
}

/// A line of one of `clients.identity_headers`.
#[derive(Clone, Copy, Debug)]
pub struct IdentityLine<'h> {
    /// Its place in the configured list.
    pub place: usize,
    /// The name as it came.
    pub name: &'h [u8],
    /// The value.
    pub value: &'h [u8],
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
const PROTECTED: [&[u8]; 10] = [
    b"authorization",
    b"host",
    b"content-length",
    b"cookie",
    b"x-grafana-org-id",
    b"x-request-id",
    b"x-forwarded-for",
    b"x-forwarded-host",
    b"x-forwarded-proto",
    b"x-real-ip",
];

/// Whether `Connection` lines say nothing but what every client says.
pub fn is_plain(lines: &[&[u8]]) -> bool {
    lines.iter().all(|line| {
        line.eq_ignore_ascii_case(b"keep-alive")
            || line.eq_ignore_ascii_case(b"close")
            || line.eq_ignore_ascii_case(b"upgrade")
    })
}

/// The names that `Connection` lines nominate.
pub fn nominated<'h>(lines: &[&'h [u8]]) -> impl Iterator<Item = &'h [u8]> {
    lines.iter().flat_map(|line| line.split(|b| *b == b',')).map(<[u8]>::trim_ascii)
}

/// Whether nominating `name` in `Connection` is ignored.
pub fn is_protected(name: &[u8]) -> bool {
    PROTECTED.iter().any(|protected| name.eq_ignore_ascii_case(protected))
}

/// The beginning of a name in lower case, longer than every name that is known here.
struct Lower([u8; 64], usize);

impl Lower {
    fn new(name: &[u8]) -> Self {
        let (mut lower, length) = ([0; 64], name.len().min(64));
        if let (Some(place), Some(name)) = (lower.get_mut(..length), name.get(..length)) {
            place.copy_from_slice(name);
        }
        // All of it, at once: a loop over what is there takes longer.
        lower.make_ascii_lowercase();
        Self(lower, length)
    }

    fn as_bytes(&self) -> &[u8] {
        self.0.get(..self.1).unwrap_or_default()
    }
}

impl<'h> Head<'h> {
    /// Whether a `Connection` line nominates a field that it must not take away.
    pub fn nominates_protected(&self) -> bool {
        !is_plain(&self.connection) && nominated(&self.connection).any(is_protected)
    }

    /// The protocol, where a WebSocket is asked for. `Upgrade` alone asks for nothing (RFC 9110 §7.8): a hop that does not
    /// know it may have passed it on with a request that stays one for it.
    pub fn websocket(&self) -> Option<&'h [u8]> {
        let upgrade = self.upgrade.filter(|value| value.eq_ignore_ascii_case(b"websocket"))?;
        nominated(&self.connection).any(|option| option.eq_ignore_ascii_case(b"upgrade")).then_some(upgrade)
    }

    /// Collects from `fields`. `identity_headers` are the names by which trusted proxies may name the user.
    pub fn collect(fields: &'h Fields, identity_headers: &[HeaderName]) -> Self {
        let mut head = Self {
            fields,
            kinds: SmallVec::new(),
            authorization: Lines::new(),
            organisation: Lines::new(),
            connection: Lines::new(),
            forwarded_for: Lines::new(),
            cookie: Lines::new(),
            host: None,
            origin: None,
            user_agent: None,
            request_id: None,
            upgrade: None,
            traceparent: None,
            probe: None,
            carriers: Carriers::default(),
            jwt: None,
            has_several_jwts: false,
            jwt_in: None,
            identity: SmallVec::new(),
            identity_dropped: None,
            trailers: false,
        };
        for (name, value) in fields.iter() {
            let kind = match head.take_identity(name, value, identity_headers) {
                Some(kind) => kind,
                None => head.take(Lower::new(name).as_bytes(), value),
            };
            match kind {
                Kind::Plain | Kind::Forwarding if jwt_like::may_begin(value) && jwt_like::is_like(value) => {
                    head.carriers.jwt = true;
                    head.has_several_jwts = head.jwt.is_some();
                    if head.jwt.is_none() {
                        (head.jwt, head.jwt_in) = (Some(value), Some(name));
                    }
                }
                Kind::Disguised => {
                    head.identity_dropped.get_or_insert(name);
                }
                _ => {}
            }
            head.kinds.push(kind);
        }
        head
    }

    /// A header that the operator lets trusted proxies name the user by. What only folds to its name goes to Grafana from
    /// no peer: a reader behind us may take the two for one.
    fn take_identity(&mut self, name: &'h [u8], value: &'h [u8], configured: &[HeaderName]) -> Option<Kind> {
        for (place, own) in configured.iter().enumerate() {
            if org::folds_alike(name, own.as_str().as_bytes()) {
                return Some(match fields::is(name, own.as_str()) {
                    true => {
                        self.identity.push(IdentityLine { place, name, value });
                        Kind::Identity
                    }
                    false => Kind::Disguised,
                });
            }
        }
        None
    }

    fn take(&mut self, name: &[u8], value: &'h [u8]) -> Kind {
        match name {
            b"accept" | b"accept-encoding" | b"content-length" | b"content-type" => {}
            b"authorization" => {
                self.authorization.push(value);
                return Kind::Authorization;
            }
            b"connection" => {
                self.connection.push(value);
                return Kind::Dropped;
            }
            b"cookie" => self.cookie.push(value),
            b"host" => self.host = Some(value),
            b"origin" => self.origin = Some(value),
            b"user-agent" => self.user_agent = Some(value),
            b"upgrade" => {
                self.upgrade = Some(value);
                return Kind::Dropped;
            }
            b"proxy-authorization" => {
                self.carriers.unread = Some("Proxy-Authorization");
                return Kind::Dropped;
            }
            b"te" => {
                self.trailers |= nominated(&[value]).any(|option| option.eq_ignore_ascii_case(b"trailers"));
                return Kind::Dropped;
            }
            b"transfer-encoding" | b"keep-alive" | b"proxy-connection" | b"http2-settings" => return Kind::Dropped,
            b"forwarded" => return Kind::Forwarding,
            b"remote-user" => return Kind::Disguised,
            b"traceparent" => self.traceparent = Some(value),
            [b'x', b'-', ..] => return self.take_custom(name, value),
            _ if org::is_alias(name) => return Self::alias(name),
            _ => self.take_unread(name),
        }
        Kind::Plain
    }

    fn alias(name: &[u8]) -> Kind {
        let names_user = org::folds_alike(name, b"remote-user")
            || name.get(..9).is_some_and(|start| org::folds_alike(start, b"x-webauth"));
        if names_user { Kind::Disguised } else { Kind::Dropped }
    }

    fn take_custom(&mut self, name: &[u8], value: &'h [u8]) -> Kind {
        match name {
            b"x-grafana-org-id" => {
                self.organisation.push(value);
                return Kind::Organisation;
            }
            b"x-forwarded-for" => {
                self.forwarded_for.push(value);
                return Kind::Forwarding;
            }
            b"x-request-id" => {
                self.request_id = Some(value);
                return Kind::RequestId;
            }
            b"x-token-proxy-probe" => {
                self.probe = Some(value);
                return Kind::Dropped;
            }
            b"x-access-token" | b"x-grafana-id" => self.carriers.access_token = true,
            b"x-real-ip" => return Kind::Forwarding,
            _ if name.starts_with(b"x-forwarded-") && name != b"x-forwarded-authorization" => return Kind::Forwarding,
            _ if name.starts_with(b"x-webauth-") => return Kind::Disguised,
            _ if name.starts_with(b"x-token-proxy-") => return Kind::Dropped,
            _ if org::is_alias(name) => return Self::alias(name),
            _ => self.take_unread(name),
        }
        Kind::Plain
    }

    fn take_unread(&mut self, name: &[u8]) {
        if let Some(known) = UNREAD.iter().find(|known| known.as_bytes() == name) {
            self.carriers.unread = Some(known);
        }
    }
}
