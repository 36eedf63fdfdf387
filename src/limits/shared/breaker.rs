//! When to stop asking the shared store, and when to look again. Knows no clock: moments are nanoseconds given to it.

use std::time::Duration;

/// Failures in a row after which the store counts as gone.
const PATIENCE: u8 = 3;

/// The wait before the first look at a store that is gone.
const SHORTEST: Duration = Duration::from_millis(100);

/// The longest wait between two looks.
const LONGEST: Duration = Duration::from_secs(2);

/// A store that was well for this long starts again with the shortest wait; one that comes and goes does not.
const STEADY: Duration = Duration::from_secs(10);

/// Counts failures in a row, and the waits between looks.
#[derive(Debug)]
pub(super) struct Breaker {
    failures: u8,
    wait: Duration,
    closed: u64,
}

impl Breaker {
    pub(super) const fn new() -> Self {
        Self { failures: 0, wait: SHORTEST, closed: 0 }
    }

    /// The store answered in time.
    pub(super) const fn answered(&mut self) {
        self.failures = 0;
    }

    /// The store did not answer in time, or with an error. Says whether it counts as gone from now on.
    pub(super) const fn failed(&mut self) -> bool {
        self.failures = self.failures.saturating_add(1);
        self.failures >= PATIENCE
    }

    /// The store counts as gone.
    pub(super) fn opened(&mut self, now: u64) {
        if Duration::from_nanos(now.saturating_sub(self.closed)) >= STEADY {
            self.wait = SHORTEST;
        }
    }

    /// How long to wait before the next look.
    pub(super) fn wait(&mut self) -> Duration {
        let wait = self.wait;
        self.wait = wait.saturating_mul(2).min(LONGEST);
        wait
    }

    /// The store answers again.
    pub(super) const fn closed(&mut self, now: u64) {
        self.failures = 0;
        self.closed = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_failures_in_a_row_count() {
        let mut breaker = Breaker::new();
        for _ in 0..10 {
            assert!(!breaker.failed());
            assert!(!breaker.failed());
            breaker.answered();
        }
        assert!(!breaker.failed());
        assert!(!breaker.failed());
        assert!(breaker.failed());
        assert!(breaker.failed(), "it stays open until it is closed");
        breaker.closed(1);
        assert!(!breaker.failed());
    }

    #[test]
    fn waits_grow_and_shrink_again_only_after_a_steady_time() {
        let mut breaker = Breaker::new();
        let second = 1_000_000_000;
        breaker.opened(0);
        let waits: Vec<u128> = (0..7).map(|_| breaker.wait().as_millis()).collect();
        assert_eq!(waits, [100, 200, 400, 800, 1600, 2000, 2000]);
        breaker.closed(20 * second);
        breaker.opened(21 * second);
        assert_eq!(breaker.wait(), LONGEST, "a store that comes and goes is not asked ten times a second");
        breaker.closed(30 * second);
        breaker.opened(40 * second);
        assert_eq!(breaker.wait(), SHORTEST);
    }
}
