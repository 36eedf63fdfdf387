//! The last refusals, kept for those who look.
//!
//! A refusal as it comes holds on to the buffer that its head was read into; what is kept is text of bounded length.

mod cursor;
mod minutes;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use tokio::sync::broadcast;

pub use self::cursor::Cursor;
pub use self::minutes::Minute;
use self::minutes::Minutes;
use super::fold::Folded;
use super::format::{Field, Json, Keys as _, Tell as _};
use super::record::{Refusal, RefusalLine};
use crate::domain::reason::Reason;
use crate::domain::token::Fingerprint;

/// Refusals kept.
pub const KEPT: usize = 1000;

/// What a reader may lag behind before it is given up.
const MAX_BEHIND: usize = 256;

/// One refusal as it is kept. Holds no secret.
#[derive(Debug)]
pub struct Told {
    /// Its number: from one, rising by one for each refusal, those that are not kept included.
    pub sequence: u64,
    /// Equal ones that were left out before it.
    pub suppressed: u64,
    /// When.
    pub at: SystemTime,
    /// The status of the answer.
    pub status: u16,
    /// The reason.
    pub reason: Reason,
    /// The configured name of the token.
    pub token_name: Option<Arc<str>>,
    /// What stands for the token.
    pub fingerprint: Option<Fingerprint>,
    /// The path, as the log shows it.
    pub path: Box<str>,
    /// The whole record: one JSON object, `seq` and then the keys of the log line.
    pub json: Box<str>,
}

impl Told {
    fn of(Folded { refusal, suppressed }: &Folded, sequence: u64) -> Self {
        let mut json = String::with_capacity(1024);
        let (mut line, told) = (Json::begin(&mut json), RefusalLine(refusal, *suppressed));
        line.put("seq", Field::Integer(sequence));
        line.open(told.opening());
        told.tell(&mut line);
        line.end();
        Self {
            sequence,
            suppressed: *suppressed,
            at: refusal.at,
            status: refusal.status,
            reason: refusal.reason,
            token_name: refusal.token_name.clone(),
            fingerprint: refusal.fingerprint,
            path: refusal.path().into(),
            json: json.into(),
        }
    }
}

/// What is known at one moment.
#[derive(Debug)]
pub struct Snapshot {
    /// The refusals kept, newest first.
    pub refusals: Vec<Arc<Told>>,
    /// The number of the last refusal; none of a higher one is among them.
    pub last: u64,
    /// The last hour.
    pub minutes: Vec<Minute>,
}

/// Why a reader gets no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gone {
    /// It was slower than the refusals.
    Lagged,
    /// The program ends.
    Ended,
}

/// What a reader gets that continues.
#[derive(Debug)]
pub struct Following {
    /// The program was started anew since: what its life before knew is gone.
    pub restarted: bool,
    /// What is kept of that which came after, oldest first.
    pub before: Vec<Arc<Told>>,
    /// Where the reader is: before the first of those.
    pub after: u64,
    /// What comes from now on.
    pub follower: Follower,
}

/// A reader of what comes.
#[derive(Debug)]
pub struct Follower(broadcast::Receiver<Arc<Told>>);

impl Follower {
    /// The next refusal.
    pub async fn next(&mut self) -> Result<Arc<Told>, Gone> {
        self.0.recv().await.map_err(|error| match error {
            broadcast::error::RecvError::Lagged(_) => Gone::Lagged,
            broadcast::error::RecvError::Closed => Gone::Ended,
        })
    }
}

#[derive(Debug, Default)]
struct Kept {
    told: VecDeque<Arc<Told>>,
    last: u64,
    minutes: Minutes,
}

/// What keeps them, and reads them.
#[derive(Clone, Debug)]
pub struct Ring {
    kept: Arc<Mutex<Kept>>,
    followers: broadcast::Sender<Arc<Told>>,
    began: SystemTime,
}

impl Default for Ring {
    fn default() -> Self {
        Self { kept: Arc::default(), followers: broadcast::Sender::new(MAX_BEHIND), began: SystemTime::now() }
    }
}

impl Ring {
    /// Keeps a refusal. One thread alone does this, so the number that it begins with is still the next at the end.
    pub(super) fn keep(&self, folded: &Folded) {
        let last = lock(&self.kept).last + 1 + folded.suppressed;
        let told = Arc::new(Told::of(folded, last));
        let mut kept = lock(&self.kept);
        kept.last = last;
        if kept.told.len() == KEPT {
            kept.told.pop_front();
        }
        kept.told.push_back(Arc::clone(&told));
        // Nobody follows: nobody is told. Under the lock, for whoever begins to follow gets the rest from what is kept.
        let _ = self.followers.send(told);
    }

    /// Counts one in its minute, whether it will be kept or not.
    pub(super) fn count(&self, refusal: &Refusal) {
        lock(&self.kept).minutes.count(refusal.at, refusal.reason, 1);
    }

    /// Counts those that nobody could tell. Numbers go on over them, so that readers see the gap.
    pub(super) fn miss(&self, at: SystemTime, reason: Reason, count: u64) {
        let mut kept = lock(&self.kept);
        kept.last += count;
        kept.minutes.count(at, reason, count);
    }

    /// What is known now.
    pub fn snapshot(&self, most: usize) -> Snapshot {
        let kept = lock(&self.kept);
        Snapshot {
            refusals: kept.told.iter().rev().take(most).cloned().collect(),
            last: kept.last,
            minutes: kept.minutes.until(SystemTime::now()),
        }
    }

    /// Follows what comes from now on; with it, what is kept after `last`.
    pub fn follow(&self, last: Option<Cursor>) -> Following {
        // Under the lock nothing comes in between: what is not in the one is in the other.
        let kept = lock(&self.kept);
        let follower = Follower(self.followers.subscribe());
        let after = last.map_or(Some(kept.last), |last| self.after(last, kept.last));
        let (restarted, after) = (after.is_none(), after.unwrap_or_default());
        let before = kept.told.iter().filter(|told| told.sequence > after).cloned().collect();
        Following { restarted, before, after, follower }
    }

    /// The number behind which a reader is, when the last is `newest`. `None`: it was in a life before this one.
    pub fn after(&self, reader: Cursor, newest: u64) -> Option<u64> {
        // A number that has not been given yet is from a life before, too.
        (reader.is_of(self.began) && reader.sequence <= newest).then_some(reader.sequence)
    }

    /// The place behind the refusal of this number.
    pub fn cursor(&self, sequence: u64) -> Cursor {
        Cursor::new(self.began, sequence)
    }

    /// When it began: there is nothing from before.
    pub const fn began(&self) -> SystemTime {
        self.began
    }
}

fn lock(kept: &Mutex<Kept>) -> MutexGuard<'_, Kept> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
