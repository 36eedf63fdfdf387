//! One policy at one rate: governor's GCRA over the common buckets.

use std::cell::Cell;
use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::{NotUntil, Quota, RateLimiter};
use http::HeaderValue;

use super::clock::{Last, Moment, SinceStart};
use super::stores::{Home, Stores, Visit};
use crate::domain::limit::{Decision, Mode, Outcome, Policy, Rate};
use crate::domain::token::BucketKey;

#[derive(Debug)]
pub(super) struct Limiter<C: Clock + Clone> {
    pub(super) policy: Policy,
    pub(super) rate: Rate,
    pub(super) mode: Mode,
    pub(super) header: HeaderValue,
    window: u64,
    limiter: RateLimiter<Visit, Stores, SinceStart<C>, NoOpMiddleware<Moment>>,
}

impl<C: Clock + Clone> Limiter<C> {
    pub(super) fn new(policy: Policy, rate: Rate, mode: Mode, stores: &Stores, clock: &SinceStart<C>) -> Self {
        // A period of zero has no meaning to governor: the shortest that there is.
        let period = rate.period.max(Duration::from_nanos(1));
        let quota = Quota::with_period(period).unwrap_or(Quota::per_second(rate.burst)).allow_burst(rate.burst);
        let limiter = RateLimiter::new(quota, stores.clone(), clock.clone());
        let window = period.saturating_mul(rate.burst.get());
        let window = u64::try_from(window.as_nanos()).unwrap_or(u64::MAX);
        Self { policy, rate, mode, header: policy.header(&rate), window, limiter }
    }

    /// Takes `cost` from a bucket, if so much is left there; never more than a full bucket holds, for a request that can
    /// never pass would be told to retry in vain.
    /// Also says whether the bucket is one of the accepted.
    pub(super) fn take(&self, key: BucketKey, home: Home, cost: NonZeroU32) -> (Decision, bool) {
        let visit = Visit { key, home, window: self.window, time: Cell::new(0), accepted: Cell::new(false) };
        let refused = if cost == NonZeroU32::MIN {
            self.limiter.check_key(&visit).err().map(|refusal| until(&refusal))
        } else {
            let result = self.limiter.check_key_n(&visit, cost.min(self.rate.burst));
            result.unwrap_or(Ok(())).err().map(|refusal| until(&refusal))
        };
        let debt = Duration::from_nanos(visit.time.get().saturating_sub(Last::read()));
        (self.decide(debt, refused), visit.accepted.get())
    }

    pub(super) fn now(&self) -> u64 {
        self.limiter.clock().now().as_nanos()
    }

    /// What a bucket says at this moment, `debt` after which it is full, to a request that may have been refused.
    pub(super) fn decide(&self, debt: Duration, refused: Option<Duration>) -> Decision {
        let (remaining, next) = self.rate.left(debt);
        let outcome = match (refused.is_some(), self.mode) {
            (false, _) => Outcome::Allowed,
            (true, Mode::Enforce) => Outcome::Refused,
            (true, Mode::Shadow | Mode::Off) => Outcome::Shadow,
        };
        let remaining = if refused.is_some() { 0 } else { remaining };
        let retry_after = refused.unwrap_or_default();
        Decision { policy: self.policy, outcome, burst: self.rate.burst, remaining, next, retry_after }
    }

    /// How far the time of a bucket lies in the future, at most as far as an empty one's.
    pub(super) fn debt(&self, time: u64, now: u64) -> Duration {
        Duration::from_nanos(time.saturating_sub(now).min(self.window))
    }
}

fn until(refusal: &NotUntil<Moment>) -> Duration {
    Duration::from_nanos(refusal.earliest_possible().as_nanos().saturating_sub(Last::read()))
}
