//! How a request could sign in to Grafana: every credential in it, and which of them it is filed under.
//!
//! Grafana tries what a request carries in an order of its own: the renderer's cookie, a JWT, the token or the user and
//! password in `Authorization`, the header of a trusted proxy, the session cookie, and at last the anonymous visitor. What
//! fails is skipped (Grafana 10.1 and later), so a response says who signed in only where a single credential could have.

use std::net::IpAddr;

use bytes::Bytes;
use http::{HeaderName, Uri};

use super::client;
use super::credential::{AuthForm, Judgement};
use super::fields;
use super::head::{Head, IdentityLine, Kind, SignInFacts, SignInNames, Spelling};
use super::identity::{Cookie, cookie, jwt, jwt_like};
use super::limit::{Credential, Standing};
use super::misplaced::Misplaced;
use super::org::{self, query_value};
use super::token::{
    BucketKey, DASHBOARD, HashKey, JWT, JWT_SUBJECT, RENDER_KEY, SESSION, TokenFacts, TokenKind, USER_HEADER,
};

/// What a credential is carried by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// `Authorization`.
    Authorization,
    /// A header by which a trusted proxy names the user.
    IdentityHeader,
    /// A JWT in a header of its own.
    JwtHeader,
    /// A JWT in `?auth_token=`.
    JwtQuery,
    /// The image renderer's cookie.
    RenderKey,
    /// Grafana's session cookie.
    Session,
    /// The access token in the path of a public dashboard.
    PublicDashboard,
}

/// A header that names a user and was dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DroppedIdentity {
    /// Its name, as it came.
    pub name: Bytes,
    /// Why it was dropped.
    pub why: IdentityDropped,
    /// The other end of the connection.
    pub peer: IpAddr,
}

/// Why a header that names a user was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdentityDropped {
    /// It is in `clients.identity_headers`, and the peer is not in `clients.trusted_proxies`.
    UntrustedPeer,
    /// It is not in `clients.identity_headers`.
    NotConfigured {
        /// The peer is in `clients.trusted_proxies`.
        trusted: bool,
    },
    /// It is another spelling of such a header (`X_WEBAUTH_USER`), which other software could take for it.
    Alias {
        /// The header in its own spelling is in `clients.identity_headers`.
        configured: bool,
    },
}

/// A header of `authorization.restore_from` whose credential was not used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnusedCarrier {
    /// Its name, as it came.
    pub name: Bytes,
    /// Why it was not used.
    pub why: CarrierUnused,
}

/// Why the credential in a header of `authorization.restore_from` was not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CarrierUnused {
    /// `Authorization` held another credential.
    AuthorizationWins,
    /// This peer is not in `clients.trusted_proxies`.
    UntrustedPeer(IpAddr),
}

/// What a request could sign in by.
#[derive(Clone, Debug, Default)]
pub struct SignIn {
    /// The credential that the request is filed under, and what carries it. `None`: there is none.
    pub credential: Option<(Carrier, Credential)>,
    /// Nothing else in the request could have signed in.
    pub is_alone: bool,
    /// What the explanations say of the rest.
    pub facts: SignInFacts,
}

impl SignInFacts {
    /// What a request that somebody else received carries, under the names that Grafana has by default.
    pub fn as_received(head: &Head<'_>, uri: &Uri) -> Self {
        let identity = identity_kept_back(head);
        Self {
            session_cookie: filled(&head.cookie, b"grafana_session").is_some(),
            render_key: filled(&head.cookie, b"renderKey").is_some(),
            identity_header: identity.is_some(),
            jwt_in_query: uri
                .query()
                .and_then(|query| query_value(query, "auth_token"))
                .is_some_and(|token| jwt_like::is_like(token.as_bytes())),
            names: boxed(SignInNames {
                identity_in: identity.map(|name| head.fields.keep(name)),
                jwt_in: head.jwt_in.map(|name| head.fields.keep(name)),
                misplaced: Misplaced::find(head),
                ..SignInNames::default()
            }),
        }
    }
}

/// A cookie with something in it.
fn filled<'h>(lines: &[&'h [u8]], name: &[u8]) -> Option<Cookie<'h>> {
    cookie(lines, name).filter(|cookie| !matches!(cookie, Cookie::Read(value) if value.is_empty()))
}

/// What [`SignIn::find`] looks at.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a, 'h> {
    /// The headers.
    pub head: &'a Head<'h>,
    /// The target.
    pub uri: &'a Uri,
    /// The other end of the connection.
    pub peer: IpAddr,
    /// Whether the peer is a trusted proxy.
    pub trusted: bool,
    /// The headers of `authorization.restore_from`.
    pub restore_from: &'a [HeaderName],
    /// What is in `Authorization`.
    pub authorization: &'a Judgement<'h>,
    /// What that is filed under.
    pub key: Option<BucketKey>,
}

impl SignIn {
    /// Finds every credential of a request.
    pub fn find(request: Request<'_, '_>, clients: &client::Settings, hash_key: &HashKey) -> Self {
        let Request { head, uri, trusted, authorization, key, .. } = request;
        let (mut session, mut render_key) = (None, None);
        if !head.cookie.is_empty() {
            session = filled(&head.cookie, clients.session_cookie.0.as_bytes());
            render_key = filled(&head.cookie, b"renderKey");
        }
        let (session, render_key) = (session.as_ref(), render_key.as_ref());
        let user = user_named(head, trusted, clients);
        let in_query = uri.query().and_then(|query| query_value(query, "auth_token")).filter(|token| !token.is_empty());
        let facts = SignInFacts {
            session_cookie: session.is_some(),
            render_key: render_key.is_some(),
            identity_header: user.is_some(),
            jwt_in_query: in_query.as_ref().is_some_and(|token| jwt_like::is_like(token.as_bytes())),
            names: names(request, user, clients),
        };
        let of = |carrier, domain, bytes: &[u8], standing| {
            let key = hash_key.hash(domain, bytes);
            (carrier, Credential { key, budget: key, standing, takes_question: false })
        };
        let jwt = |carrier, bytes: &[u8]| (carrier, jwt_credential(bytes, hash_key));
        // What cannot be read is nobody's, and never gets a share of its own.
        let of_cookie = |carrier, domain, cookie: &Cookie<'_>| match cookie {
            Cookie::Read(value) => of(carrier, domain, value, Standing::Sound),
            Cookie::Unreadable => of(carrier, domain, b"", Standing::Unsound),
        };
        // A password that a trusted proxy asked for itself says less than the user whom it names.
        let by_authorization = key.filter(|_| user.is_none() || authorization.token.is_some());
        let credential = if let Some(key) = by_authorization {
            Some((
                Carrier::Authorization,
                Credential { key, budget: key, standing: standing(authorization), takes_question: false },
            ))
        } else if let Some(user) = user {
            Some(of(Carrier::IdentityHeader, USER_HEADER, user.value, Standing::Vouched))
        } else if let Some(token) = head.jwt {
            Some(jwt(Carrier::JwtHeader, token))
        } else if let Some(token) = &in_query {
            Some(jwt(Carrier::JwtQuery, token.as_bytes()))
        } else if let Some(value) = render_key {
            Some(of_cookie(Carrier::RenderKey, RENDER_KEY, value))
        } else if let Some(value) = session {
            Some(of_cookie(Carrier::Session, SESSION, value))
        } else {
            public_dashboard(uri.path()).map(|token| of(Carrier::PublicDashboard, DASHBOARD, token, Standing::Sound))
        };
        let others = usize::from(user.is_some())
            + usize::from(head.carriers.jwt || head.carriers.access_token)
            + usize::from(head.has_several_jwts)
            + usize::from(in_query.is_some())
            + usize::from(render_key.is_some())
            // A session may have a name that we were not told.
            + usize::from(session.is_some() || !head.cookie.is_empty() && render_key.is_none());
        // Nobody is signed in to a public dashboard: its access token is all that counts.
        let is_public = matches!(credential, Some((Carrier::PublicDashboard, _)));
        let is_alone = is_public || others + usize::from(key.is_some()) < 2;
        Self { credential, is_alone, facts }
    }
}

/// A JWT outside `Authorization`. Until Grafana has accepted it, its subject is a claim that anybody can make: only then
/// its budget is that of the subject, whatever the JWT, as an issuer makes a new one every few minutes.
fn jwt_credential(value: &[u8], hash_key: &HashKey) -> Credential {
    let Some(token) = jwt::parts(value) else {
        let key = hash_key.hash(JWT, value);
        return Credential { key, budget: key, standing: Standing::Unsound, takes_question: false };
    };
    let key = hash_key.hash(JWT, token.bytes());
    let subject = jwt::subject(token.payload());
    let budget = subject.map_or(key, |jwt::Subject { issuer, subject }| {
        hash_key.hash(JWT_SUBJECT, &[issuer.as_bytes(), b"\0", subject.as_bytes()].concat())
    });
    Credential { key, budget, standing: Standing::Sound, takes_question: false }
}

/// Whether Grafana could have issued what is in `Authorization`.
fn standing(authorization: &Judgement<'_>) -> Standing {
    let is_sound = match &authorization.token {
        Some(token) => TokenFacts::is_sound(token) || token.kind == TokenKind::Jwt,
        None => authorization.sent == AuthForm::Basic && authorization.spelling != Spelling::Empty,
    };
    if is_sound { Standing::Sound } else { Standing::Unsound }
}

/// The line by which a trusted proxy names the user.
fn user_named<'h>(head: &Head<'h>, trusted: bool, clients: &client::Settings) -> Option<IdentityLine<'h>> {
    if trusted { user_line(head, clients) } else { None }
}

fn user_line<'h>(head: &Head<'h>, clients: &client::Settings) -> Option<IdentityLine<'h>> {
    let lines = || head.identity.iter().filter(|line| !line.value.is_empty());
    let first = lines().next()?;
    let own = lines().find(|line| line.place == clients.user_header());
    Some(*own.unwrap_or(first))
}

/// Where what could sign in is, and what was left out. Most requests have nothing of the kind.
fn names(
    request: Request<'_, '_>,
    user: Option<IdentityLine<'_>>,
    clients: &client::Settings,
) -> Option<Box<SignInNames>> {
    let Request { head, restore_from, authorization, .. } = request;
    let misplaced = if authorization.token.is_none() { Misplaced::find(head) } else { None };
    let is_plain = head.jwt_in.is_none()
        && head.identity.is_empty()
        && head.identity_dropped.is_none()
        && restore_from.is_empty()
        && misplaced.is_none();
    if is_plain { None } else { collect_names(request, user, clients, misplaced) }
}

#[cold]
fn collect_names(
    request: Request<'_, '_>,
    user: Option<IdentityLine<'_>>,
    clients: &client::Settings,
    misplaced: Option<Misplaced>,
) -> Option<Box<SignInNames>> {
    let kept = |name| request.head.fields.keep(name);
    boxed(SignInNames {
        identity_in: user.map(|line| kept(line.name)),
        identity_dropped: dropped(request, clients),
        jwt_in: request.head.jwt_in.map(kept),
        carrier_unused: unused_carrier(request, clients),
        misplaced,
    })
}

fn boxed(names: SignInNames) -> Option<Box<SignInNames>> {
    (names != SignInNames::default()).then(|| Box::new(names))
}

/// The header that would have named a user.
fn dropped(request: Request<'_, '_>, clients: &client::Settings) -> Option<DroppedIdentity> {
    let Request { head, peer, trusted, .. } = request;
    let (name, why) = match user_line(head, clients).filter(|_| !trusted) {
        Some(line) => (line.name, IdentityDropped::UntrustedPeer),
        None => {
            let name = identity_kept_back(head)?;
            let configured = clients.identity_headers.iter().any(|own| org::folds_alike(name, own.as_str().as_bytes()));
            let is_alias = configured || org::is_alias(name);
            let plain = IdentityDropped::NotConfigured { trusted };
            (name, if is_alias { IdentityDropped::Alias { configured } } else { plain })
        }
    };
    Some(DroppedIdentity { name: head.fields.keep(name), why, peer: peer.to_canonical() })
}

/// The header that names a user and goes to Grafana from no peer. Of several, the one that names the user says most.
fn identity_kept_back<'h>(head: &Head<'h>) -> Option<&'h [u8]> {
    head.identity_dropped?;
    let lines = head.fields.iter().zip(&head.kinds);
    let filled = lines.filter(|((_, value), kind)| **kind == Kind::Disguised && !value.is_empty());
    let names = || filled.clone().map(|((name, _), _)| name);
    names().find(|name| name.to_ascii_lowercase().ends_with(b"user")).or_else(|| names().next())
}

/// The header of `authorization.restore_from` whose credential was not used.
fn unused_carrier(request: Request<'_, '_>, clients: &client::Settings) -> Option<UnusedCarrier> {
    let Request { head, peer, trusted, restore_from, authorization, .. } = request;
    let is_carrier = |name: &[u8]| restore_from.iter().any(|own| fields::is(name, own.as_str()));
    let mut carriers = head.fields.iter().filter(|(name, value)| !value.is_empty() && is_carrier(name));
    let (name, why) = if let Some(passed_over) = authorization.passed_over {
        let (name, _) = carriers.find(|(_, value)| *value == passed_over)?;
        (name, CarrierUnused::AuthorizationWins)
    } else if !trusted && !clients.trusted_proxies.is_empty() && authorization.identity.is_none() {
        (carriers.next()?.0, CarrierUnused::UntrustedPeer(peer.to_canonical()))
    } else {
        return None;
    };
    Some(UnusedCarrier { name: head.fields.keep(name), why })
}

/// The access token of a public dashboard: what stands behind `public/dashboards/` of the API, or `public-dashboards/` of
/// its page. Anybody may ask for any, so it is looked for where there is no other credential.
fn public_dashboard(path: &str) -> Option<&[u8]> {
    const WORD: &[u8] = b"dashboards/";
    let at = memchr::memmem::find(path.as_bytes(), WORD)?;
    let (before, rest) = path.as_bytes().split_at_checked(at)?;
    if !before.ends_with(b"/api/public/") && !before.ends_with(b"/public-") {
        return None;
    }
    rest.get(WORD.len()..)?.split(|byte| *byte == b'/').next().filter(|token| !token.is_empty())
}
