//! The next step where the credential, or the lack of one, is at fault.

use super::super::super::credential::AuthForm;
use super::super::super::head::{RequestFacts, Spelling};
use super::super::super::reason::Reason;
use super::super::super::token::Damage;
use super::super::credential::Place;
use super::super::{Case, credential, describe, own, signers};

pub(super) fn missing(case: &Case<'_>) -> String {
    let request = case.request;
    if case.route.is_metrics() {
        return "send the user and password of `[metrics] basic_auth_username` and `basic_auth_password` to `/metrics`"
            .to_owned();
    }
    if let Some(step) = own::step_for_identity(request).or_else(|| own::step_for_carrier(request)) {
        return step;
    }
    if let Some(place) = credential::misplaced(request) {
        return move_token(&place);
    }
    if let Some(name) = request.carriers.unread {
        return format!(
            "move the token from `{name}` to `Authorization: Bearer <token>`, or name that header in \
                `authorization.restore_from`"
        );
    }
    if let (AuthForm::None, Some(name)) = (request.auth.received, credential::in_query(request)) {
        return format!(
            "move the token from `{name}` in the query to `Authorization: Bearer <token>`, and replace it, as URLs are logged"
        );
    }
    if let Some(jwt) = signers::jwt(request) {
        return format!(
            "send `Authorization: Bearer <service account token>`, or let `[auth.jwt]` in Grafana's configuration read the \
             {jwt}; if the client sends a token, a hop in front of the proxy removes it"
        );
    }
    if request.auth.received != AuthForm::None {
        return "put the token behind the scheme in `Authorization`: the variable it comes from is empty".to_owned();
    }
    format!(
        "send `Authorization: Bearer <service account token>` with {}; if the client does, a hop in \
            front of the proxy removes it: repeat the call with `X-Token-Proxy-Probe: 1` from each side of that hop",
        describe::endpoint(case)
    )
}

/// Where a token belongs that is in another place.
pub(super) fn move_token(place: &Place) -> String {
    match place {
        Place::Header(name) => format!(
            "move the token from {name} to `Authorization: Bearer <token>`, or name that header in \
             `authorization.restore_from`"
        ),
        Place::Cookie(_) => format!("move the token from {place} to `Authorization: Bearer <token>`"),
        Place::Query(_) => {
            format!(
                "move the token from {place} to `Authorization: Bearer <token>`, and replace it, as URLs are logged"
            )
        }
    }
}

pub(super) fn unrecognised(case: &Case<'_>) -> String {
    let request = case.request;
    if case.route.is_metrics() {
        return "send the user and password of `[metrics] basic_auth_username` to `/metrics` instead of a token"
            .to_owned();
    }
    if credential::is_password(request) && request.auth.spelling == Spelling::Exact {
        return "switch basic authentication on in Grafana (`[auth.basic] enabled`), or send a service account token"
            .to_owned();
    }
    if credential::is_token(request) {
        return "look for what stands between the proxy and Grafana and removes `Authorization`: call Grafana's own port with \
                the same token".to_owned();
    }
    match request.auth.sent {
        AuthForm::Basic | AuthForm::BasicApiKey => {
            "write the scheme exactly as `Basic `, with a capital and one blank".to_owned()
        }
        AuthForm::Bearer | AuthForm::BareToken | AuthForm::Jwt => {
            "write `Authorization: Bearer <token>` exactly so, or set `authorization.repair: on`".to_owned()
        }
        AuthForm::None if request.carriers.auth_proxy => format!(
            "switch `[auth.proxy]` on in Grafana and let its `header_name` be {}, or send a service account token",
            describe::credential(request)
        ),
        AuthForm::None => "check `[auth] login_cookie_name` in Grafana, or send a service account token".to_owned(),
        _ => "send `Authorization: Bearer <service account token>`: what was sent is neither that nor `Basic` \
            with base64 of `user:password`"
            .to_owned(),
    }
}

/// A page never says what was wrong: where the credential shows it, that is the step; else an API call does.
pub(super) fn to_login(case: &Case<'_>) -> String {
    let request = case.request;
    if credential::sends_nothing(request) {
        if let Some(place) = credential::misplaced(request) {
            return move_token(&place);
        }
        return format!(
            "log in to see {}; a program should call `/api/…` with `Authorization: Bearer <service account token>`",
            describe::endpoint(case)
        );
    }
    match credential::fault(request).map(|fault| fault.reason) {
        Some(Reason::CredentialNotRecognised) => unrecognised(case),
        Some(Reason::TokenMalformed) => damaged(request).to_owned(),
        Some(_) => "send a service account token (`glsa_…`) of this Grafana".to_owned(),
        None => format!("send {} to `GET /api/org`, which says what is wrong with it", alone(request)),
    }
}

pub(super) fn damaged(request: &RequestFacts) -> &'static str {
    match request.auth.token.and_then(|token| token.damage) {
        Some(Damage::Checksum) => "copy the token again, as a character was changed, or make a new one",
        Some(Damage::Truncated) => "copy the whole token again (46 characters for `glsa_…`), as its end is missing",
        Some(Damage::Surrounded) => {
            "send the bare token without quotes, `\\n`, second scheme or comma around it, or set \
                `authorization.repair: on`"
        }
        Some(Damage::Placeholder) => "fill in the token where the placeholder stands: the variable was not expanded",
        Some(Damage::Encoded) => "send the token as Grafana showed it: it was base64-encoded once more",
        Some(Damage::NotAToken) | None => "send a service account token (`glsa_…`) of this Grafana behind `Bearer `",
    }
}

pub(super) fn mismatch(request: &RequestFacts, org: &str) -> String {
    match request.auth.token.and_then(|token| token.org) {
        Some(own) => format!("ask for organisation {own}, to which the key belongs, or send a token made in {org}"),
        None => format!("leave the organisation out, or send a token that was made in {org}"),
    }
}

/// The credential, and what to leave out for a clear response.
fn alone(request: &RequestFacts) -> String {
    let what = describe::credential(request);
    match signers::jwt(request) {
        Some(jwt) if !credential::is_absent(request) => format!("{what} without the {jwt}"),
        _ => what.into_owned(),
    }
}

pub(super) fn vague(case: &Case<'_>, what: &str) -> String {
    if case.route.path.ends_with("/api/user/using") || case.route.path.ends_with("/api/org") {
        return format!(
            "read Grafana's log of that moment to learn what is wrong with {what}: expired, revoked, \
                disabled and unknown look the same here"
        );
    }
    format!(
        "send {} to `GET /api/org`, which says more than {}: expired, revoked, disabled and unknown look the same here",
        alone(case.request),
        describe::endpoint(case)
    )
}
