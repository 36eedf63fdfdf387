//! What earlier requests make likely where one answer cannot tell. The store of the past is `telemetry::memory`.
//!
//! The past never changes a reason: it adds to the detail what was seen and what that makes likely, and to the hint what
//! to look at first. Another replica, or a proxy that has just started, saw less, and says less.

mod advise;
mod password;
mod proof;
#[cfg(test)]
mod tests;
mod token;
mod words;

use std::time::{Duration, SystemTime};

pub use self::advise::{Advice, advise};
pub use self::proof::Proof;
use super::reason::Reason;

/// The last success of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acceptance {
    /// When.
    pub last: SystemTime,
    /// The organisation that was asked for, where one was.
    pub organisation: Option<u32>,
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
    /// What Grafana last found wrong with the token itself, and when, where no success has disproved it.
    pub condemned: Option<(Reason, SystemTime)>,
    /// How often it was accepted after Grafana had said that it does not know it.
    pub recovered: u16,
    /// It was answered in ways that neither refuse it nor prove that it was accepted, and in no other that is no refusal.
    pub unclear: bool,
}

/// What is remembered of a user who sends a password.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UserPast {
    /// Passwords of this user that were refused in the five minutes before; five stand for five or more.
    pub refusals: u8,
    /// The last success with whatever password.
    pub accepted: Option<SystemTime>,
    /// Whether that was with the password at hand.
    pub same_password: bool,
}

/// What is remembered of whoever sent the request at hand, without that request.
#[derive(Clone, Copy, Debug)]
pub struct Past {
    /// Now.
    pub now: SystemTime,
    /// For how long there is a memory.
    pub watched: Duration,
    /// Successes may have been forgotten for want of room.
    pub lossy: bool,
    /// The token, where one was sent.
    pub token: Option<TokenPast>,
    /// The user, where a password was sent.
    pub user: Option<UserPast>,
    /// When somebody without an accepted credential was last served where Grafana wants a sign-in: as the anonymous
    /// visitor.
    pub anonymous: Option<SystemTime>,
    /// The organisation that Grafana said the token belongs to.
    pub belongs_to: Option<u32>,
}

/// Whether a reason says what is wrong with the token itself, however it is spelt and whatever was asked for. Damage does
/// not: all spellings of a token have one past, and the next one may be whole.
pub const fn condemns_token(reason: Reason) -> bool {
    is_final(reason) || matches!(reason, Reason::TokenUnknown | Reason::ServiceAccountDisabled)
}

/// Whether a token never becomes good again after this: Grafana can neither prolong nor restore it.
pub const fn is_final(reason: Reason) -> bool {
    matches!(reason, Reason::TokenExpired | Reason::TokenRevoked)
}
