//! One refusal for each reason, as the log tells it: what Grafana and others answer is judged by the real classifier,
//! and every line is written by the real log.

use std::collections::HashMap;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use grafana_token_proxy::domain::classify::{Answer, Verdict, classify};
use grafana_token_proxy::domain::credential::{Repair, judge};
use grafana_token_proxy::domain::fields::Fields;
use grafana_token_proxy::domain::head::{AuthFacts, Head, OrgFacts, RequestFacts, SignInFacts};
use grafana_token_proxy::domain::org::OrgBy;
use grafana_token_proxy::domain::reason::{Reason, Source};
use grafana_token_proxy::domain::token::HashKey;
use grafana_token_proxy::telemetry::{Log, LogFormat, LogSettings, Metrics, Recorder, Refusal, Sources};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};

/// A token that never existed anywhere.
const TOKEN: &str = "glsa_yscW25imSKJIuav8zF37RZmnbiDvB05G_fcaaf58a";

/// How Grafana's middleware, a handler of Grafana, a datasource behind it, and something else begin an answer.
#[derive(Clone, Copy, PartialEq)]
enum From {
    Middleware,
    Handler,
    Datasource,
    Nginx,
}

impl From {
    const fn headers(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Middleware => &[
                ("cache-control", "no-store"),
                ("content-type", "application/json; charset=UTF-8"),
                ("x-frame-options", "deny"),
            ],
            Self::Handler => &[("cache-control", "no-store"), ("content-type", "application/json")],
            Self::Datasource => &[("content-security-policy", "sandbox"), ("via", "1.1 grafana")],
            Self::Nginx => &[("server", "nginx/1.25.3"), ("content-type", "text/html")],
        }
    }
}

/// Who answers with what to which request.
struct Seen {
    call: &'static str,
    headers: Vec<(&'static str, String)>,
    status: u16,
    from: From,
    more: &'static [(&'static str, &'static str)],
    body: String,
}

fn bearer(token: &str) -> Vec<(&'static str, String)> {
    vec![("authorization", format!("Bearer {token}"))]
}

fn seen(call: &'static str, status: u16, body: &str) -> Seen {
    Seen { call, headers: bearer(TOKEN), status, from: From::Middleware, more: &[], body: body.to_owned() }
}

/// Generation B: Grafana 10.1 and later.
fn named(call: &'static str, id: &str, message: &str) -> Seen {
    let body = format!(r#"{{"extra":null,"message":"{message}","messageId":"{id}","statusCode":401,"traceID":""}}"#);
    seen(call, 401, &body)
}

fn said(call: &'static str, status: u16, message: &str) -> Seen {
    Seen { from: From::Handler, ..seen(call, status, &format!(r#"{{"message":"{message}"}}"#)) }
}

impl Seen {
    fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.retain(|(known, _)| *known != name);
        self.headers.push((name, value.to_owned()));
        self
    }

    fn without_credential(mut self) -> Self {
        self.headers.retain(|(name, _)| *name != "authorization");
        self
    }

    fn with_cookie(self) -> Self {
        self.without_credential().with("cookie", "grafana_session=0123")
    }

    fn from(self, from: From) -> Self {
        Self { from, ..self }
    }

    fn answering(self, more: &'static [(&'static str, &'static str)]) -> Self {
        Self { more, ..self }
    }

    fn refusal(&self) -> Refusal {
        let (method, target) = self.call.split_once(' ').unwrap();
        let headers = map(self.headers.iter().map(|(name, value)| (*name, value.as_str())));
        let facts = facts(method, target, &headers);
        let answered = map(self.from.headers().iter().chain(self.more).copied());
        let status = StatusCode::from_u16(self.status).unwrap();
        let answer = Answer { status, headers: &Fields::from(&answered), body: self.body.as_bytes() };
        let verdict = classify(&facts, &answer).unwrap_or_else(|| panic!("{} is no refusal", self.call));
        let Verdict { reason, detail, hint, permission } = verdict;
        let upstream = Some(Duration::from_micros(4_210));
        Refusal { permission, facts, upstream, ..Refusal::unread(reason, self.status, detail, hint) }
    }
}

fn map<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> HeaderMap {
    let parsed = pairs
        .map(|(name, value)| (HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap()));
    parsed.collect()
}

fn facts(method: &str, target: &str, headers: &HeaderMap) -> RequestFacts {
    let fields = Fields::from(headers);
    let head = Head::collect(&fields, &[]);
    let found = judge(&head.authorization, &[], Repair::On);
    let auth = AuthFacts::from(&found);
    let named = head.organisation.first().map(|value| std::str::from_utf8(value).unwrap());
    let org = OrgFacts {
        received: named.map(Into::into),
        sent: named.and_then(|org| org.parse().ok()),
        by: if named.is_some() { OrgBy::Client } else { OrgBy::None },
    };
    let uri: Uri = target.parse().unwrap();
    RequestFacts::gather(
        &Method::from_bytes(method.as_bytes()).unwrap(),
        &uri,
        &head,
        SignInFacts::as_received(&head, &uri),
        auth,
        org,
    )
}

/// A refusal that no answer of another led to: the words are those of the proxy's code.
fn ours(reason: Reason, status: u16, detail: &str, hint: &str) -> Refusal {
    let refusal = Refusal::unread(reason, status, detail.to_owned(), hint.to_owned());
    if reason.source() == Source::Client && reason != Reason::BodyMalformed && reason != Reason::BodyTimeout {
        return refusal;
    }
    let mut headers = match reason {
        Reason::ClientRateLimited => HeaderMap::new(),
        _ => map(bearer(TOKEN).iter().map(|(name, value)| (*name, value.as_str()))),
    };
    let call = match reason {
        Reason::MethodRefused => "TRACE",
        Reason::BodyTooLarge | Reason::BodyMalformed | Reason::BodyTimeout => "POST",
        _ => "GET",
    };
    if reason == Reason::OrgOverrideRefused {
        headers.insert("x-grafana-org-id", HeaderValue::from_static("3"));
    }
    let limit = match reason {
        Reason::TokenRateLimited => Some("token"),
        Reason::ClientRateLimited => Some("client"),
        Reason::AuthFailuresLimited => Some("auth_failures"),
        _ => None,
    };
    let retry_after = limit.map(|_| Duration::from_millis(740));
    Refusal { facts: facts(call, "/api/dashboards/db", &headers), limit, retry_after, ..refusal }
}

/// The refusal that stands for a reason in the reference.
fn example(reason: Reason) -> Refusal {
    let denied = |permission: &str| {
        format!(
            r#"{{"accessErrorId":"ACE2411184163","message":"You'll need additional permissions to perform this action. Permissions needed: {permission}","title":"Access denied"}}"#
        )
    };
    let org = "GET /api/org";
    let proxied = "GET /api/datasources/proxy/uid/prometheus/api/v1/query";
    let basic = format!("Basic {}", STANDARD.encode("alice:correct horse"));
    let unauthorized = r#"{"message":"Unauthorized","traceID":""}"#;
    let jwt = format!("Bearer {}.e30.c2ln", STANDARD.encode(r#"{"alg":"RS256"}"#));
    let found = match reason {
        Reason::CredentialMissing => named(org, "auth.unauthorized", "Unauthorized").without_credential(),
        Reason::CredentialNotRecognised => named(org, "auth.unauthorized", "Unauthorized").with("authorization", "Negotiate YIIB"),
        Reason::TokenMalformed => named(org, "api-key.invalid", "Invalid API key").with("authorization", &format!("Bearer {}", TOKEN.split_at(40).0)),
        Reason::TokenWrongKind => named(org, "api-key.invalid", "Invalid API key").with("authorization", "Bearer glc_eyJvIjoiMSJ9"),
        Reason::TokenUnknown => seen(org, 401, unauthorized),
        Reason::TokenExpired => named(org, "api-key.expired", "Expired API key"),
        Reason::TokenRevoked => named(org, "api-key.revoked", "Revoked API key"),
        Reason::ServiceAccountDisabled => named(org, "identity.disabled", "Unauthorized"),
        Reason::OrgMismatch => named(org, "api-key.organization-mismatch", "API key does not belong to the requested organization").with("x-grafana-org-id", "2"),
        Reason::PasswordWrong => named(org, "password-auth.failed", "Invalid username or password").with("authorization", &basic),
        Reason::LoginBlocked => named(org, "login-attempt.blocked", "Invalid username or password").with("authorization", &basic),
        Reason::JwtInvalid => named(org, "jwt.invalid", "Failed to verify JWT").with("authorization", &jwt),
        Reason::SessionExpired => seen(org, 401, unauthorized).with_cookie(),
        Reason::SessionRotationDue => named(org, "session.token.rotate", "Unauthorized").with_cookie(),
        Reason::SessionRevoked => seen(org, 401, r#"{"error":{"id":"ERR_TOKEN_REVOKED","maxConcurrentSessions":3},"message":"Token revoked"}"#).with_cookie(),
        Reason::OauthExpired => named(org, "oauth.expired-token", "OAuth access token expired").with_cookie(),
        Reason::UserMissing => named(org, "user.sync.fetch-not-found", "User not found"),
        Reason::UserDisabled => named(org, "identity.disabled", "Unauthorized").with("authorization", &basic),
        Reason::AuthProxyRefused => named(org, "auth-proxy.invalid-ip", "Unauthorized").without_credential().with("x-webauth-user", "alice"),
        Reason::RenderKeyInvalid => named("GET /d-solo/uid/name", "render-auth.invalid-key", "Invalid Render Key").without_credential().with("cookie", "renderKey=0123"),
        Reason::FeatureDisabled => said("POST /api/snapshots", 403, "External dashboard creation is disabled"),
        Reason::UnauthorizedUnexplained => said("GET /api/login/ping", 401, "Unauthorized"),
        Reason::PermissionMissing => seen("POST /api/dashboards/db", 403, &denied("dashboards:create")),
        Reason::RoleTooLow => seen("GET /api/admin/settings", 403, r#"{"message":"Permission denied"}"#),
        Reason::OriginNotAllowed => seen("POST /api/ds/query", 403, "origin not allowed\n").with_cookie().with("origin", "https://grafana.example").with("host", "grafana:3000"),
        Reason::LiveOriginNotAllowed => seen("GET /api/live/ws", 403, "Forbidden\n").with_cookie().with("origin", "https://grafana.example:8443").with("host", "grafana.example").answering(&[("sec-websocket-version", "13")]),
        Reason::QuotaReached => said("POST /api/dashboards/db", 403, "dashboard Quota reached"),
        Reason::UsersOnly => said("GET /api/user", 403, "Endpoint only available for users"),
        Reason::FolderDenied => said("POST /api/dashboards/db", 403, "Access denied to save dashboard"),
        Reason::NotAMember => seen(org, 403, &denied("orgs:read")).with("authorization", &basic).with("x-grafana-org-id", "2"),
        Reason::DatasourceDenied => said("POST /api/ds/query", 403, "Access denied to datasource"),
        Reason::DatasourcePolicy => said(proxied, 403, "Data proxy hostname and ip are not included in whitelist"),
        Reason::ReadOnly => said("PUT /api/datasources/uid/prometheus", 403, "Cannot update read-only data source"),
        Reason::ForbiddenUnexplained => said("POST /api/live/publish", 403, "Forbidden"),
        Reason::GrafanaRateLimited => seen("POST /log-grafana-javascript-agent", 429, "").without_credential(),
        Reason::ApiserverRateLimited => seen(
            "GET /apis/dashboard.grafana.app/v1/namespaces/default/dashboards",
            429,
            r#"{"kind":"Status","apiVersion":"v1","status":"Failure","message":"too many requests","reason":"TooManyRequests","code":429}"#,
        )
        .answering(&[("retry-after", "1")]),
        Reason::DatasourceUnauthorized => seen(proxied, 400, "Authentication to data source failed").from(From::Datasource),
        Reason::DatasourceForbidden => seen(proxied, 403, "forbidden").from(From::Datasource),
        Reason::DatasourceRateLimited => seen(proxied, 429, "too many outstanding requests").from(From::Datasource).answering(&[("retry-after", "5")]),
        Reason::HopUnauthorized => seen(org, 401, "<html></html>").from(From::Nginx).answering(&[("www-authenticate", "Basic realm=\"x\"")]),
        Reason::HopForbidden => seen(org, 403, "<html></html>").from(From::Nginx),
        Reason::HopRateLimited => seen(org, 429, "<html></html>").from(From::Nginx),
        Reason::RedirectedToLogin => seen("GET /d/uid/name", 302, "").without_credential().answering(&[("location", "/login")]),
        Reason::RedirectedHome => seen("GET /admin/users", 302, "").with_cookie().answering(&[("location", "/")]),
        Reason::RedirectedToRootUrl => seen(org, 301, "").with("host", "grafana:3000").answering(&[("location", "https://grafana.example/api/org")]),
        Reason::EndpointRemoved => said("POST /api/auth/keys", 410, "this endpoint has been removed, please use POST /api/serviceaccounts and POST /api/serviceaccounts/{id}/tokens instead"),
        Reason::TokenRateLimited => return ours(reason, 429, "This credential has used up its budget (limit `token`); the request did not reach Grafana, which has no limit of its own.", "Retry in 1 s and send fewer requests at once, or raise `limits.per_token` in the proxy."),
        Reason::ClientRateLimited => return ours(reason, 429, "192.0.2.7 has sent too many requests without a credential (limit `client`).", "Retry in 1 s; send a token to get a budget of your own, or raise `limits.per_client`."),
        Reason::AuthFailuresLimited => return ours(reason, 429, "192.0.2.7 has caused too many 401s (limit `auth_failures`), and Grafana has not accepted this credential before.", "Find the caller at this address that retries with a bad credential, and mend or stop it."),
        Reason::OrgOverrideRefused => return ours(reason, 403, "The request names another organisation in `X-Grafana-Org-Id`, and the proxy pins organisation 2.", "Remove the organisation from `X-Grafana-Org-Id`, or ask the operator for `org.mode: fill`."),
        Reason::CallerNotAllowed => return ours(reason, 403, "The token's `allow` list does not hold `GET /api/dashboards/db`.", "Add it to the list, or use a token that is meant for this call."),
        Reason::CredentialConflict => return ours(reason, 400, "The request carries two different credentials in `Authorization`; Grafana would read the first and silently ignore the other.", "Send one `Authorization` header: look for a client library and a hop that both add theirs."),
        Reason::MethodRefused => return ours(reason, 405, "TRACE is never forwarded.", "Ask for a path of Grafana with one of the methods in `Allow`."),
        Reason::BodyTooLarge => return ours(reason, 413, "The request's body is longer than 1048576 bytes, the bound `http.max_body`.", "Send less at once, or raise the bound."),
        Reason::Overloaded => return ours(reason, 503, "1024 requests are under way on this worker, the bound `http.max_in_flight`.", "Retry in a second; if it lasts, look for slow answers of Grafana, or raise the bound."),
        Reason::ShuttingDown => return ours(reason, 503, "The proxy and Grafana are shutting down together.", "Retry in a second: another replica or the restarted pod will answer."),
        Reason::LimitsUnavailable => return ours(reason, 503, "The store of the shared limits does not answer.", "Bring the store back, or set `limits.shared_failure: local`."),
        Reason::UpstreamUnreachable => return ours(reason, 502, "Grafana could not be asked: connection refused.", "Check that Grafana runs and listens where `upstream.url` points: curl that address from the same pod."),
        Reason::UpstreamReset => return ours(reason, 502, "The connection to Grafana was closed before an answer came.", "Look at Grafana's log at this time: it restarted, crashed, or a hop closed the connection."),
        Reason::UpstreamMalformed => return ours(reason, 502, "What came back is not valid HTTP/1.1.", "Check that `upstream.url` points at Grafana's HTTP port, not at a TLS port or another service."),
        Reason::UpstreamTimeout => return ours(reason, 504, "Grafana did not begin its answer in time.", "Look for the slow query or datasource, or raise `upstream.response_timeout`."),
        Reason::InternalError => return ours(reason, 500, "The proxy failed on this request; others are not affected.", "Report it with the log line `panicked` of this moment."),
        Reason::NewlineInHead => return ours(reason, 400, "A bare LF inside or right behind the value of `Authorization`: the secret was read with its newline.", "Read the secret without its newline: `printf %s`, `tr -d '\\n'`, or `kubectl create secret --from-file` of a file without one."),
        Reason::HeadMalformed => return ours(reason, 400, "There is no `Host`.", "Mend the client or the hop that wrote this head; `curl -v` through the same way shows a sound one."),
        Reason::HeadTooLarge => return ours(reason, 431, "The head is longer than 32768 bytes, the bound `http.max_head`.", "Send fewer or smaller headers (often a heap of cookies), or raise `http.max_head`."),
        Reason::HeadTimeout => return ours(reason, 408, "The head was not complete after 10 s.", "Send the whole head at once; look for a slow hop, or raise `http.head_timeout`."),
        Reason::BodyMalformed => return ours(reason, 400, "The request's body broke off before its end.", "Send the whole body, framed by Content-Length or chunks."),
        Reason::BodyTimeout => return ours(reason, 408, "No piece of the request's body came for 30 s.", "Send the body without pauses, or raise `http.body_timeout`."),
        Reason::TlsFailed => return ours(reason, 0, "The client does not trust the certificate's authority.", "Let the client trust the authority that signed our certificate."),
    };
    found.refusal()
}

/// Where the log writes to.
#[derive(Clone, Default)]
struct Pages(Arc<Mutex<Vec<u8>>>);

impl Write for Pages {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The line of the log for each reason.
pub(crate) fn lines() -> HashMap<String, String> {
    let pages = Pages::default();
    let settings = LogSettings { format: LogFormat::Json, ..LogSettings::default() };
    let (log, guard) = Log::start(settings, Box::new(pages.clone()), false, false, None).unwrap();
    let recorder = Recorder::new(Metrics::new(Sources::default()), log);
    for (number, reason) in Reason::ALL.iter().copied().enumerate() {
        let refusal = example(reason);
        assert_eq!(refusal.reason, reason, "the example of {reason} is judged otherwise: {}", refusal.detail);
        let has_token = refusal.facts.auth.token.is_some();
        recorder.refused(Refusal {
            at: UNIX_EPOCH + Duration::from_millis(1_767_225_600_000),
            request_id: format!("0198c2d4-{number:04}"),
            client: Some([192, 0, 2, 7].into()),
            fingerprint: has_token.then(|| HashKey::from_bytes([1; 16]).hash(1, TOKEN.as_bytes()).fingerprint()),
            duration: Duration::from_micros(4_610),
            ..refusal
        });
    }
    drop(guard);
    let text = String::from_utf8(pages.0.lock().unwrap().clone()).unwrap();
    let lines: HashMap<String, String> = text
        .lines()
        .map(|line| {
            let object: serde_json::Value = serde_json::from_str(line).unwrap();
            (object["reason"].as_str().unwrap().to_owned(), line.to_owned())
        })
        .collect();
    assert_eq!(lines.len(), Reason::ALL.len());
    lines
}
