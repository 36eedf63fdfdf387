//! What the accepted credentials that came last have needed: bounded, in memory alone, for whoever chooses limits.

use std::sync::{Mutex, PoisonError};

use crate::domain::demand::Demand;
use crate::domain::token::BucketKey;

/// Places that one key may take.
const WAYS: usize = 8;

/// Sets of places, each with a lock of its own: 4 096 credentials, half a megabyte once all have come.
const SETS: usize = 512;

/// One credential.
#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    /// The whole key; zero: the place is free.
    key: u128,
    /// When it was first taken in, and last.
    first: u64,
    last: u64,
    demand: Demand,
}

type Set = Mutex<Option<Box<[Entry; WAYS]>>>;

#[derive(Debug)]
pub(super) struct Demands(Box<[Set]>);

impl Demands {
    pub(super) fn new() -> Self {
        Self((0..SETS).map(|_| Mutex::default()).collect())
    }

    /// Takes in a request at a moment. Who has not come for longest makes room.
    pub(super) fn observe(&self, key: BucketKey, now: u64, cost: u32) {
        let Some(set) = self.set(key) else { return };
        let mut set = set.lock().unwrap_or_else(PoisonError::into_inner);
        let set = set.get_or_insert_default();
        let known = set.iter_mut().find(|entry| entry.key == key.0);
        let Some(entry) = (match known {
            Some(entry) => Some(entry),
            None => {
                let oldest = set.iter_mut().min_by_key(|entry| entry.last);
                oldest.map(|entry| {
                    *entry = Entry { key: key.0, first: now, ..Entry::default() };
                    entry
                })
            }
        }) else {
            return;
        };
        entry.last = now;
        entry.demand.observe(now, cost);
    }

    /// What a credential has needed, and since when.
    pub(super) fn of(&self, key: BucketKey) -> Option<(Demand, u64)> {
        let set = self.set(key)?.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = set.as_ref()?.iter().find(|entry| entry.key == key.0)?;
        Some((entry.demand, entry.first))
    }

    fn set(&self, key: BucketKey) -> Option<&Set> {
        self.0.get(key.0 as usize % SETS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_credential_has_needed_its_own_and_the_latest_are_kept() {
        let demands = Demands::new();
        for turn in 0..100 {
            demands.observe(BucketKey(7), turn * 10_000_000, 1);
            demands.observe(BucketKey(8), 0, 2);
        }
        let (steady, since) = demands.of(BucketKey(7)).unwrap();
        let suggestion = steady.suggest().unwrap();
        assert_eq!((since, steady.requests(), suggestion.per_second <= 100), (0, 100, true), "{suggestion:?}");
        assert_eq!(demands.of(BucketKey(8)).unwrap().0.needs().last().unwrap().burst, Some(200));
        for stranger in 1..10_000 {
            demands.observe(BucketKey(7 + stranger * SETS as u128), 2_000_000_000 + stranger as u64, 1);
        }
        assert!(demands.of(BucketKey(7)).is_none() && demands.of(BucketKey(8)).is_some());
    }
}
