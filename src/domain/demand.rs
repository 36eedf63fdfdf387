//! Which rate and burst a sequence of requests needs, so that a limit would have refused none of it.
//!
//! A rate alone says nothing: the slower it is, the larger a burst it needs. For each rate of a fixed ladder a leaky
//! bucket is filled by what comes; the highest level it ever had is the smallest burst that would have refused nothing.
//! That is GCRA's own arithmetic, so what is told is exact, not an estimate: one less would have refused something.
//!
//! Levels are microseconds of debt in 32 bits: a request costs the time in which its rate regains one, which is a whole
//! number for each rate of the ladder. Moments are cut to microseconds.

use std::num::NonZeroU32;
use std::time::Duration;

use super::limit::Rate;

/// Rates of the ladder, requests a second, rising. Each divides a million.
pub const LADDER: [u32; 12] = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000];

/// What one request costs at each rate, in microseconds.
const COSTS: [i32; LADDER.len()] =
    [1_000_000, 500_000, 200_000, 100_000, 50_000, 20_000, 10_000, 5_000, 2_000, 1_000, 500, 200];

/// No level rises above it (17 minutes of debt): with what the heaviest request adds, it fits 32 bits with a sign, for
/// which every processor can compare four at once.
const TOP: i32 = 1 << 30;

/// A heavier request counts as one of this weight.
const HEAVIEST: u32 = 1000;

/// How far behind the latest moment one may lie, in microseconds, and be charged for it. Logs of several workers and
/// clocks read before a lock was got are out of order by less.
const LATE: u64 = 100_000;

/// A moment that lies further back than this, in microseconds, is none of this sequence: the clock was set back, or
/// another log begins.
const ANEW: u64 = 60_000_000;

/// A burst is sensible up to so many seconds of its rate. Beyond, a client that has the whole burst saved up gets
/// several times its rate for longer than others bear; the limit would hold nobody back.
const SENSIBLE_SECONDS: u32 = 4;

/// A burst up to this harms nobody, however slow the rate is.
const HARMLESS: u32 = 10;

/// What requests have needed so far. 120 bytes, and no memory beyond.
///
/// Moments need not rise. One that lies up to a tenth of a second behind the latest is charged as if all that came
/// before it in the sequence had come before it in time: what is told is then never less than what the sorted sequence
/// needs, and more by at most what the rate regains in twice the disorder. One that lies further behind counts as coming with the
/// latest, and one that lies more than a minute behind begins anew with full buckets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Demand {
    levels: [i32; LADDER.len()],
    peaks: [i32; LADDER.len()],
    latest: u64,
    requests: u64,
}

impl Demand {
    /// Takes one request of this weight, at a moment in nanoseconds from whatever beginning.
    pub fn observe(&mut self, at: u64, weight: u32) {
        let at = at / 1000;
        let late = self.latest.saturating_sub(at);
        let mut passed = at.saturating_sub(self.latest);
        self.latest = self.latest.max(at);
        let mut charge = late;
        if late > LATE {
            charge = 0;
        }
        if late > ANEW {
            self.latest = at;
            passed = u64::MAX;
        }
        let passed = i32::try_from(passed).unwrap_or(i32::MAX).min(TOP);
        let charge = i32::try_from(charge).unwrap_or_default();
        let weight = i32::try_from(weight.clamp(1, HEAVIEST)).unwrap_or(1);
        // No sum overflows: a level is at most `TOP`, and so is what is added.
        for ((level, peak), cost) in self.levels.iter_mut().zip(&mut self.peaks).zip(COSTS) {
            *level = ((*level - passed).max(0) + weight * cost).min(TOP);
            *peak = (*peak).max(*level + charge);
        }
        self.requests += 1;
    }

    /// How many were taken.
    pub const fn requests(&self) -> u64 {
        self.requests
    }

    /// The ladder: for each rate the smallest burst that would have refused nothing.
    pub fn needs(&self) -> [Need; LADDER.len()] {
        let mut needs = [Need { per_second: 1, burst: None }; LADDER.len()];
        for (((need, rate), cost), peak) in needs.iter_mut().zip(LADDER).zip(COSTS).zip(self.peaks) {
            let burst = u32::try_from(peak).unwrap_or_default().div_ceil(cost.unsigned_abs());
            *need = Need { per_second: rate, burst: (peak < TOP).then_some(burst) };
        }
        needs
    }

    /// What to set; `None` where nothing has come, or too much at once for any rate of the ladder.
    pub fn suggest(&self) -> Option<Suggestion> {
        suggest(&self.needs())
    }

    /// Whether a limit would have refused some of it.
    pub fn refused_by(&self, rate: &Rate) -> Verdict {
        refused_by(&self.needs(), rate)
    }
}

/// What one rate needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Need {
    /// Requests regained in a second.
    pub per_second: u32,
    /// The smallest burst that would have refused nothing; 0 where nothing has come, `None` where it is more than a
    /// quarter of an hour of the rate.
    pub burst: Option<u32>,
}

/// A limit to set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Suggestion {
    /// Requests regained in a second.
    pub per_second: u32,
    /// Requests that may come at once.
    pub burst: u32,
}

impl Suggestion {
    /// Room for half as much again, of everything, and for the ten at once that harm nobody: what a limit is set to that
    /// shall not have to be set again soon.
    pub fn with_headroom(self) -> Self {
        Self { per_second: half_more(self.per_second), burst: half_more(self.burst).max(HARMLESS) }
    }

    /// As a limit.
    pub fn rate(self) -> Rate {
        let period = Duration::from_nanos(1_000_000_000 / u64::from(self.per_second.max(1)));
        Rate { period, burst: NonZeroU32::new(self.burst).unwrap_or(NonZeroU32::MIN) }
    }
}

const fn half_more(count: u32) -> u32 {
    count.saturating_add(count.div_ceil(2))
}

/// What a limit would have done to requests of which only the ladder is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It would have refused none.
    Never,
    /// It would have refused at least one.
    Surely,
    /// It lies between two rates of the ladder, or beyond its ends.
    Unknown,
}

/// The smallest rate whose burst is sensible: at most four seconds of the rate, or ten requests. `needs` stand in
/// the order of their rates, the slowest first.
pub fn suggest(needs: &[Need]) -> Option<Suggestion> {
    let sensible = |need: &Need, burst| burst <= need.per_second.saturating_mul(SENSIBLE_SECONDS).max(HARMLESS);
    let told =
        |need: &Need| Some(Suggestion { per_second: need.per_second, burst: need.burst.filter(|burst| *burst > 0)? });
    let found = needs.iter().find(|need| need.burst.is_some_and(|burst| sensible(need, burst)));
    // Where no burst is sensible, the fastest rate still refuses none of it.
    found.or_else(|| needs.last()).and_then(told)
}

/// A faster rate with the same burst refuses less, a slower one more: a limit between two rates of the ladder is judged
/// by its neighbours.
pub fn refused_by(needs: &[Need], rate: &Rate) -> Verdict {
    let (period, burst) = (rate.period.as_nanos(), rate.burst.get());
    let cost = |need: &Need| 1_000_000_000 / u128::from(need.per_second.max(1));
    if needs.iter().any(|need| cost(need) >= period && need.burst.is_some_and(|need| need <= burst)) {
        return Verdict::Never;
    }
    let refuses = |need: &Need| match need.burst {
        Some(need) => need > burst,
        // At least the top has been reached.
        None => cost(need).saturating_mul(burst.into()) < u128::from(TOP.unsigned_abs()) * 1000,
    };
    if needs.iter().any(|need| cost(need) <= period && refuses(need)) { Verdict::Surely } else { Verdict::Unknown }
}

#[cfg(test)]
mod tests;
