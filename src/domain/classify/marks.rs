//! Who wrote an answer: Grafana leaves marks on its own, on a datasource's that it passes on, and none on others'.

use memchr::memmem;

use super::super::fields::Fields;
use super::Case;
use super::body::Body;

/// Whether Grafana's proxy for datasources and plugins wrote its marks on an answer.
pub(in crate::domain) fn passed_on(headers: &Fields) -> bool {
    let holds = |name, needle| headers.get_all(name).any(|value| memmem::find(value, needle).is_some());
    holds("content-security-policy", b"sandbox") || holds("via", b" grafana")
}

/// What Grafana's middleware gives its JSON: with the character set in capitals, as next to nobody else writes it.
/// Handlers write none.
pub(super) const MIDDLEWARE_TYPE: &str = "application/json; charset=UTF-8";

/// Whether any of the headers is there that Grafana puts on its answers. Most can be switched off one by one.
pub(super) fn has_default_headers(headers: &Fields) -> bool {
    let is = |name, expected: &[&str]| {
        headers.get(name).is_some_and(|value| expected.iter().any(|one| value == one.as_bytes()))
    };
    is("cache-control", &["no-store", "no-cache"])
        || is("x-content-type-options", &["nosniff"])
        || is("x-frame-options", &["deny"])
        || is("content-type", &[MIDDLEWARE_TYPE])
}

/// What gives away that neither Grafana nor a datasource made this answer.
pub(super) fn hop_evidence(case: &Case<'_>) -> Option<String> {
    if let Body::Json(document) = &case.body
        && (document.message_id.is_some() || document.access_error.is_some() || document.status)
    {
        return None;
    }
    let server = signature(case);
    if let Some(words) = known_words(case) {
        return Some(format!("the body says `{words}`, as Grafana never does{server}"));
    }
    let challenge = case.header("www-authenticate");
    if !challenge.is_empty() && !case.route.is_metrics() {
        let scheme = challenge.split([' ', ',']).next().unwrap_or_default();
        return Some(format!("`WWW-Authenticate: {}` is there, which Grafana never sends{server}", printable(scheme)));
    }
    if case.headers.contains("proxy-authenticate") {
        return Some(format!("`Proxy-Authenticate` is there, which Grafana never sends{server}"));
    }
    if matches!(case.body, Body::Html) && case.route.is_api() && case.status != 407 {
        return Some(format!("a page came where Grafana answers with JSON{server}"));
    }
    // Without any header at all (an answer pasted into `explain`) their absence shows nothing.
    (!case.headers.is_empty() && !has_default_headers(case.headers))
        .then(|| format!("none of the headers is there that Grafana puts on its answers{server}"))
}

/// Headers that gateways leave on their answers.
const SIGNATURES: [&str; 10] = [
    "cf-ray",
    "x-amzn-errortype",
    "x-amzn-requestid",
    "x-amz-cf-id",
    "x-azure-ref",
    "x-goog-iap-generated-response",
    "x-envoy-ratelimited",
    "x-kong-response-latency",
    "x-kong-request-id",
    "x-auth-request-redirect",
];

/// Who made the answer, by what it says of itself.
fn signature(case: &Case<'_>) -> String {
    let server = case.header("server");
    let own = (!server.is_empty()).then(|| format!("`Server: {}`", printable(server)));
    let others = SIGNATURES.iter().filter(|name| case.headers.contains(name)).map(|name| format!("`{name}`"));
    let marks: Vec<String> = own.into_iter().chain(others.take(2)).collect();
    if marks.is_empty() { String::new() } else { format!(" ({})", marks.join(", ")) }
}

/// How gateways begin a refusal of their own, whatever headers they put on it: the sidecars of Istio, Google's IAP, the
/// gateways of AWS, Kong, Cloudflare and ModSecurity.
const WORDS: [&str; 12] = [
    "RBAC: access denied",
    "Jwt ",
    "Invalid IAP credentials",
    "Missing Authentication Token",
    "No API key found in request",
    "Invalid authentication credentials",
    "API rate limit exceeded",
    "error code: 10",
    "local_rate_limited",
    "upstream connect error",
    "no healthy upstream",
    "Not Acceptable!",
];

fn known_words(case: &Case<'_>) -> Option<&'static str> {
    let said = match &case.body {
        Body::Text(text) => text.as_str(),
        Body::Json(document) => document.message.as_deref()?,
        Body::Empty | Body::Html => return None,
    };
    WORDS.into_iter().find(|words| said.starts_with(words)).map(str::trim_end)
}

/// Whether the answer asks for a credential in a way that Grafana never does, and bears none of its marks: then its words
/// are another's, though Grafana could have said the same.
pub(super) fn challenges(case: &Case<'_>) -> bool {
    case.headers.contains("www-authenticate") && !case.route.is_metrics() && !has_default_headers(case.headers)
}

/// A value that a stranger chose, fit for a log.
fn printable(value: &str) -> String {
    value.chars().filter(|c| c.is_ascii_graphic() || *c == ' ').filter(|c| *c != '`').take(40).collect()
}
