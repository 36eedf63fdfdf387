//! Names for the parts of a request, fit for a sentence in a log: no secret, no control character, no endless path.

use std::borrow::Cow;

use super::super::credential::AuthForm;
use super::super::head::{Reading, RequestFacts};
use super::super::org::OrgBy;
use super::super::token::TokenKind;
use super::{Case, credential, signers};

/// The credential that Grafana got.
pub(super) fn credential(request: &RequestFacts) -> Cow<'static, str> {
    if credential::is_absent(request) {
        if let Some(jwt) = signers::jwt(request) {
            return format!("the {jwt}").into();
        }
        let named = signers::identity_header(request);
        let session = if request.session_cookie { "the session cookie" } else { "the missing credential" };
        return named.map_or(session.into(), Cow::Owned);
    }
    if credential::is_password(request) {
        return "the user and password".into();
    }
    match request.auth.token.map(|token| token.kind) {
        Some(TokenKind::ServiceAccount) => "the service account token",
        Some(TokenKind::LegacyKey) => "the legacy API key",
        Some(TokenKind::CloudAccessPolicy) => "the Grafana Cloud token (`glc_…`)",
        Some(TokenKind::Jwt) => "the JWT",
        _ if request.auth.sent == AuthForm::Jwt => "the JWT",
        _ => "the credential",
    }
    .into()
}

/// The organisation that was asked for, and who chose it.
pub(super) fn organisation(request: &RequestFacts) -> Option<String> {
    let received = || request.org.received.as_deref().map(|value| printable(value, 32));
    let switched = || super::disguise::query_value(request, "orgId").map(|value| printable(value, 32));
    let number = request.org.sent.map(|org| org.to_string()).or_else(received).or_else(switched)?;
    let by = match request.org.by {
        OrgBy::Client | OrgBy::None => "named by the client",
        OrgBy::Token => "set for this token in our configuration",
        OrgBy::Host => "set by `org.by_host`",
        OrgBy::Learned => "learned from Grafana",
        OrgBy::Default => "set by `org.default`",
    };
    Some(["organisation ", &number, " (", by, ")"].concat())
}

/// Method and path. Long segments may be secrets (public dashboards), and are left out; groups of `/apis/` are long words
/// without a digit.
pub(super) fn endpoint(case: &Case<'_>) -> String {
    if case.request.reading == Reading::Nothing {
        return "this call".to_owned();
    }
    if let Some(text) = plain_endpoint(case) {
        return text;
    }
    let is_word = |segment: &str| segment.len() < 64 && segment.bytes().all(|b| b.is_ascii_lowercase() || b == b'.');
    let is_open = |segment: &str| segment.len() < 24 || is_word(segment);
    let shorten = |segment: &str| if is_open(segment) { printable(segment, 64) } else { "…".to_owned() };
    let segments: Vec<_> = case.route.path.split('/').take(9).map(shorten).collect();
    format!("`{} {}`", printable(case.request.method.as_str(), 12), segments.join("/"))
}

/// The same where nothing has to be left out, which is the rule.
fn plain_endpoint(case: &Case<'_>) -> Option<String> {
    let (method, path) = (case.request.method.as_str(), case.route.path);
    let mut segments = 0;
    let mut length = 0;
    for byte in path.bytes() {
        length = if byte == b'/' { 0 } else { length + 1 };
        segments += usize::from(byte == b'/');
        if length >= 24 || segments > 8 || !byte.is_ascii_graphic() || byte == b'`' {
            return None;
        }
    }
    (method.len() <= 12 && method.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'`'))
        .then(|| ["`", method, " ", path, "`"].concat())
}

/// A header's value.
pub(super) fn value(header: Option<&bytes::Bytes>) -> Option<String> {
    header.and_then(|value| std::str::from_utf8(value).ok()).map(|value| printable(value, 80))
}

fn printable(value: &str, length: usize) -> String {
    if value.len() <= length && value.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'`') {
        return value.to_owned();
    }
    value.chars().filter(|c| c.is_ascii_graphic() && *c != '`').take(length).collect()
}
