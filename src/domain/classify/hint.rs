//! The words of a verdict: the detail says what speaks for the reason and what else is wrong, the hint names the next
//! step for this very request.

use std::borrow::Cow;
use std::fmt::{self, Display};

use super::super::head::RequestFacts;
use super::super::reason::{Reason, Source};
use super::super::token::TokenKind;
use super::{Case, Finding, Verdict, credential, describe, marks, own, signers};

mod credential_step;

use self::credential_step::{damaged, mismatch, missing, move_token, to_login, unrecognised, vague};

pub(super) fn write(case: &Case<'_>, finding: Finding) -> Verdict {
    let mut detail = String::new();
    let first = done_by_us(case, finding.reason).into_iter().filter(|said| *said != finding.because);
    let found = first.map(Cow::Owned).chain([finding.because.clone()]);
    for clause in found.chain(remarks(case, &finding).into_iter().map(Cow::Owned)) {
        if !detail.is_empty() {
            detail.push(' ');
        }
        detail.push_str(&sentence(&clause));
    }
    let hint = sentence(&step(case, &finding));
    Verdict { reason: finding.reason, detail, hint, permission: finding.permission }
}

fn sentence(clause: &str) -> String {
    let mut text = String::with_capacity(clause.len() + 1);
    text.push_str(clause);
    if let Some(first) = text.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    if !clause.ends_with('.') {
        text.push('.');
    }
    text
}

/// Whether a refusal is about who sent the request, not about what was asked for.
fn is_about_caller(reason: Reason) -> bool {
    let about_object = matches!(
        reason,
        Reason::QuotaReached
            | Reason::FeatureDisabled
            | Reason::ReadOnly
            | Reason::DatasourcePolicy
            | Reason::OriginNotAllowed
            | Reason::LiveOriginNotAllowed
            | Reason::RedirectedToRootUrl
            | Reason::EndpointRemoved
            | Reason::GrafanaRateLimited
            | Reason::ApiserverRateLimited
    );
    reason.source() == Source::Grafana && !about_object
}

/// Whether it says that somebody who was signed in may not do something.
fn is_want_of_right(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::PermissionMissing
            | Reason::RoleTooLow
            | Reason::FolderDenied
            | Reason::NotAMember
            | Reason::DatasourceDenied
            | Reason::ForbiddenUnexplained
            | Reason::RedirectedHome
    )
}

/// What we did ourselves, where it may be the cause.
fn done_by_us(case: &Case<'_>, reason: Reason) -> Vec<String> {
    if !is_about_caller(reason) {
        return Vec::new();
    }
    let request = case.request;
    let may_matter = own::may_have_mattered(request, is_want_of_right(reason));
    let dropped = own::dropped_identity(request).filter(|_| may_matter);
    dropped.into_iter().chain(own::unused_carrier(request)).collect()
}

/// What else could have signed in, and did or did not.
fn rivals(case: &Case<'_>, finding: &Finding) -> Vec<String> {
    let (request, reason) = (case.request, finding.reason);
    if !is_about_caller(reason) || matches!(reason, Reason::CredentialMissing | Reason::UsersOnly) {
        return Vec::new();
    }
    if is_want_of_right(reason) {
        return signers::of_forbidden(request, finding.permission.as_deref());
    }
    if reason == Reason::JwtInvalid {
        let is_newer = case.body.json().is_some_and(|document| document.message_id.is_some());
        let beside = if is_newer {
            "a token came along: Grafana tries it after the JWT, so it was not accepted either"
        } else {
            "a token came along: up to 10.0, Grafana refuses a JWT that it does not accept, whatever the token"
        };
        let applies = request.carriers.jwt && credential::is_token(request);
        return if applies { vec![beside.to_owned()] } else { Vec::new() };
    }
    if credential::is_absent(request) {
        let by_name = matches!(reason, Reason::AuthProxyRefused | Reason::UserMissing | Reason::UserDisabled);
        let named = signers::identity_header(request).filter(|_| by_name);
        return named.map(|name| format!("{name} named the user whom Grafana refused")).into_iter().collect();
    }
    let names_token = matches!(reason, Reason::TokenExpired | Reason::TokenRevoked | Reason::OrgMismatch);
    signers::of_unauthorised(request, names_token)
}

/// What else is wrong, or was changed, and may matter.
fn remarks(case: &Case<'_>, finding: &Finding) -> Vec<String> {
    let (request, reason) = (case.request, finding.reason);
    let mut remarks = rivals(case, finding);
    let about_credential =
        matches!(reason, Reason::TokenMalformed | Reason::TokenWrongKind | Reason::CredentialNotRecognised)
            || reason == Reason::JwtInvalid && !request.carriers.jwt;
    if !about_credential && let Some(fault) = credential::fault(request) {
        remarks.push(format!("besides, {}", fault.because));
    }
    if let (Some(own), Some(asked)) = (request.auth.token.and_then(|token| token.org), request.org.sent)
        && own != u64::from(asked)
    {
        remarks.push(format!(
            "the key says that it belongs to organisation {own}, and organisation {asked} was asked for"
        ));
    }
    // `credential_missing` on a 401 is about nothing else; on a 403 the detail has Grafana's words.
    if reason != Reason::CredentialMissing || case.status == 403 {
        if let Some(place) = credential::misplaced(request) {
            remarks.push(format!("a token is in {place}, where Grafana does not read it"));
        } else if let Some(name) = request.carriers.unread
            && !credential::is_token(request)
            && request.carrier_unused().is_none()
        {
            remarks.push(format!("`{name}` came along, which Grafana never reads"));
        }
    }
    if request.session_cookie && !credential::is_absent(request) {
        remarks.push(
            "a session cookie came along: from 10.1 on, Grafana tries it where the other credential fails".to_owned(),
        );
    }
    let names_it = matches!(reason, Reason::OrgMismatch | Reason::NotAMember | Reason::PermissionMissing);
    if reason.source() == Source::Grafana
        && !names_it
        && super::disguise::asks_for_organisation(request)
        && let Some(org) = describe::organisation(request)
    {
        remarks.push(format!("{org} was asked for"));
    }
    if !request.auth.changes.is_empty() {
        let names: Vec<_> = request.auth.changes.iter().map(super::super::credential::Change::name).collect();
        remarks.push(format!("the credential was repaired before it was sent: {}", names.join(", ")));
    }
    if reason == Reason::RedirectedToLogin && case.route.path.contains("/api/") {
        remarks.push(
            "the path holds `/api/`, but not at its start: Grafana takes it for a page, so the sub-path is wrong"
                .to_owned(),
        );
    }
    remarks
}

/// The next step: what we did ourselves first.
fn step(case: &Case<'_>, finding: &Finding) -> String {
    let request = case.request;
    let next = || next_step(case, finding);
    if !is_about_caller(finding.reason) || finding.reason == Reason::CredentialMissing {
        return next();
    }
    // Whoever named the user meant that user, and whoever sent a carrier meant what is in it.
    if credential::is_absent(request)
        && !signers::has_rival(request)
        && let Some(first) = own::step_for_identity(request)
    {
        return first;
    }
    match own::step_for_carrier(request) {
        Some(first) if credential::is_absent(request) => first,
        Some(first) => format!("{first}; if `Authorization` was meant, {}", next()),
        None => next(),
    }
}

/// The next step, where the request decides it; else the row's cure.
fn next_step(case: &Case<'_>, finding: &Finding) -> String {
    let request = case.request;
    let what = &*describe::credential(request);
    // Most hints do without it.
    let endpoint = fmt::from_fn(|f| f.write_str(&describe::endpoint(case)));
    let caller = &*signers::caller(request);
    let named = matches!(finding.reason, Reason::OrgMismatch | Reason::PermissionMissing | Reason::NotAMember);
    let org = if named { describe::organisation(request) } else { None };
    let org = org.as_deref().unwrap_or("that organisation");
    let jwt = signers::jwt(request).unwrap_or_default();
    match finding.reason {
        Reason::CredentialMissing => missing(case),
        Reason::CredentialNotRecognised => unrecognised(case),
        Reason::TokenMalformed => damaged(request).to_owned(),
        Reason::TokenWrongKind => {
            format!("make a service account in this Grafana and send its token (`glsa_…`) instead of {what}")
        }
        Reason::TokenUnknown if request.auth.token.is_some_and(|token| token.kind == TokenKind::LegacyKey) => {
            "replace the API key by a service account token of this Grafana: the key's secret is wrong, \
                the key was deleted, or this Grafana (12.1 and later) takes no keys any more"
                .to_owned()
        }
        Reason::TokenUnknown => {
            "make a new token in this very Grafana, as this one was deleted or belongs to another instance; \
            where it fails only now and then, look at Grafana's database"
                .to_owned()
        }
        Reason::TokenExpired | Reason::TokenRevoked if credential::sends_nothing(request) => {
            "find what stands between the proxy and Grafana and puts a credential of its own in: none was sent from here"
                .to_owned()
        }
        Reason::TokenExpired => {
            format!("add a new token to the service account and replace {what} that this caller sends")
        }
        Reason::TokenRevoked => format!("treat {what} as leaked: make a new one and replace it in this caller"),
        Reason::ServiceAccountDisabled if request.carriers.jwt => format!(
            "enable the service account of this token, or the user of the {jwt}: Grafana does not say which is disabled"
        ),
        Reason::ServiceAccountDisabled => {
            "enable the service account of this token under Administration → Service accounts, or send \
            another's token"
                .to_owned()
        }
        Reason::UserDisabled => format!(
            "let a server administrator enable the user {}, or send a service account token",
            if credential::is_password(request) { "whose password was sent" } else { "whom the credential names" }
        ),
        Reason::OrgMismatch => mismatch(request, org),
        Reason::PasswordWrong if case.route.is_metrics() => {
            "send the user and password of `[metrics] basic_auth_username` and `basic_auth_password` to \
            `/metrics`"
                .to_owned()
        }
        Reason::PasswordWrong if request.auth.basic_holds_token => {
            "send the token as `Authorization: Bearer <token>` instead of `Basic`, or with the user `api_key`"
                .to_owned()
        }
        Reason::PasswordWrong if credential::may_come_from_netrc(request) => {
            "if a token was meant, take this host out of `.netrc` (or `NETRC`), or tell the library not to look there \
            (requests: `session.trust_env = False`, or pass `auth=`); otherwise check user and password"
                .to_owned()
        }
        Reason::PasswordWrong => {
            "check user and password, whether the user is disabled, and whether five failures locked it for \
            five minutes; a program should send a service account token"
                .to_owned()
        }
        Reason::LoginBlocked => {
            "stop what retries with a wrong password and wait five minutes, then try again".to_owned()
        }
        Reason::JwtInvalid if request.carriers.jwt && credential::is_token(request) => format!(
            "if the token was meant, check it, or let the proxy that adds the {jwt} leave it out; otherwise compare \
            that JWT's signature, expiry, issuer and claims with `[auth.jwt]` in Grafana's configuration"
        ),
        Reason::JwtInvalid => "compare the JWT's signature, expiry, issuer and claims with `[auth.jwt]` in Grafana's \
            configuration"
            .to_owned(),
        Reason::SessionExpired => match credential::misplaced(request) {
            Some(place) => format!("{}; in a browser, log in again", move_token(&place)),
            None => {
                "log in again to get a new session cookie; a program should send a service account token".to_owned()
            }
        },
        Reason::SessionRotationDue => {
            "send `POST /api/user/auth-tokens/rotate` with the old cookie, keep the new one, and repeat the \
            request"
                .to_owned()
        }
        Reason::SessionRevoked => {
            "log in again, as the session was ended by an administrator or by the limit of concurrent \
            sessions"
                .to_owned()
        }
        Reason::UserMissing if credential::is_token(request) && signers::has_rival(request) => {
            let others = signers::without_authorization(request);
            format!(
                "let Grafana create {others} at sign-in (`auto_sign_up`), or make a new service account and token: Grafana \
                does not say which is missing"
            )
        }
        Reason::UserMissing if credential::is_token(request) => {
            "make a new service account and token, as the account behind this token is gone".to_owned()
        }
        Reason::UserMissing => {
            format!("make the account that {what} names, or let Grafana create it at sign-in (`auto_sign_up`)")
        }
        Reason::UnauthorizedUnexplained => vague(case, what),
        Reason::PermissionMissing => permission(case, finding, caller, &endpoint, org),
        Reason::RoleTooLow => format!(
            "give {caller} a higher role in its organisation for {endpoint}, or, if the call is server-wide, \
            use the server administrator's user and password"
        ),
        Reason::FolderDenied => format!(
            "give {caller} access to the folder or dashboard behind {endpoint}, after checking that it \
            exists in the organisation of the caller"
        ),
        Reason::NotAMember => {
            format!("add the caller to {org} or ask for one that it belongs to, after checking that it exists")
        }
        Reason::OauthExpired => {
            "log in again; if it recurs, let Grafana refresh the session itself (`use_refresh_token`, scope \
                `offline_access`)"
                .to_owned()
        }
        Reason::QuotaReached => format!(
            "delete what is not needed or raise the quota (`[quota]`, or the quota API), then repeat {endpoint}"
        ),
        Reason::FeatureDisabled => format!(
            "switch on in Grafana's configuration what {endpoint} needs, or do without it: the credential is not at fault"
        ),
        Reason::ReadOnly => format!(
            "change it where it is provisioned from instead of by {endpoint}, or mark it `editable: true` there"
        ),
        Reason::DatasourceDenied => {
            format!("add {caller}, its team or its role to the permissions of the datasource behind {endpoint}")
        }
        Reason::DatasourcePolicy => format!(
            "use the query API (`POST /api/ds/query`) instead of {endpoint}, talk to the datasource itself, or let \
                `data_source_proxy_whitelist` hold it"
        ),
        Reason::UsersOnly => {
            format!("use a user's credential for {endpoint}, or `GET /api/org` if the call was only to test the token")
        }
        Reason::OriginNotAllowed => origin(request, "list that bare host name in `[security] csrf_trusted_origins`"),
        Reason::LiveOriginNotAllowed => origin(request, "list the origin in `[live] allowed_origins`"),
        Reason::ForbiddenUnexplained if case.route.path.contains("/namespaces/org-1/") => {
            "name the namespace of organisation 1 `default`: Grafana does not take `org-1` for it".to_owned()
        }
        Reason::GrafanaRateLimited => "nothing to do: only front-end logs were lost; `[log.frontend] \
                log_endpoint_requests_per_second_limit` allows more"
            .to_owned(),
        Reason::ForbiddenUnexplained => format!(
            "compare what {caller} may do (`GET /api/access-control/user/permissions`) with what {endpoint} \
            needs, and read Grafana's log of that moment"
        ),
        Reason::DatasourceUnauthorized => format!(
            "mend the credential that Grafana sends to the datasource behind {endpoint}, in the datasource's \
            settings: the caller's own credential is not at fault"
        ),
        Reason::DatasourceForbidden => format!(
            "give the datasource's own credential or tenant the right to serve {endpoint}: the caller's own \
            credential is not at fault"
        ),
        Reason::DatasourceRateLimited => {
            format!("query the datasource behind {endpoint} less, or raise its limits{}", retry_after(case))
        }
        Reason::HopUnauthorized | Reason::HopForbidden => {
            "point `upstream.url` at Grafana itself, or give what stands between us and Grafana what it asks \
            for"
            .to_owned()
        }
        Reason::HopRateLimited => format!("raise the limit of what stands between us and Grafana{}", retry_after(case)),
        Reason::ApiserverRateLimited => format!("send fewer requests at once to {endpoint}{}", retry_after(case)),
        Reason::RedirectedToLogin => to_login(case),
        Reason::RedirectedHome if credential::sends_nothing(request) || credential::fault(request).is_some() => {
            format!("log in, or send a credential that works with {endpoint}")
        }
        Reason::RedirectedHome => {
            format!("give {caller} the role that the page {endpoint} needs; an API call under `/api/` would name it")
        }
        Reason::RedirectedToRootUrl => root_url(case),
        Reason::EndpointRemoved => format!(
            "use `POST /api/serviceaccounts` and `POST /api/serviceaccounts/{{id}}/tokens` instead of \
            {endpoint}"
        ),
        other => first_sentence(other.cure()).to_owned(),
    }
}

fn first_sentence(text: &str) -> &str {
    text.split_once(". ").map_or(text, |(first, _)| first)
}

fn permission(case: &Case<'_>, finding: &Finding, caller: &str, endpoint: impl Display, org: &str) -> String {
    let place = if super::disguise::asks_for_organisation(case.request) { format!(" in {org}") } else { String::new() };
    let nobody = credential::sends_nothing(case.request);
    if nobody && let Some(place) = credential::misplaced(case.request) {
        return move_token(&place);
    }
    match finding.permission.as_deref() {
        Some("") | None if nobody => {
            format!("send a credential with {endpoint}, as the anonymous visitor lacks the permission")
        }
        Some("") | None => format!("give {caller} access to what {endpoint} is about{place}"),
        Some(permission) if nobody => {
            format!(
                "send a credential that has `{permission}`{place} with {endpoint}, as the anonymous visitor has not"
            )
        }
        Some(permission) if server_wide(case, permission) => format!(
            "use the server administrator's user and password for {endpoint}, as `{permission}` is \
                needed server-wide, which no token has"
        ),
        Some(permission) => format!("give {caller} a role that holds `{permission}` for {endpoint}{place}"),
    }
}

/// Permissions on the whole server, which belong to no organisation's roles.
fn server_wide(case: &Case<'_>, permission: &str) -> bool {
    case.route.is_organisations()
        || matches!(permission, "users:read" | "users:create" | "settings:read" | "server.stats:read")
}

fn origin(request: &RequestFacts, cure: &str) -> String {
    match (describe::value(request.origin.as_ref()), describe::value(request.host.as_ref())) {
        (Some(origin), Some(host)) => {
            format!(
                "let every proxy pass `Host` unchanged, as `Origin` is `{origin}` and `Host` is `{host}`, or {cure}"
            )
        }
        _ => format!("let every proxy pass `Host` unchanged, so that it agrees with `Origin`, or {cure}"),
    }
}

fn root_url(case: &Case<'_>) -> String {
    if super::disguise::query_value(case.request, "orgId").is_some() {
        return "send `X-Grafana-Org-Id` instead of `?orgId=`, which switches the user for good and redirects"
            .to_owned();
    }
    let host = describe::value(case.request.host.as_ref());
    format!(
        "call Grafana by the host and path of its `root_url` instead of `{}`, or let every proxy pass `Host` unchanged",
        host.as_deref().unwrap_or("this host")
    )
}

fn retry_after(case: &Case<'_>) -> String {
    let value = case.header("retry-after");
    match value.parse::<u32>() {
        Ok(seconds) => format!(", and retry after {seconds} s"),
        Err(_) if marks::passed_on(case.headers) => String::new(),
        Err(_) => ", and retry later".to_owned(),
    }
}
