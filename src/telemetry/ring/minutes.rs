//! Refusals of each minute by reason, for an hour. Pure: the time is an argument.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::domain::reason::Reason;

/// Minutes kept, the running one included.
const MINUTES: u64 = 60;

/// One minute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Minute {
    /// When it began.
    pub start: SystemTime,
    /// Refusals by reason, in the order of the table; reasons without one are left out.
    pub counts: Vec<(Reason, u64)>,
}

#[derive(Debug, Default)]
pub(super) struct Minutes {
    /// The minutes with something in them, oldest first, by their number since 1970.
    counted: VecDeque<(u64, BTreeMap<Reason, u64>)>,
}

impl Minutes {
    /// Counts refusals at a moment. A clock that was set back counts into the minute it came from: nothing is lost.
    pub(super) fn count(&mut self, at: SystemTime, reason: Reason, count: u64) {
        let minute = number(at);
        match self.counted.back_mut() {
            Some((last, counts)) if *last >= minute => *counts.entry(reason).or_default() += count,
            _ => self.counted.push_back((minute, BTreeMap::from([(reason, count)]))),
        }
        while self.counted.len() as u64 > MINUTES {
            self.counted.pop_front();
        }
    }

    /// The hour that ends with the minute of `now`: sixty minutes, oldest first.
    pub(super) fn until(&self, now: SystemTime) -> Vec<Minute> {
        let last = number(now);
        (last.saturating_sub(MINUTES - 1)..=last)
            .map(|minute| {
                // What a clock that ran ahead has counted belongs to the running minute until it is reached.
                let here =
                    self.counted.iter().filter(|(number, _)| *number == minute || minute == last && *number > last);
                let mut counts = BTreeMap::new();
                here.flat_map(|(_, counts)| counts).for_each(|(reason, count)| {
                    *counts.entry(*reason).or_default() += count;
                });
                Minute { start: UNIX_EPOCH + Duration::from_secs(minute * 60), counts: counts.into_iter().collect() }
            })
            .collect()
    }
}

fn number(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() / 60
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXPIRED: Reason = Reason::TokenExpired;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_000_000 * 60 + seconds)
    }

    fn told(minutes: &Minutes, now: u64) -> Vec<(u64, u64)> {
        let hour = minutes.until(at(now));
        assert_eq!(hour.len(), 60);
        let start = |minute: &Minute| minute.start.duration_since(at(0)).map_or(0, |time| time.as_secs() / 60);
        hour.iter()
            .filter(|minute| !minute.counts.is_empty())
            .map(|minute| (start(minute), minute.counts[0].1))
            .collect()
    }

    #[test]
    fn refusals_stay_an_hour_in_their_minute() {
        let mut minutes = Minutes::default();
        minutes.count(at(0), EXPIRED, 1);
        minutes.count(at(59), EXPIRED, 1);
        minutes.count(at(60), EXPIRED, 5);
        assert_eq!(told(&minutes, 61), [(0, 2), (1, 5)]);
        assert_eq!(told(&minutes, 59 * 60), [(0, 2), (1, 5)]);
        assert_eq!(told(&minutes, 60 * 60), [(1, 5)]);
        assert_eq!(told(&minutes, 61 * 60), []);
    }

    #[test]
    fn reasons_are_counted_apart_in_the_order_of_the_table() {
        let mut minutes = Minutes::default();
        minutes.count(at(0), Reason::TokenExpired, 1);
        minutes.count(at(1), Reason::TokenRateLimited, 2);
        let hour = minutes.until(at(2));
        assert_eq!(hour.last().unwrap().counts, [(Reason::TokenRateLimited, 2), (Reason::TokenExpired, 1)]);
    }

    #[test]
    fn a_clock_that_jumps_loses_nothing_and_costs_no_room() {
        let mut minutes = Minutes::default();
        minutes.count(at(600), EXPIRED, 1);
        minutes.count(at(0), EXPIRED, 1);
        assert_eq!(told(&minutes, 0), [(0, 2)]);
        for minute in 0..1000 {
            minutes.count(at(minute * 60), EXPIRED, 1);
        }
        assert_eq!(minutes.counted.len(), 60);
    }
}
