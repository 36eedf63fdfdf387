//! Policies and decisions of the rate limits. The store and the clock live in `limits`.

use std::num::NonZeroU32;
use std::time::Duration;

use http::HeaderValue;

/// A rate with its burst: `{ rate: 100/s, burst: 200 }`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Time in which one request is regained.
    pub period: Duration,
    /// Requests that may come at once.
    pub burst: NonZeroU32,
}

impl Rate {
    /// `q` and `w` of `RateLimit-Policy`: so many requests in so many seconds, rounded up.
    pub fn quota(&self) -> (u32, u64) {
        (self.burst.get(), seconds_up(self.period.saturating_mul(self.burst.get())))
    }

    /// What the state of a bucket means to a request that was admitted: `debt` is how far its theoretical arrival time
    /// lies in the future (GCRA). Returns the whole requests left, and the time until the next is regained.
    pub fn left(&self, debt: Duration) -> (u32, Duration) {
        let (period, debt) = (nanos(self.period).max(1), nanos(debt));
        let room = period.saturating_mul(self.burst.get().into()).saturating_sub(debt);
        let left = u32::try_from(room / period).unwrap_or(u32::MAX).min(self.burst.get());
        let missing = if debt == 0 { 0 } else { period - room % period };
        (left, Duration::from_nanos(missing))
    }
}

/// Enough for five centuries, and divided in one instruction where 128 bits take a hundred.
fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// Whole seconds, rounded up.
fn seconds_up(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
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

    /// `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers): `"token";q=200;w=2`.
    pub fn header(self, rate: &Rate) -> HeaderValue {
        let (quota, window) = rate.quota();
        HeaderValue::try_from(format!("\"{}\";q={quota};w={window}", self.name()))
            .unwrap_or(HeaderValue::from_static(""))
    }
}

/// What a limit said to one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Which limit.
    pub policy: Policy,
    /// Whether the request may pass.
    pub admitted: bool,
    /// Whole requests left after this one.
    pub remaining: u32,
    /// Until the next whole request is regained; zero where none is missing.
    pub next: Duration,
    /// Where refused: how long until a retry succeeds. Zero where admitted.
    pub retry_after: Duration,
}

impl Decision {
    /// `Retry-After`: rounded up, so that a retry then succeeds, and at least 1.
    pub fn retry_after_seconds(&self) -> u64 {
        seconds_up(self.retry_after).max(1)
    }

    /// `RateLimit`: `"token";r=150;t=1`.
    pub fn header(&self) -> HeaderValue {
        let (mut remaining, mut next) = (itoa::Buffer::new(), itoa::Buffer::new());
        let begin: &[u8] = match self.policy {
            Policy::Token => b"\"token\";r=",
            Policy::Client => b"\"client\";r=",
        };
        let pieces =
            [begin, remaining.format(self.remaining).as_bytes(), b";t=", next.format(seconds_up(self.next)).as_bytes()];
        let mut text = [0u8; 48];
        let mut length = 0;
        for piece in pieces {
            if let Some(room) = text.get_mut(length..length + piece.len()) {
                room.copy_from_slice(piece);
                length += piece.len();
            }
        }
        HeaderValue::from_bytes(text.get(..length).unwrap_or_default()).unwrap_or(HeaderValue::from_static(""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(period: Duration, burst: u32) -> Rate {
        Rate { period, burst: NonZeroU32::new(burst).unwrap() }
    }

    #[test]
    fn headers_read_like_the_draft() {
        let hundred = rate(Duration::from_millis(10), 200);
        assert_eq!(Policy::Token.header(&hundred), "\"token\";q=200;w=2");
        assert_eq!(Policy::Client.header(&rate(Duration::from_millis(333), 10)), "\"client\";q=10;w=4");
        let (remaining, next) = hundred.left(Duration::from_millis(10));
        let decision = Decision { policy: Policy::Token, admitted: true, remaining, next, retry_after: Duration::ZERO };
        assert_eq!(decision.header(), "\"token\";r=199;t=1");
    }

    #[test]
    fn what_is_left_follows_the_debt() {
        let one = rate(Duration::from_secs(1), 3);
        assert_eq!(one.left(Duration::ZERO), (3, Duration::ZERO));
        assert_eq!(one.left(Duration::from_secs(1)), (2, Duration::from_secs(1)));
        assert_eq!(one.left(Duration::from_millis(1500)), (1, Duration::from_millis(500)));
        assert_eq!(one.left(Duration::from_secs(3)), (0, Duration::from_secs(1)));
        assert_eq!(one.left(Duration::from_secs(9)), (0, Duration::from_secs(1)));
    }

    #[test]
    fn a_wait_is_rounded_up_and_never_nothing() {
        let refused =
            |wait| Decision { policy: Policy::Token, admitted: false, remaining: 0, next: wait, retry_after: wait };
        assert_eq!(refused(Duration::from_nanos(1)).retry_after_seconds(), 1);
        assert_eq!(refused(Duration::from_millis(1001)).retry_after_seconds(), 2);
        assert_eq!(refused(Duration::ZERO).retry_after_seconds(), 1);
    }
}
