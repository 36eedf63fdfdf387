//! What a connection and its exchange tell each other: deadlines, whether an answer is under way, what went wrong.
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
    idle_timeout: Duration,
    answering: AtomicBool,
    replied: AtomicBool,
    idle: AtomicBool,
    held: AtomicBool,
    tunnel: AtomicBool,
    parked: AtomicBool,
    served: AtomicU64,
    fault: OnceLock<Fault>,
}

impl Progress {
    /// At the first moment of a connection, which may be idle for `idle_timeout` between two requests.
    pub fn new(idle_timeout: Duration) -> Self {
        Self {
            epoch: Instant::now(),
            deadlines: Default::default(),
            expired: AtomicU8::new(0),
            idle_timeout,
            answering: AtomicBool::new(false),
            replied: AtomicBool::new(false),
            idle: AtomicBool::new(true),
            held: AtomicBool::new(false),
            tunnel: AtomicBool::new(false),
            parked: AtomicBool::new(false),
            served: AtomicU64::new(0),
            fault: OnceLock::new(),
        }
    }

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

    /// How old the connection is.
    pub fn age(&self) -> Duration {
        self.epoch.elapsed()
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
        self.served.fetch_add(1, Relaxed);
        self.expired.store(0, Relaxed);
        self.replied.store(false, Relaxed);
        self.answering.store(true, Relaxed);
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
        self.answering.store(false, Relaxed);
        self.finish(Wait::Body);
        self.finish(Wait::Answer);
        if !self.is_waiting(Wait::Head) {
            self.idle.store(true, Relaxed);
            self.allow(Wait::Head, self.idle_timeout);
        }
    }

    /// The first bytes of a head came, and its end did not. The first head of a connection is timed from the
    /// connection's beginning, a later one from here.
    pub fn begin_head(&self, is_first: bool, limit: Duration) {
        if self.idle.swap(false, Relaxed) && !is_first {
            self.allow(Wait::Head, limit);
        }
    }

    /// Whether no byte of the next head has come.
    pub fn is_idle(&self) -> bool {
        self.idle.load(Relaxed)
    }

    /// Bytes wait until the answer under way has ended; nobody else will wake the connection then.
    pub fn hold(&self) {
        self.held.store(true, Relaxed);
    }

    /// Whether bytes waited for an answer that has now ended.
    pub fn take_held(&self) -> bool {
        !self.is_answering() && self.held.swap(false, Relaxed)
    }

    /// Whether an answer is under way.
    pub fn is_answering(&self) -> bool {
        self.answering.load(Relaxed)
    }

    /// Requests that reached the service so far.
    pub fn served(&self) -> u64 {
        self.served.load(Relaxed)
    }

    /// The connection is to wait for its next request without a parser, if nothing of one has come, all that was written
    /// has been taken, and it was of use before.
    pub fn park(&self) {
        let is_free = self.is_idle() && !self.is_answering() && !self.is_waiting(Wait::Reader);
        let is_sound = self.served() > 0 && !self.is_tunnel() && self.fault().is_none();
        self.parked.store(is_free && is_sound && !self.has_expired(Wait::Reader), Relaxed);
    }

    /// Whether it waits so.
    pub fn is_parked(&self) -> bool {
        self.parked.load(Relaxed)
    }

    /// From here on bytes are no HTTP of ours: both sides agreed to another protocol.
    pub fn open_tunnel(&self) {
        self.tunnel.store(true, Relaxed);
    }

    /// Whether both sides speak another protocol.
    pub fn is_tunnel(&self) -> bool {
        self.tunnel.load(Relaxed)
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
