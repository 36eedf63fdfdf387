use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use governor::clock::FakeRelativeClock;
use proptest::prelude::*;

use super::*;
use crate::domain::token::HashKey;

fn rate(per_second: u64, burst: u32) -> Rate {
    Rate { period: Duration::from_nanos(1_000_000_000 / per_second), burst: NonZeroU32::new(burst).unwrap() }
}

fn limits(rate: Rate, max_tracked: usize) -> (Limits<FakeRelativeClock>, FakeRelativeClock) {
    let clock = FakeRelativeClock::default();
    let settings = Settings { per_token: rate, per_client: rate, exempt: Vec::new(), max_tracked };
    (Limits::with_clock(&settings, clock.clone()), clock)
}

fn key(number: u64) -> BucketKey {
    HashKey::from_bytes([7; 16]).hash(1, &number.to_le_bytes())
}

#[test]
fn admits_rate_times_time_plus_burst_and_not_one_more_or_less() {
    for (per_second, burst) in [(1, 1), (3, 5), (10, 20), (100, 200), (1000, 1), (7, 1000)] {
        let (limits, clock) = limits(rate(per_second, burst), 1000);
        // Twenty tries for each request that is regained, for as long as it takes to regain three thousand.
        let step = Duration::from_nanos(1_000_000_000 / per_second / 20);
        let mut admitted = 0u64;
        for _ in 0..60_000 {
            admitted += u64::from(limits.check(Policy::Token, key(1)).admitted);
            clock.advance(step);
        }
        let expected = 3_000 + u64::from(burst);
        assert!(admitted.abs_diff(expected) <= 1, "{per_second}/s, burst {burst}: {admitted}, not {expected}");
    }
}

#[test]
fn a_refusal_costs_nothing_and_a_retry_in_time_succeeds() {
    let (limits, clock) = limits(rate(2, 2), 100);
    assert!(limits.check(Policy::Token, key(1)).admitted);
    assert!(limits.check(Policy::Token, key(1)).admitted);
    for _ in 0..50 {
        assert!(!limits.check(Policy::Token, key(1)).admitted);
    }
    let refused = limits.check(Policy::Token, key(1));
    assert_eq!((refused.remaining, refused.retry_after), (0, Duration::from_millis(500)));
    clock.advance(refused.retry_after);
    assert!(limits.check(Policy::Token, key(1)).admitted);
    assert!(limits.check(Policy::Token, key(2)).admitted, "another token pays for this one");
    assert!(limits.check(Policy::Client, key(3)).admitted);
}

#[test]
fn what_is_told_is_what_happens() {
    let (limits, _) = limits(rate(1, 5), 100);
    for left in (0..5).rev() {
        let decision = limits.check(Policy::Token, key(1));
        assert_eq!((decision.admitted, decision.remaining), (true, left));
    }
    assert!(!limits.check(Policy::Token, key(1)).admitted);
}

#[test]
fn a_flood_of_keys_stays_within_the_bound_and_spares_those_deepest_in_debt() {
    let (limits, _) = limits(rate(1, 100), 10_000);
    for known in 0..50 {
        for _ in 0..90 {
            limits.check(Policy::Token, key(known));
        }
    }
    for stranger in 1_000..201_000 {
        limits.check(Policy::Token, key(stranger));
    }
    assert!(limits.tracked() <= 10_000, "{}", limits.tracked());
    for known in 0..50 {
        assert_eq!(
            limits.check(Policy::Token, key(known)).remaining,
            9,
            "token {known} got a new budget from the flood"
        );
    }
}

#[test]
fn buckets_that_are_full_again_are_not_counted() {
    let (limits, clock) = limits(rate(1, 10), 1000);
    for number in 0..100 {
        limits.check(Policy::Token, key(number));
    }
    assert_eq!(limits.tracked(), 100);
    clock.advance(Duration::from_secs(2));
    assert_eq!(limits.tracked(), 0);
}

/// A clock that moves on with every look at it, as the real one does, by no constant step.
#[derive(Clone)]
struct Running {
    clock: FakeRelativeClock,
    step: Arc<AtomicU64>,
}

impl Clock for Running {
    type Instant = <FakeRelativeClock as Clock>::Instant;

    fn now(&self) -> Self::Instant {
        let step = self.step.fetch_add(1, Relaxed);
        // The second look, while the first limiter is made, takes long: the thread was put aside there.
        self.clock.advance(if step == 1 { Duration::from_millis(5) } else { Duration::from_nanos(100) });
        self.clock.now()
    }
}

#[test]
fn what_is_left_does_not_depend_on_when_a_limiter_was_made() {
    let clock = Running { clock: FakeRelativeClock::default(), step: Arc::default() };
    let rate = rate(1000, 200);
    let settings = Settings { per_token: rate, per_client: rate, exempt: Vec::new(), max_tracked: 100 };
    let limits = Limits::with_clock(&settings, clock);
    for policy in [Policy::Token, Policy::Client] {
        let key = key(policy as u64);
        for left in (190..200).rev() {
            assert_eq!(limits.check(policy, key).remaining, left, "{policy:?}");
        }
    }
    assert_eq!(limits.tracked(), 2);
}

proptest! {
    /// Against the plain model: a bucket of tokens that refills continuously.
    #[test]
    fn agrees_with_a_plain_bucket(per_second in 1u64..2000, burst in 1u32..50, gaps in prop::collection::vec(0u64..3_000_000, 1..300)) {
        let period = 1_000_000_000 / per_second;
        let (limits, clock) = limits(rate(per_second, burst), 100);
        let capacity = period * u64::from(burst);
        let mut level = capacity;
        for gap in gaps {
            clock.advance(Duration::from_nanos(gap));
            level = (level + gap).min(capacity);
            let decision = limits.check(Policy::Token, key(1));
            prop_assert_eq!(decision.admitted, level >= period);
            if decision.admitted {
                level -= period;
                prop_assert_eq!(u64::from(decision.remaining), level / period);
            } else {
                prop_assert_eq!(decision.retry_after, Duration::from_nanos(period - level));
            }
        }
    }
}
