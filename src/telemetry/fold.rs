//! The same refusal of the same caller is written at most once a second; the rest is counted.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, Instant};

use super::record::Refusal;
use crate::domain::reason::Reason;

/// Between two lines of the same refusal.
pub(super) const INTERVAL: Duration = Duration::from_secs(1);

/// Refusals that are told apart at once. A flood of strangers is written, not folded, beyond that; the channel before
/// this bounds how much.
const MAX_FOLDS: usize = 1024;

/// A reason and a caller: the token, or the address where there is none.
type Key = (Reason, u64);

#[derive(Debug)]
struct Fold {
    written: Instant,
    left_out: u64,
    last: Option<Refusal>,
}

/// Which refusals were written lately.
#[derive(Debug, Default)]
pub(super) struct Folds(HashMap<Key, Fold>);

impl Folds {
    /// Takes a refusal in. Returns it with the number of those left out before it, if it is to be written.
    pub(super) fn take(&mut self, refusal: Refusal, now: Instant) -> Option<(Refusal, u64)> {
        let key = key(&refusal);
        if let Some(fold) = self.0.get_mut(&key) {
            if now.saturating_duration_since(fold.written) < INTERVAL {
                fold.left_out += 1;
                fold.last = Some(refusal);
                return None;
            }
            fold.written = now;
            fold.last = None;
            return Some((refusal, std::mem::take(&mut fold.left_out)));
        }
        if self.0.len() < MAX_FOLDS {
            self.0.insert(key, Fold { written: now, left_out: 0, last: None });
        }
        Some((refusal, 0))
    }

    /// The refusals whose second is over without another one to carry the count: each is the last of those left out.
    pub(super) fn due(&mut self, now: Instant, all: bool) -> Vec<(Refusal, u64)> {
        let mut due = Vec::new();
        self.0.retain(|_, fold| {
            if !all && now.saturating_duration_since(fold.written) < INTERVAL {
                return true;
            }
            let Some(last) = fold.last.take() else { return false };
            due.push((last, std::mem::take(&mut fold.left_out) - 1));
            fold.written = now;
            true
        });
        due
    }
}

fn key(refusal: &Refusal) -> Key {
    let mut hasher = DefaultHasher::new();
    match refusal.fingerprint {
        Some(fingerprint) => fingerprint.hash(&mut hasher),
        None => refusal.client.hash(&mut hasher),
    }
    (refusal.reason, hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(client: u8, reason: Reason) -> Refusal {
        let mut refusal = Refusal::unread(reason, 401, String::new(), String::new());
        refusal.client = Some([127, 0, 0, client].into());
        refusal
    }

    #[test]
    fn equal_refusals_are_counted_and_none_is_lost() {
        let (mut folds, start) = (Folds::default(), Instant::now());
        let mut told = 0;
        for n in 0..2500u64 {
            let now = start + Duration::from_millis(n);
            for client in 0..3 {
                told += folds.take(refusal(client, Reason::TokenExpired), now).map_or(0, |(_, left_out)| left_out + 1);
            }
            told += folds.due(now, false).iter().map(|(_, left_out)| left_out + 1).sum::<u64>();
        }
        told += folds.due(start + Duration::from_secs(9), true).iter().map(|(_, left_out)| left_out + 1).sum::<u64>();
        assert_eq!(told, 7500);
        assert!(folds.take(refusal(1, Reason::TokenUnknown), start).is_some(), "another reason is told at once");
    }

    #[test]
    fn a_flood_of_callers_does_not_grow_the_table() {
        let (mut folds, now) = (Folds::default(), Instant::now());
        for n in 0..100_000u32 {
            let mut stranger = refusal(0, Reason::TokenUnknown);
            stranger.client = Some(std::net::Ipv4Addr::from(n).into());
            folds.take(stranger, now);
        }
        assert!(folds.0.len() <= MAX_FOLDS);
        assert!(folds.due(now + INTERVAL, false).is_empty());
        assert!(folds.0.is_empty(), "what is over is forgotten");
    }
}
