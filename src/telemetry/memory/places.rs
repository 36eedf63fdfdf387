//! A fixed number of places for what is remembered under keys that strangers choose: a flood of keys can neither grow it
//! nor push out what is worth more.

use std::sync::{Mutex, PoisonError};

use crate::domain::token::BucketKey;

/// Places that one key may take.
const WAYS: usize = 8;

/// Locks, so that workers seldom meet at one.
const SHARDS: usize = 64;

/// What stands in a place.
pub(super) trait Worth: Default {
    /// How much is lost with it, at a second: what is worth least goes first.
    fn worth(&self, now: u32) -> u64;
}

/// The places of one set. A tag of zero means that the place is free.
#[derive(Debug)]
struct Set<E> {
    tags: [u64; WAYS],
    entries: [E; WAYS],
}

impl<E: Default> Default for Set<E> {
    fn default() -> Self {
        Self { tags: [0; WAYS], entries: std::array::from_fn(|_| E::default()) }
    }
}

/// The sets of one lock. A set takes memory from its first key on.
type Shard<E> = Mutex<Vec<Option<Box<Set<E>>>>>;

/// A store of at most a given number of entries.
#[derive(Debug)]
pub(super) struct Places<E> {
    shards: Vec<Shard<E>>,
    sets: u64,
}

/// The tag of a key, which also holds its fingerprint. It comes from the half of the hash that does not choose the place.
const fn tag_of(key: BucketKey) -> u64 {
    let tag = (key.0 >> 64) as u64;
    if tag == 0 { 1 } else { tag }
}

impl<E: Worth> Places<E> {
    /// Room for `capacity` entries (at least 8).
    pub(super) fn new(capacity: usize) -> Self {
        let sets = (capacity / WAYS).max(1);
        let count = sets.min(SHARDS);
        let shards = (0..count).map(|shard| {
            let own = (sets - shard).div_ceil(count);
            Mutex::new(std::iter::repeat_with(|| None).take(own).collect())
        });
        Self { shards: shards.collect(), sets: sets as u64 }
    }

    /// Changes the entry of `key`. A new one begins as the default, and takes the place of the entry that is worth least,
    /// unless that is worth more than `worth`, or `worth` is `None`: then there is no room, and `None` is returned. `lost`
    /// is shown what had to go.
    pub(super) fn update<T>(
        &self,
        key: BucketKey,
        now: u32,
        worth: Option<u64>,
        lost: impl FnOnce(&E),
        change: impl FnOnce(&mut E) -> T,
    ) -> Option<T> {
        let (shard, set) = self.place_of(key);
        let mut shard = self.shards.get(shard)?.lock().unwrap_or_else(PoisonError::into_inner);
        let set = match (shard.get_mut(set)?, worth) {
            (Some(set), _) => set,
            (empty, Some(_)) => empty.get_or_insert_default(),
            (None, None) => return None,
        };
        let tag = tag_of(key);
        let known = set.tags.iter().position(|other| *other == tag);
        let place = match known {
            Some(place) => place,
            None => {
                let place = set.room(now, worth?)?;
                let (tag_at, entry) = (set.tags.get_mut(place)?, set.entries.get_mut(place)?);
                if *tag_at != 0 {
                    lost(entry);
                }
                *tag_at = tag;
                *entry = E::default();
                place
            }
        };
        set.entries.get_mut(place).map(change)
    }

    /// Shows `look` every entry with its tag, shard by shard.
    pub(super) fn each(&self, mut look: impl FnMut(u64, &E)) {
        for shard in &self.shards {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            for set in shard.iter().flatten() {
                for (tag, entry) in set.tags.iter().zip(&set.entries).filter(|(tag, _)| **tag != 0) {
                    look(*tag, entry);
                }
            }
        }
    }

    fn place_of(&self, key: BucketKey) -> (usize, usize) {
        let hash = key.0 as u64;
        let set = ((u128::from(hash) * u128::from(self.sets)) >> 64) as usize;
        // `new` makes at least one shard.
        let count = self.shards.len().max(1);
        (set % count, set / count)
    }
}

impl<E: Worth> Set<E> {
    /// The place for a newcomer of this worth.
    fn room(&self, now: u32, worth: u64) -> Option<usize> {
        if let Some(free) = self.tags.iter().position(|tag| *tag == 0) {
            return Some(free);
        }
        let least = self.entries.iter().map(|entry| entry.worth(now)).enumerate().min_by_key(|(_, worth)| *worth);
        least.filter(|(_, least)| *least <= worth).map(|(place, _)| place)
    }
}
