//! What Grafana has not accepted yet spends the budget of its address, too; what it accepts gets that back.
//!
//! A credential is invented for nothing, so a bucket for each is no limit. Until Grafana accepts a credential, each request
//! with it *holds* its cost in the address's bucket. An acceptance returns the hold at once, so that a thousand callers
//! behind one address are accepted as fast as Grafana responds; any other outcome leaves it spent.

use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::Clock;

use super::{Checked, Limits};
use crate::domain::limit::{Budget, Credential, Mode, Rate, Standing};
use crate::domain::token::BucketKey;

/// Sets the credentials of an address that are not accepted apart from its other requests.
const HELD: u128 = 0x5851_f42d_4c95_7f2d_1405_7b7e_f767_814f;

/// Sets the count of acceptances of an address apart from its bucket.
const ACCEPTANCES: u128 = 0xda3e_39cb_94b9_5bdb_8f14_5e2c_6b31_a937;

/// How often one address may bring a credential that Grafana accepts for the first time, after the burst: who can sign in
/// could otherwise make sessions until they have pushed out everybody else's.
const ACCEPTED_PERIOD: Duration = Duration::from_secs(1);

/// What a request holds of its address's budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hold {
    /// The address, and what is taken from the bucket of its requests without a credential.
    address: (BucketKey, u64),
    /// What is taken from the bucket of its credentials that are not accepted.
    unaccepted: (BucketKey, u64),
    /// How much of that is for a question of our own.
    question: u64,
}

impl<C: Clock + Clone> Limits<C> {
    /// Holds the cost of a request whose credential is not accepted, or refuses it.
    ///
    /// What could be a credential of Grafana has a bucket of its own in its address, of the same size: requests without a
    /// credential cannot keep new tokens out. It spends theirs, too. What cannot be one has theirs alone.
    pub(super) fn hold(&self, credential: &Credential, address: BucketKey, cost: NonZeroU32, checked: &mut Checked) {
        if credential.standing == Standing::Vouched || self.client.mode == Mode::Off {
            return;
        }
        let (now, rate) = (self.now(), &self.client.rate);
        let is_sound = credential.standing == Standing::Sound;
        let bucket = if is_sound { held(address) } else { address };
        let question = u32::from(is_sound && credential.takes_question);
        let extra = if is_sound && self.kept.stores.returns(credential.key, now) { rate.extra() } else { 0 };
        match self.kept.stores.take(bucket, rate, cost.get().saturating_add(question), extra, now) {
            Ok(taken) if is_sound => {
                let also = self.kept.stores.take(address, rate, cost.get(), 0, now).unwrap_or_default();
                let without = rate.period.saturating_mul(cost.get());
                let question = taken.saturating_sub(u64::try_from(without.as_nanos()).unwrap_or(u64::MAX));
                checked.hold = Some(Hold { address: (address, also), unaccepted: (bucket, taken), question });
            }
            Ok(_) => {}
            Err(wait) => {
                let debt = self.client.debt(self.kept.stores.address_time(bucket), now);
                if is_sound {
                    self.kept.stores.invite(credential.key, now, wait);
                }
                if checked.settles(self.client.decide(debt, Some(wait))) {
                    self.give_back(credential.key, cost);
                    checked.slot = None;
                    checked.round = None;
                }
            }
        }
    }

    /// What a question of our own about a credential spends: what its request holds for it, or what its address has left.
    /// `None`: nothing is left for it.
    pub fn hold_for_question(&self, held_by_request: Option<Hold>, address: BucketKey) -> Option<Hold> {
        if let Some(hold) = held_by_request.filter(|hold| hold.question > 0) {
            return Some(hold);
        }
        let bucket = held(address);
        let taken = match self.client.mode {
            Mode::Enforce => self.kept.stores.take(bucket, &self.client.rate, 1, 0, self.now()).ok()?,
            Mode::Shadow | Mode::Off => 0,
        };
        let (also, own) = held_by_request.map_or(((address, 0), 0), |hold| (hold.address, hold.unaccepted.1));
        Some(Hold { address: also, unaccepted: (bucket, own.saturating_add(taken)), question: taken })
    }

    /// Returns what was held for a question that is not asked.
    pub fn release_question(&self, hold: Hold) {
        self.kept.stores.give_back_address(hold.unaccepted.0, hold.question);
    }

    /// Returns what a request held.
    pub fn release(&self, hold: Hold) {
        for (bucket, amount) in [hold.address, hold.unaccepted] {
            self.kept.stores.give_back_address(bucket, amount);
        }
    }

    /// Grafana has accepted a credential by itself. Whether it counts as accepted from now on: of one address only so many
    /// do in a while.
    pub fn accept(&self, from: Budget, address: BucketKey) -> bool {
        let Some(credential) = from.credential() else { return false };
        let stores = &self.kept.stores;
        if stores.is_accepted(credential.key) {
            return true;
        }
        let rate = Rate { period: ACCEPTED_PERIOD, burst: self.acceptances };
        let counted = BucketKey(address.0 ^ ACCEPTANCES);
        if stores.take(counted, &rate, 1, 0, self.now()).is_err() {
            return false;
        }
        stores.accept(credential.key);
        true
    }

    /// An acceptance was none.
    pub fn retract(&self, from: Budget) {
        if let Some(credential) = from.credential() {
            self.kept.stores.disown(credential.key);
        }
    }

    /// Whether Grafana may be asked about a credential: it has not been within a while.
    pub fn may_ask(&self, from: Budget) -> bool {
        from.credential().is_some_and(|credential| {
            !self.failures.was_refused(credential.key, self.now())
                && self.kept.stores.begin_question(credential.key, self.now())
        })
    }

    /// Grafana has answered 401 to a credential; `condemned` says that it will to the next request with it, too.
    pub fn fail(&self, from: Budget, address: BucketKey, condemned: bool) {
        let (Budget::Credential(Credential { key, .. }) | Budget::Caller(key, _)) = from else { return };
        self.failures.charge(key, address);
        if condemned {
            self.kept.stores.disown(key);
        }
    }

    fn give_back(&self, key: BucketKey, cost: NonZeroU32) {
        let amount = self.token.rate.period.saturating_mul(cost.min(self.token.rate.burst).get());
        self.kept.stores.give_back(key, u64::try_from(amount.as_nanos()).unwrap_or(u64::MAX));
    }
}

/// What the credentials of an address that are not accepted spend. Each replica counts it by itself, as acceptance is.
const fn held(address: BucketKey) -> BucketKey {
    BucketKey(address.0 ^ HELD)
}
