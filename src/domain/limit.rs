//! Policies and decisions of the rate limits. The store and the clock live in `limits`.

use std::num::NonZeroU32;
use std::time::Duration;

use http::HeaderValue;

use super::token::BucketKey;

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

    /// Takes `cost` requests from a bucket with this debt, which may fall `extra` requests below empty (GCRA): the new debt,
    /// or how long until there is enough.
    pub fn take(&self, debt: Duration, cost: u32, extra: u32) -> Result<Duration, Duration> {
        let bound = self.period.saturating_mul(self.burst.get().saturating_add(extra));
        let taken = debt.min(bound) + self.period.saturating_mul(cost.min(self.burst.get()));
        match taken.checked_sub(bound) {
            None | Some(Duration::ZERO) => Ok(taken),
            Some(wait) => Err(wait),
        }
    }

    /// How far below empty a bucket may fall for those that come back when they were told to: a flood of newcomers, which
    /// takes whatever is regained, cannot keep them out.
    pub const fn extra(&self) -> u32 {
        self.burst.get().div_ceil(4)
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

/// What becomes of a request beyond a limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// It is refused.
    #[default]
    Enforce,
    /// It passes, and is counted and written down as one that would be refused.
    Shadow,
    /// Nobody counts.
    Off,
}

impl Mode {
    /// The word in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Shadow => "shadow",
            Self::Off => "off",
        }
    }
}

/// What holds while the store that all replicas share cannot be asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFailure {
    /// Each replica limits by itself: what a token may do, it may do at each.
    #[default]
    Local,
    /// Everything passes.
    Open,
    /// Nothing passes.
    Closed,
}

/// One limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// What it lets through.
    pub rate: Rate,
    /// What becomes of the rest; `None`: what [`Settings::mode`] says.
    pub mode: Option<Mode>,
}

/// What is limited, and how.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What becomes of requests beyond a limit that does not say so itself.
    pub mode: Mode,
    /// For each credential (token, user, session cookie).
    pub per_token: Limit,
    /// For each address: requests without a credential, and those whose credential Grafana has not accepted yet.
    pub per_client: Limit,
    /// 401s of each address.
    pub auth_failures: Limit,
    /// For known callers, in their order: what holds for them in place of `per_token`.
    pub overrides: Vec<Option<Rate>>,
    /// Answers outstanding at once for one credential.
    pub in_flight_per_token: Option<NonZeroU32>,
    /// What requests to a path spend: exact, or a prefix ending in `/`, and more than one.
    pub cost: Vec<(String, NonZeroU32)>,
    /// Paths that are never limited: exact, or a prefix ending in `/`.
    pub exempt: Vec<String>,
    /// Buckets held at most.
    pub max_tracked: usize,
    /// What holds while the store that all replicas share cannot be asked.
    pub on_failure: OnFailure,
}

impl Settings {
    /// Nothing but these two, enforced.
    pub const fn new(per_token: Rate, per_client: Rate, max_tracked: usize) -> Self {
        Self {
            mode: Mode::Enforce,
            per_token: Limit { rate: per_token, mode: None },
            per_client: Limit { rate: per_client, mode: None },
            auth_failures: Limit { rate: per_client, mode: Some(Mode::Off) },
            overrides: Vec::new(),
            in_flight_per_token: None,
            cost: Vec::new(),
            exempt: Vec::new(),
            max_tracked,
            on_failure: OnFailure::Local,
        }
    }

    /// What becomes of requests beyond `limit`.
    pub fn mode_of(&self, limit: &Limit) -> Mode {
        limit.mode.unwrap_or(self.mode)
    }
}

/// The name of a limit, as headers and metrics show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Policy {
    /// One credential.
    Token,
    /// One address: requests without a credential, and those whose credential Grafana has not accepted yet.
    Client,
    /// 401s of one address.
    AuthFailures,
    /// Answers outstanding for one credential.
    InFlight,
}

impl Policy {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 4] = [Self::Token, Self::Client, Self::AuthFailures, Self::InFlight];

    /// The name in headers and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Client => "client",
            Self::AuthFailures => "auth_failures",
            Self::InFlight => "in_flight",
        }
    }

    /// `RateLimit-Policy` of a limit of outstanding answers, in the draft's unit for such.
    pub fn in_flight_header(most: NonZeroU32) -> HeaderValue {
        HeaderValue::try_from(format!("\"{}\";q={most};qu=\"concurrent-requests\"", Self::InFlight.name()))
            .unwrap_or(HeaderValue::from_static(""))
    }

    /// `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers): `"token";q=200;w=2`.
    pub fn header(self, rate: &Rate) -> HeaderValue {
        let (quota, window) = rate.quota();
        HeaderValue::try_from(format!("\"{}\";q={quota};w={window}", self.name()))
            .unwrap_or(HeaderValue::from_static(""))
    }
}

/// What a request asks the limits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Whose budget it would spend.
    pub from: Budget,
    /// How much of it.
    pub cost: NonZeroU32,
}

/// Whose budget a request spends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Budget {
    /// A credential's.
    Credential(Credential),
    /// A known caller's; the number is its place in [`Settings::overrides`].
    Caller(BucketKey, usize),
    /// An address's, which sent no credential.
    Client(BucketKey),
}

/// A credential, as the limits know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credential {
    /// Stands for what Grafana compares; acceptance is kept under it.
    pub key: BucketKey,
    /// Where its budget is kept once it has been accepted: several JWTs of one subject share one.
    pub budget: BucketKey,
    /// What speaks for it before Grafana has accepted it.
    pub standing: Standing,
    /// No response accepts it, so that Grafana has to be asked about it: that spends the address's budget, too.
    pub takes_question: bool,
}

/// What speaks for a credential that Grafana has not accepted yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// A trusted proxy vouches for it: its requests do not spend the address's budget.
    Vouched,
    /// Grafana could have issued it.
    Sound,
    /// Grafana cannot have issued it, or it could not be read.
    Unsound,
}

impl Budget {
    /// The credential, where there is one that Grafana has to accept first.
    pub const fn credential(&self) -> Option<&Credential> {
        match self {
            Self::Credential(credential) => Some(credential),
            Self::Caller(..) | Self::Client(_) => None,
        }
    }
}

/// What a limit made of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It passes.
    Allowed,
    /// It is refused.
    Refused,
    /// It passes, and would be refused if the limit were enforced.
    Shadow,
}

impl Outcome {
    /// The name in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Refused => "refused",
            Self::Shadow => "shadow",
        }
    }
}

/// What a limit said to one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Which limit.
    pub policy: Policy,
    /// Whether the request may pass.
    pub outcome: Outcome,
    /// Requests that the limit lets through at once, at best.
    pub burst: NonZeroU32,
    /// Whole requests left after this one.
    pub remaining: u32,
    /// Until the next whole request is regained; zero where none is missing.
    pub next: Duration,
    /// Where refused: how long until a retry succeeds. Zero where admitted.
    pub retry_after: Duration,
}

impl Decision {
    /// Whether it stands in nobody's way.
    pub fn is_admitted(&self) -> bool {
        self.outcome != Outcome::Refused
    }

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
            Policy::AuthFailures => b"\"auth_failures\";r=",
            Policy::InFlight => b"\"in_flight\";r=",
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
        let decision = Decision {
            policy: Policy::Token,
            outcome: Outcome::Allowed,
            burst: hundred.burst,
            remaining,
            next,
            retry_after: Duration::ZERO,
        };
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
    fn what_is_taken_is_bounded_and_a_refusal_says_how_long() {
        let one = rate(Duration::from_secs(1), 10);
        let seconds = Duration::from_secs;
        assert_eq!(one.take(seconds(0), 1, 0), Ok(seconds(1)));
        assert_eq!(one.take(seconds(9), 1, 0), Ok(seconds(10)));
        assert_eq!(one.take(seconds(10), 1, 0), Err(seconds(1)));
        assert_eq!(one.take(seconds(10), 1, one.extra()), Ok(seconds(11)));
        assert_eq!(one.take(seconds(13), 2, one.extra()), Err(seconds(2)));
        assert_eq!(one.take(seconds(0), 50, 0), Ok(seconds(10)), "what costs more than all takes all");
    }

    #[test]
    fn a_wait_is_rounded_up_and_never_nothing() {
        let refused = |wait| Decision {
            policy: Policy::Token,
            outcome: Outcome::Refused,
            burst: NonZeroU32::MIN,
            remaining: 0,
            next: wait,
            retry_after: wait,
        };
        assert_eq!(refused(Duration::from_nanos(1)).retry_after_seconds(), 1);
        assert_eq!(refused(Duration::from_millis(1001)).retry_after_seconds(), 2);
        assert_eq!(refused(Duration::ZERO).retry_after_seconds(), 1);
    }
}
