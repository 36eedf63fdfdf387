//! What is remembered of users who send passwords: under a keyed hash of the name, never the name.

use super::moment::{Second, Wall};
use super::places::Worth;
use crate::domain::past::UserPast;
use crate::domain::token::BucketKey;

/// Grafana counts the failures of so many seconds.
const WINDOW: u32 = 5 * 60;

/// As many as Grafana allows.
const FAILURES: usize = 5;

#[derive(Debug, Default)]
pub(super) struct Entry {
    /// The last failures, the latest first.
    failures: [Second; FAILURES],
    accepted_at: Second,
    last: Second,
    /// Stands for the password that was accepted.
    password: u64,
}

/// What stands for user and password together.
const fn short(pair: BucketKey) -> u64 {
    pair.0 as u64
}

impl Worth for Entry {
    fn worth(&self, _: u32) -> u64 {
        u64::from(self.last.0) + if self.accepted_at.is_set() { 1 << 32 } else { 0 }
    }
}

impl Entry {
    /// What somebody who is seen for the first time would be.
    pub(super) fn newcomer(now: Second, accepted: bool) -> Self {
        Self { last: now, accepted_at: if accepted { now } else { Second::default() }, ..Self::default() }
    }

    pub(super) fn accept(&mut self, pair: BucketKey, now: Second) {
        *self = Self { failures: [Second::default(); FAILURES], accepted_at: now, last: now, password: short(pair) };
    }

    pub(super) fn refuse(&mut self, now: Second) {
        self.failures.rotate_right(1);
        if let Some(latest) = self.failures.first_mut() {
            *latest = now;
        }
        self.last = now;
    }

    pub(super) fn past(&self, pair: BucketKey, now: u32, wall: &Wall) -> UserPast {
        let counts = |failure: &&Second| failure.is_set() && failure.age(now) < WINDOW;
        UserPast {
            refusals: self.failures.iter().filter(counts).count() as u8,
            accepted: wall.at(self.accepted_at),
            same_password: self.accepted_at.is_set() && self.password == short(pair),
        }
    }
}
