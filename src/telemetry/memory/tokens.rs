//! The past of tokens.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Instant, SystemTime};

use super::moment::{Moment, Second, Wall, seconds};
use super::places::Places;
use super::token::Entry;
use crate::domain::past::{Proof, TokenPast};
use crate::domain::reason::{Reason, Source};
use crate::domain::token::{BucketKey, Fingerprint, TokenKind};

/// Tokens remembered at most: less than 5 MB when full, nothing before they come.
pub const MOST_TOKENS: usize = 50_000;

/// A token in a request, as far as it is remembered.
#[derive(Clone, Copy, Debug)]
pub struct Sighting<'a> {
    /// What its bucket is filed under.
    pub key: BucketKey,
    /// Its family.
    pub kind: Option<TokenKind>,
    /// Its configured name.
    pub name: Option<&'a Arc<str>>,
    /// The organisation that Grafana was asked for.
    pub organisation: Option<u32>,
    /// When. Need not be exact: the beginning of the exchange will do.
    pub at: Instant,
}

/// What is known of one token.
#[derive(Clone, Debug)]
pub struct TokenState {
    /// What its bucket is filed under: asks the limits how near it is to them.
    pub key: BucketKey,
    /// What stands for it in the log.
    pub fingerprint: Fingerprint,
    /// Its family.
    pub kind: Option<TokenKind>,
    /// Its configured name.
    pub name: Option<Arc<str>>,
    /// When it came first, to the second.
    pub first_seen: SystemTime,
    /// When it came last, to the second.
    pub last_seen: SystemTime,
    /// Requests with it that were not refused.
    pub served: u32,
    /// Requests with it that were refused, by whomever.
    pub refused: u32,
    /// Its last success, its last refusal, and what else was seen.
    pub past: TokenPast,
}

/// The past of tokens.
#[derive(Debug)]
pub struct TokenMemory {
    places: Places<Entry>,
    began: Instant,
    /// A token that had been accepted was forgotten for want of room.
    lossy: AtomicBool,
}

impl TokenMemory {
    /// Room for `capacity` tokens, empty at `began`.
    pub fn new(capacity: usize, began: Instant) -> Self {
        Self { places: Places::new(capacity.min(MOST_TOKENS)), began, lossy: AtomicBool::new(false) }
    }

    /// A request with a token was answered with no refusal. Called for every one of them. Returns whether it was somebody
    /// else who was let in, because this token cannot have been.
    pub fn served(&self, sighting: &Sighting<'_>, accepted: bool, proof: impl Fn() -> Proof) -> bool {
        let serve = |entry: &mut Entry, sighting: &Sighting<'_>, now| entry.serve(sighting, now, accepted, &proof);
        // Whoever is accepted displaces others; a page that everybody gets must not make room for invented tokens.
        let found = self.update(sighting, Some(false), serve);
        let newcomer = || accepted && proof() != Proof::Nothing;
        found.unwrap_or_else(|| newcomer() && self.update(sighting, Some(true), serve) == Some(true))
    }

    /// What counted as an acceptance of a token was none.
    pub fn retract(&self, sighting: &Sighting<'_>) {
        let _ = self.update(sighting, None, |entry, _, _| entry.retract());
    }

    /// A request with a token was refused. Returns what was known before.
    pub fn refused(&self, sighting: &Sighting<'_>, reason: Reason, status: u16, wall: SystemTime) -> TokenPast {
        let clock = Wall::new(wall, self.second(sighting.at));
        // What we refused without asking Grafana tells nothing about a token that it never saw.
        let newcomer = !matches!(reason.source(), Source::Proxy | Source::Client);
        self.update(sighting, newcomer.then_some(false), |entry, sighting, now| {
            let past = entry.past(&clock);
            entry.refuse(sighting, reason, status, now);
            past
        })
        .unwrap_or_default()
    }

    /// Whether a token that is not known may have been accepted all the same.
    pub fn is_lossy(&self) -> bool {
        self.lossy.load(Relaxed)
    }

    /// Since when it remembers.
    pub const fn began(&self) -> Instant {
        self.began
    }

    /// The `most` tokens that were seen last, the latest first.
    pub fn snapshot(&self, now: Moment, most: usize) -> Vec<TokenState> {
        let clock = Wall::new(now.wall, self.second(now.monotonic));
        // Only what is shown is copied: a heap of the latest, then those whose tags are in it.
        let mut latest = BinaryHeap::with_capacity(most.min(MOST_TOKENS) + 1);
        self.places.each(|tag, entry| {
            latest.push(Reverse((entry.last_seen(), tag)));
            if latest.len() > most {
                latest.pop();
            }
        });
        let mut tags: Vec<u64> = latest.into_iter().map(|Reverse((_, tag))| tag).collect();
        tags.sort_unstable();
        let mut states = Vec::with_capacity(tags.len());
        self.places.each(|tag, entry| {
            if tags.binary_search(&tag).is_ok() {
                states.push((Reverse((entry.last_seen(), tag)), entry.state(tag, &clock)));
            }
        });
        states.sort_by_key(|(order, _)| *order);
        states.into_iter().map(|(_, state)| state).collect()
    }

    /// How many tokens are remembered.
    pub fn len(&self) -> usize {
        let mut count = 0;
        self.places.each(|_, _| count += 1);
        count
    }

    /// Whether no token has come yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn second(&self, at: Instant) -> u32 {
        seconds(self.began, at)
    }

    /// `newcomer`: whether one that is new may come in, and, where it may, whether it was accepted.
    fn update<T>(
        &self,
        sighting: &Sighting<'_>,
        newcomer: Option<bool>,
        change: impl FnOnce(&mut Entry, &Sighting<'_>, Second) -> T,
    ) -> Option<T> {
        let now = self.second(sighting.at);
        let lost = |entry: &Entry| {
            if entry.was_accepted() {
                self.lossy.store(true, Relaxed);
            }
        };
        let worth = newcomer.map(|accepted| Entry::worth_of_newcomer(now, accepted));
        self.places.update(sighting.key, now, worth, lost, |entry| change(entry, sighting, Second::of(now)))
    }
}

#[cfg(test)]
mod tests;
