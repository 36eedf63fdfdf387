//! Time since the store was made.
//!
//! governor measures from the moment a limiter is made, and every limiter has a moment of its own. The store holds the
//! times of all of them, and what is left of a burst is worked out from those: all must count from one moment, or what
//! is told is off by whatever lay between.

use std::cell::Cell;
use std::ops::Add;

use governor::clock::{Clock, Reference};
use governor::nanos::Nanos;

thread_local! {
    static LAST: Cell<u64> = const { Cell::new(0) };
}

/// What this thread last read: the moment at which governor decided, without a second look at the clock.
pub(super) struct Last;

impl Last {
    pub(super) fn read() -> u64 {
        LAST.get()
    }
}

/// A clock that reads nanoseconds since it was made.
#[derive(Clone, Debug)]
pub(super) struct SinceStart<C: Clock> {
    clock: C,
    start: C::Instant,
}

impl<C: Clock> SinceStart<C> {
    pub(super) fn new(clock: C) -> Self {
        let start = clock.now();
        Self { clock, start }
    }
}

impl<C: Clock> Clock for SinceStart<C> {
    type Instant = Moment;

    fn now(&self) -> Moment {
        let now = self.clock.now().duration_since(self.start);
        LAST.set(now.as_u64());
        Moment(now)
    }
}

/// A moment, counted from the clock's start whoever asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment(Nanos);

impl Moment {
    pub(super) fn as_nanos(self) -> u64 {
        self.0.as_u64()
    }
}

impl Reference for Moment {
    /// `_earlier` is when governor made a limiter, which must not matter.
    fn duration_since(&self, _earlier: Self) -> Nanos {
        self.0
    }

    fn saturating_sub(&self, duration: Nanos) -> Self {
        Self(self.0.saturating_sub(duration))
    }
}

impl Add<Nanos> for Moment {
    type Output = Self;

    /// governor adds a time of the store to a limiter's beginning: the time itself is the moment.
    fn add(self, time: Nanos) -> Self {
        Self(time)
    }
}
