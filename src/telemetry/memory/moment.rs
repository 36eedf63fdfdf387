//! Times in four bytes: whole seconds since the memory began.

use std::time::{Duration, Instant, SystemTime};

/// A second since the memory began, counted from one. Zero: never.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Second(pub(super) u32);

impl Second {
    pub(super) fn of(now: u32) -> Self {
        Self(now.saturating_add(1))
    }

    pub(super) const fn is_set(self) -> bool {
        self.0 != 0
    }

    /// Seconds between it and `now`.
    pub(super) fn age(self, now: u32) -> u32 {
        now.saturating_add(1).saturating_sub(self.0)
    }
}

/// Whole seconds from `began` to `at`.
pub(super) fn seconds(began: Instant, at: Instant) -> u32 {
    u32::try_from(at.saturating_duration_since(began).as_secs()).unwrap_or(u32::MAX)
}

/// One moment, by the clock that only goes forward and by the one that people read.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// For differences.
    pub monotonic: Instant,
    /// For words.
    pub wall: SystemTime,
}

impl Moment {
    /// Reads both clocks.
    pub fn now() -> Self {
        Self { monotonic: Instant::now(), wall: SystemTime::now() }
    }
}

/// Turns seconds into times of day. Counted back from now, so that a clock that was set meanwhile shifts nothing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wall {
    wall: SystemTime,
    now: u32,
}

impl Wall {
    pub(super) const fn new(wall: SystemTime, now: u32) -> Self {
        Self { wall, now }
    }

    pub(super) fn at(&self, second: Second) -> Option<SystemTime> {
        let age = Duration::from_secs(second.age(self.now).into());
        second.is_set().then(|| self.wall.checked_sub(age).unwrap_or(SystemTime::UNIX_EPOCH))
    }
}
