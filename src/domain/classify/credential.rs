//! What the credential that was sent gives away by itself, whatever the answer says.

use std::fmt::{self, Display};

use super::super::credential::AuthForm;
use super::super::head::{RequestFacts, Spelling};
use super::super::misplaced::{self, Misplaced, shown};
use super::super::reason::Reason;
use super::super::token::{Damage, TokenFacts, TokenKind};
use super::{Case, Finding, describe, own, signers};

/// Whether `Authorization` was missing, or held a scheme and nothing else.
pub(super) fn is_absent(request: &RequestFacts) -> bool {
    request.auth.sent == AuthForm::None || request.auth.spelling == Spelling::Empty
}

/// Whether nothing at all was sent that Grafana could take for a credential.
pub(super) fn sends_nothing(request: &RequestFacts) -> bool {
    let carriers = request.carriers;
    is_absent(request)
        && !request.session_cookie
        && !request.render_key
        && !carriers.auth_proxy
        && !carriers.jwt
        && !carriers.access_token
}

/// Whether Grafana took the credential for a token: `Bearer x`, or `Basic api_key:x`, with the scheme spelt exactly so.
pub(super) fn is_token(request: &RequestFacts) -> bool {
    request.auth.spelling == Spelling::Exact
        && matches!(request.auth.sent, AuthForm::Bearer | AuthForm::BasicApiKey | AuthForm::Jwt)
}

/// Whether it went as user and password. `basic api_key:…` does: only the exact `Basic ` makes a token of it.
pub(super) fn is_password(request: &RequestFacts) -> bool {
    match request.auth.sent {
        AuthForm::Basic => request.auth.spelling != Spelling::Empty,
        AuthForm::BasicApiKey => request.auth.spelling == Spelling::Inexact,
        _ => false,
    }
}

/// Names of query parameters that people put a token in. `auth_token` is none of them: `auth.jwt` may read it.
const IN_QUERY: [&str; 6] = ["api_key", "apikey", "api-key", "token", "access_token", "authorization"];

/// The query parameter in which a credential seems to be, by its name. Grafana reads none there.
pub(super) fn in_query(request: &RequestFacts) -> Option<&'static str> {
    let query = request.uri.query()?;
    let names = query.split('&').filter_map(|pair| pair.split_once('=')).filter(|(_, value)| !value.is_empty());
    names.into_iter().find_map(|(name, _)| IN_QUERY.into_iter().find(|known| known.eq_ignore_ascii_case(name)))
}

/// Where a token is that Grafana does not read there.
#[derive(Debug)]
pub(super) enum Place {
    /// In a header.
    Header(String),
    /// In a cookie.
    Cookie(String),
    /// In the query.
    Query(String),
}

impl Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header(name) => f.write_str(name),
            Self::Cookie(name) => write!(f, "the cookie {name}"),
            Self::Query(name) => write!(f, "{name} in the query"),
        }
    }
}

/// A token that is in another place than `Authorization`, recognised by its own spelling.
pub(super) fn misplaced(request: &RequestFacts) -> Option<Place> {
    // A carrier that was not used has words of its own.
    if is_token(request) || request.carrier_unused().is_some() {
        return None;
    }
    let named = |name: &[u8], other: &str| shown(name).map_or_else(|| other.to_owned(), |name| format!("`{name}`"));
    match request.misplaced() {
        Some(Misplaced::Header(name)) => Some(Place::Header(named(name, "another header"))),
        Some(Misplaced::Cookie(name)) => Some(Place::Cookie(named(name, "of another name"))),
        None => {
            let name = request.uri.query().and_then(misplaced::in_query)?;
            Some(Place::Query(named(name.as_bytes(), "a parameter")))
        }
    }
}

/// What is visibly wrong with the credential, as Grafana got it.
pub(super) fn fault(request: &RequestFacts) -> Option<Finding> {
    if is_absent(request) || is_password(request) {
        return None;
    }
    if !is_token(request) {
        return Some(Finding::new(Reason::CredentialNotRecognised, unrecognised(request)));
    }
    if request.auth.sent == AuthForm::Jwt {
        return Some(Finding::new(Reason::TokenWrongKind, "a JWT stands where a service account token belongs"));
    }
    token_fault(request.auth.token.as_ref()?)
}

fn token_fault(token: &TokenFacts) -> Option<Finding> {
    match token.kind {
        TokenKind::CloudAccessPolicy => {
            return Some(Finding::new(Reason::TokenWrongKind, "`glc_…` is a token of Grafana Cloud's own API"));
        }
        TokenKind::Jwt => {
            return Some(Finding::new(Reason::TokenWrongKind, "a JWT stands where a service account token belongs"));
        }
        _ => {}
    }
    let because = match token.damage? {
        Damage::Checksum => "the token's checksum does not hold: a character was changed, or it was invented",
        Damage::Truncated => "the token is cut off",
        Damage::Surrounded => "something stands before or behind the token (quotes, a literal `\\n`, a comma …)",
        Damage::Placeholder => "a placeholder stands where the token belongs",
        Damage::Encoded => "the token was base64-encoded once more",
        Damage::NotAToken => "what stands behind the scheme is no token of Grafana",
    };
    Some(Finding::new(Reason::TokenMalformed, because))
}

fn unrecognised(request: &RequestFacts) -> &'static str {
    match request.auth.sent {
        AuthForm::BareToken => "the token was sent without `Bearer `",
        AuthForm::Bearer | AuthForm::Jwt => "the scheme is not spelt exactly `Bearer ` with one blank",
        _ => "Grafana knows the schemes `Bearer` and `Basic` only",
    }
}

/// The same on a 403, where it can be what Grafana refused: not where something else was tried first.
pub(super) fn judged_fault(request: &RequestFacts) -> Option<Finding> {
    if signers::has_first(request) { None } else { fault(request) }
}

/// The reason for a 401 that does not explain itself.
pub(super) fn explain_vague(case: &Case<'_>) -> Finding {
    let request = case.request;
    let document = case.body.json();
    let bare = document.is_some_and(super::body::Document::is_bare_unauthorized);
    let plain = document.is_some_and(super::body::Document::is_plain_error);
    if is_absent(request) {
        return explain_absent(request, bare, plain);
    }
    if let Some(finding) = fault(request) {
        return finding;
    }
    if is_password(request) {
        // Refused before any handler: no client of Grafana took user and password. A handler that says no more than
        // `Unauthorized` (login/ping) may have seen a wrong password just as well.
        let by_middleware = case.header("content-type").contains("charset");
        return if bare && by_middleware {
            Finding::new(
                Reason::CredentialNotRecognised,
                "no part of Grafana took the user and password: basic authentication is probably off",
            )
        } else {
            Finding::new(Reason::UnauthorizedUnexplained, "the answer to user and password does not say what is wrong")
        };
    }
    if plain {
        return Finding::new(
            Reason::TokenUnknown,
            "a well-formed token, and an error without a name: Grafana does not find it",
        );
    }
    Finding::new(Reason::UnauthorizedUnexplained, "a well-formed token, and an answer that does not say what is wrong")
}

fn explain_absent(request: &RequestFacts, bare: bool, plain: bool) -> Finding {
    if request.session_cookie {
        let named = signers::identity_header(request).or_else(|| signers::jwt(request).map(|jwt| format!("the {jwt}")));
        let because = match named {
            Some(other) => format!("the session cookie was refused, and {other} signed nobody in"),
            None if bare || plain => "the session cookie is the only credential, and it was refused".to_owned(),
            None => "the session cookie is the only credential, and the answer does not say what is wrong".to_owned(),
        };
        let reason = if bare || plain { Reason::SessionExpired } else { Reason::UnauthorizedUnexplained };
        return Finding::new(reason, because);
    }
    let carriers = request.carriers;
    if plain && (carriers.jwt || carriers.auth_proxy || carriers.access_token || request.render_key) {
        let what = match describe::credential(request) {
            what if carriers.jwt || carriers.auth_proxy => what,
            _ => "another header".into(),
        };
        return Finding::new(
            Reason::UnauthorizedUnexplained,
            format!("Grafana took {what} for a credential, and does not say what is wrong with it"),
        );
    }
    if let Some(name) = signers::identity_header(request) {
        return Finding::new(
            Reason::CredentialNotRecognised,
            format!("Grafana refused the user named by {name}: `auth.proxy` is off, or reads another header"),
        );
    }
    Finding::new(Reason::CredentialMissing, missing(request))
}

/// Why Grafana saw no credential: what we did ourselves, then what is in the wrong place, then what is not there.
fn missing(request: &RequestFacts) -> String {
    if let Some(dropped) = own::dropped_identity(request).or_else(|| own::unused_carrier(request)) {
        return dropped;
    }
    let absent = match request.auth.sent {
        AuthForm::None => "there is no `Authorization`",
        _ => "there is nothing behind the scheme in `Authorization`",
    };
    if let Some(place) = misplaced(request) {
        return format!("{absent}: a token is in {place}, where Grafana does not read it");
    }
    if let (AuthForm::None, Some(name)) = (request.auth.sent, request.carriers.unread) {
        return format!("{absent}, and Grafana does not read `{name}`");
    }
    if let (AuthForm::None, Some(name)) = (request.auth.sent, in_query(request)) {
        return format!("{absent}, and Grafana reads no token from `{name}` in the query");
    }
    if let Some(jwt) = signers::jwt(request) {
        return format!("{absent}, and Grafana does not read the {jwt}");
    }
    match request.auth.sent {
        AuthForm::None => "there is no `Authorization` header".to_owned(),
        _ => absent.to_owned(),
    }
}

/// Whether the user and password may be those of `.netrc`: requests, and what is built on it, prefers them to the header
/// that it was given.
pub(super) fn may_come_from_netrc(request: &RequestFacts) -> bool {
    let agent = request.user_agent.as_deref().unwrap_or_default();
    is_password(request) && (agent.starts_with(b"python-requests/") || agent.starts_with(b"HTTPie/"))
}
