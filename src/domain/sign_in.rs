//! How a request could sign in to Grafana: every credential in it, and which of them it is filed under.
//!
//! Grafana tries what a request carries in an order of its own: the renderer's cookie, a JWT, the token or the user and
//! password in `Authorization`, the header of a trusted proxy, the session cookie, and at last the anonymous visitor. What
//! fails is skipped (Grafana 10.1 and later), so a response says who signed in only where a single credential could have.

use http::Uri;

use super::client;
use super::credential::{AuthForm, Judgement};
use super::head::{Head, SignInFacts, Spelling};
use super::identity::{Cookie, cookie, jwt};
use super::limit::{Credential, Standing};
use super::org::query_value;
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

/// What a request could sign in by.
#[derive(Clone, Copy, Debug, Default)]
pub struct SignIn<'h> {
    /// The credential that the request is filed under, and what carries it. `None`: there is none.
    pub credential: Option<(Carrier, Credential)>,
    /// Nothing else in the request could have signed in.
    pub is_alone: bool,
    /// What the explanations say of the rest.
    pub facts: SignInFacts<'h>,
}

impl<'h> SignInFacts<'h> {
    /// What a request that somebody else received carries, under the names that Grafana has by default.
    pub fn as_received(head: &Head<'h>, uri: &Uri) -> Self {
        Self {
            session_cookie: filled(&head.cookie, b"grafana_session").is_some(),
            render_key: filled(&head.cookie, b"renderKey").is_some(),
            identity_header: head.identity_dropped.is_some(),
            jwt_in_query: uri.query().and_then(|query| query_value(query, "auth_token")).is_some(),
            identity_dropped: None,
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
    /// Whether the peer is a trusted proxy.
    pub trusted: bool,
    /// What is in `Authorization`.
    pub authorization: &'a Judgement<'h>,
    /// What that is filed under.
    pub key: Option<BucketKey>,
}

impl<'h> SignIn<'h> {
    /// Finds every credential of a request.
    pub fn find(request: Request<'_, 'h>, clients: &client::Settings, hash_key: &HashKey) -> Self {
        let Request { head, uri, trusted, authorization, key } = request;
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
            jwt_in_query: in_query.is_some(),
            identity_dropped: dropped(head, trusted),
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
        let credential = if let Some(key) = key {
            Some((
                Carrier::Authorization,
                Credential { key, budget: key, standing: standing(authorization), takes_question: false },
            ))
        } else if let Some(user) = user {
            Some(of(Carrier::IdentityHeader, USER_HEADER, user, Standing::Vouched))
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
            + usize::from(in_query.is_some())
            + usize::from(render_key.is_some())
            // A session may have a name that we were not told.
            + usize::from(session.is_some() || !head.cookie.is_empty() && render_key.is_none());
        let is_alone = others + usize::from(key.is_some()) < 2;
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

/// The user whom a trusted proxy names.
fn user_named<'h>(head: &Head<'h>, trusted: bool, clients: &client::Settings) -> Option<&'h [u8]> {
    let lines = || head.identity.iter().filter(|line| !line.value.is_empty());
    let first = lines().next().filter(|_| trusted)?;
    let own = lines().find(|line| line.place == clients.user_header());
    Some(own.unwrap_or(first).value)
}

/// The header that would have named a user.
fn dropped<'h>(head: &Head<'h>, trusted: bool) -> Option<&'h [u8]> {
    let configured = head.identity.first().filter(|_| !trusted).map(|line| line.name);
    configured.or(head.identity_dropped)
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
