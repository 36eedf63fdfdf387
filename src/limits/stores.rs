//! Which bucket is kept where. A bucket of a credential that Grafana has accepted is safe from what unauthenticated clients
//! send: those have a small store of their own, and so have addresses, which they can choose from, too.

use std::cell::Cell;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use governor::nanos::Nanos;
use governor::state::StateStore;

use super::clock::Last;
use super::store::Store;
use crate::domain::limit::Rate;
use crate::domain::token::BucketKey;

/// Where a bucket is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Home {
    /// Among the accepted, if it is there; else among strangers.
    Wherever,
    /// Among the accepted: the operator vouches for it.
    Accepted,
    /// Among addresses.
    Addresses,
}

/// One look at one bucket: its key, and the theoretical arrival time that was found or left there.
#[derive(Clone, Debug)]
pub(super) struct Visit {
    pub(super) key: BucketKey,
    pub(super) home: Home,
    /// How far in the future that time may lie: where a limit has become smaller, its buckets are empty and no worse.
    pub(super) window: u64,
    pub(super) time: Cell<u64>,
    /// Whether it was found among the accepted.
    pub(super) accepted: Cell<bool>,
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

/// All buckets, as governor sees them.
#[derive(Clone, Debug)]
pub(super) struct Stores(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    accepted: Store,
    strangers: Store,
    addresses: Store,
    /// Until when a credential that was told to come back goes before newcomers, or Grafana is not asked about it again.
    marks: Store,
}

/// Sets the mark of a question apart from that of an invitation.
const ASKED: u128 = 0x6a09_e667_f3bc_c908_bb67_ae85_84ca_a73b;

/// How long Grafana is not asked about the same credential again.
const ASK_AGAIN: Duration = Duration::from_secs(60);

/// How long after the time that it was told a credential still counts as coming back.
const COMES_BACK_WITHIN: Duration = Duration::from_secs(60);

impl Stores {
    /// Room for `capacity` buckets in all.
    pub(super) fn new(capacity: usize) -> Self {
        let (strangers, addresses) = (capacity / 4, capacity / 8);
        let accepted = Store::new(capacity.saturating_sub(strangers + addresses));
        let (marks, addresses) = (Store::new(capacity / 2), Store::new(addresses));
        Self(Arc::new(Inner { accepted, strangers: Store::new(strangers), addresses, marks }))
    }

    pub(super) fn is_accepted(&self, key: BucketKey) -> bool {
        self.0.accepted.time(key).is_some()
    }

    /// Grafana has accepted what this stands for: its bucket moves to where strangers cannot push it out.
    pub(super) fn accept(&self, key: BucketKey) {
        let time = self.0.strangers.remove(key).unwrap_or_default();
        let keep = |known: Option<u64>| Ok::<_, ()>(((), known.unwrap_or_default().max(time)));
        let _ = self.0.accepted.update(key, keep);
    }

    /// Grafana knows it no more.
    pub(super) fn disown(&self, key: BucketKey) {
        if let Some(time) = self.0.accepted.remove(key) {
            let _ = self.0.strangers.update(key, |_| Ok::<_, ()>(((), time)));
        }
    }

    /// The theoretical arrival time of a bucket; zero where nothing is known.
    pub(super) fn time(&self, key: BucketKey, home: Home) -> u64 {
        let Inner { accepted, strangers, addresses, .. } = &*self.0;
        match home {
            Home::Addresses => addresses.time(key),
            Home::Accepted | Home::Wherever => accepted.time(key).or_else(|| strangers.time(key)),
        }
        .unwrap_or_default()
    }

    /// Takes `cost` requests of `rate` from an address's bucket, which may fall `extra` below empty. Returns what was taken as
    /// nanoseconds of debt, or how long until there is enough.
    pub(super) fn take(
        &self,
        address: BucketKey,
        rate: &Rate,
        cost: u32,
        extra: u32,
        now: u64,
    ) -> Result<u64, Duration> {
        self.0.addresses.update(address, |time| {
            let debt = Duration::from_nanos(time.unwrap_or_default().saturating_sub(now));
            let taken = rate.take(debt, cost, extra)?;
            Ok((nanos(taken.saturating_sub(debt)), after(now, taken)))
        })
    }

    /// The theoretical arrival time of an address's bucket.
    pub(super) fn address_time(&self, address: BucketKey) -> u64 {
        self.0.addresses.time(address).unwrap_or_default()
    }

    /// Returns to an address's bucket what was taken.
    pub(super) fn give_back_address(&self, address: BucketKey, amount: u64) {
        let less = |time: Option<u64>| Ok::<_, ()>(((), time.unwrap_or_default().saturating_sub(amount)));
        let _ = self.0.addresses.update_known(address, less);
    }

    /// Returns to the bucket of a credential that is not accepted what was taken.
    pub(super) fn give_back(&self, key: BucketKey, amount: u64) {
        let less = |time: Option<u64>| Ok::<_, ()>(((), time.unwrap_or_default().saturating_sub(amount)));
        let _ = self.0.strangers.update_known(key, less);
    }

    /// A credential was told to come back after `wait`: then it goes before newcomers.
    pub(super) fn invite(&self, key: BucketKey, now: u64, wait: Duration) {
        self.set_mark(key, after(now, wait.saturating_add(COMES_BACK_WITHIN)));
    }

    /// Whether a credential was told to come back.
    pub(super) fn returns(&self, key: BucketKey, now: u64) -> bool {
        self.0.marks.time(key).is_some_and(|until| until > now)
    }

    /// Whether Grafana has not been asked about a credential for a while; from now on it has.
    pub(super) fn begin_question(&self, key: BucketKey, now: u64) -> bool {
        let asked = BucketKey(key.0 ^ ASKED);
        let begins = !self.returns(asked, now);
        if begins {
            self.set_mark(asked, after(now, ASK_AGAIN));
        }
        begins
    }

    fn set_mark(&self, key: BucketKey, until: u64) {
        let _ = self.0.marks.update(key, |_| Ok::<_, ()>(((), until)));
    }

    /// Sets the time of a bucket of addresses, or of strangers.
    pub(super) fn mark(&self, key: BucketKey, home: Home, time: u64) {
        let store = if home == Home::Addresses { &self.0.addresses } else { &self.0.strangers };
        let _ = store.update(key, |_| Ok::<_, ()>(((), time)));
    }

    /// Sets the time of a bucket to what another store says it is.
    pub(super) fn copy(&self, key: BucketKey, home: Home, time: u64) {
        let Inner { accepted, strangers, addresses, .. } = &*self.0;
        let set = |_: Option<u64>| Ok::<_, ()>(((), time));
        let _ = match home {
            Home::Accepted => accepted.update(key, set),
            Home::Addresses => addresses.update(key, set),
            Home::Wherever => accepted.update_known(key, set).unwrap_or_else(|| strangers.update(key, set)),
        };
    }

    /// Buckets that are not full at `now`.
    pub(super) fn in_debt(&self, now: u64) -> usize {
        let Inner { accepted, strangers, addresses, .. } = &*self.0;
        [accepted, strangers, addresses].into_iter().map(|store| store.in_debt(now)).sum()
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// The moment so long after `now`.
pub(super) fn after(now: u64, time: Duration) -> u64 {
    now.saturating_add(nanos(time))
}

impl StateStore for Stores {
    type Key = Visit;

    fn measure_and_replace<T, F, E>(&self, visit: &Visit, f: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let latest = Last::read().saturating_add(visit.window);
        let too_late = Cell::new(false);
        let change = |time: Option<u64>| {
            too_late.set(time.is_some_and(|time| time > latest));
            let time = time.map(|time| time.min(latest));
            visit.time.set(time.unwrap_or_default());
            let (value, new) = f(time.map(Nanos::from))?;
            visit.time.set(new.as_u64());
            Ok((value, new.as_u64()))
        };
        let Inner { accepted, strangers, addresses, .. } = &*self.0;
        let (store, result) = match visit.home {
            Home::Accepted => (accepted, accepted.update(visit.key, change)),
            Home::Addresses => (addresses, addresses.update(visit.key, change)),
            Home::Wherever => match accepted.update_known(visit.key, change) {
                Some(result) => (accepted, result),
                None => (strangers, strangers.update(visit.key, change)),
            },
        };
        visit.accepted.set(std::ptr::eq(store, accepted));
        // A refusal leaves the bucket as it was: what a limit that has become smaller takes off is kept all the same.
        if too_late.get() && result.is_err() {
            let _ = store.update(visit.key, |_| Ok::<_, ()>(((), latest)));
        }
        result
    }
}
