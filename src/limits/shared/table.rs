//! Holdings in a fixed number of places. One that is pushed out is budget lost, never budget gained: its lease was paid
//! for at the store.

use std::sync::{Mutex, PoisonError};

use super::holding::Holding;
use crate::domain::limit::{Policy, Rate};
use crate::domain::token::BucketKey;

/// Places that one bucket may take.
const WAYS: usize = 16;

/// Locks, so that workers seldom meet at one.
const SHARDS: usize = 64;

/// Which bucket, with its limit: at another rate, what is held means nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tag(u128);

impl Tag {
    pub(super) fn new(key: BucketKey, policy: Policy, rate: &Rate) -> Self {
        let limit =
            (rate.period.as_nanos() as u64).rotate_left(17) ^ u64::from(rate.burst.get()) ^ (policy as u64) << 56;
        // The finaliser of SplitMix64: limits that differ in one bit shall differ in half of them.
        let limit = (limit ^ limit >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let limit = (limit ^ limit >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        Self(key.0 ^ u128::from(limit ^ limit >> 31) << 64)
    }
}

/// Tags lie apart from what is held, so that a look for one stays in two cache lines.
#[derive(Debug)]
struct Shard {
    /// Places of this shard. They take memory from the first holding on.
    places: usize,
    tags: Vec<u64>,
    held: Vec<Holding>,
}

impl Shard {
    const fn new(places: usize) -> Self {
        Self { places, tags: Vec::new(), held: Vec::new() }
    }

    /// The tags and holdings of the set that begins at `at`.
    fn set(&mut self, at: usize) -> Option<(&mut [u64], &mut [Holding])> {
        if self.tags.is_empty() {
            self.tags = vec![0; self.places];
            self.held = vec![Holding::default(); self.places];
        }
        Some((self.tags.get_mut(at..at + WAYS)?, self.held.get_mut(at..at + WAYS)?))
    }
}

/// The holdings of all buckets that this replica has asked for lately.
#[derive(Debug)]
pub(super) struct Table {
    shards: Vec<Mutex<Shard>>,
    sets: u64,
}

impl Table {
    /// Room for `capacity` holdings (at least 16).
    pub(super) fn new(capacity: usize) -> Self {
        let sets = (capacity / WAYS).max(1);
        let count = sets.min(SHARDS);
        let shard = |shard: usize| Mutex::new(Shard::new((sets - shard).div_ceil(count) * WAYS));
        Self { shards: (0..count).map(shard).collect(), sets: sets as u64 }
    }

    /// Shows `look` what is held of a bucket: nothing, where nothing is known.
    pub(super) fn with<T>(&self, tag: Tag, now: u64, look: impl FnOnce(&mut Holding) -> T) -> T {
        let set = ((u128::from(tag.0 as u64) * u128::from(self.sets)) >> 64) as usize;
        // The other half of the hash. Zero means that a place is free.
        let tag = ((tag.0 >> 64) as u64).max(1);
        let count = self.shards.len().max(1);
        let Some(shard) = self.shards.get(set % count) else { return look(&mut Holding::default()) };
        let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((tags, held)) = shard.set(set / count * WAYS) else { return look(&mut Holding::default()) };
        let known = tags.iter().position(|other| *other == tag);
        let place = known.or_else(|| {
            let least = held.iter().enumerate().min_by_key(|(_, holding)| holding.worth(now));
            least.map(|(place, _)| place)
        });
        let Some((owner, holding)) = place.and_then(|place| Some((tags.get_mut(place)?, held.get_mut(place)?))) else {
            return look(&mut Holding::default());
        };
        if known.is_none() {
            (*owner, *holding) = (tag, Holding::default());
        }
        look(holding)
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;
    use std::time::Duration;

    use super::*;
    use crate::domain::token::HashKey;

    fn tag(number: u64, per_second: u32) -> Tag {
        let rate = Rate { period: Duration::from_secs(1) / per_second, burst: NonZeroU32::new(9).unwrap() };
        Tag::new(HashKey::from_bytes([7; 16]).hash(1, &number.to_le_bytes()), Policy::Token, &rate)
    }

    #[test]
    fn what_is_held_is_found_again_under_its_own_limit_only() {
        let table = Table::new(1000);
        table.with(tag(1, 10), 0, |holding| holding.returned(7, 0));
        let worth = |tag| table.with(tag, 1, |holding| holding.worth(1).0);
        assert!(worth(tag(1, 10)));
        assert!(!worth(tag(1, 11)), "a lease of one rate is spent at another");
        assert!(!worth(tag(2, 10)), "a lease of one token is spent by another");
    }

    #[test]
    fn a_flood_of_buckets_pushes_out_those_without_a_lease_first() {
        let table = Table::new(320);
        for number in 0..20 {
            table.with(tag(number, 10), 0, |holding| holding.returned(7, 0));
        }
        for stranger in 1_000..50_000 {
            table.with(tag(stranger, 10), 1, |_| ());
        }
        let kept = (0..20).filter(|number| table.with(tag(*number, 10), 2, |holding| holding.worth(2).0)).count();
        assert_eq!(kept, 20);
        let places: usize = table.shards.iter().map(|shard| shard.lock().unwrap().held.len()).sum();
        assert_eq!(places, 320);
    }
}
