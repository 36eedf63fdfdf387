use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use governor::clock::FakeRelativeClock;
use proptest::prelude::*;

mod simulation;

use super::*;
use crate::domain::limit::{Limit, Rate, Standing};
use crate::domain::token::HashKey;

fn rate(per_second: u64, burst: u32) -> Rate {
    Rate { period: Duration::from_nanos(1_000_000_000 / per_second), burst: NonZeroU32::new(burst).unwrap() }
}

fn limits(rate: Rate, max_tracked: usize) -> (Limits<FakeRelativeClock>, FakeRelativeClock) {
    let clock = FakeRelativeClock::default();
    (Limits::with_clock(&Settings::new(rate, rate, max_tracked), clock.clone()), clock)
}

impl<C: Clock + Clone> Limits<C> {
    /// One request from a budget, as of an address that never failed.
    fn spend(&self, from: Budget) -> Decision {
        let checked = self.check(&Ask { from, cost: NonZeroU32::MIN }, || key(u64::MAX));
        checked.decision.expect("a limit is in force")
    }
}

fn key(number: u64) -> BucketKey {
    HashKey::from_bytes([7; 16]).hash(1, &number.to_le_bytes())
}

/// Of a credential that somebody vouches for, so that only its own bucket counts.
fn credential(key: BucketKey) -> Budget {
    Budget::Credential(Credential { key, budget: key, standing: Standing::Vouched, takes_question: false })
}

/// Of a credential that Grafana has to accept first.
fn unproven(key: BucketKey) -> Budget {
    Budget::Credential(Credential { key, budget: key, standing: Standing::Sound, takes_question: false })
}

#[test]
fn admits_rate_times_time_plus_burst_and_not_one_more_or_less() {
    for (per_second, burst) in [(1, 1), (3, 5), (10, 20), (100, 200), (1000, 1), (7, 1000)] {
        let (limits, clock) = limits(rate(per_second, burst), 1000);
        // Twenty tries for each request that is regained, for as long as it takes to regain three thousand.
        let step = Duration::from_nanos(1_000_000_000 / per_second / 20);
        let mut admitted = 0u64;
        for _ in 0..60_000 {
            admitted += u64::from(limits.spend(credential(key(1))).is_admitted());
            clock.advance(step);
        }
        let expected = 3_000 + u64::from(burst);
        assert!(admitted.abs_diff(expected) <= 1, "{per_second}/s, burst {burst}: {admitted}, not {expected}");
    }
}

#[test]
fn a_refusal_costs_nothing_and_a_retry_in_time_succeeds() {
    let (limits, clock) = limits(rate(2, 2), 100);
    assert!(limits.spend(credential(key(1))).is_admitted());
    assert!(limits.spend(credential(key(1))).is_admitted());
    for _ in 0..50 {
        assert!(!limits.spend(credential(key(1))).is_admitted());
    }
    let refused = limits.spend(credential(key(1)));
    assert_eq!((refused.remaining, refused.retry_after), (0, Duration::from_millis(500)));
    clock.advance(refused.retry_after);
    assert!(limits.spend(credential(key(1))).is_admitted());
    assert!(limits.spend(credential(key(2))).is_admitted(), "another token pays for this one");
    assert!(limits.spend(Budget::Client(key(3))).is_admitted());
}

#[test]
fn what_is_told_is_what_happens() {
    let (limits, _) = limits(rate(1, 5), 100);
    for left in (0..5).rev() {
        let decision = limits.spend(credential(key(1)));
        assert_eq!((decision.is_admitted(), decision.remaining), (true, left));
    }
    assert!(!limits.spend(credential(key(1))).is_admitted());
}

#[test]
fn a_flood_of_keys_stays_within_the_bound_and_spares_those_deepest_in_debt() {
    let (limits, _) = limits(rate(1, 100), 10_000);
    for known in 0..50 {
        for _ in 0..90 {
            limits.spend(credential(key(known)));
        }
    }
    for stranger in 1_000..201_000 {
        limits.spend(credential(key(stranger)));
    }
    assert!(limits.tracked() <= 10_000, "{}", limits.tracked());
    for known in 0..50 {
        assert_eq!(limits.spend(credential(key(known))).remaining, 9, "token {known} got a new budget from the flood");
    }
}

#[test]
fn buckets_that_are_full_again_are_not_counted() {
    let (limits, clock) = limits(rate(1, 10), 3000);
    for number in 0..100 {
        limits.spend(credential(key(number)));
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
    let limits = Limits::with_clock(&Settings::new(rate, rate, 100), clock);
    for budget in [credential(key(1)), Budget::Client(key(2))] {
        for left in (190..200).rev() {
            assert_eq!(limits.spend(budget).remaining, left, "{budget:?}");
        }
    }
    assert_eq!(limits.tracked(), 2);
}

/// Asks for a budget from an address.
fn ask<C: Clock + Clone>(limits: &Limits<C>, from: Budget, address: u64) -> Checked {
    limits.check(&Ask { from, cost: NonZeroU32::MIN }, || key(address))
}

fn policy_and_outcome(checked: &Checked) -> (Policy, Outcome) {
    checked.decision.map(|decision| (decision.policy, decision.outcome)).unwrap()
}

fn settings(rate: Rate) -> Settings {
    Settings::new(rate, rate, 10_000)
}

#[test]
fn a_flood_of_invented_tokens_never_reaches_an_accepted_one() {
    // No debt protects it: its bucket is nearly full.
    let (limits, _) = limits(rate(1, 100), 10_000);
    let known = credential(key(1));
    limits.spend(known);
    limits.accept(known, key(0));
    for stranger in 1_000..301_000 {
        limits.spend(credential(key(stranger)));
    }
    assert!(ask(&limits, known, 0).accepted);
    assert_eq!(limits.spend(known).remaining, 97);
    assert!(limits.tracked() <= 10_000, "{}", limits.tracked());
}

#[test]
fn what_a_token_spent_before_it_was_accepted_stays_spent() {
    let (limits, _) = limits(rate(1, 10), 1000);
    let token = credential(key(1));
    for _ in 0..4 {
        limits.spend(token);
    }
    limits.accept(token, key(0));
    assert_eq!(limits.spend(token).remaining, 5);
    limits.fail(token, key(2), true);
    assert!(!ask(&limits, token, 3).accepted, "Grafana knows it no more");
    assert_eq!(limits.left(key(1), None), (4, 10));
}

#[test]
fn an_address_that_sends_bad_tokens_is_slowed_and_accepted_ones_pass() {
    let clock = FakeRelativeClock::default();
    let failures = Limit { rate: rate(1, 4), mode: None };
    let limits = Limits::with_clock(&Settings { auth_failures: failures, ..settings(rate(100, 100)) }, clock.clone());
    let (home, elsewhere) = (1 << 40, 2 << 40);
    let good = credential(key(7));
    limits.accept(good, key(0));
    // Random tokens, each one refused by Grafana.
    for stranger in 100..104 {
        let token = credential(key(stranger));
        assert_eq!(policy_and_outcome(&ask(&limits, token, home)), (Policy::Token, Outcome::Allowed));
        limits.fail(token, key(home), true);
    }
    let next = ask(&limits, credential(key(104)), home);
    assert_eq!(policy_and_outcome(&next), (Policy::AuthFailures, Outcome::Refused));
    let decision = next.decision.unwrap();
    assert_eq!((decision.remaining, decision.retry_after), (0, Duration::from_secs(1)));
    assert_eq!(limits.left(key(104), None), (100, 100), "a refusal costs nothing");
    // One that was refused before waits for half of the budget: it would take all that is regained from the others.
    let again = ask(&limits, credential(key(100)), home).decision.unwrap();
    assert_eq!((again.policy, again.retry_after), (Policy::AuthFailures, Duration::from_secs(2)));
    for (budget, address) in [
        (good, home),
        (credential(key(104)), elsewhere),
        (Budget::Client(key(home + 1)), home),
        (Budget::Caller(key(10), 0), home),
    ] {
        assert!(ask(&limits, budget, address).decision.unwrap().is_admitted(), "{budget:?}");
    }
    clock.advance(Duration::from_secs(1));
    assert_eq!(policy_and_outcome(&ask(&limits, credential(key(104)), home)), (Policy::Token, Outcome::Allowed));
    assert_eq!(policy_and_outcome(&ask(&limits, credential(key(100)), home)).0, Policy::AuthFailures);
    clock.advance(Duration::from_secs(1));
    assert_eq!(policy_and_outcome(&ask(&limits, credential(key(100)), home)), (Policy::Token, Outcome::Allowed));
    clock.advance(Duration::from_secs(60));
    ask(&limits, credential(key(100)), home);
    assert!(limits.failures.is_quiet(), "nobody is looked up for nothing");
}

#[test]
fn what_is_not_accepted_spends_its_addresss_budget_and_gets_it_back_when_it_is() {
    let (limits, clock) = limits(rate(1, 8), 10_000);
    let home = 1 << 40;
    let holds: Vec<_> = (0..8).map(|number| ask(&limits, unproven(key(number)), home).hold.unwrap()).collect();
    let ninth = ask(&limits, unproven(key(8)), home);
    assert_eq!(policy_and_outcome(&ninth), (Policy::Client, Outcome::Refused));
    assert_eq!(ninth.decision.unwrap().retry_after, Duration::from_secs(1));
    assert_eq!(limits.left(key(8), None), (8, 8), "a refusal costs nothing");
    // Who was told to come back goes before newcomers.
    let again = ask(&limits, unproven(key(8)), home);
    assert_eq!((policy_and_outcome(&again), again.hold.is_some()), ((Policy::Token, Outcome::Allowed), true));
    assert_eq!(policy_and_outcome(&ask(&limits, unproven(key(9)), home)).1, Outcome::Refused);
    assert_eq!(
        policy_and_outcome(&ask(&limits, unproven(key(10)), 2 << 40)).1,
        Outcome::Allowed,
        "another address pays"
    );
    // Requests without a credential spend the same.
    assert_eq!(policy_and_outcome(&ask(&limits, Budget::Client(key(home)), home)).1, Outcome::Refused);
    // One is accepted: what it held is there for the next.
    assert!(limits.accept(unproven(key(0)), key(home)));
    limits.release(holds[0]);
    limits.release(holds[1]);
    assert_eq!(policy_and_outcome(&ask(&limits, unproven(key(11)), home)).1, Outcome::Allowed);
    for _ in 0..7 {
        let checked = ask(&limits, unproven(key(0)), home);
        assert_eq!((checked.accepted, checked.hold, policy_and_outcome(&checked).1), (true, None, Outcome::Allowed));
    }
    clock.advance(Duration::from_secs(1));
    assert_eq!(limits.spend(Budget::Client(key(home))).remaining, 1);
}

#[test]
fn requests_without_a_credential_keep_no_new_token_out_and_what_is_none_counts_as_they_do() {
    let (limits, _) = limits(rate(1, 4), 10_000);
    let home = 1 << 40;
    let damaged = |number| {
        let key = key(number);
        Budget::Credential(Credential { key, budget: key, standing: Standing::Unsound, takes_question: false })
    };
    assert_eq!(limits.spend(Budget::Client(key(home))).remaining, 3);
    let admitted = |from: Budget| policy_and_outcome(&ask(&limits, from, home)).1 == Outcome::Allowed;
    assert_eq!([1, 2, 3, 4].map(|number| admitted(damaged(number))), [true, true, true, false]);
    assert!(!admitted(Budget::Client(key(home))) && admitted(unproven(key(9))));
}

#[test]
fn a_jwt_that_is_accepted_spends_what_belongs_to_its_subject() {
    let (limits, _) = limits(rate(1, 5), 1000);
    let jwt = |number| {
        Budget::Credential(Credential {
            key: key(number),
            budget: key(50),
            standing: Standing::Sound,
            takes_question: false,
        })
    };
    limits.accept(jwt(1), key(60));
    limits.accept(jwt(2), key(60));
    assert_eq!([limits.spend(jwt(1)).remaining, limits.spend(jwt(2)).remaining], [4, 3]);
    assert_eq!(limits.spend(jwt(3)).remaining, 4, "whoever names a subject spends its budget");
    assert_eq!(limits.spend(jwt(1)).remaining, 2);
}

#[test]
fn of_one_address_only_so_many_are_accepted() {
    let (limits, clock) = limits(rate(1, 5), 40);
    let accepted = |from: u64| (0..100).filter(|number| limits.accept(unproven(key(from + number)), key(from))).count();
    assert_eq!([accepted(1 << 20), accepted(2 << 20)], [10, 10]);
    clock.advance(Duration::from_secs(3));
    assert_eq!(accepted(3 << 19), 10);
    assert!(limits.accept(unproven(key(9 << 20)), key(1 << 20)), "it is regained");
}

#[test]
fn a_flood_of_new_tokens_leaves_room_for_those_that_come_back_when_told() {
    let base = settings(rate(1000, 1000));
    let failures = Limit { rate: rate(1, 8), mode: None };
    let clock = FakeRelativeClock::default();
    let limits = Limits::with_clock(&Settings { auth_failures: failures, ..base }, clock.clone());
    let home = 1 << 40;
    let mut invented = 1000;
    let mut flood = || {
        for _ in 0..50 {
            invented += 1;
            let token = unproven(key(invented));
            if ask(&limits, token, home).decision.unwrap().is_admitted() {
                limits.fail(token, key(home), true);
            }
        }
    };
    flood();
    let refused = ask(&limits, unproven(key(7)), home).decision.unwrap();
    assert_eq!((refused.policy, refused.outcome), (Policy::AuthFailures, Outcome::Refused));
    let seconds = refused.retry_after_seconds();
    for _ in 0..seconds * 10 {
        clock.advance(Duration::from_millis(100));
        flood();
    }
    let again = ask(&limits, unproven(key(7)), home);
    assert_eq!(policy_and_outcome(&again), (Policy::Token, Outcome::Allowed), "told to come back after {seconds} s");
}

#[test]
fn a_request_spends_what_it_costs() {
    let (limits, clock) = limits(rate(1, 10), 1000);
    let take = |cost| {
        let ask = Ask { from: credential(key(1)), cost: NonZeroU32::new(cost).unwrap() };
        limits.check(&ask, || key(0)).decision.unwrap()
    };
    assert_eq!(take(7).remaining, 3);
    let refused = take(4);
    assert_eq!(
        (refused.outcome, refused.remaining, refused.retry_after),
        (Outcome::Refused, 0, Duration::from_secs(1))
    );
    assert_eq!(take(3).remaining, 0, "a refusal spends nothing");
    clock.advance(Duration::from_secs(10));
    assert_eq!((take(1000).outcome, take(1).outcome), (Outcome::Allowed, Outcome::Refused), "all that there is");
}

#[test]
fn a_shadowed_limit_counts_and_refuses_nothing() {
    let base = settings(rate(1, 2));
    for settings in [
        Settings { mode: Mode::Shadow, ..base.clone() },
        Settings { per_token: Limit { mode: Some(Mode::Shadow), ..base.per_token }, ..base.clone() },
    ] {
        let limits = Limits::with_clock(&settings, FakeRelativeClock::default());
        let outcomes: Vec<_> = (0..4).map(|_| ask(&limits, credential(key(1)), 0)).collect();
        let [_, _, third, fourth] = &outcomes[..] else { unreachable!() };
        for checked in [third, fourth] {
            assert_eq!(policy_and_outcome(checked), (Policy::Token, Outcome::Shadow));
            assert_eq!((checked.shadowed, checked.decision.unwrap().remaining), (checked.decision, 0));
        }
        assert!(outcomes[1].shadowed.is_none());
    }
    let off = Settings { per_token: Limit { mode: Some(Mode::Off), ..base.per_token }, ..base };
    let limits = Limits::with_clock(&off, FakeRelativeClock::default());
    assert!((0..9).all(|_| ask(&limits, credential(key(1)), 0).decision.is_none()));
}

#[test]
fn answers_that_are_outstanding_are_bounded() {
    let settings = Settings { in_flight_per_token: NonZeroU32::new(2), ..settings(rate(100, 100)) };
    let limits = Limits::with_clock(&settings, FakeRelativeClock::default());
    let token = credential(key(1));
    let (one, two) = (ask(&limits, token, 0), ask(&limits, token, 0));
    let third = ask(&limits, token, 0);
    assert_eq!(policy_and_outcome(&third), (Policy::InFlight, Outcome::Refused));
    assert_eq!(limits.left(key(1), None).0, 98, "a refusal costs nothing");
    assert!(
        ask(&limits, credential(key(2)), 0).slot.is_some() && ask(&limits, Budget::Client(key(1)), 0).slot.is_none()
    );
    let header = limits.policy_header(Policy::InFlight, None);
    assert_eq!(header, "\"in_flight\";q=2;qu=\"concurrent-requests\"");
    drop(one);
    assert_eq!(policy_and_outcome(&ask(&limits, token, 0)), (Policy::Token, Outcome::Allowed));
    drop(two);
}

#[test]
fn a_reload_keeps_every_bucket_and_a_smaller_limit_makes_it_no_worse_than_empty() {
    let clock = FakeRelativeClock::default();
    let wide = Settings { overrides: vec![Some(rate(1, 50)), None], ..settings(rate(1, 100)) };
    let limits = Limits::with_clock(&wide, clock.clone());
    let (own, other, plain) = (Budget::Caller(key(1), 0), Budget::Caller(key(2), 1), credential(key(3)));
    for _ in 0..40 {
        limits.spend(own);
        limits.spend(other);
        limits.spend(plain);
    }
    let narrow = limits.reloaded(&Settings { overrides: vec![Some(rate(10, 20)), None], ..wide });
    assert_eq!((narrow.spend(other).remaining, narrow.spend(plain).remaining), (59, 59));
    let refused = narrow.spend(own);
    assert_eq!((refused.outcome, refused.retry_after), (Outcome::Refused, Duration::from_millis(100)));
    clock.advance(Duration::from_secs(2));
    assert_eq!(narrow.spend(own).remaining, 19);
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
            let decision = limits.spend(credential(key(1)));
            prop_assert_eq!(decision.is_admitted(), level >= period);
            if decision.is_admitted() {
                level -= period;
                prop_assert_eq!(u64::from(decision.remaining), level / period);
            } else {
                prop_assert_eq!(decision.retry_after, Duration::from_nanos(period - level));
            }
        }
    }
}
