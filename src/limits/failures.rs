//! 401s of each address. Above the limit, credentials that Grafana has not accepted are refused there.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use governor::clock::Clock;

use super::limiter::Limiter;
use super::stores::{Home, Stores, after};
use crate::domain::limit::{Credential, Decision, Mode, Standing};
use crate::domain::token::BucketKey;

/// How long it is remembered that a credential was refused.
const REMEMBERED: Duration = Duration::from_secs(600);

/// Sets the 401s of an address apart from its requests.
const FAILED: u128 = 0xb7e1_5162_8aed_2a6a_bf71_5880_9cf4_f3c7;

/// Sets the mark of a credential, or of an address, apart from its bucket.
const MARK: u128 = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c834;

/// The limit.
///
/// A client that polls with an expired token spends whatever its address regains, and behind a proxy that hides addresses
/// it would lock out every new token there. So, once an address has spent all, what was refused before, or cannot be a
/// credential of Grafana, waits until half of it is regained. What was never refused is told when to come back, and then goes
/// before newcomers: of a flood of invented tokens none comes back.
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
    pub(super) fn check(&self, credential: &Credential, address: BucketKey, now: u64) -> Option<Decision> {
        if self.spent_until.load(Relaxed) <= now {
            let _ = self.spent_until.fetch_update(Relaxed, Relaxed, |until| (until <= now).then_some(0));
            return None;
        }
        let (key, counted) = (credential.key, counted(address));
        let half = self.stores.time(marked(counted), Home::Addresses).saturating_sub(now);
        if half == 0 || self.stores.is_accepted(key) {
            return None;
        }
        let debt = Duration::from_nanos(self.stores.address_time(counted).saturating_sub(now));
        let is_new = credential.standing != Standing::Unsound && !self.was_refused(key, now);
        let rate = &self.limiter.rate;
        let wait = match is_new {
            true => {
                let extra = if self.stores.returns(key, now) { rate.extra() } else { 0 };
                // What is spent is spent by the 401 that may come.
                let wait = rate.take(debt, 1, extra).err();
                wait.inspect(|wait| self.stores.invite(key, now, *wait))
            }
            false => {
                let regained = rate.take(debt, 1, 0).err().unwrap_or_default();
                Some(regained.max(Duration::from_nanos(half)))
            }
        }?;
        Some(self.limiter.decide(debt, Some(wait)))
    }

    /// Whether Grafana has refused a credential not long ago.
    pub(super) fn was_refused(&self, credential: BucketKey, now: u64) -> bool {
        self.stores.time(marked(credential), Home::Wherever) > now
    }

    /// Grafana answered 401 to a credential from an address.
    pub(super) fn charge(&self, credential: BucketKey, address: BucketKey) {
        if self.limiter.mode == Mode::Off {
            return;
        }
        let counted = counted(address);
        let (now, rate) = (self.limiter.now(), &self.limiter.rate);
        let _ = self.stores.take(counted, rate, 1, rate.extra(), now);
        let debt = self.stores.address_time(counted).saturating_sub(now);
        let later = |time: Duration| after(now, time);
        self.stores.mark(marked(credential), Home::Wherever, later(REMEMBERED));
        if rate.left(Duration::from_nanos(debt)).0 == 0 {
            let period = rate.period;
            let half = later(period.saturating_mul(rate.burst.get().div_ceil(2)));
            self.stores.mark(marked(counted), Home::Addresses, half);
            self.spent_until.fetch_max(half.max(later(period)), Relaxed);
        }
    }
}

/// What the 401s of an address are counted under.
const fn counted(address: BucketKey) -> BucketKey {
    BucketKey(address.0 ^ FAILED)
}

const fn marked(key: BucketKey) -> BucketKey {
    BucketKey(key.0 ^ MARK)
}
