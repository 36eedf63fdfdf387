//! What an answer means: (request facts, status, headers, body prefix) → reason.

use http::{HeaderMap, StatusCode};

use super::head::RequestFacts;
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
    pub headers: &'a HeaderMap,
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

/// How closely to look at an answer with this head. Called for every answer: must cost next to nothing where the
/// status is no refusal's.
pub fn look(request: &RequestFacts, status: StatusCode, headers: &HeaderMap) -> Look {
    let _ = (request, status, headers);
    Look::Away
}

/// Explains an answer, or says that it is no refusal.
pub fn classify(request: &RequestFacts, answer: &Answer<'_>) -> Option<Verdict> {
    let _ = (request, answer);
    None
}
