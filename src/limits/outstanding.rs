//! How many answers of each credential have not ended. Bounded by the requests that are under way at all.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use foldhash::fast::RandomState;

use crate::domain::token::BucketKey;

/// Locks, so that workers seldom meet at one.
const SHARDS: usize = 16;

type Counts = HashMap<BucketKey, NonZeroU32, RandomState>;

/// The counts.
#[derive(Debug)]
pub(super) struct Outstanding([Mutex<Counts>; SHARDS]);

/// One answer; it ends when this is dropped.
#[derive(Debug)]
pub struct Slot {
    all: Arc<Outstanding>,
    key: BucketKey,
}

impl Outstanding {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self(Default::default()))
    }

    /// Takes one more for this credential; `None` where it has `most` already.
    pub(super) fn begin(self: &Arc<Self>, key: BucketKey, most: NonZeroU32) -> Option<(Slot, u32)> {
        let now = match self.counts(key).entry(key) {
            Entry::Vacant(place) => *place.insert(NonZeroU32::MIN),
            Entry::Occupied(mut count) => {
                let more = count.get().saturating_add(1);
                if more > most {
                    return None;
                }
                *count.get_mut() = more;
                more
            }
        };
        Some((Slot { all: Arc::clone(self), key }, now.get()))
    }

    fn counts(&self, key: BucketKey) -> MutexGuard<'_, Counts> {
        let [first, ..] = &self.0;
        self.0.get(key.0 as usize % SHARDS).unwrap_or(first).lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut counts = self.all.counts(self.key);
        if let Entry::Occupied(mut count) = counts.entry(self.key) {
            match NonZeroU32::new(count.get().get() - 1) {
                Some(less) => *count.get_mut() = less,
                None => drop(count.remove()),
            }
        }
        // What a flood took is given back.
        if counts.is_empty() && counts.capacity() > 1024 {
            counts.shrink_to_fit();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_at_once_and_no_more() {
        let all = Outstanding::new();
        let most = NonZeroU32::new(2).unwrap();
        let (one, count) = all.begin(BucketKey(1), most).unwrap();
        let (two, more) = all.begin(BucketKey(1), most).unwrap();
        assert_eq!((count, more), (1, 2));
        assert!(all.begin(BucketKey(1), most).is_none());
        assert!(all.begin(BucketKey(17), most).is_some(), "another one pays for it");
        drop(one);
        let again = all.begin(BucketKey(1), most);
        assert!(again.is_some() && all.begin(BucketKey(1), most).is_none());
        drop((again, two));
        assert!(all.0.iter().all(|counts| counts.lock().unwrap().is_empty()), "nothing is left behind");
    }
}
