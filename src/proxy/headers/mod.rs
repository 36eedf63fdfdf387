//! What we take off and put on: the head of a request on its way to Grafana, the head of an answer on its way back.

mod answer;
mod outward;

use http::HeaderName;

pub use self::answer::clean_answer;
pub use self::outward::{Stamp, write_request};
use crate::domain::head::{is_protected, nominated};

/// Our own fields.
#[allow(missing_docs, reason = "each constant is the header's name")]
pub mod name {
    use http::HeaderName;

    pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
    pub const REASON: HeaderName = HeaderName::from_static("x-token-proxy-reason");
    pub const SAW: HeaderName = HeaderName::from_static("x-token-proxy-saw");
    pub const PROXY_STATUS: HeaderName = HeaderName::from_static("proxy-status");
    pub const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
    pub const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
}

/// What the `Connection` lines nominate and may take away.
fn taken_away<'h>(lines: &[&'h [u8]]) -> impl Iterator<Item = HeaderName> + use<'h> {
    let names: Vec<HeaderName> = nominated(lines)
        .filter(|name| !matches!(name.to_ascii_lowercase().as_slice(), b"keep-alive" | b"close" | b"upgrade" | b"te"))
        .filter(|name| !is_protected(name))
        .filter_map(|name| HeaderName::from_bytes(name).ok())
        .collect();
    names.into_iter()
}
