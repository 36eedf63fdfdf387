//! What an answer means: (request facts, status, headers, body prefix) → reason.
//!
//! The rules go from what is certain to what is vague: a datasource's answer that Grafana passed on, then what Grafana
//! says in so many words (`messageId`, an exact message, a Kubernetes `Status`), then the marks of somebody between us
//! and Grafana, and last what the credential itself gives away. What nothing explains gets the general reason.

mod apiserver;
mod body;
mod credential;
mod datasource;
mod describe;
mod disguise;
mod forbidden;
mod hint;
mod limited;
mod marks;
mod message;
mod message_id;
mod own;
mod redirect;
mod route;
mod signers;
#[cfg(test)]
mod tests;
mod unauthorised;

use std::borrow::Cow;

use http::{Method, StatusCode};

use self::body::Body;
pub(in crate::domain) use self::marks::passed_on;
use self::route::Route;
pub(in crate::domain) use self::signers::without_authorization;
use super::fields::Fields;
use super::head::{AuthFacts, Reading, RequestFacts};
use super::reason::Reason;

/// How much of an answer must be seen to explain it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// Not a refusal: nothing more to see.
    Away,
    /// Status and headers are enough.
    AtHead,
    /// The first bytes of the body are needed, too.
    AtBody,
}

/// An answer, as far as it was looked at.
#[derive(Debug)]
pub struct Answer<'a> {
    /// The status.
    pub status: StatusCode,
    /// The headers as they came.
    pub headers: &'a Fields,
    /// The first bytes of the body, decompressed; at most 64 KiB. Empty where [`look`] did not ask for it.
    pub body: &'a [u8],
}

/// What an answer means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The reason.
    pub reason: Reason,
    /// What speaks for it, and what else is wrong: one or more sentences.
    pub detail: String,
    /// The next step, one sentence made for this request.
    pub hint: String,
    /// The permissions that Grafana said were needed, as it wrote them.
    pub permission: Option<String>,
}

/// What one family of rules has found.
#[derive(Debug)]
struct Finding {
    reason: Reason,
    because: Cow<'static, str>,
    permission: Option<String>,
}

impl Finding {
    fn new(reason: Reason, because: impl Into<Cow<'static, str>>) -> Self {
        Self { reason, because: because.into(), permission: None }
    }
}

/// A request and its answer, read once for all rules.
#[derive(Debug)]
struct Case<'a> {
    request: &'a RequestFacts,
    status: u16,
    headers: &'a Fields,
    body: Body,
    route: Route<'a>,
}

impl Case<'_> {
    fn header(&self, name: &str) -> &str {
        self.headers.text(name).unwrap_or("")
    }
}

/// Whether an answer with this status is no refusal, whatever else it holds. Called for every answer.
pub fn passes(status: StatusCode) -> bool {
    let status = status.as_u16();
    status < 300 && status != 207 || status == 304
}

/// How closely to look at an answer with this head.
pub fn look(request: &RequestFacts, status: StatusCode, headers: &Fields) -> Look {
    if passes(status) {
        return Look::Away;
    }
    let status = status.as_u16();
    let route = || Route::of(request.uri.path());
    let needed = match status {
        301 | 302 | 303 | 307 | 308 if headers.contains("location") => return Look::AtHead,
        407 => return Look::AtHead,
        400 | 401 | 403 | 410 | 429 => true,
        404 => route().was_removed() || disguise::names_organisation(request),
        207 => route().is_query(),
        500 => headers.get("content-type").is_some_and(|value| value.starts_with(b"application/json")),
        _ => false,
    };
    match needed {
        false => Look::Away,
        true if request.method == Method::HEAD => Look::AtHead,
        true => Look::AtBody,
    }
}

/// What a credential gives away by itself, before anybody has answered: damage, a wrong kind, a spelling that Grafana
/// does not read.
pub fn judge_credential(auth: AuthFacts) -> Option<Verdict> {
    let request = RequestFacts { reading: Reading::Nothing, auth, ..RequestFacts::default() };
    let finding = credential::fault(&request)?;
    let case = Case {
        request: &request,
        status: 401,
        headers: &Fields::default(),
        body: Body::Empty,
        route: Route::of(request.uri.path()),
    };
    Some(hint::write(&case, finding))
}

/// Explains an answer, or says that it is no refusal. Every 401, 403, 407 and 429 gets a reason.
pub fn classify(request: &RequestFacts, answer: &Answer<'_>) -> Option<Verdict> {
    if look(request, answer.status, answer.headers) == Look::Away {
        return None;
    }
    let case = Case {
        request,
        status: answer.status.as_u16(),
        headers: answer.headers,
        body: Body::read(answer.body),
        route: Route::of(request.uri.path()),
    };
    let finding = match case.status {
        300..=399 => redirect::judge(&case)?,
        401 | 407 => unauthorised::judge(&case),
        403 => forbidden::judge(&case),
        429 => limited::judge(&case),
        _ => disguise::judge(&case)?,
    };
    Some(hint::write(&case, finding))
}
