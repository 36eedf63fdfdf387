use governor::clock::FakeRelativeClock;
use governor::{Quota, RateLimiter};
use proptest::prelude::*;

use super::*;

type Arrivals = Vec<(u64, u32)>;

const SECOND: u64 = 1_000_000_000;

fn observed(arrivals: &[(u64, u32)]) -> Demand {
    let mut demand = Demand::default();
    arrivals.iter().for_each(|(at, weight)| demand.observe(*at, *weight));
    demand
}

/// How many of them governor's GCRA refuses. They are sorted.
fn refused(rate: Rate, arrivals: &[(u64, u32)]) -> usize {
    let clock = FakeRelativeClock::default();
    let quota = Quota::with_period(rate.period).unwrap().allow_burst(rate.burst);
    let limiter = RateLimiter::direct_with_clock(quota, clock.clone());
    let mut now = 0;
    let mut refused = 0;
    for (at, weight) in arrivals {
        clock.advance(Duration::from_nanos(at - now));
        now = *at;
        let weight = NonZeroU32::new(*weight).unwrap();
        refused += usize::from(!matches!(limiter.check_n(weight), Ok(Ok(()))));
    }
    refused
}

fn limit(per_second: u32, burst: u32) -> Rate {
    Suggestion { per_second, burst }.rate()
}

/// Whole microseconds; crowds, pauses and equal moments.
fn arrivals() -> impl Strategy<Value = Arrivals> {
    let gap = prop_oneof![4 => Just(0), 4 => 1..2000u64, 3 => 1..100_000u64, 1 => 1..20_000_000u64];
    prop::collection::vec((gap, 1..5u32), 1..150).prop_map(|gaps| {
        let mut at = 0;
        gaps.into_iter()
            .map(|(gap, weight)| {
                at += gap * 1000;
                (at, weight)
            })
            .collect()
    })
}

#[test]
fn it_is_small_and_the_costs_are_those_of_the_ladder() {
    assert!(size_of::<Demand>() <= 128, "{}", size_of::<Demand>());
    for (rate, cost) in LADDER.into_iter().zip(COSTS) {
        assert_eq!(rate * cost.unsigned_abs(), 1_000_000);
    }
    assert!(COSTS[0].checked_mul(HEAVIEST as i32).unwrap() <= TOP);
}

#[test]
fn a_steady_client_needs_its_rate_and_hardly_a_burst() {
    let steady: Arrivals = (0..1000).map(|number| (number * SECOND / 20, 1)).collect();
    let demand = observed(&steady);
    assert_eq!(demand.requests(), 1000);
    // A thousand in 50 s: at 10/s half of them have to be saved up, at 20/s none.
    assert_eq!(demand.needs()[3], Need { per_second: 10, burst: Some(501) });
    assert_eq!(demand.needs()[4], Need { per_second: 20, burst: Some(1) });
    assert_eq!(demand.suggest(), Some(Suggestion { per_second: 20, burst: 1 }));
    assert_eq!(demand.suggest().unwrap().with_headroom(), Suggestion { per_second: 30, burst: 10 });
}

#[test]
fn a_page_of_panels_needs_a_burst_more_than_a_rate() {
    let pages: Arrivals = (0..40).flat_map(|page| (0..35).map(move |_| (page * 60 * SECOND, 1))).collect();
    let demand = observed(&pages);
    assert_eq!(demand.needs()[0], Need { per_second: 1, burst: Some(35) });
    assert_eq!(demand.suggest(), Some(Suggestion { per_second: 10, burst: 35 }));
    assert_eq!(demand.suggest().unwrap().with_headroom(), Suggestion { per_second: 15, burst: 53 });
}

#[test]
fn nothing_suggests_nothing_and_too_much_the_fastest() {
    assert_eq!(Demand::default().suggest(), None);
    assert_eq!(Demand::default().refused_by(&limit(1, 1)), Verdict::Never);
    let flood: Arrivals = (0..40_000).map(|_| (0, 1)).collect();
    let demand = observed(&flood);
    assert_eq!(demand.suggest(), Some(Suggestion { per_second: 5000, burst: 40_000 }));
    assert_eq!(demand.needs()[0].burst, None);
    assert_eq!(demand.refused_by(&limit(1, 1000)), Verdict::Surely);
    assert_eq!(demand.refused_by(&limit(1, 50_000)), Verdict::Unknown);
    assert_eq!(demand.refused_by(&limit(500, 40_000)), Verdict::Never);
    assert_eq!(demand.refused_by(&limit(1, 1100)), Verdict::Surely);
    let beyond: Arrivals = (0..5400).map(|_| (0, 1000)).collect();
    assert_eq!(observed(&beyond).suggest(), None);
    assert_eq!(observed(&beyond).refused_by(&limit(1, 6_000_000)), Verdict::Unknown);
}

#[test]
fn a_clock_that_was_set_back_begins_anew() {
    let hour = 3600 * SECOND;
    let mut arrivals: Arrivals = (0..100).map(|number| (hour + number * SECOND, 1)).collect();
    arrivals.extend((0..100).map(|number| (number * SECOND, 1)));
    assert_eq!(observed(&arrivals).suggest(), Some(Suggestion { per_second: 1, burst: 1 }));
    // One that is late by seconds is counted, and charged with nothing but itself.
    let straggler = [(30 * SECOND, 1), (20 * SECOND, 1), (31 * SECOND, 1)];
    assert_eq!(observed(&straggler).needs()[0].burst, Some(2));
}

proptest! {
    #[test]
    fn what_is_needed_refuses_none_and_one_less_refuses_some(arrivals in arrivals()) {
        for need in observed(&arrivals).needs() {
            let burst = need.burst.unwrap();
            prop_assert_eq!(refused(limit(need.per_second, burst), &arrivals), 0);
            if burst > 1 {
                prop_assert!(refused(limit(need.per_second, burst - 1), &arrivals) > 0, "{:?}", need);
            }
        }
    }

    #[test]
    fn what_is_suggested_passes_with_headroom_half_as_much_again(arrivals in arrivals()) {
        let scaled = |by| arrivals.iter().map(|(at, weight)| (*at, weight * by)).collect::<Arrivals>();
        let suggestion = observed(&scaled(2)).suggest().unwrap();
        prop_assert_eq!(refused(suggestion.rate(), &scaled(2)), 0);
        prop_assert_eq!(refused(suggestion.with_headroom().rate(), &scaled(3)), 0);
    }

    #[test]
    fn a_verdict_is_what_happens(arrivals in arrivals(), per_second in 1..6000u32, burst in 1..300u32) {
        let rate = limit(per_second, burst);
        let refused = refused(rate, &arrivals);
        match observed(&arrivals).refused_by(&rate) {
            Verdict::Never => prop_assert_eq!(refused, 0),
            Verdict::Surely => prop_assert!(refused > 0),
            Verdict::Unknown => prop_assert!(!LADDER.contains(&per_second), "a rate of the ladder is known"),
        }
    }

    #[test]
    fn disorder_never_makes_it_less_and_only_so_much_more(arrivals in arrivals(), late in prop::collection::vec(0..LATE, 150)) {
        let mut unordered: Vec<_> = arrivals.iter().zip(&late).map(|(arrival, late)| (arrival.0 + late * 1000, arrival)).collect();
        unordered.sort_by_key(|(at, _)| *at);
        let unordered: Arrivals = unordered.into_iter().map(|(_, arrival)| *arrival).collect();
        for (sorted, other) in observed(&arrivals).needs().into_iter().zip(observed(&unordered).needs()) {
            let (rate, sorted, other) = (sorted.per_second, sorted.burst.unwrap(), other.burst.unwrap());
            prop_assert!(sorted <= other, "{sorted} {other}");
            let disorder = (u64::from(rate) * LATE * 2).div_ceil(1_000_000);
            prop_assert!(u64::from(other) <= u64::from(sorted) + disorder, "{sorted} {other}");
        }
    }

    #[test]
    fn no_sequence_breaks_it(arrivals in prop::collection::vec((any::<u64>(), any::<u32>()), 0..60)) {
        let demand = observed(&arrivals);
        prop_assert_eq!(demand.requests(), arrivals.len() as u64);
        prop_assert!(demand.peaks.iter().all(|peak| (0..=TOP + LATE as i32).contains(peak)));
        prop_assert_eq!(demand.suggest().is_none() && demand.needs()[11].burst.is_some(), arrivals.is_empty());
    }
}
