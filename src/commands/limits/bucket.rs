//! What a given limit would have done to the requests of one caller: GCRA, request by request.

use crate::domain::limit::Rate;

/// Further back than this the clock was set back, or another log begins.
const ANEW: u64 = 60_000_000_000;

/// A bucket under a limit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bucket {
    period: u64,
    burst: u64,
    /// The theoretical arrival time.
    time: u64,
    latest: u64,
    /// How many it refused.
    pub refused: u64,
    /// When first.
    pub first: Option<u64>,
}

impl Bucket {
    pub(super) fn new(rate: &Rate) -> Self {
        let period = u64::try_from(rate.period.as_nanos()).unwrap_or(u64::MAX).max(1);
        Self { period, burst: rate.burst.get().into(), time: 0, latest: 0, refused: 0, first: None }
    }

    /// Takes so many requests at a moment. As in the proxy, one that is refused spends nothing.
    pub(super) fn observe(&mut self, at: u64, count: u32) {
        if at.saturating_add(ANEW) < self.latest {
            (self.time, self.latest) = (0, at);
        }
        self.latest = self.latest.max(at);
        let debt = self.time.saturating_sub(self.latest);
        let room = self.period.saturating_mul(self.burst).saturating_sub(debt) / self.period;
        let admitted = room.min(count.into());
        self.time = self.time.max(self.latest).saturating_add(admitted.saturating_mul(self.period));
        let refused = u64::from(count) - admitted;
        self.refused += refused;
        if refused > 0 {
            self.first.get_or_insert(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;
    use std::time::Duration;

    use governor::clock::FakeRelativeClock;
    use governor::{Quota, RateLimiter};
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_refuses_what_governor_refuses(
            gaps in prop::collection::vec((0..300_000_000u64, 1..6u32), 1..60),
            period in 1_000_000..900_000_000u64,
            burst in 1..20u32,
        ) {
            let rate = Rate { period: Duration::from_nanos(period), burst: NonZeroU32::new(burst).unwrap() };
            let clock = FakeRelativeClock::default();
            let quota = Quota::with_period(rate.period).unwrap().allow_burst(rate.burst);
            let limiter = RateLimiter::direct_with_clock(quota, clock.clone());
            let mut bucket = Bucket::new(&rate);
            let (mut at, mut refused, mut first) = (0, 0, None);
            for (gap, count) in gaps {
                at += gap;
                clock.advance(Duration::from_nanos(gap));
                bucket.observe(at, count);
                for _ in 0..count {
                    if limiter.check().is_err() {
                        refused += 1;
                        first.get_or_insert(at);
                    }
                }
                prop_assert_eq!((bucket.refused, bucket.first), (refused, first));
            }
        }
    }
}
