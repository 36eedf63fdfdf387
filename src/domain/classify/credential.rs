//! What the credential that was sent gives away by itself, whatever the answer says.

use super::super::credential::AuthForm;
use super::super::head::{RequestFacts, Spelling};
use super::super::reason::Reason;
use super::super::token::{Damage, TokenFacts, TokenKind};
use super::{Case, Finding};

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

/// The query parameter in which a credential seems to stand. Grafana reads none there.
pub(super) fn in_query(request: &RequestFacts) -> Option<&'static str> {
    let query = request.uri.query()?;
    let names = query.split('&').filter_map(|pair| pair.split_once('=')).filter(|(_, value)| !value.is_empty());
    names.into_iter().find_map(|(name, _)| IN_QUERY.into_iter().find(|known| known.eq_ignore_ascii_case(name)))
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
        return if bare || plain {
            Finding::new(Reason::SessionExpired, "the session cookie is the only credential, and it was refused")
        } else {
            Finding::new(
                Reason::UnauthorizedUnexplained,
                "the session cookie is the only credential, and the answer does not say what is wrong",
            )
        };
    }
    let carriers = request.carriers;
    if plain && (carriers.jwt || carriers.auth_proxy || carriers.access_token || request.render_key) {
        return Finding::new(
            Reason::UnauthorizedUnexplained,
            "Grafana took another header for a credential, and does not say what is wrong with it",
        );
    }
    if let (AuthForm::None, None, Some(name)) = (request.auth.sent, carriers.unread, in_query(request)) {
        return Finding::new(
            Reason::CredentialMissing,
            format!("there is no `Authorization`, and Grafana reads no token from `{name}` in the query"),
        );
    }
    let because = match (request.auth.sent, carriers.unread) {
        (AuthForm::None, Some(name)) => {
            return Finding::new(
                Reason::CredentialMissing,
                format!("there is no `Authorization`, and Grafana does not read `{name}`"),
            );
        }
        (AuthForm::None, None) => "there is no `Authorization` header",
        _ => "there is nothing behind the scheme in `Authorization`",
    };
    Finding::new(Reason::CredentialMissing, because)
}

/// Whether the user and password may be those of `.netrc`: requests, and what is built on it, prefers them to the header
/// that it was given.
pub(super) fn may_come_from_netrc(request: &RequestFacts) -> bool {
    let agent = request.user_agent.as_deref().unwrap_or_default();
    is_password(request) && (agent.starts_with(b"python-requests/") || agent.starts_with(b"HTTPie/"))
}
