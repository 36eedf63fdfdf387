//! Buckets that all replicas share: asked for here and now where a lease answers, else in a round trip.
//!
//! The replica keeps a copy of what it was told last. It is what headers are worked out from, what goes on where the store
//! cannot be asked, and what is sent along with the next question: neither an outage nor a store that comes back
//! empty gives anybody a second burst.

use std::time::{Duration, Instant};

use governor::clock::Clock;

use super::shared::{Answer, Claim, Claimed, Pending};
use super::stores::Home;
use super::{Checked, Limits, Visited};
use crate::domain::limit::{Ask, OnFailure};

/// A question that is on its way.
#[derive(Debug)]
pub struct Round {
    ask: Ask,
    /// When it was asked: debts count from then. A copy that ran ahead of the store would come back to it as debt.
    at: u64,
    pending: Pending,
}

impl<C: Clock + Clone> Limits<C> {
    /// Takes what a request asks for from its bucket, wherever that is.
    pub(super) fn take(&self, visited: Visited<'_, C>, ask: &Ask, checked: &mut Checked) {
        let Some(shared) = &self.kept.shared else {
            return self.take_here(&visited, ask, checked);
        };
        let Visited { key, home, limiter } = visited;
        checked.accepted = home == Home::Accepted || home == Home::Wherever && self.kept.stores.is_accepted(key);
        let now = self.now();
        let debt = limiter.debt(self.kept.stores.time(key, home), now);
        let cost = ask.cost.min(limiter.rate.burst).get();
        let claim = Claim { key, policy: limiter.policy, rate: limiter.rate, cost, debt };
        match shared.claim(&claim, Instant::now()) {
            Claimed::Now(answer) => self.enter((answer, now), &visited, ask, checked),
            Claimed::Later(pending) => checked.round = Some(Box::new(Round { ask: *ask, at: now, pending })),
        }
    }

    /// Waits for what the store says, or for its deadline.
    pub async fn settle(&self, round: Round) -> Checked {
        let answer = round.pending.await;
        let mut checked = Checked::default();
        self.enter((answer, round.at), &self.bucket(round.ask.from), &round.ask, &mut checked);
        checked
    }

    fn take_here(&self, visited: &Visited<'_, C>, ask: &Ask, checked: &mut Checked) {
        let (decision, accepted) = visited.limiter.take(visited.key, visited.home, ask.cost);
        checked.accepted = accepted;
        if checked.settles(decision) {
            checked.slot = None;
        }
    }

    /// Makes a decision of an answer, and keeps a copy of what it tells.
    fn enter(&self, (answer, at): (Answer, u64), visited: &Visited<'_, C>, ask: &Ask, checked: &mut Checked) {
        let Visited { key, home, limiter } = visited;
        let (debt, refused) = match (answer, self.on_failure) {
            (Answer::Admitted { debt }, _) => (debt, None),
            (Answer::Refused { debt, retry_after }, _) => (debt, Some(retry_after)),
            (Answer::Unavailable, OnFailure::Local) => return self.take_here(visited, ask, checked),
            (Answer::Unavailable, OnFailure::Open) => (Duration::ZERO, None),
            (Answer::Unavailable, OnFailure::Closed) => {
                checked.is_unavailable = true;
                checked.slot = None;
                return;
            }
        };
        let time = at.saturating_add(u64::try_from(debt.as_nanos()).unwrap_or(u64::MAX));
        self.kept.stores.copy(*key, *home, time);
        if checked.settles(limiter.decide(debt, refused)) {
            checked.slot = None;
        }
    }
}
