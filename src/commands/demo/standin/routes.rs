//! What the stand-in serves: the handful of routes that the demo needs, as Grafana 11.0.0 answers them.

use http::request::Parts;
use http::{Method, StatusCode};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::answer::Answer;
use super::login::{Caller, log_in, query_value};
use crate::commands::demo::keyring::{Account, Keyring, Role};

/// What Go's `url.QueryEscape` encodes (the space aside, which no target holds).
const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

const HEALTH: &str = "{\n  \"commit\": \"83b9528bce\",\n  \"database\": \"ok\",\n  \"version\": \"11.0.0\"\n}";

const METRICS: &str = "# HELP grafana_build_info A metric with a constant '1' value labeled by version\n\
                       # TYPE grafana_build_info gauge\n\
                       grafana_build_info{edition=\"oss\",version=\"11.0.0\"} 1\n";

const SEARCH: &str = r#"[{"id":6,"uid":"opendash","title":"Open dashboard","uri":"db/open-dashboard","url":"/d/opendash/open-dashboard","slug":"","type":"dash-db","tags":[],"isStarred":false,"sortMeta":0}]"#;

const DASHBOARD: &str = r#"{"meta":{"type":"db","canSave":false,"canEdit":false,"canAdmin":false,"canStar":true,"canDelete":false,"slug":"open-dashboard","url":"/d/opendash/open-dashboard","version":1,"isFolder":false},"dashboard":{"id":6,"panels":[],"schemaVersion":39,"title":"Open dashboard","uid":"opendash","version":1}}"#;

const PAGE: &str = "<!DOCTYPE html>\n<html lang=\"en-US\">\n  <head>\n    <meta charset=\"utf-8\" />\n    \
                    <title>Grafana</title>\n    <base href=\"/\" />\n  </head>\n  <body>\n    \
                    <p>This is the demo's stand-in for Grafana.</p>\n  </body>\n</html>\n";

/// Answers a request. `error_id` is the number that a refusal for want of a permission carries.
pub(super) fn answer(keyring: &Keyring, request: &Parts, error_id: &str) -> Answer {
    let path = request.uri.path();
    match path {
        "/api/health" => return Answer::health(HEALTH),
        "/healthz" => return Answer::plain("Ok"),
        "/metrics" => return Answer::streamed("text/plain; version=0.0.4; charset=utf-8", METRICS),
        "/login" => return Answer::streamed("text/html; charset=UTF-8", PAGE),
        _ => {}
    }
    let caller = log_in(keyring, request);
    // Grafana's own test: it takes `/apis/…` in, and so do we.
    if !path.starts_with("/api") {
        return page(request, caller);
    }
    let through_datasource = path.starts_with("/api/datasources/proxy/");
    let account = match caller {
        Caller::Known(account) => account,
        Caller::Stranger(failure) if through_datasource => return failure.answer().without_cache_control(),
        Caller::Stranger(failure) => return failure.answer(),
    };
    let asked = query_value(request, "orgId").and_then(|org| org.parse::<u64>().ok());
    if asked.is_some_and(|org| org > 0 && org != account.org) {
        return not_found();
    }
    if through_datasource { datasource(path) } else { api(request, account, error_id) }
}

/// A page never says why: it sends whoever is nobody to the login page.
fn page(request: &Parts, caller: Caller) -> Answer {
    let target = request.uri.path_and_query().map_or("/", |target| target.as_str());
    let escaped = utf8_percent_encode(target, QUERY).to_string();
    match caller {
        // An API key of old cannot see the home page, and is sent there for ever.
        Caller::Known(account) if account.is_legacy && target == "/" => Answer::redirect("/", Some(escaped)),
        Caller::Known(_) => Answer::streamed("text/html; charset=UTF-8", PAGE),
        Caller::Stranger(_) => Answer::redirect("/login", (target != "/").then_some(escaped)),
    }
}

fn api(request: &Parts, account: Account, error_id: &str) -> Answer {
    let path = request.uri.path().trim_end_matches('/');
    let is_admin = account.role == Role::Admin;
    let get = request.method == Method::GET || request.method == Method::HEAD;
    let permitted = |permission, answer: Answer| if is_admin { answer } else { needs(permission, error_id) };
    match path {
        "/api/org" if get => Answer::handler(StatusCode::OK, organisation(account.org)),
        "/api/org" if request.method == Method::PUT => {
            permitted("orgs:write", Answer::handler(StatusCode::OK, r#"{"message":"Organization updated"}"#))
        }
        "/api/org/preferences" if get => {
            permitted("orgs.preferences:read", Answer::handler(StatusCode::OK, r#"{"theme":"","timezone":""}"#))
        }
        "/api/org/users" if get => permitted("org.users:read", Answer::handler(StatusCode::OK, "[]")),
        "/api/search" if get => Answer::handler(StatusCode::OK, SEARCH),
        "/api/dashboards/uid/opendash" if get => Answer::handler(StatusCode::OK, DASHBOARD),
        "/api/dashboards/uid/opendash" if request.method == Method::DELETE => permitted(
            "dashboards:delete",
            Answer::handler(
                StatusCode::BAD_REQUEST,
                r#"{"message":"provisioned dashboard cannot be deleted","traceID":""}"#,
            ),
        ),
        _ if get && path.starts_with("/api/dashboards/uid/") => {
            Answer::handler(StatusCode::NOT_FOUND, r#"{"message":"Dashboard not found","traceID":""}"#)
        }
        // An administrator of an organisation is none of the server, and neither is any service account.
        "/api/admin/stats" if get => needs("server.stats:read", error_id),
        "/api/admin/settings" if get => needs("settings:read", error_id),
        "/api/users" if get => needs("users:read", error_id),
        "/api/orgs" if get => needs("orgs:read", error_id),
        "/api/user" if get => users_only(),
        _ if request.method == Method::POST && path.starts_with("/api/user/using/") => users_only(),
        _ => not_found(),
    }
}

fn organisation(org: u64) -> String {
    let name = if org == 1 { "Main Org." } else { "Org Two" };
    format!(
        r#"{{"id":{org},"name":"{name}","address":{{"address1":"","address2":"","city":"","zipCode":"","state":"","country":""}}}}"#
    )
}

fn needs(permission: &str, error_id: &str) -> Answer {
    let json = format!(
        r#"{{"accessErrorId":"ACE{error_id}","message":"You'll need additional permissions to perform this action. Permissions needed: {permission}","title":"Access denied"}}"#
    );
    Answer::middleware(StatusCode::FORBIDDEN, &json)
}

fn users_only() -> Answer {
    Answer::handler(StatusCode::FORBIDDEN, r#"{"message":"Endpoint only available for users"}"#)
}

fn not_found() -> Answer {
    Answer::middleware(StatusCode::NOT_FOUND, r#"{"message":"Not found"}"#)
}

/// Four datasources, called after what they answer.
fn datasource(path: &str) -> Answer {
    let uid = path.strip_prefix("/api/datasources/proxy/uid/").and_then(|rest| rest.split('/').next());
    match uid.unwrap_or_default() {
        "up200" => Answer::of_datasource(
            StatusCode::OK,
            "application/json",
            None,
            r#"{"status":"success","data":{"resultType":"vector","result":[]}}"#,
        ),
        "up401" => Answer::datasource_login_failed(),
        "up403" => Answer::of_datasource(StatusCode::FORBIDDEN, "text/plain", None, "RBAC: access denied"),
        "up429" => Answer::of_datasource(
            StatusCode::TOO_MANY_REQUESTS,
            "text/plain; charset=utf-8",
            Some("30"),
            "ingestion rate limit exceeded\n",
        ),
        _ => Answer::middleware(StatusCode::NOT_FOUND, r#"{"message":"Unable to find datasource","traceID":""}"#)
            .without_cache_control(),
    }
}
