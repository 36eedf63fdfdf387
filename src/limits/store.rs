//! Buckets in a fixed number of places: a flood of keys can neither grow it nor push out a bucket that is in debt for one
//! that is not.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::domain::token::BucketKey;

/// Places that one key may take. More make it rarer that a bucket in debt has to go, and each check a little dearer.
const WAYS: usize = 16;

/// Locks, so that workers seldom meet at one.
const SHARDS: usize = 64;

/// A bucket is a tag of its key and its theoretical arrival time: 16 bytes, in two arrays, so that a look for a tag
/// stays in two cache lines.
#[derive(Debug)]
struct Shard {
    /// Places of this shard. They take memory from the first bucket on.
    places: usize,
    tags: Vec<u64>,
    times: Vec<u64>,
}

impl Shard {
    const fn new(places: usize) -> Self {
        Self { places, tags: Vec::new(), times: Vec::new() }
    }

    /// The tags and times of the set that begins at `at`.
    fn set(&mut self, at: usize) -> Option<(&mut [u64], &mut [u64])> {
        if self.tags.is_empty() {
            self.tags = vec![0; self.places];
            self.times = vec![0; self.places];
        }
        Some((self.tags.get_mut(at..at + WAYS)?, self.times.get_mut(at..at + WAYS)?))
    }
}

/// Where a key belongs.
#[derive(Clone, Copy, Debug)]
struct Place {
    set: usize,
    tag: u64,
}

impl Place {
    /// The tag and the set come from different halves of the hash. Zero means that a place is free.
    fn of(key: BucketKey, sets: u64) -> Self {
        let tag = ((key.0 >> 64) as u64).max(1);
        let set = ((u128::from(key.0 as u64) * u128::from(sets)) >> 64) as usize;
        Self { set, tag }
    }
}

/// A store of at most a given number of buckets, 16 bytes each.
#[derive(Debug)]
pub(super) struct Store {
    shards: Vec<Mutex<Shard>>,
    sets: u64,
}

impl Store {
    /// Room for `capacity` buckets (at least 16).
    pub(super) fn new(capacity: usize) -> Self {
        let sets = (capacity / WAYS).max(1);
        let count = sets.min(SHARDS);
        let shards = (0..count).map(|shard| {
            let own = (sets - shard).div_ceil(count) * WAYS;
            Mutex::new(Shard::new(own))
        });
        Self { shards: shards.collect(), sets: sets as u64 }
    }

    /// Shows `change` the time of `key`'s bucket (`None`: a full bucket), and keeps the time that it returns.
    pub(super) fn update<T, E>(
        &self,
        key: BucketKey,
        change: impl FnOnce(Option<u64>) -> Result<(T, u64), E>,
    ) -> Result<T, E> {
        let place = Place::of(key, self.sets);
        let Some(mut shard) = self.shard(place) else { return change(None).map(|(value, _)| value) };
        let Some((tags, times)) = shard.set(place.set / self.shards.len() * WAYS) else {
            return change(None).map(|(value, _)| value);
        };
        let known = tags.iter().position(|other| *other == place.tag);
        let time = known.and_then(|place| times.get(place)).copied();
        let (value, new) = change(time)?;
        // A place whose time is the smallest holds the bucket that is closest to full: one that is full loses nothing.
        let at = known.or_else(|| times.iter().enumerate().min_by_key(|(_, time)| **time).map(|(place, _)| place));
        if let Some((tag_at, time_at)) = at.and_then(|at| Some((tags.get_mut(at)?, times.get_mut(at)?))) {
            *tag_at = place.tag;
            *time_at = new;
        }
        Ok(value)
    }

    /// As [`Self::update`], for a bucket that is here already; else nothing happens, and `change` is not asked.
    pub(super) fn update_known<T, E>(
        &self,
        key: BucketKey,
        change: impl FnOnce(Option<u64>) -> Result<(T, u64), E>,
    ) -> Option<Result<T, E>> {
        let place = Place::of(key, self.sets);
        let mut shard = self.shard(place)?;
        if shard.tags.is_empty() {
            return None;
        }
        let (tags, times) = shard.set(place.set / self.shards.len() * WAYS)?;
        let at = tags.iter().position(|other| *other == place.tag)?;
        let time = times.get_mut(at)?;
        Some(change(Some(*time)).map(|(value, new)| {
            *time = new;
            value
        }))
    }

    /// The time of a bucket, if it is here.
    pub(super) fn time(&self, key: BucketKey) -> Option<u64> {
        // A change that fails leaves the bucket as it is.
        self.update_known(key, Err::<((), u64), _>)?.err().flatten()
    }

    /// Forgets a bucket. Returns its time.
    pub(super) fn remove(&self, key: BucketKey) -> Option<u64> {
        let place = Place::of(key, self.sets);
        let mut shard = self.shard(place)?;
        if shard.tags.is_empty() {
            return None;
        }
        let (tags, times) = shard.set(place.set / self.shards.len() * WAYS)?;
        let at = tags.iter().position(|other| *other == place.tag)?;
        *tags.get_mut(at)? = 0;
        times.get_mut(at).map(std::mem::take)
    }

    fn shard(&self, place: Place) -> Option<MutexGuard<'_, Shard>> {
        let shard = self.shards.get(place.set % self.shards.len())?;
        Some(shard.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Buckets that are not full at `now`.
    pub(super) fn in_debt(&self, now: u64) -> usize {
        let count = |shard: &Mutex<Shard>| {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard.times.iter().filter(|time| **time > now).count()
        };
        self.shards.iter().map(count).sum()
    }
}
