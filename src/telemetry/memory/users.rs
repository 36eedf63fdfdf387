//! The past of users who send passwords.

use std::time::Instant;

use super::moment::{Moment, Second, Wall, seconds};
use super::places::{Places, Worth as _};
use super::user::Entry;
use crate::domain::past::{Proof, UserPast};
use crate::domain::reason::Reason;
use crate::domain::token::BucketKey;

/// A bounded number of users.
#[derive(Debug)]
pub(super) struct UserMemory {
    places: Places<Entry>,
    began: Instant,
}

impl UserMemory {
    pub(super) fn new(capacity: usize, began: Instant) -> Self {
        Self { places: Places::new(capacity), began }
    }

    pub(super) fn served(&self, name: BucketKey, pair: BucketKey, proof: Proof, at: Instant) {
        if proof != Proof::Nothing {
            let now = seconds(self.began, at);
            self.update(name, now, |entry| entry.accept(pair, Second::of(now)), true);
        }
    }

    /// Returns what was known before. Only what Grafana counts as a failed attempt is kept.
    pub(super) fn refused(&self, name: BucketKey, pair: BucketKey, reason: Reason, at: Moment) -> UserPast {
        let now = seconds(self.began, at.monotonic);
        let clock = Wall::new(at.wall, now);
        self.update(
            name,
            now,
            |entry| {
                let past = entry.past(pair, now, &clock);
                if matches!(reason, Reason::PasswordWrong | Reason::LoginBlocked) {
                    entry.refuse(Second::of(now));
                }
                past
            },
            false,
        )
        .unwrap_or_default()
    }

    fn update<T>(&self, name: BucketKey, now: u32, change: impl FnOnce(&mut Entry) -> T, accepted: bool) -> Option<T> {
        let worth = Entry::newcomer(Second::of(now), accepted).worth(now);
        self.places.update(name, now, Some(worth), |_| {}, change)
    }
}
