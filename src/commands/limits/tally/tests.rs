use std::num::NonZeroU32;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::domain::demand::Suggestion;

fn measure(per_second: u32, burst: u32) -> Measure {
    let rate = Suggestion { per_second, burst }.rate();
    Measure { token: rate, client: rate, exempt: PathRules::new(&["/public/"]) }
}

fn read(log: &str) -> Tallies {
    let mut tallies = Tallies::new(measure(1, 2));
    tallies.read(log.as_bytes()).unwrap();
    tallies
}

fn at(millis: u64) -> String {
    crate::telemetry::timestamp(std::time::UNIX_EPOCH + Duration::from_millis(1_795_000_000_000 + millis))
}

fn served(millis: u64, token: u64, more: &str) -> String {
    format!(
        "{{\"timestamp\":\"{}\",\"event\":\"request_served\",\"path\":\"/api/org\",\"token_fingerprint\":\"{token:012x}\"{more}}}\n",
        at(millis)
    )
}

#[test]
fn a_log_out_of_order_is_put_in_order() {
    // Told when they were answered: the first one took long, and all came a second apart.
    let log: String = [(1000, 0), (2000, 0), (3000, 3000), (3000, 0)]
        .map(|(told, took)| served(told, 1, &format!(",\"duration_ms\":{took}.000")))
        .concat();
    let callers = read(&log).into_callers();
    let (caller, tally) = callers.first().unwrap();
    assert_eq!(*caller, Caller::Token("000000000001".into()));
    assert_eq!(tally.demand.suggest(), Some(Suggestion { per_second: 1, burst: 1 }));
    assert_eq!((tally.requests, tally.last - tally.first), (4, 3_000_000_000));
    assert_eq!(tally.bucket.refused, 0);
}

#[test]
fn what_was_folded_counts() {
    let refused = format!(
        "{{\"timestamp\":\"{}\",\"event\":\"request_refused\",\"source\":\"proxy\",\"reason\":\"token_rate_limited\",\"path\":\"/x\",\"token_name\":\"ci\",\"token_fingerprint\":\"000000000001\",\"suppressed\":99}}\n",
        at(5000)
    );
    let tallies = read(&(refused + &served(9000, 1, "")));
    assert_eq!((tallies.counts.suppressed, tallies.counts.refused, tallies.counts.served), (99, 1, 1));
    let callers = tallies.into_callers();
    let tally = &callers[0].1;
    assert_eq!((tally.requests, tally.demand.requests(), tally.name.as_deref()), (101, 101, Some("ci")));
    // A second holds ten steps of ten.
    assert_eq!(tally.second.most(), 99);
    assert!(tally.bucket.refused > 90 && tally.bucket.first.is_some());
}

#[test]
fn what_no_limit_sees_is_left_aside() {
    let log = served(0, 1, "").replace("/api/org", "/public/a.js") + "nonsense\n\n" + &served(1, 2, "");
    let tallies = read(&log);
    assert_eq!((tallies.counts.exempt, tallies.counts.others, tallies.counts.served), (1, 2, 2));
    assert_eq!(tallies.into_callers().len(), 1);
}

#[test]
fn callers_are_bounded_and_the_rest_is_counted() {
    let log: String = (0..MOST_CALLERS as u64 + 7).map(|token| served(token, token, "")).collect();
    let tallies = read(&log);
    assert_eq!(tallies.counts.beyond, 7);
    assert_eq!(tallies.into_callers().len(), MOST_CALLERS);
}

#[test]
fn a_line_without_end_takes_no_memory() {
    let long = "{".repeat(3 * LONGEST_LINE as usize) + "\n";
    let exact = "x".repeat(LONGEST_LINE as usize - 1) + "\n";
    let mut log = io::Cursor::new(format!("{long}{exact}{}last", served(0, 1, "")));
    let (mut line, mut lengths) = (Vec::new(), Vec::new());
    while next_line(&mut log, &mut line).unwrap() {
        lengths.push(line.len());
    }
    let most = LONGEST_LINE as usize;
    assert_eq!((lengths[0], lengths[1], lengths[3], lengths.len()), (most, most - 1, 4, 4));
    assert!(line.capacity() <= 2 * most);
}

proptest! {
    /// Each request is counted, once, wherever it goes.
    #[test]
    fn none_is_lost(lines in prop::collection::vec((0..200_000u64, 0..4u64, 0..300_000u64, 0..30u32, any::<bool>()), 0..60)) {
        let mut log = String::new();
        let mut wanted = 0;
        for (told, token, took, left, refused) in lines {
            let line = served(told, token, &format!(",\"duration_ms\":{took}.5,\"suppressed\":{left}"));
            log += &if refused { line.replace("request_served", "request_refused") } else { line };
            wanted += u64::from(left) + 1;
        }
        let callers = read(&log).into_callers();
        prop_assert_eq!(callers.iter().map(|(_, tally)| tally.requests).sum::<u64>(), wanted);
        for (_, tally) in &callers {
            prop_assert_eq!(tally.requests, tally.demand.requests());
            prop_assert!(tally.second.most() <= tally.minute.most() && tally.first <= tally.last);
            let given = Suggestion { per_second: 1, burst: 2 }.rate();
            prop_assert_eq!(given.burst, NonZeroU32::new(2).unwrap());
            match tally.demand.refused_by(&given) {
                crate::domain::demand::Verdict::Never => prop_assert_eq!(tally.bucket.refused, 0),
                verdict => prop_assert!(tally.bucket.refused > 0, "{verdict:?}"),
            }
        }
    }
}
