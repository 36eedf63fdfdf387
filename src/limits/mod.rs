//! The limiters: governor's GCRA over a bounded store, on a monotonic clock.

mod clock;
pub mod shared;
mod store;

use std::cell::Cell;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use governor::clock::{Clock, MonotonicClock};
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::StateStore;
use governor::{Quota, RateLimiter};
use http::HeaderValue;

use self::clock::{Moment, SinceStart};
use self::store::Store;
use crate::domain::limit::{Decision, Policy, Rate, Settings};
use crate::domain::token::BucketKey;

/// One look at one bucket: its key, and the theoretical arrival time that was found or left there.
#[derive(Clone, Debug)]
struct Visit {
    key: BucketKey,
    time: Cell<u64>,
}

impl PartialEq for Visit {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Eq for Visit {}

impl Hash for Visit {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key.hash(state);
    }
}

/// The store as governor sees it.
#[derive(Clone, Debug)]
struct Buckets(Arc<Store>);

impl StateStore for Buckets {
    type Key = Visit;

    fn measure_and_replace<T, F, E>(&self, visit: &Visit, f: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        self.0.update(visit.key, |time| {
            visit.time.set(time.unwrap_or_default());
            let (value, new) = f(time.map(Nanos::from))?;
            visit.time.set(new.as_u64());
            Ok((value, new.as_u64()))
        })
    }
}

/// One policy over the common store.
#[derive(Debug)]
struct Limiter<C: Clock + Clone> {
    policy: Policy,
    rate: Rate,
    header: HeaderValue,
    /// Added to the keys: another one for each rate that this policy has had, for what is left of a bucket means
    /// nothing at another rate.
    generation: u64,
    limiter: RateLimiter<Visit, Buckets, SinceStart<C>, NoOpMiddleware<Moment>>,
}

impl<C: Clock + Clone> Limiter<C> {
    fn new(policy: Policy, rate: Rate, generation: u64, store: &Arc<Store>, clock: SinceStart<C>) -> Self {
        // A period of zero has no meaning to governor: the shortest that there is.
        let period = rate.period.max(Duration::from_nanos(1));
        let quota = Quota::with_period(period).unwrap_or(Quota::per_second(rate.burst)).allow_burst(rate.burst);
        let limiter = RateLimiter::new(quota, Buckets(Arc::clone(store)), clock);
        Self { policy, rate, header: policy.header(&rate), generation, limiter }
    }

    /// The same policy at another rate, with its buckets where the rate is the same.
    fn at(&self, rate: Rate, store: &Arc<Store>, clock: SinceStart<C>) -> Self {
        let generation = self.generation + u64::from(rate != self.rate);
        Self::new(self.policy, rate, generation, store, clock)
    }

    fn bucket(&self, key: BucketKey) -> BucketKey {
        BucketKey(key.0 ^ u128::from(self.generation) << 64)
    }

    fn check(&self, key: BucketKey) -> Decision {
        let visit = Visit { key: self.bucket(key), time: Cell::new(0) };
        let refusal = self.limiter.check_key(&visit).err();
        let now = SinceStart::<C>::last();
        let until = |moment: u64| Duration::from_nanos(moment.saturating_sub(now));
        let (remaining, next) = self.rate.left(until(visit.time.get()));
        let retry_after =
            refusal.as_ref().map_or(Duration::ZERO, |refusal| until(refusal.earliest_possible().as_nanos()));
        let admitted = refusal.is_none();
        Decision { policy: self.policy, admitted, remaining: if admitted { remaining } else { 0 }, next, retry_after }
    }
}

/// The limits of all callers.
#[derive(Debug)]
pub struct Limits<C: Clock + Clone = MonotonicClock> {
    store: Arc<Store>,
    clock: SinceStart<C>,
    token: Limiter<C>,
    client: Limiter<C>,
}

impl Limits {
    /// Limits as configured, all buckets full.
    pub fn new(settings: &Settings) -> Self {
        Self::with_clock(settings, MonotonicClock)
    }
}

impl<C: Clock + Clone> Limits<C> {
    /// Limits on another clock.
    pub fn with_clock(settings: &Settings, clock: C) -> Self {
        let store = Arc::new(Store::new(settings.max_tracked));
        let clock = SinceStart::new(clock);
        let token = Limiter::new(Policy::Token, settings.per_token, 0, &store, clock.clone());
        let client = Limiter::new(Policy::Client, settings.per_client, 0, &store, clock.clone());
        Self { store, clock, token, client }
    }

    /// The same buckets under new settings: those of a limit that did not change keep what is left in them, those of
    /// one that did are full. The number of buckets stays.
    pub fn reloaded(&self, settings: &Settings) -> Self {
        let (store, clock) = (Arc::clone(&self.store), self.clock.clone());
        let token = self.token.at(settings.per_token, &store, clock.clone());
        let client = self.client.at(settings.per_client, &store, clock.clone());
        Self { store, clock, token, client }
    }

    const fn limiter(&self, policy: Policy) -> &Limiter<C> {
        match policy {
            Policy::Token => &self.token,
            Policy::Client => &self.client,
        }
    }

    /// Takes one request from a bucket, if one is left there.
    pub fn check(&self, policy: Policy, key: BucketKey) -> Decision {
        self.limiter(policy).check(key)
    }

    /// Whole requests left in a bucket now, of how many. Takes none.
    pub fn left(&self, policy: Policy, key: BucketKey) -> (u32, u32) {
        let limiter = self.limiter(policy);
        let now = limiter.limiter.clock().now().as_nanos();
        // A change that fails leaves the bucket as it is.
        let time = self.store.update(limiter.bucket(key), Err::<((), u64), _>).err().flatten().unwrap_or_default();
        let (left, _) = limiter.rate.left(Duration::from_nanos(time.saturating_sub(now)));
        (left, limiter.rate.burst.get())
    }

    /// `RateLimit-Policy` of a limit.
    pub const fn policy_header(&self, policy: Policy) -> &HeaderValue {
        &self.limiter(policy).header
    }

    /// Requests that a limit lets through at once.
    pub const fn burst(&self, policy: Policy) -> u32 {
        self.limiter(policy).rate.burst.get()
    }

    /// Buckets that are not full now.
    pub fn tracked(&self) -> usize {
        let now = self.token.limiter.clock().now().as_nanos();
        self.store.in_debt(now)
    }
}

#[cfg(test)]
mod tests;
