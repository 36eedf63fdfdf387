//! What may be known about a request once it is gone: facts, and no credential.

use bytes::Bytes;
use http::{Method, Uri};

use super::super::credential::{AuthForm, Changes, Judgement, Spelling};
use super::super::misplaced::Misplaced;
use super::super::org::OrgBy;
use super::super::sign_in::{DroppedIdentity, UnusedCarrier};
use super::super::token::TokenFacts;
use super::{Carriers, Head};

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

/// How much of a head could be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reading {
    /// All of it.
    #[default]
    Whole,
    /// It is at fault, and so much could be made out: the request line at least.
    Outline,
    /// It is at fault, from the request line on.
    Nothing,
}

/// All that the classifier, the log and the page may know about a request once it has gone. Holds no secret: of
/// credentials and cookies there are only facts. Cloning its parts from a head copies no bytes.
#[derive(Clone, Debug, Default)]
pub struct RequestFacts {
    /// How much of the head could be read.
    pub reading: Reading,
    /// The method.
    pub method: Method,
    /// The target.
    pub uri: Uri,
    /// `Host`.
    pub host: Option<Bytes>,
    /// `Origin`.
    pub origin: Option<Bytes>,
    /// `User-Agent`.
    pub user_agent: Option<Bytes>,
    /// `X-Forwarded-For`, its first line.
    pub forwarded_for: Option<Bytes>,
    /// `traceparent`.
    pub traceparent: Option<Bytes>,
    /// A session cookie of Grafana came along.
    pub session_cookie: bool,
    /// The image renderer's cookie `renderKey` came along.
    pub render_key: bool,
    /// What else looked like a credential.
    pub carriers: Carriers,
    /// What few requests have: names of what else could have signed in, or did not.
    pub names: Option<Box<SignInNames>>,
    /// The request wants to become a WebSocket.
    pub websocket: bool,
    /// The credential.
    pub auth: AuthFacts,
    /// The organisation.
    pub org: OrgFacts,
}

/// What else in a request could sign somebody in.
#[derive(Clone, Debug, Default)]
pub struct SignInFacts {
    /// Grafana's session cookie is there.
    pub session_cookie: bool,
    /// The image renderer's cookie is there.
    pub render_key: bool,
    /// A header of a trusted proxy that names the user goes to Grafana.
    pub identity_header: bool,
    /// `?auth_token=` holds what Grafana could read as a JWT, and does where `url_login` is on.
    pub jwt_in_query: bool,
    /// Where those are, and what was left out.
    pub names: Option<Box<SignInNames>>,
}

/// Where what could sign somebody in is, and what was left out. Apart from the other facts: most requests have none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SignInNames {
    /// The header that names the user and went to Grafana.
    pub identity_in: Option<Bytes>,
    /// The header that names a user and was dropped.
    pub identity_dropped: Option<DroppedIdentity>,
    /// The header that the JWT is in. `None` where there is one: it is in `?auth_token=`.
    pub jwt_in: Option<Bytes>,
    /// The header of `authorization.restore_from` whose credential was not used.
    pub carrier_unused: Option<UnusedCarrier>,
    /// Where a token is that Grafana does not read there. Looked for where there is none in `Authorization`.
    pub misplaced: Option<Misplaced>,
}

impl RequestFacts {
    /// Gathers the facts of a head; `auth` and `org` are filled in by whoever judged them.
    pub fn gather(
        method: &Method,
        uri: &Uri,
        head: &Head<'_>,
        sign_in: SignInFacts,
        auth: AuthFacts,
        org: OrgFacts,
    ) -> Self {
        let kept = |value: Option<&[u8]>| value.map(|value| head.fields.keep(value));
        Self {
            reading: Reading::Whole,
            method: method.clone(),
            uri: uri.clone(),
            host: kept(head.host),
            origin: kept(head.origin),
            user_agent: kept(head.user_agent),
            forwarded_for: kept(head.forwarded_for.first().copied()),
            traceparent: kept(head.traceparent),
            session_cookie: sign_in.session_cookie,
            render_key: sign_in.render_key,
            carriers: Carriers {
                auth_proxy: sign_in.identity_header,
                jwt: head.carriers.jwt || sign_in.jwt_in_query,
                ..head.carriers
            },
            names: sign_in.names,
            websocket: head.websocket().is_some(),
            auth,
            org,
        }
    }
}

impl RequestFacts {
    /// The header that names the user and went to Grafana.
    pub fn identity_in(&self) -> Option<&[u8]> {
        self.names.as_ref()?.identity_in.as_deref()
    }

    /// The header that names a user and was dropped.
    pub fn identity_dropped(&self) -> Option<&DroppedIdentity> {
        self.names.as_ref()?.identity_dropped.as_ref()
    }

    /// The header that a JWT is in.
    pub fn jwt_in(&self) -> Option<&[u8]> {
        self.names.as_ref()?.jwt_in.as_deref()
    }

    /// The header of `authorization.restore_from` whose credential was not used.
    pub fn carrier_unused(&self) -> Option<&UnusedCarrier> {
        self.names.as_ref()?.carrier_unused.as_ref()
    }

    /// The line in which Grafana does not read the token that is there.
    pub fn misplaced(&self) -> Option<&Misplaced> {
        self.names.as_ref()?.misplaced.as_ref()
    }

    /// The trace's id out of a well-formed `traceparent` (W3C Trace Context §3.2): 32 hex digits.
    pub fn trace_id(&self) -> Option<&str> {
        let value = std::str::from_utf8(self.traceparent.as_ref()?).ok()?;
        let id = value.split('-').nth(1)?;
        (id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(id)
    }
}
