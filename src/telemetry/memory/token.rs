//! What is remembered of one token, in 80 bytes.

use std::sync::Arc;
use std::time::SystemTime;

use super::moment::{Second, Wall};
use super::places::Worth;
use super::{Sighting, TokenState};
use crate::domain::past::{Acceptance, PastRefusal, Proof, TokenPast, condemns_token, is_final};
use crate::domain::reason::Reason;
use crate::domain::token::{BucketKey, TokenKind};

/// For so long an acceptance protects a token's place from tokens that were never accepted.
const PROTECTED: u32 = 24 * 60 * 60;

/// Stands above every second that a process can reach.
const ACCEPTED: u64 = 1 << 32;

#[derive(Debug, Default)]
pub(super) struct Entry {
    /// The half of the key that is not the tag.
    low: u64,
    name: Option<Arc<str>>,
    first: Second,
    last: Second,
    accepted_at: Second,
    refused_at: Second,
    /// When the refusals in a row began.
    since: Second,
    condemned_at: Second,
    /// Answers that were no refusals.
    served: u32,
    refused: u32,
    in_a_row: u32,
    /// Organisation zero does not exist: none was asked for.
    accepted_org: u32,
    refused_org: u32,
    status: u16,
    recovered: u16,
    reason: Option<Reason>,
    /// What Grafana last found wrong with the token itself.
    condemned: Option<Reason>,
    kind: Option<TokenKind>,
}

impl Worth for Entry {
    fn worth(&self, now: u32) -> u64 {
        let protected = self.accepted_at.is_set() && self.accepted_at.age(now) < PROTECTED;
        u64::from(self.last.0) + if protected { ACCEPTED } else { 0 }
    }
}

impl Entry {
    /// What a token is worth that is seen for the first time.
    pub(super) fn worth_of_newcomer(now: u32, accepted: bool) -> u64 {
        u64::from(now) + 1 + if accepted { ACCEPTED } else { 0 }
    }

    pub(super) const fn was_accepted(&self) -> bool {
        self.accepted_at.is_set()
    }

    fn see(&mut self, sighting: &Sighting<'_>, now: Second) {
        if !self.first.is_set() {
            self.first = now;
            self.low = sighting.key.0 as u64;
        }
        // Exchanges end in another order than they begin.
        self.last = self.last.max(now);
        self.kind = sighting.kind;
        // A name changes with the configuration only: comparing pointers leaves its count alone.
        let same = match (&self.name, sighting.name) {
            (Some(known), Some(name)) => Arc::ptr_eq(known, name),
            (None, None) => true,
            _ => false,
        };
        if !same {
            self.name = sighting.name.cloned();
        }
    }

    /// Returns whether it was somebody else who was let in, because this token cannot have been. `proof` is asked for
    /// once a second at most: what it adds to a success of the same second is nothing. It counts where Grafana is known to
    /// accept the token: `accepted`.
    pub(super) fn serve(
        &mut self,
        sighting: &Sighting<'_>,
        now: Second,
        accepted: bool,
        proof: impl FnOnce() -> Proof,
    ) -> bool {
        self.see(sighting, now);
        self.served = self.served.saturating_add(1);
        let organisation = sighting.organisation.unwrap_or_default();
        let known = self.accepted_at == now && self.in_a_row == 0 && self.accepted_org == organisation;
        if known || proof() == Proof::Nothing {
            return false;
        }
        if self.condemned.is_some_and(is_final) {
            return true;
        }
        if !accepted {
            return false;
        }
        if self.condemned.take() == Some(Reason::TokenUnknown) {
            self.recovered = self.recovered.saturating_add(1);
        }
        self.accepted_at = now;
        self.accepted_org = organisation;
        self.in_a_row = 0;
        false
    }

    /// The acceptance was none.
    pub(super) fn retract(&mut self) {
        self.accepted_at = Second::default();
    }

    pub(super) fn refuse(&mut self, sighting: &Sighting<'_>, reason: Reason, status: u16, now: Second) {
        self.see(sighting, now);
        if self.in_a_row == 0 {
            self.since = now;
        }
        self.in_a_row = self.in_a_row.saturating_add(1);
        self.refused = self.refused.saturating_add(1);
        self.refused_at = now;
        self.refused_org = sighting.organisation.unwrap_or_default();
        (self.reason, self.status) = (Some(reason), status);
        if condemns_token(reason) {
            (self.condemned, self.condemned_at) = (Some(reason), now);
        }
    }

    pub(super) fn past(&self, wall: &Wall) -> TokenPast {
        let organisation = |number: u32| (number != 0).then_some(number);
        TokenPast {
            accepted: wall
                .at(self.accepted_at)
                .map(|last| Acceptance { last, organisation: organisation(self.accepted_org) }),
            refused: self.reason.zip(wall.at(self.refused_at)).map(|(reason, last)| PastRefusal {
                last,
                reason,
                status: self.status,
                organisation: organisation(self.refused_org),
                in_a_row: self.in_a_row,
                since: wall.at(self.since).unwrap_or(last),
            }),
            condemned: self.condemned.zip(wall.at(self.condemned_at)),
            recovered: self.recovered,
            unclear: self.served > 0 && !self.accepted_at.is_set(),
        }
    }

    pub(super) fn state(&self, tag: u64, wall: &Wall) -> TokenState {
        let key = BucketKey(u128::from(tag) << 64 | u128::from(self.low));
        TokenState {
            key,
            fingerprint: key.fingerprint(),
            kind: self.kind,
            name: self.name.clone(),
            first_seen: wall.at(self.first).unwrap_or(SystemTime::UNIX_EPOCH),
            last_seen: wall.at(self.last).unwrap_or(SystemTime::UNIX_EPOCH),
            served: self.served,
            refused: self.refused,
            past: self.past(wall),
        }
    }

    pub(super) const fn last_seen(&self) -> Second {
        self.last
    }
}
