//! What earlier requests make likely where one answer cannot tell. The store of the past is `telemetry::memory`.

mod proof;

use std::time::SystemTime;

pub use self::proof::Proof;
use super::reason::Reason;

/// The last success of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acceptance {
    /// When.
    pub last: SystemTime,
    /// The organisation that was asked for, where one was.
    pub organisation: Option<u32>,
    /// How often in all.
    pub times: u32,
}

/// The last refusal of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PastRefusal {
    /// When.
    pub last: SystemTime,
    /// Its reason.
    pub reason: Reason,
    /// Its status.
    pub status: u16,
    /// The organisation that was asked for, where one was.
    pub organisation: Option<u32>,
    /// Refusals since the last success.
    pub in_a_row: u32,
    /// When the first of those came.
    pub since: SystemTime,
}

/// What is remembered of a token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TokenPast {
    /// Its last success.
    pub accepted: Option<Acceptance>,
    /// Its last refusal.
    pub refused: Option<PastRefusal>,
    /// How often it was accepted after Grafana had said that it does not know it.
    pub recovered: u16,
}
