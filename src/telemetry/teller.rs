//! The thread that tells of refusals: folds what repeats, makes lines for the log, and fills the ring.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Instant, SystemTime};

use super::fold::{Folding, Place};
use super::lines::Lines;
use super::mailbox::{Mailbox, Turn};
use super::record::{Refusal, RefusalLine};
use super::ring::Ring;
use crate::domain::reason::Reason;

/// Refusals that wait to be told, at most. More at once are counted, and not shown.
pub(super) const MAX_WAITING: usize = 4096;

/// Refusals that found no room to wait, by reason.
#[derive(Debug)]
pub(super) struct Missed {
    any: AtomicBool,
    counts: Box<[AtomicU64]>,
}

impl Default for Missed {
    fn default() -> Self {
        Self { any: AtomicBool::new(false), counts: Reason::ALL.iter().map(|_| AtomicU64::new(0)).collect() }
    }
}

impl Missed {
    pub(super) fn count(&self, reason: Reason) {
        if let Some(count) = self.counts.get(reason as usize) {
            count.fetch_add(1, Relaxed);
            self.any.store(true, Relaxed);
        }
    }

    /// What was missed since this was asked before.
    fn take(&self) -> impl Iterator<Item = (Reason, u64)> {
        let any = self.any.load(Relaxed) && self.any.swap(false, Relaxed);
        let counts = Reason::ALL.iter().zip(self.counts.iter()).filter(move |_| any);
        counts.map(|(reason, count)| (*reason, count.swap(0, Relaxed))).filter(|(_, count)| *count > 0)
    }
}

pub(super) struct Teller {
    pub(super) refusals: Arc<Mailbox<Vec<Arc<Refusal>>>>,
    pub(super) missed: Arc<Missed>,
    pub(super) lines: Lines,
    pub(super) ring: Option<Ring>,
}

impl Teller {
    pub(super) fn run(self) {
        let mut folding = Folding::default();
        let mut batch = Vec::new();
        let mut tell = |place, folded: super::fold::Folded| match (place, &self.ring) {
            (Place::Ring, Some(ring)) if !folded.refusal.shadow => ring.keep(&folded),
            (Place::Log, _) if self.lines.wants_refusal(&folded.refusal) => {
                self.lines.write(&RefusalLine(&folded.refusal, folded.suppressed));
            }
            _ => {}
        };
        loop {
            folding.expire(Instant::now(), &mut tell);
            match self.refusals.take(&mut batch, folding.next_end()) {
                Turn::Filled => {
                    let now = Instant::now();
                    for refusal in batch.drain(..) {
                        if let Some(ring) = self.ring.as_ref().filter(|_| !refusal.shadow) {
                            ring.count(&refusal);
                        }
                        folding.take(refusal, now, &mut tell);
                    }
                    batch.shrink_to(MAX_WAITING / 16);
                    self.tell_missed();
                }
                Turn::Idle => {}
                Turn::Ended => break,
            }
        }
        folding.finish(&mut tell);
        self.refusals.finish();
    }

    fn tell_missed(&self) {
        for (reason, count) in self.missed.take() {
            if let Some(ring) = &self.ring {
                ring.miss(SystemTime::now(), reason, count);
            }
        }
    }
}
