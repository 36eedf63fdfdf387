//! Whether Grafana serves visitors without a credential: where it does, a success proves nothing about the credential that
//! came with it.
//!
//! One request without a credential tells, so one is sent when the first credential is answered with a success. Until its
//! response comes, what would be proven without anonymous access counts as accepted, up to a bound; it is taken back if
//! anonymous access turns out to be on.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a finding holds before it is looked at again.
const FRESH: Duration = Duration::from_secs(60);

/// How long after a question without a usable answer the next one is asked.
const AGAIN: Duration = Duration::from_secs(5);

/// How many credentials count as accepted while nothing is known.
const MOST_PROVISIONAL: usize = 4096;

/// What Grafana does with a visitor without a credential.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Access {
    /// Nothing is known yet.
    #[default]
    Unknown,
    /// It refuses them.
    Off,
    /// It serves them.
    On,
    /// It could not be asked.
    Unclear,
}

/// What a credential whose request succeeded, alone, gets for it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Weight<P> {
    /// It is accepted.
    Accepted(P),
    /// It is accepted until more is known.
    Provisional,
    /// Anonymous access is on: Grafana has to be asked about this one.
    Ask(P),
    /// It is not accepted now.
    Nothing,
}

#[derive(Debug)]
struct State<P> {
    access: Access,
    since: Option<Instant>,
    asking: bool,
    provisional: Vec<P>,
}

/// What is known, and what waits for it. `P` is a credential with all that is needed to ask about it.
#[derive(Debug)]
pub(super) struct Anonymous<P>(Mutex<State<P>>);

impl<P> Default for Anonymous<P> {
    fn default() -> Self {
        Self(Mutex::new(State { access: Access::Unknown, since: None, asking: false, provisional: Vec::new() }))
    }
}

impl<P> Anonymous<P> {
    /// Weighs the success of a credential. Also says whether it is for the caller to ask Grafana about visitors now.
    pub(super) fn weigh(&self, now: Instant, pending: P) -> (Weight<P>, bool) {
        let mut state = self.state();
        let age = state.since.map_or(Duration::MAX, |since| now.saturating_duration_since(since));
        let is_due = age >= if state.access == Access::Unclear { AGAIN } else { FRESH };
        let asks = is_due && !state.asking;
        state.asking |= asks;
        let weight = match state.access {
            Access::Off => Weight::Accepted(pending),
            Access::On => Weight::Ask(pending),
            Access::Unclear | Access::Unknown if state.asking && state.provisional.len() < MOST_PROVISIONAL => {
                state.provisional.push(pending);
                Weight::Provisional
            }
            Access::Unclear | Access::Unknown => Weight::Nothing,
        };
        (weight, asks)
    }

    /// A question about visitors has been answered. Returns what counted as accepted and does not any more.
    pub(super) fn answered(&self, now: Instant, access: Access) -> Vec<P> {
        let mut state = self.state();
        (state.asking, state.since, state.access) = (false, Some(now), access);
        let provisional = std::mem::take(&mut state.provisional);
        if access == Access::Off { Vec::new() } else { provisional }
    }

    fn state(&self) -> MutexGuard<'_, State<P>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_asks_and_what_counted_meanwhile_is_taken_back_where_visitors_are_served() {
        let (anonymous, now) = (Anonymous::default(), Instant::now());
        assert_eq!(anonymous.weigh(now, 1), (Weight::Provisional, true));
        assert_eq!(anonymous.weigh(now, 2), (Weight::Provisional, false));
        assert_eq!(anonymous.answered(now, Access::On), [1, 2]);
        assert_eq!(anonymous.weigh(now, 3), (Weight::Ask(3), false));
        assert_eq!(anonymous.weigh(now + FRESH, 4), (Weight::Ask(4), true), "it is looked at again");
        assert!(anonymous.answered(now + FRESH, Access::Off).is_empty());
        assert_eq!(anonymous.weigh(now + FRESH, 5), (Weight::Accepted(5), false));
        assert_eq!(anonymous.weigh(now + 3 * FRESH, 6), (Weight::Accepted(6), true));
    }

    #[test]
    fn while_grafana_cannot_be_asked_nothing_is_accepted() {
        let (anonymous, now) = (Anonymous::default(), Instant::now());
        assert_eq!(anonymous.weigh(now, 1), (Weight::Provisional, true));
        assert_eq!(anonymous.answered(now, Access::Unclear), [1]);
        assert_eq!(anonymous.weigh(now, 2), (Weight::Nothing, false));
        assert_eq!(anonymous.weigh(now + AGAIN, 3), (Weight::Provisional, true));
    }

    #[test]
    fn what_counts_meanwhile_is_bounded() {
        let (anonymous, now) = (Anonymous::default(), Instant::now());
        for number in 0..MOST_PROVISIONAL {
            assert_eq!(anonymous.weigh(now, number).0, Weight::Provisional);
        }
        assert_eq!(anonymous.weigh(now, MOST_PROVISIONAL).0, Weight::Nothing);
    }
}
