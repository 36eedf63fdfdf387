//! Who could have signed in by a request, in the order in which Grafana tries: the renderer's cookie, a JWT, what is in
//! `Authorization`, the header of a trusted proxy, the session cookie, the anonymous visitor. From 10.1 on what fails is
//! passed over, so whoever comes later may be the one that Grafana judged.

use std::borrow::Cow;

use super::super::head::RequestFacts;
use super::super::misplaced::shown;
use super::super::token::TokenKind;
use super::credential;

/// The JWT outside `Authorization`, by the place that it is in.
pub(super) fn jwt(request: &RequestFacts) -> Option<String> {
    request.carriers.jwt.then(|| match request.jwt_in() {
        Some(name) => format!("JWT in {}", header(name)),
        None => "JWT in `auth_token` of the query".to_owned(),
    })
}

/// The header that names the user and went to Grafana.
pub(super) fn identity_header(request: &RequestFacts) -> Option<String> {
    let name = || request.identity_in().map_or_else(|| "the user header of `auth.proxy`".to_owned(), header);
    request.carriers.auth_proxy.then(name)
}

/// A header's name, where it may be shown.
pub(super) fn header(name: &[u8]) -> String {
    shown(name).map_or_else(|| "another header".to_owned(), |name| format!("`{name}`"))
}

/// Who could have signed in by something else than `Authorization`, before it and after it.
fn others(request: &RequestFacts) -> [Vec<String>; 2] {
    let render_key = request.render_key.then(|| "the user of the cookie `renderKey`".to_owned());
    let jwt = jwt(request).map(|jwt| format!("the user of the {jwt}"));
    let named = identity_header(request).map(|name| format!("the user named by {name}"));
    let session = request.session_cookie.then(|| "the session cookie's user".to_owned());
    [render_key.into_iter().chain(jwt).collect(), named.into_iter().chain(session).collect()]
}

/// Whether something else than `Authorization` may have signed in, beside what is in it.
pub(super) fn has_rival(request: &RequestFacts) -> bool {
    request.carriers.jwt || request.carriers.auth_proxy || request.render_key || request.session_cookie
}

/// Whether Grafana tries something before `Authorization`, so that a fault of the latter need not be what it judged.
pub(super) fn has_first(request: &RequestFacts) -> bool {
    request.carriers.jwt || request.render_key
}

/// Who is behind what is in `Authorization`.
fn own(request: &RequestFacts) -> Option<&'static str> {
    if credential::is_absent(request) || has_rival(request) && credential::fault(request).is_some() {
        return None;
    }
    if !credential::is_token(request) {
        return Some("the signed-in user");
    }
    Some(match request.auth.token.map(|token| token.kind) {
        Some(TokenKind::LegacyKey) => "the API key",
        Some(_) => "the token's service account",
        None => "the caller",
    })
}

/// Whom Grafana judged, as far as the request says. Where it does not, the first whom Grafana tries, and the others.
pub(super) fn caller(request: &RequestFacts) -> Cow<'static, str> {
    if !has_rival(request) {
        let visitor = credential::sends_nothing(request);
        return own(request).unwrap_or(if visitor { "the anonymous visitor" } else { "the signed-in user" }).into();
    }
    let [before, after] = others(request);
    let own = own(request).map(str::to_owned);
    one_of(before.into_iter().chain(own).chain(after)).into()
}

/// Whom Grafana judges where it does not accept what is in `Authorization`.
pub(in crate::domain) fn without_authorization(request: &RequestFacts) -> String {
    let [before, after] = others(request);
    let mut all = before.into_iter().chain(after).peekable();
    if all.peek().is_none() { "the anonymous visitor".to_owned() } else { one_of(all) }
}

fn one_of(mut all: impl Iterator<Item = String>) -> String {
    let first = all.next().unwrap_or_default();
    let rest: Vec<_> = all.collect();
    if rest.is_empty() { first } else { format!("{first} (or, where Grafana passed over that, {})", rest.join(" or ")) }
}

/// What is in `Authorization`, in a sentence about what came beside it.
fn held(request: &RequestFacts) -> &'static str {
    if credential::is_token(request) {
        "the token"
    } else if credential::is_password(request) {
        "the user and password"
    } else {
        "what is in `Authorization`"
    }
}

/// Whom a refusal for want of a right may be about, where that is not plain.
pub(super) fn of_forbidden(request: &RequestFacts, permission: Option<&str>) -> Vec<String> {
    let (jwt, named) = (jwt(request), identity_header(request));
    let lacking = permission.filter(|permission| !permission.is_empty());
    let refused = lacking.map_or_else(|| "was refused".to_owned(), |permission| format!("lacks `{permission}`"));
    let rest = || if request.session_cookie { "the session cookie's user" } else { "the anonymous visitor" };
    let mut said = Vec::new();
    if credential::is_absent(request) {
        if let Some(jwt) = &jwt {
            let next = named.as_ref().map_or_else(|| rest().to_owned(), |name| format!("the user named by {name}"));
            said.push(format!("Grafana judged the user of the {jwt}, or, where it does not read that JWT, {next}"));
        }
        if let Some(name) = &named {
            said.push(format!(
                "{name} named the user whom Grafana judged; where `auth.proxy` does not read it, {} was judged",
                rest()
            ));
        }
        return said;
    }
    if let Some(jwt) = &jwt {
        said.push(format!(
            "a {jwt} came along, and Grafana tries it before {}: its user may be the one who {refused}",
            held(request)
        ));
    }
    if let Some(name) = &named {
        said.push(format!(
            "{name} named a user: from 10.1 on, that user may be the one who {refused}, where Grafana did not accept {}",
            held(request)
        ));
    }
    said
}

/// What a JWT or an identity header beside the credential means for a 401. `names_token`: the response is about a token.
pub(super) fn of_unauthorised(request: &RequestFacts, names_token: bool) -> Vec<String> {
    let mut said = Vec::new();
    if let Some(jwt) = jwt(request) {
        said.push(if names_token {
            format!(
                "a {jwt} came along, which this Grafana does not seem to read: it would have tried it before the token"
            )
        } else {
            format!(
                "a {jwt} came along, and Grafana tries it before {}: the response may be about the JWT",
                held(request)
            )
        });
    }
    if let Some(name) = identity_header(request) {
        said.push(format!("{name} named a user: from 10.1 on, Grafana tries it where the other credential fails"));
    }
    said
}
