//! The last refusals, kept for those who look: rendered by a thread of their own, so that a request only hands them over.
//!
//! A refusal as it comes holds on to the buffer that its head was read into; what is kept is text of bounded length.

mod minutes;

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::broadcast;

pub use self::minutes::Minute;
use self::minutes::Minutes;
use super::LogFormat;
use super::fold::{Folded, Folding};
use super::record::Refusal;
use crate::domain::reason::Reason;
use crate::domain::token::Fingerprint;

/// Refusals kept.
pub const KEPT: usize = 1000;

/// So many equal refusals of one caller are kept each second; of a flood the rest is counted, or it would leave nothing
/// else to be seen.
const FREE: u32 = 20;

/// While nothing is held there is nothing to wake for.
const IDLE: Duration = Duration::from_secs(3600);

/// Refusals that wait to be rendered, at most. More at once are counted, and not shown.
const MAX_WAITING: usize = 1024;

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
        let line = refusal.line(*suppressed).write(LogFormat::Json, false);
        let rest = line.trim_end().strip_prefix('{').unwrap_or_default();
        Self {
            sequence,
            suppressed: *suppressed,
            at: refusal.at,
            status: refusal.status,
            reason: refusal.reason,
            token_name: refusal.token_name.clone(),
            fingerprint: refusal.fingerprint,
            path: refusal.path().into(),
            json: format!("{{\"seq\":{sequence},{rest}").into(),
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

#[derive(Debug)]
struct Kept {
    told: VecDeque<Arc<Told>>,
    last: u64,
    minutes: Minutes,
}

impl Kept {
    fn take(&mut self, folded: &Folded) -> Arc<Told> {
        self.last += 1 + folded.suppressed;
        let told = Arc::new(Told::of(folded, self.last));
        if self.told.len() == KEPT {
            self.told.pop_front();
        }
        self.told.push_back(Arc::clone(&told));
        told
    }
}

/// What hands refusals over, keeps them, and reads them.
#[derive(Clone, Debug)]
pub struct Ring {
    sender: SyncSender<Arc<Refusal>>,
    /// Refusals that found no room to wait, by reason.
    missed: Arc<[AtomicU64]>,
    kept: Arc<Mutex<Kept>>,
    followers: broadcast::Sender<Arc<Told>>,
    /// When it began.
    began: SystemTime,
}

impl Ring {
    /// Starts the thread that renders. It ends with the last of those that hand over.
    pub fn start() -> io::Result<Self> {
        let (sender, receiver) = sync_channel(MAX_WAITING);
        let began = SystemTime::now();
        let kept = Kept { told: VecDeque::new(), last: 0, minutes: Minutes::default() };
        let ring = Self {
            sender,
            missed: Reason::ALL.iter().map(|_| AtomicU64::new(0)).collect(),
            kept: Arc::new(Mutex::new(kept)),
            followers: broadcast::Sender::new(MAX_BEHIND),
            began,
        };
        let keeper = Keeper {
            missed: Arc::clone(&ring.missed),
            kept: Arc::clone(&ring.kept),
            followers: ring.followers.clone(),
        };
        std::thread::Builder::new().name("ring".into()).spawn(move || keeper.run(&receiver))?;
        Ok(ring)
    }

    /// Hands a refusal over. Never waits.
    pub(super) fn offer(&self, refusal: &Arc<Refusal>) {
        if self.sender.try_send(Arc::clone(refusal)).is_err()
            && let Some(missed) = self.missed.get(refusal.reason as usize)
        {
            missed.fetch_add(1, Relaxed);
        }
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

    /// Follows what comes from now on; with it, what is kept after `last`, oldest first, and the number of the newest.
    pub fn follow(&self, last: Option<u64>) -> (Vec<Arc<Told>>, u64, Follower) {
        // Under the lock nothing comes in between: what is not in the one is in the other.
        let kept = lock(&self.kept);
        let follower = Follower(self.followers.subscribe());
        // A number that has not been given yet is from before a restart: everything since is new.
        let last = last.map(|last| if last > kept.last { 0 } else { last });
        let before = kept.told.iter().filter(|told| last.is_some_and(|last| told.sequence > last)).cloned().collect();
        (before, kept.last, follower)
    }

    /// When it began: there is nothing from before.
    pub const fn began(&self) -> SystemTime {
        self.began
    }
}

struct Keeper {
    missed: Arc<[AtomicU64]>,
    kept: Arc<Mutex<Kept>>,
    followers: broadcast::Sender<Arc<Told>>,
}

impl Keeper {
    fn run(self, receiver: &Receiver<Arc<Refusal>>) {
        let mut folding = Folding::new(FREE);
        loop {
            let mut keep = |folded: Folded| {
                let mut kept = lock(&self.kept);
                let told = kept.take(&folded);
                // Nobody follows: nobody is told. Under the lock, for whoever begins to follow gets the rest from what is
                // kept.
                let _ = self.followers.send(told);
            };
            let now = Instant::now();
            folding.expire(now, &mut keep);
            let wait = folding.next_end().map_or(IDLE, |end| end.saturating_duration_since(now));
            match receiver.recv_timeout(wait) {
                Ok(refusal) => {
                    self.count(&refusal);
                    folding.take(refusal, Instant::now(), &mut keep);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Each counts in its minute, whether it is kept or not.
    fn count(&self, refusal: &Refusal) {
        let mut kept = lock(&self.kept);
        kept.minutes.count(refusal.at, refusal.reason, 1);
        self.count_missed(&mut kept, refusal.at);
    }

    /// Numbers go on over what was missed, so that readers see the gap.
    fn count_missed(&self, kept: &mut Kept, at: SystemTime) {
        for (reason, missed) in Reason::ALL.iter().zip(self.missed.iter()) {
            if missed.load(Relaxed) > 0 {
                let count = missed.swap(0, Relaxed);
                kept.last += count;
                kept.minutes.count(at, *reason, count);
            }
        }
    }
}

fn lock(kept: &Mutex<Kept>) -> MutexGuard<'_, Kept> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
