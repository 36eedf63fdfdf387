//! Rules that no recording covers: versions after 11.0, hops, Enterprise. Bodies are built from Grafana's sources.

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};

use super::super::credential::AuthForm;
use super::super::head::{Carriers, RequestFacts, Spelling};
use super::super::org::OrgBy;
use super::super::token::TokenFacts;
use super::*;

mod identity;

const SOUND: &[u8] = b"glsa_yscW25imSKJIuav8zF37RZmnbiDvB05G_fcaaf58a";

fn request(method: Method, target: &str) -> RequestFacts {
    RequestFacts { method, uri: target.parse().unwrap(), ..RequestFacts::default() }
}

fn with_token(target: &str, token: &[u8]) -> RequestFacts {
    let mut request = request(Method::GET, target);
    request.auth.received = AuthForm::Bearer;
    request.auth.sent = AuthForm::Bearer;
    request.auth.token = Some(TokenFacts::of(token));
    request
}

fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
    pairs.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
}

fn grafanas() -> HeaderMap {
    headers(&[
        ("cache-control", "no-store"),
        ("content-type", "application/json; charset=UTF-8"),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "deny"),
    ])
}

fn verdict(request: &RequestFacts, status: u16, headers: &HeaderMap, body: &str) -> Option<Verdict> {
    let status = StatusCode::from_u16(status).unwrap();
    classify(request, &Answer { status, headers: &Fields::from(headers), body: body.as_bytes() })
}

fn reason(request: &RequestFacts, status: u16, headers: &HeaderMap, body: &str) -> Option<Reason> {
    verdict(request, status, headers, body).map(|verdict| verdict.reason)
}

fn named(id: &str, status: u16) -> String {
    format!(r#"{{"extra":null,"message":"Something","messageId":"{id}","statusCode":{status},"traceID":""}}"#)
}

#[test]
fn a_success_costs_one_comparison_and_is_no_refusal() {
    let request = with_token("/api/org", SOUND);
    for status in [200, 201, 204, 206, 304] {
        assert_eq!(look(&request, StatusCode::from_u16(status).unwrap(), &Fields::default()), Look::Away);
    }
    assert_eq!(look(&request, StatusCode::UNAUTHORIZED, &Fields::default()), Look::AtBody);
    let head = self::request(Method::HEAD, "/api/org");
    assert_eq!(look(&head, StatusCode::UNAUTHORIZED, &Fields::default()), Look::AtHead);
    assert_eq!(look(&request, StatusCode::BAD_GATEWAY, &Fields::default()), Look::Away);
}

#[test]
fn every_message_id_of_the_newer_versions_has_its_reason() {
    let token = with_token("/api/org", SOUND);
    let table = [
        ("api-key.invalid", 401, Reason::TokenUnknown),
        ("api-key.expired", 401, Reason::TokenExpired),
        ("api-key.revoked", 401, Reason::TokenRevoked),
        ("api-key.organization-mismatch", 401, Reason::OrgMismatch),
        ("api-key.invalid-type-id", 400, Reason::UnauthorizedUnexplained),
        ("identity.disabled", 401, Reason::ServiceAccountDisabled),
        ("auth.unauthorized", 401, Reason::CredentialNotRecognised),
        ("login-attempt.blocked", 401, Reason::LoginBlocked),
        ("passwordless.invalid.login-attempt", 401, Reason::LoginBlocked),
        ("jwt.invalid", 401, Reason::JwtInvalid),
        ("jwt.missing_claim", 401, Reason::JwtInvalid),
        ("jwt.invalid_role", 403, Reason::JwtInvalid),
        ("ext.jwt.invalid", 401, Reason::JwtInvalid),
        ("ext.jwt.invalid-subject", 401, Reason::JwtInvalid),
        ("ext.jwt.namespace-mismatch", 401, Reason::JwtInvalid),
        ("ext.jwt.namespace-disallowed", 401, Reason::JwtInvalid),
        ("auth-proxy.invalid-ip", 401, Reason::AuthProxyRefused),
        ("auth-proxy.empty-header", 401, Reason::AuthProxyRefused),
        ("auth-proxy.invalid-proxy-header", 500, Reason::AuthProxyRefused),
        ("session.token.rotate", 401, Reason::SessionRotationDue),
        ("oauth.expired-token", 401, Reason::OauthExpired),
        ("render-auth.invalid-key", 401, Reason::RenderKeyInvalid),
        ("user.sync.fetch-not-found", 401, Reason::UserMissing),
        ("user.sync.signup-disabled", 401, Reason::UserMissing),
        ("user.sync.mismatched-externalUID", 401, Reason::UserMissing),
        ("user.sync.empty-externalUID", 401, Reason::UserMissing),
        ("user.sync.user-externalUID-mismatch", 401, Reason::UserMissing),
        ("user.sync.user-not-provisioned", 403, Reason::UserMissing),
        ("user.sync.forbidden", 403, Reason::QuotaReached),
        ("user.sync.protected-role", 403, Reason::ForbiddenUnexplained),
        ("user.sync.internal", 500, Reason::UnauthorizedUnexplained),
        ("user.sync.fetch", 500, Reason::UserMissing),
        ("alerting.unauthorized", 403, Reason::PermissionMissing),
        ("quota.disabled", 403, Reason::FeatureDisabled),
        ("something.new", 401, Reason::UnauthorizedUnexplained),
        ("something.new", 403, Reason::ForbiddenUnexplained),
    ];
    for (id, status, expected) in table {
        assert_eq!(reason(&token, status, &grafanas(), &named(id, status)), Some(expected), "{id} {status}");
    }
    for id in ["form-auth.invalid", "auth.client.notConfigured", "quota.bad-request"] {
        assert_eq!(reason(&token, 400, &grafanas(), &named(id, 400)), None, "{id}");
    }
}

#[test]
fn basic_credentials_are_refused_by_name_as_400_or_401() {
    let mut basic = request(Method::GET, "/api/org");
    basic.auth.received = AuthForm::Basic;
    basic.auth.sent = AuthForm::Basic;
    for (id, status) in [("password-auth.failed", 400), ("password-auth.invalid", 401), ("password-auth.empty", 400)] {
        assert_eq!(reason(&basic, status, &grafanas(), &named(id, status)), Some(Reason::PasswordWrong), "{id}");
    }
    let body = named("basic-auth.invalid-header", 400);
    assert_eq!(reason(&basic, 400, &grafanas(), &body), Some(Reason::CredentialNotRecognised));
    assert_eq!(reason(&basic, 401, &grafanas(), &named("identity.disabled", 401)), Some(Reason::UserDisabled));
    // `basic api_key:…` goes as a password: only the exact `Basic ` makes a token of it.
    basic.auth.sent = AuthForm::BasicApiKey;
    basic.auth.token = Some(TokenFacts::of(SOUND));
    basic.auth.spelling = Spelling::Inexact;
    let body = named("password-auth.failed", 401);
    assert_eq!(reason(&basic, 401, &grafanas(), &body), Some(Reason::PasswordWrong));
    basic.auth.spelling = Spelling::Exact;
    assert_eq!(reason(&basic, 401, &grafanas(), &body), Some(Reason::TokenUnknown));
}

#[test]
fn grafana_8_5_sends_zeros_as_trace() {
    let token = with_token("/api/org", SOUND);
    let zeros = r#"{"message":"invalid API key","traceID":"00000000000000000000000000000000"}"#;
    assert_eq!(reason(&token, 401, &grafanas(), zeros), Some(Reason::TokenUnknown));
    let zeros = r#"{"message":"Invalid Basic Auth Header","traceID":"00000000000000000000000000000000"}"#;
    let mut bare = token.clone();
    bare.auth.sent = AuthForm::BareToken;
    bare.auth.spelling = Spelling::Inexact;
    assert_eq!(reason(&bare, 401, &grafanas(), zeros), Some(Reason::CredentialNotRecognised));
}

#[test]
fn what_was_sent_decides_not_what_was_received() {
    let mut repaired = with_token("/api/org", SOUND);
    repaired.auth.received = AuthForm::BareToken;
    repaired.auth.changes.insert(super::super::credential::Change::BearerAdded);
    let found = verdict(&repaired, 401, &grafanas(), r#"{"message":"Unauthorized","traceID":""}"#).unwrap();
    assert_eq!(found.reason, Reason::TokenUnknown);
    assert!(found.detail.contains("bearer_added"), "{}", found.detail);
}

#[test]
fn a_removed_endpoint_is_named_and_other_missing_things_are_not() {
    let keys = request(Method::POST, "/api/auth/keys");
    let text = r#"{"message":"this endpoint has been removed, please use POST /api/serviceaccounts and POST /api/serviceaccounts/{id}/tokens instead"}"#;
    assert_eq!(reason(&keys, 410, &grafanas(), text), Some(Reason::EndpointRemoved));
    assert_eq!(reason(&keys, 404, &grafanas(), r#"{"message":"Not found"}"#), Some(Reason::EndpointRemoved));
    let unknown = request(Method::GET, "/api/nope");
    assert_eq!(reason(&unknown, 404, &grafanas(), r#"{"message":"Not found"}"#), None);
}

#[test]
fn an_organisation_that_is_not_the_callers_is_named_in_every_wording() {
    let switch = with_token("/api/org?orgId=7", SOUND);
    for body in [r#"{"message":"Not found"}"#, "Not found\n", r#"{"message":"Organization with id 7 Not found"}"#] {
        assert_eq!(reason(&switch, 404, &grafanas(), body), Some(Reason::NotAMember), "{body}");
    }
    assert_eq!(reason(&with_token("/api/org?orgId=0", SOUND), 404, &grafanas(), "Not found\n"), None);
    let mut asked = with_token("/api/orgs", SOUND);
    asked.org.sent = Some(2);
    let body = r#"{"accessErrorId":"ACE1","message":"You'll need additional permissions to perform this action. Permissions needed: orgs:read","title":"Access denied"}"#;
    assert_eq!(reason(&asked, 403, &grafanas(), body), Some(Reason::PermissionMissing), "server-wide");
    asked.uri = "/api/org".parse().unwrap();
    assert_eq!(reason(&asked, 403, &grafanas(), body), Some(Reason::NotAMember));
}

#[test]
fn redirects_with_a_sub_path_or_a_query_are_read_alike() {
    let to = |target: &str, location: &'static str| {
        let mut headers = grafanas();
        headers.insert("location", HeaderValue::from_static(location));
        reason(&request(Method::GET, target), 302, &headers, "")
    };
    assert_eq!(to("/d/x", "/login?redirectTo=%2Fd%2Fx"), Some(Reason::RedirectedToLogin));
    assert_eq!(to("/grafana/d/x", "/grafana/login"), Some(Reason::RedirectedToLogin));
    assert_eq!(to("/grafana/admin/users", "/grafana/"), Some(Reason::RedirectedHome));
    assert_eq!(to("/grafana/login", "/grafana/"), None);
    assert_eq!(to("/grafana/logout", "/grafana/login"), None);
    assert_eq!(to("/login", "/login/generic_oauth"), None);
    assert_eq!(to("/login/generic_oauth", "https://idp.example.test/oauth2/authorize?client_id=x"), None);
    assert_eq!(to("/d/x", "/user/auth-tokens/rotate?redirectTo=%2Fd%2Fx"), None);
    assert_eq!(to("/", "/"), Some(Reason::RedirectedHome));
    assert_eq!(to("/dashboard/db/old", "/d/new/old"), None);
    assert_eq!(
        to("/grafana/api/org", "http://grafana.example.test/grafana/grafana/api/org"),
        Some(Reason::RedirectedToRootUrl)
    );
    assert_eq!(to("/dashboards", "http://grafana.example.test/grafana/dashboards"), Some(Reason::RedirectedToRootUrl));
    assert_eq!(to("/grafana", "http://grafana.example.test/grafana/"), Some(Reason::RedirectedToRootUrl));
    assert_eq!(to("/api/datasources/proxy/uid/x/a", "http://10.0.0.1/login"), None);
    assert_eq!(to("/api/datasources/proxy/uid/x/a", "/login"), None);
}

#[test]
fn a_gateway_that_leads_an_api_call_to_its_own_sign_in_is_a_hop() {
    let to = |location: &'static str| {
        reason(&request(Method::GET, "/api/org"), 302, &headers(&[("location", location), ("server", "nginx")]), "")
    };
    assert_eq!(to("/oauth2/start?rd=%2Fapi%2Forg"), Some(Reason::HopUnauthorized));
    assert_eq!(to("https://team.cloudflareaccess.com/cdn-cgi/access/login/x"), Some(Reason::HopUnauthorized));
}

#[test]
fn answers_without_grafanas_marks_are_a_hops() {
    let token = with_token("/api/org", SOUND);
    let nginx = headers(&[
        ("server", "nginx/1.27"),
        ("content-type", "text/html"),
        ("www-authenticate", "Basic realm=\"closed\""),
    ]);
    let found = verdict(&token, 401, &nginx, "<html>401 Authorization Required</html>").unwrap();
    assert_eq!(found.reason, Reason::HopUnauthorized);
    assert!(found.detail.contains("`WWW-Authenticate: Basic`") && found.detail.contains("nginx"), "{}", found.detail);
    let istio = headers(&[("server", "istio-envoy"), ("content-type", "text/plain")]);
    assert_eq!(reason(&token, 403, &istio, "RBAC: access denied"), Some(Reason::HopForbidden));
    let kong = headers(&[("server", "kong/3.4"), ("content-type", "application/json; charset=utf-8")]);
    assert_eq!(reason(&token, 401, &kong, r#"{"message":"Unauthorized"}"#), Some(Reason::HopUnauthorized));
    let cloudflare = headers(&[("server", "cloudflare"), ("content-type", "text/html"), ("retry-after", "10")]);
    let found = verdict(&token, 429, &cloudflare, "<html>1015</html>").unwrap();
    assert_eq!(found.reason, Reason::HopRateLimited);
    assert!(found.hint.contains("10 s"), "{}", found.hint);
    let squid = headers(&[("proxy-authenticate", "Basic"), ("content-type", "text/html")]);
    assert_eq!(reason(&token, 407, &squid, "<html></html>"), Some(Reason::HopUnauthorized));
    // Grafana's own answer behind a server that puts its name on it.
    let mut behind = grafanas();
    behind.insert("server", HeaderValue::from_static("nginx"));
    assert_eq!(reason(&token, 401, &behind, &named("api-key.expired", 401)), Some(Reason::TokenExpired));
}

#[test]
fn limits_are_told_apart_by_who_made_them() {
    let apis = with_token("/apis/dashboard.grafana.app/v1/namespaces/default/dashboards", SOUND);
    let status = r#"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"too many requests","reason":"TooManyRequests","code":429}"#;
    assert_eq!(reason(&apis, 429, &grafanas(), status), Some(Reason::ApiserverRateLimited));
    let text = "Too many requests, please try again later.\n";
    let busy = headers(&[("retry-after", "1"), ("content-type", "text/plain; charset=utf-8")]);
    assert_eq!(reason(&apis, 429, &busy, text), Some(Reason::ApiserverRateLimited));
    let log = request(Method::POST, "/log");
    let old = r#"{"message":"Rate limit reached."}"#;
    assert_eq!(reason(&log, 429, &grafanas(), old), Some(Reason::GrafanaRateLimited));
    let proxied = with_token("/api/datasources/proxy/uid/x/api/v1/query", SOUND);
    let passed = headers(&[("content-security-policy", "sandbox"), ("via", "1.1 grafana")]);
    assert_eq!(reason(&proxied, 429, &passed, "slow down"), Some(Reason::DatasourceRateLimited));
}

#[test]
fn datasources_refuse_in_results_whatever_the_status() {
    let query = with_token("/api/ds/query?ds_type=loki", SOUND);
    let body = |status: u16| format!(r#"{{"results":{{"A":{{"error":"x","status":{status},"frames":[]}}}}}}"#);
    assert_eq!(reason(&query, 207, &grafanas(), &body(429)), Some(Reason::DatasourceRateLimited));
    assert_eq!(reason(&query, 400, &grafanas(), &body(403)), Some(Reason::DatasourceForbidden));
    assert_eq!(reason(&query, 400, &grafanas(), &body(502)), None);
    let resource = with_token("/api/plugins/x/resources/y", SOUND);
    let passed = headers(&[("content-security-policy", "sandbox"), ("www-authenticate", "Basic realm=\"m\"")]);
    assert_eq!(reason(&resource, 401, &passed, "no"), Some(Reason::DatasourceUnauthorized));
}

#[test]
fn forbidden_texts_of_every_version_have_their_reason() {
    let token = with_token("/api/dashboards/db", SOUND);
    let table = [
        ("Access denied to datasource", Reason::DatasourceDenied),
        ("Access denied to data source", Reason::DatasourceDenied),
        ("folders.folder.grafana.app \\\"teamb\\\" is forbidden: access denied to folder", Reason::FolderDenied),
        ("Access denied to this dashboard", Reason::FolderDenied),
        ("user does not have permissions to edit the namespace: x", Reason::FolderDenied),
        ("Cannot assign a role higher than user's role", Reason::RoleTooLow),
        ("can not assign a role higher than user's role", Reason::RoleTooLow),
        ("External dashboard creation is disabled", Reason::FeatureDisabled),
        ("feature not enabled", Reason::FeatureDisabled),
        ("user Quota reached", Reason::QuotaReached),
        ("Cannot update read-only data source", Reason::ReadOnly),
        ("plugin proxy route access denied", Reason::DatasourcePolicy),
        ("Forbidden", Reason::ForbiddenUnexplained),
    ];
    for (message, expected) in table {
        let body = format!(r#"{{"message":"{message}"}}"#);
        assert_eq!(reason(&token, 403, &grafanas(), &body), Some(expected), "{message}");
    }
    let two = "{\"message\":\"Data proxy hostname and ip are not included in whitelist\"}\n{\"message\":\"target URL is not a valid target\"}\n";
    let proxied = with_token("/api/datasources/proxy/uid/x/a", SOUND);
    assert_eq!(reason(&proxied, 403, &grafanas(), two), Some(Reason::DatasourcePolicy));
    let alerting = r#"{"message":"user is not authorized to create rules","traceID":""}"#;
    assert_eq!(reason(&token, 401, &grafanas(), alerting), Some(Reason::PermissionMissing));
}

#[test]
fn the_apiservers_authoriser_is_read_at_the_end_of_the_message() {
    let apis = with_token("/apis/dashboard.grafana.app/v0alpha1/namespaces/org-2/dashboards", SOUND);
    let status = |end: &str| {
        format!(
            r#"{{"kind":"Status","apiVersion":"v1","metadata":{{}},"status":"Failure","message":"dashboards.dashboard.grafana.app is forbidden: User \"x\" cannot list resource: {end}","reason":"Forbidden","code":403}}"#
        )
    };
    for (end, expected) in [
        ("invalid org", Reason::NotAMember),
        ("user 3 is not a member of org 2", Reason::NotAMember),
        ("Grafana org role (Viewer) didn't allow list access on requested resource=x, path=y", Reason::RoleTooLow),
        ("access denied to folder", Reason::FolderDenied),
        ("missing auth info", Reason::ForbiddenUnexplained),
    ] {
        assert_eq!(reason(&apis, 403, &grafanas(), &status(end)), Some(expected), "{end}");
    }
}

#[test]
fn a_hint_names_the_permission_the_organisation_and_who_chose_it() {
    let mut asked = with_token("/api/folders", SOUND);
    asked.org.sent = Some(7);
    asked.org.by = OrgBy::Default;
    let body = r#"{"accessErrorId":"ACE1","message":"You'll need additional permissions to perform this action. Permissions needed: any of folders:create, folders:write","title":"Access denied"}"#;
    let found = verdict(&asked, 403, &grafanas(), body).unwrap();
    assert_eq!(found.permission.as_deref(), Some("any of folders:create, folders:write"));
    for part in ["any of folders:create", "organisation 7", "`org.default`", "`GET /api/folders`"] {
        assert!(found.hint.contains(part), "{part} is not in: {}", found.hint);
    }
    let found = verdict(&asked, 401, &grafanas(), &named("api-key.organization-mismatch", 401)).unwrap();
    assert!(found.hint.contains("organisation 7 (set by `org.default`)"), "{}", found.hint);
}

#[test]
fn a_hint_names_origin_and_host_and_shows_no_secret_of_the_path() {
    let mut request = request(Method::POST, "/api/public/dashboards/0123456789abcdef0123456789abcdef/x");
    request.origin = Some("https://a.example.test".into());
    request.host = Some("grafana:3000".into());
    let found = verdict(&request, 403, &grafanas(), "origin not allowed\n").unwrap();
    assert!(found.hint.contains("`https://a.example.test`") && found.hint.contains("`grafana:3000`"), "{}", found.hint);
    let found = verdict(&request, 403, &grafanas(), r#"{"message":"Access denied to this dashboard"}"#).unwrap();
    assert!(!found.hint.contains("0123456789"), "{}", found.hint);
}

#[test]
fn a_header_that_grafana_does_not_read_is_named() {
    let mut request = request(Method::GET, "/api/org");
    request.carriers = Carriers { unread: Some("x-api-key"), ..Carriers::default() };
    let found = verdict(&request, 401, &grafanas(), &named("auth.unauthorized", 401)).unwrap();
    assert_eq!(found.reason, Reason::CredentialMissing);
    assert!(found.hint.contains("`x-api-key`"), "{}", found.hint);
}

#[test]
fn gos_own_400_is_about_the_head() {
    let token = with_token("/api/org", SOUND);
    let go = headers(&[("content-type", "text/plain; charset=utf-8"), ("connection", "close")]);
    assert_eq!(reason(&token, 400, &go, "400 Bad Request: invalid header name"), Some(Reason::HeadMalformed));
    assert_eq!(reason(&token, 400, &grafanas(), "Bad Request\n"), None);
}

#[test]
fn what_the_visitor_lacked_stands_beside_the_damage_that_made_it_one() {
    let damaged = with_token("/api/folders", b"glsa_yscW25imSKJIuav8zF37RZmnbiDvB05G_fcaaf58b");
    let body = r#"{"accessErrorId":"ACE1","message":"You'll need additional permissions to perform this action. Permissions needed: folders:create","title":"Access denied"}"#;
    let verdict = verdict(&damaged, 403, &grafanas(), body).unwrap();
    assert_eq!((verdict.reason, verdict.permission), (Reason::TokenMalformed, None));
    assert!(verdict.detail.contains("`folders:create` (`ACE1` in Grafana's log)"), "{}", verdict.detail);
}

#[test]
fn a_token_that_was_not_sent_from_here_is_somebody_else_s() {
    let request = request(Method::GET, "/api/org");
    for id in ["api-key.expired", "api-key.revoked"] {
        let verdict = verdict(&request, 401, &grafanas(), &named(id, 401)).unwrap();
        assert!(verdict.hint.contains("between the proxy and Grafana"), "{}", verdict.hint);
    }
}
