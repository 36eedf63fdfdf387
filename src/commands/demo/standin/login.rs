//! Who is asking, as generation B (Grafana 10.1 and later) finds out: every client is tried, and only a route that
//! requires a login tells what went wrong.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::request::Parts;
use http::{StatusCode, header};

use super::answer::Answer;
use crate::commands::demo::keyring::{Account, Keyring, Standing, checksum};

/// Who is asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Caller {
    /// The owner of a valid token.
    Known(Account),
    /// Nobody, and why.
    Stranger(Failure),
}

/// Why a caller is nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// No client claimed the request.
    Unclaimed,
    /// No spelling of a token.
    Invalid,
    /// A sound token that is not in the database.
    Unknown,
    Expired,
    Revoked,
    Disabled,
    OtherOrganisation,
    WrongPassword,
}

impl Failure {
    /// The refusal. An unknown token is no `errutil` error, so its body says neither status nor id.
    pub(super) fn answer(self) -> Answer {
        let (message, id) = match self {
            Self::Unknown => {
                return Answer::middleware(StatusCode::UNAUTHORIZED, r#"{"message":"Unauthorized","traceID":""}"#);
            }
            Self::Unclaimed => ("Unauthorized", "auth.unauthorized"),
            Self::Invalid => ("Invalid API key", "api-key.invalid"),
            Self::Expired => ("Expired API key", "api-key.expired"),
            Self::Revoked => ("Revoked API key", "api-key.revoked"),
            Self::Disabled => ("Unauthorized", "identity.disabled"),
            Self::OtherOrganisation => {
                ("API key does not belong to the requested organization", "api-key.organization-mismatch")
            }
            Self::WrongPassword => ("Invalid username or password", "password-auth.failed"),
        };
        let json =
            format!(r#"{{"extra":null,"message":"{message}","messageId":"{id}","statusCode":401,"traceID":""}}"#);
        Answer::middleware(StatusCode::UNAUTHORIZED, &json)
    }
}

/// Finds out who is asking. Of several `Authorization` lines Grafana reads the first.
pub(super) fn log_in(keyring: &Keyring, request: &Parts) -> Caller {
    let line = request.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let basic = line.strip_prefix("Basic ").and_then(user_and_password);
    let (token, is_basic) = match (line.strip_prefix("Bearer "), &basic) {
        (Some(token), _) => (token, false),
        (None, Some((user, password))) if user == "api_key" => (password.as_str(), true),
        (None, Some(_)) => return Caller::Stranger(Failure::WrongPassword),
        (None, None) => ("", false),
    };
    if token.is_empty() {
        return Caller::Stranger(Failure::Unclaimed);
    }
    match check(keyring, token, requested_org(request)) {
        Ok(account) => Caller::Known(account),
        // The client for passwords is tried next, and its failure has an id.
        Err(Failure::Unknown) if is_basic => Caller::Stranger(Failure::WrongPassword),
        Err(failure) => Caller::Stranger(failure),
    }
}

fn user_and_password(encoded: &str) -> Option<(String, String)> {
    let text = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
    text.split_once(':').map(|(user, password)| (user.to_owned(), password.to_owned()))
}

fn check(keyring: &Keyring, token: &str, org: Option<i64>) -> Result<Account, Failure> {
    if !is_sound(token) {
        return Err(Failure::Invalid);
    }
    let account = keyring.find(token).ok_or(Failure::Unknown)?;
    match account.standing {
        Standing::Expired => return Err(Failure::Expired),
        Standing::Revoked => return Err(Failure::Revoked),
        Standing::Valid | Standing::Disabled => {}
    }
    if org.is_some_and(|org| u64::try_from(org) != Ok(account.org)) {
        return Err(Failure::OtherOrganisation);
    }
    if account.standing == Standing::Disabled { Err(Failure::Disabled) } else { Ok(account) }
}

/// Whether it is spelt as a token: three parts whose last is the checksum, or base64 of JSON.
fn is_sound(token: &str) -> bool {
    if token.starts_with("gl") {
        return token.split('_').count() == 3
            && token.rsplit_once('_').is_some_and(|(body, digits)| checksum(body) == digits);
    }
    let json = STANDARD.decode(token).ok();
    json.is_some_and(|json| serde_json::from_slice::<serde_json::Map<_, _>>(&json).is_ok())
}

/// The organisation that the request names: in the header, else in the query. What is no number, or zero, counts as
/// none.
fn requested_org(request: &Parts) -> Option<i64> {
    let number = |text: &str| text.parse::<i64>().ok().filter(|org| *org != 0);
    let header = request.headers.get("x-grafana-org-id").and_then(|value| number(value.to_str().ok()?));
    header.or_else(|| query_value(request, "targetOrgId").and_then(number))
}

/// The value of a name in the query.
pub(super) fn query_value<'r>(request: &'r Parts, name: &str) -> Option<&'r str> {
    let pairs = request.uri.query()?.split('&');
    pairs.filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name).map(|(_, value)| value)
}
