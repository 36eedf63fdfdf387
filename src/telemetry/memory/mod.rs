//! What was seen of each token and user, in memory alone: who was accepted until when, and refused since. Bounded by
//! construction, and nothing in it can be turned back into a credential or a name.

mod moment;
mod organisations;
mod places;
mod token;
mod tokens;
mod user;
mod users;

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::{Instant, SystemTime};

pub use self::moment::Moment;
use self::moment::{Second, Wall, seconds};
use self::organisations::Organisations;
pub use self::tokens::{MOST_TOKENS, Sighting, TokenMemory, TokenState};
use self::users::UserMemory;
use crate::domain::past::{Past, Proof};
use crate::domain::reason::Reason;
use crate::domain::token::BucketKey;

/// Users remembered at most.
const MOST_USERS: usize = 8_192;

/// Who sent a request, as far as it is remembered.
#[derive(Clone, Copy, Debug)]
pub enum Caller<'a> {
    /// Somebody with a token.
    Token(Sighting<'a>),
    /// Somebody with a user and a password.
    User {
        /// Stands for the name.
        name: BucketKey,
        /// Stands for name and password.
        pair: BucketKey,
    },
    /// Nothing was sent that Grafana could take for a credential.
    Nobody,
    /// Somebody with a credential that is not remembered: a session, a JWT in a header of its own …
    Other,
}

/// All that is remembered of earlier requests.
#[derive(Debug)]
pub struct Memory {
    tokens: TokenMemory,
    users: UserMemory,
    organisations: Organisations,
    began: Instant,
    /// When somebody without an accepted credential was last served where Grafana wants a sign-in ([`Second`]).
    anonymous: AtomicU32,
}

impl Memory {
    /// Empty at `began`.
    pub fn new(began: Instant) -> Self {
        Self {
            tokens: TokenMemory::new(MOST_TOKENS, began),
            users: UserMemory::new(MOST_USERS, began),
            organisations: Organisations::new(),
            began,
            anonymous: AtomicU32::new(0),
        }
    }

    /// The tokens.
    pub const fn tokens(&self) -> &TokenMemory {
        &self.tokens
    }

    /// The organisation that Grafana said a token belongs to.
    pub fn organisation(&self, token: BucketKey) -> Option<u32> {
        self.organisations.of(token)
    }

    /// Whether it is for the caller to ask Grafana about a token now; whoever comes next need not.
    pub fn is_organisation_due(&self, token: BucketKey) -> bool {
        self.organisations.is_due(token, seconds(self.began, Instant::now()))
    }

    /// Grafana has said which organisation a token belongs to.
    pub fn learn_organisation(&self, token: BucketKey, organisation: u32) {
        self.organisations.learn(token, organisation, seconds(self.began, Instant::now()));
    }

    /// A request was answered with no refusal. Called for every one of them. `at` need not be exact; `beside` says that a
    /// session came along, `accepted` that Grafana is known to accept the credential; `proof` is asked where it may tell
    /// something new.
    pub fn served(&self, caller: &Caller<'_>, beside: bool, accepted: bool, at: Instant, proof: impl Fn() -> Proof) {
        let let_in = match caller {
            Caller::Token(sighting) => self.tokens.served(sighting, accepted, proof),
            Caller::User { name, pair } if accepted => {
                self.users.served(*name, *pair, proof(), at);
                false
            }
            Caller::Nobody => proof() != Proof::Nothing,
            Caller::User { .. } | Caller::Other => false,
        };
        if let_in && !beside {
            self.anonymous.store(Second::of(seconds(self.began, at)).0, Relaxed);
        }
    }

    /// A request was refused. Returns what was known before.
    pub fn refused(&self, caller: &Caller<'_>, reason: Reason, status: u16, now: Moment) -> Past {
        let second = seconds(self.began, now.monotonic);
        let token = match caller {
            Caller::Token(sighting) => Some(self.tokens.refused(sighting, reason, status, now.wall)),
            _ => None,
        };
        let user = match caller {
            Caller::User { name, pair } => Some(self.users.refused(*name, *pair, reason, now)),
            _ => None,
        };
        Past {
            now: now.wall,
            watched: now.monotonic.saturating_duration_since(self.began),
            lossy: self.tokens.is_lossy(),
            token,
            user,
            anonymous: self.anonymous(now.wall, second),
            belongs_to: match caller {
                Caller::Token(sighting) => self.organisation(sighting.key),
                _ => None,
            },
        }
    }

    fn anonymous(&self, wall: SystemTime, now: u32) -> Option<SystemTime> {
        Wall::new(wall, now).at(Second(self.anonymous.load(Relaxed)))
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new(Instant::now())
    }
}

#[cfg(test)]
mod tests;
