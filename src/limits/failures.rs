//! 401s of each address. Above the limit, credentials that Grafana has not accepted are refused there.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use governor::clock::Clock;

use super::clock::Last;
use super::limiter::Limiter;
use super::acceptance::reserve;
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
/// credential of Grafana, waits until half of it is regained. What was never refused leaves a reserve, and is told when to
/// come back; then it may use the reserve: of a flood of invented tokens none comes back.
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
        let debt = self.limiter.debt(self.stores.time(counted, Home::Addresses), now);
        let is_new = credential.standing != Standing::Unsound && !self.was_refused(key, now);
        let wait = match is_new {
            // `take` only says whether there is enough: what is spent is spent by the 401 that may come.
            true => {
                let reserve = if self.stores.returns(key, now) { 0 } else { reserve(&self.limiter.rate) };
                let wait = self.limiter.rate.take(debt, 1, reserve).err();
                // Those who come back need not wait for the reserve.
                let told = wait.map(|_| self.limiter.rate.take(debt, 1, 0).err().unwrap_or(Duration::from_secs(1)));
                told.inspect(|told| self.stores.invite(key, now, *told))
            }
            false => {
                let regained = self.limiter.rate.take(debt, 1, 0).err().unwrap_or_default();
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
        let (decision, _) = self.limiter.take(counted, Home::Addresses, std::num::NonZeroU32::MIN);
        let now = Last::read();
        let later = |time: Duration| after(now, time);
        self.stores.mark(marked(credential), Home::Wherever, later(REMEMBERED));
        if decision.remaining == 0 {
            let period = self.limiter.rate.period;
            let half = later(period.saturating_mul(self.limiter.rate.burst.get().div_ceil(2)));
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
