//! 401s of each address. Above the limit, credentials that Grafana has not accepted are refused there.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use governor::clock::Clock;

use super::clock::Last;
use super::limiter::Limiter;
use super::stores::{Home, Stores};
use crate::domain::limit::{Decision, Mode};
use crate::domain::token::BucketKey;

/// How long it is remembered that a credential was refused.
const REMEMBERED: Duration = Duration::from_secs(600);

/// Sets the mark of a credential, or of an address, apart from its bucket.
const MARK: u128 = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c834;

/// The limit.
///
/// A client that polls with an expired token spends whatever its address regains, and behind a hop that hides addresses
/// it would lock out every new token there. So, once an address has spent all, those that were refused before wait until
/// half of it is regained; who was never refused waits for one.
#[derive(Debug)]
pub(super) struct Failures<C: Clock + Clone> {
    pub(super) limiter: Limiter<C>,
    stores: Stores,
    /// Until when an address may have nothing left: usually there is none, and nothing is looked up.
    spent_until: Arc<AtomicU64>,
}

impl<C: Clock + Clone> Failures<C> {
    pub(super) fn new(limiter: Limiter<C>, stores: &Stores, spent_until: &Arc<AtomicU64>) -> Self {
        Self { limiter, stores: stores.clone(), spent_until: Arc::clone(spent_until) }
    }

    /// Whether any address may have spent all.
    pub(super) fn is_quiet(&self) -> bool {
        self.limiter.mode == Mode::Off || self.spent_until.load(Relaxed) == 0
    }

    /// What becomes of a credential from an address; nothing where it may pass.
    pub(super) fn check(&self, credential: BucketKey, address: BucketKey, now: u64) -> Option<Decision> {
        if self.spent_until.load(Relaxed) <= now {
            let _ = self.spent_until.fetch_update(Relaxed, Relaxed, |until| (until <= now).then_some(0));
            return None;
        }
        if self.stores.is_accepted(credential) {
            return None;
        }
        let debt = self.limiter.debt(self.stores.time(address, Home::Addresses), now);
        let (left, next) = self.limiter.rate.left(debt);
        let regained = if left == 0 { next } else { Duration::ZERO };
        let was_refused = self.stores.time(marked(credential), Home::Wherever) > now;
        let half = self.stores.time(marked(address), Home::Addresses).saturating_sub(now);
        let wait = if was_refused { regained.max(Duration::from_nanos(half)) } else { regained };
        (!wait.is_zero()).then(|| self.limiter.decide(debt, Some(wait)))
    }

    /// Grafana answered 401 to a credential from an address.
    pub(super) fn charge(&self, credential: BucketKey, address: BucketKey) {
        if self.limiter.mode == Mode::Off {
            return;
        }
        let (decision, _) = self.limiter.take(address, Home::Addresses, std::num::NonZeroU32::MIN);
        let now = Last::read();
        let later = |time: Duration| now.saturating_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
        self.stores.mark(marked(credential), Home::Wherever, later(REMEMBERED));
        if decision.remaining == 0 {
            let period = self.limiter.rate.period;
            let half = later(period.saturating_mul(self.limiter.rate.burst.get().div_ceil(2)));
            self.stores.mark(marked(address), Home::Addresses, half);
            self.spent_until.fetch_max(half.max(later(period)), Relaxed);
        }
    }
}

const fn marked(key: BucketKey) -> BucketKey {
    BucketKey(key.0 ^ MARK)
}
