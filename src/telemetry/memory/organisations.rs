//! Which organisation each accepted token belongs to, where Grafana was asked.

use super::moment::Second;
use super::places::{Places, Worth};
use crate::domain::token::BucketKey;

/// Tokens remembered at most: less than half a megabyte.
const MOST: usize = 16_384;

/// Grafana is asked about the same token no sooner than after so many seconds.
const AGAIN: u32 = 60;

#[derive(Debug, Default)]
struct Entry {
    /// Zero where no answer has come.
    organisation: u32,
    asked: Second,
}

impl Worth for Entry {
    fn worth(&self, _: u32) -> u64 {
        u64::from(self.asked.0)
    }
}

/// The organisations of tokens.
#[derive(Debug)]
pub(super) struct Organisations(Places<Entry>);

impl Organisations {
    pub(super) fn new() -> Self {
        Self(Places::new(MOST))
    }

    pub(super) fn of(&self, token: BucketKey) -> Option<u32> {
        let organisation = self.0.update(token, 0, None, |_| {}, |entry| entry.organisation)?;
        Some(organisation).filter(|organisation| *organisation != 0)
    }

    /// Whether it is for the caller to ask now: nobody has, or it came to nothing a while ago.
    pub(super) fn is_due(&self, token: BucketKey, now: u32) -> bool {
        let due = |entry: &mut Entry| {
            let due = entry.organisation == 0 && (!entry.asked.is_set() || entry.asked.age(now) > AGAIN);
            if due {
                entry.asked = Second::of(now);
            }
            due
        };
        self.0.update(token, now, Some(u64::MAX), |_| {}, due) == Some(true)
    }

    pub(super) fn learn(&self, token: BucketKey, organisation: u32, now: u32) {
        self.0.update(token, now, Some(u64::MAX), |_| {}, |entry| entry.organisation = organisation);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_asks_and_again_only_later() {
        let organisations = Organisations::new();
        let token = BucketKey(7 << 64 | 7);
        assert_eq!(organisations.of(token), None);
        assert!(organisations.is_due(token, 5) && !organisations.is_due(token, 5 + AGAIN - 1));
        assert_eq!(organisations.of(token), None);
        assert!(organisations.is_due(token, 6 + AGAIN), "it came to nothing");
        organisations.learn(token, 3, 70);
        assert_eq!(organisations.of(token), Some(3));
        assert!(!organisations.is_due(token, 10_000), "what is known is not asked for");
    }
}
