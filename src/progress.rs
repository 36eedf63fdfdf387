//! What a connection and its exchange tell each other: deadlines, and what went wrong.
//!
//! One timer a connection serves all deadlines: an exchange only writes down a time, and the connection's task, which
//! is polled after each of its steps anyway, arms its timer for the earliest. So a request costs no timer of its own.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::time::Instant;

use crate::domain::framing::Fault;

/// What may take only so long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Wait {
    /// The head of a request, or the next request.
    Head = 1,
    /// The next piece of a request's body.
    Body = 2,
    /// The head of the upstream's answer.
    Answer = 4,
    /// The client's taking of what is written.
    Reader = 8,
}

const WAITS: [Wait; 4] = [Wait::Head, Wait::Body, Wait::Answer, Wait::Reader];

/// The state that one connection shares with its exchange. All on one thread; atomic only because tasks must be `Send`.
#[derive(Debug)]
pub struct Progress {
    epoch: Instant,
    deadlines: [AtomicU64; 4],
    expired: AtomicU8,
    replied: AtomicBool,
    fault: OnceLock<Fault>,
}

impl Default for Progress {
    /// At the first moment of a connection.
    fn default() -> Self {
        Self {
            epoch: Instant::now(),
            deadlines: Default::default(),
            expired: AtomicU8::new(0),
            replied: AtomicBool::new(false),
            fault: OnceLock::new(),
        }
    }
}

impl Progress {
    fn slot(&self, wait: Wait) -> &AtomicU64 {
        let [head, body, answer, reader] = &self.deadlines;
        match wait {
            Wait::Head => head,
            Wait::Body => body,
            Wait::Answer => answer,
            Wait::Reader => reader,
        }
    }

    /// Allows `wait` to last until `limit` after `now`.
    pub fn allow_from(&self, wait: Wait, now: Instant, limit: Duration) {
        let at = now.saturating_duration_since(self.epoch).saturating_add(limit);
        self.slot(wait).store(u64::try_from(at.as_nanos()).unwrap_or(u64::MAX).max(1), Relaxed);
    }

    /// Allows `wait` to last for `limit` from now on.
    pub fn allow(&self, wait: Wait, limit: Duration) {
        self.allow_from(wait, Instant::now(), limit);
    }

    /// Restarts `wait` where it is under way.
    pub fn extend(&self, wait: Wait, limit: Duration) {
        if self.is_waiting(wait) {
            self.allow(wait, limit);
        }
    }

    /// Whether a deadline for `wait` stands.
    pub fn is_waiting(&self, wait: Wait) -> bool {
        self.slot(wait).load(Relaxed) != 0
    }

    /// `wait` is over.
    pub fn finish(&self, wait: Wait) {
        self.slot(wait).store(0, Relaxed);
    }

    /// When the first of the deadlines is due, in nanoseconds of this connection's life.
    pub fn earliest(&self) -> Option<u64> {
        self.deadlines.iter().map(|at| at.load(Relaxed)).filter(|at| *at != 0).min()
    }

    /// The moment that `nanoseconds` of this connection's life stand for.
    pub fn moment(&self, nanoseconds: u64) -> Instant {
        self.epoch + Duration::from_nanos(nanoseconds)
    }

    /// Marks what is overdue at `now`, and says whether anything new is.
    pub fn expire(&self, now: Instant) -> bool {
        let now = u64::try_from(now.saturating_duration_since(self.epoch).as_nanos()).unwrap_or(u64::MAX);
        let mut any = false;
        for wait in WAITS {
            let at = self.slot(wait).load(Relaxed);
            if at != 0 && at <= now {
                self.slot(wait).store(0, Relaxed);
                self.expired.fetch_or(wait as u8, Relaxed);
                any = true;
            }
        }
        any
    }

    /// Whether `wait` took too long.
    pub fn has_expired(&self, wait: Wait) -> bool {
        self.expired.load(Relaxed) & wait as u8 != 0
    }

    /// An exchange begins: an answer is due.
    pub fn begin_exchange(&self) {
        self.expired.store(0, Relaxed);
        self.replied.store(false, Relaxed);
    }

    /// The head of the answer was handed over.
    pub fn reply(&self) {
        self.replied.store(true, Relaxed);
    }

    /// Whether the head of the answer was handed over.
    pub fn has_replied(&self) -> bool {
        self.replied.load(Relaxed)
    }

    /// The last byte of the answer was handed over.
    pub fn end_exchange(&self) {
        self.finish(Wait::Body);
        self.finish(Wait::Answer);
    }

    /// Keeps the first fault found in the client's bytes.
    pub fn set_fault(&self, fault: Fault) {
        let _ = self.fault.set(fault);
    }

    /// The fault found in the client's bytes.
    pub fn fault(&self) -> Option<&Fault> {
        self.fault.get()
    }
}
