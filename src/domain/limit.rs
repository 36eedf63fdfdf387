//! Policies and decisions of the rate limits. The store and the clock live in `limits`.

use std::num::NonZeroU32;
use std::time::Duration;

/// A rate with its burst: `{ rate: 100/s, burst: 200 }`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Time in which one request is regained.
    pub period: Duration,
    /// Requests that may come at once.
    pub burst: NonZeroU32,
}

/// What is limited, and how.
#[derive(Clone, Debug)]
pub struct Settings {
    /// For each credential (token, Basic value, session cookie).
    pub per_token: Rate,
    /// For each address that sends requests without a credential.
    pub per_client: Rate,
    /// Paths that are never limited: exact, or a prefix ending in `/`.
    pub exempt: Vec<String>,
    /// Buckets held at most.
    pub max_tracked: usize,
}

/// The name of a limit, as headers and metrics show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Policy {
    /// One credential.
    Token,
    /// One address without a credential.
    Client,
}

impl Policy {
    /// The name in headers and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Client => "client",
        }
    }
}

/// What a limit said to one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Which limit.
    pub policy: Policy,
    /// Whether the request may pass.
    pub admitted: bool,
    /// Whole requests left after this one: `r`.
    pub remaining: u32,
    /// Seconds until the next whole request is regained, rounded up: `t`.
    pub next: u32,
    /// Where refused: how long until a retry succeeds. Zero where admitted.
    pub retry_after: Duration,
}

impl Decision {
    /// placeholder
    pub fn retry_after_seconds(&self) -> u64 {
        1
    }
}
impl Decision {
    /// stub
    pub fn header(&self) -> http::HeaderValue {
        loop {}
    }
}
