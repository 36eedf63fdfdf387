//! Requests in the order in which they came.
//!
//! A line is written when an answer begins, a folded refusal up to a second after it was made, and each worker writes
//! its own: a limit has seen them in another order.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// How long lines are held back, in nanoseconds. What took longer counts as coming with what is being let go.
const HOLD: u64 = 60_000_000_000;

/// Requests that are held back at most; beyond, the oldest go early.
const MOST: usize = 200_000;

/// A line so much older than the newest belongs to another log, or the clock was set back.
const ANEW: u64 = 120_000_000_000;

/// One or several requests of one caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Arrival {
    /// Nanoseconds since 1970.
    pub at: u64,
    /// Whose.
    pub caller: usize,
    /// How many.
    pub count: u32,
}

/// Holds arrivals back until none that is older is likely to come.
#[derive(Debug, Default)]
pub(super) struct Order {
    held: BinaryHeap<Reverse<Arrival>>,
    newest: u64,
    /// What has been let go.
    gone: u64,
}

impl Order {
    /// Takes what a line of this moment tells.
    pub(super) fn put(&mut self, told: u64, arrival: Arrival, go: &mut impl FnMut(Arrival)) {
        if told.saturating_add(ANEW) < self.newest {
            self.finish(go);
        }
        self.newest = self.newest.max(told);
        self.held.push(Reverse(Arrival { at: arrival.at.max(self.gone), ..arrival }));
        while self.held.len() > MOST
            || self.held.peek().is_some_and(|held| held.0.at.saturating_add(HOLD) < self.newest)
        {
            self.let_go(go);
        }
    }

    /// Lets all go; what comes then may be of any time.
    pub(super) fn finish(&mut self, go: &mut impl FnMut(Arrival)) {
        while !self.held.is_empty() {
            self.let_go(go);
        }
        (self.newest, self.gone) = (0, 0);
    }

    fn let_go(&mut self, go: &mut impl FnMut(Arrival)) {
        if let Some(Reverse(arrival)) = self.held.pop() {
            self.gone = arrival.at;
            go(arrival);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn ordered(lines: &[(u64, u64)]) -> Vec<u64> {
        let (mut order, mut gone) = (Order::default(), Vec::new());
        let mut go = |arrival: Arrival| gone.push(arrival.at);
        for (told, took) in lines {
            order.put(*told, Arrival { at: told.saturating_sub(*took), caller: 0, count: 1 }, &mut go);
        }
        order.finish(&mut go);
        gone
    }

    #[test]
    fn a_slow_answer_stands_where_its_request_came() {
        let lines = [(100, 1), (101, 1), (130, 31), (131, 1)].map(|(told, took)| (told * SECOND, took * SECOND));
        assert_eq!(ordered(&lines), [99, 99, 100, 130].map(|at| at * SECOND));
    }

    #[test]
    fn a_very_slow_one_never_comes_before_what_is_gone() {
        let lines = [(100, 0), (200, 0), (301, 0), (302, 200)].map(|(told, took)| (told * SECOND, took * SECOND));
        assert_eq!(ordered(&lines), [100, 200, 200, 301].map(|at| at * SECOND));
    }

    #[test]
    fn another_log_begins_anew() {
        assert_eq!(
            ordered(&[(1000 * SECOND, 0), (1001 * SECOND, 0), (5 * SECOND, 0)]),
            [1000 * SECOND, 1001 * SECOND, 5 * SECOND]
        );
    }

    proptest! {
        #[test]
        fn none_is_lost_and_what_lies_within_the_hold_is_sorted(lines in prop::collection::vec((0..HOLD, 0..HOLD), 0..100)) {
            let lines: Vec<_> = lines.into_iter().map(|(told, took)| (told + HOLD, took)).collect();
            let mut wanted: Vec<u64> = lines.iter().map(|(told, took)| told - took).collect();
            wanted.sort_unstable();
            let found = ordered(&lines);
            prop_assert_eq!(found.len(), wanted.len());
            prop_assert!(found.is_sorted());
            prop_assert!(found.iter().zip(&wanted).all(|(found, wanted)| found >= wanted));
        }
    }
}
