//! Folds refusals that repeat: of the same one of the same caller so many are written in a second, the rest is counted.
//!
//! Pure: the time is an argument. Every refusal is either written or counted in the `suppressed` of a later line.

use std::collections::{HashMap, VecDeque};
use std::hash::{Hash, Hasher};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::record::Refusal;
use crate::domain::reason::Reason;
use crate::domain::token::Fingerprint;

/// Between two lines of the same refusal.
const WINDOW: Duration = Duration::from_secs(1);

/// Refusals told apart at once. Callers choose their number, so it is bounded; the oldest go first.
const MOST: usize = 1024;

/// What makes two refusals the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Key {
    reason: Reason,
    caller: Caller,
}

/// In one piece: hashing field by field costs thrice as much, for each refusal.
impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let caller = match self.caller {
            Caller::Token(print) => u128::from(print.bits()),
            Caller::Address(None) => u128::MAX,
            Caller::Address(Some(IpAddr::V4(address))) => u128::from(address.to_bits()) | 1 << 64,
            Caller::Address(Some(IpAddr::V6(address))) => address.to_bits(),
        };
        state.write_u128(caller ^ (self.reason as u128) << 112);
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Caller {
    Token(Fingerprint),
    Address(Option<IpAddr>),
}

impl Key {
    fn of(refusal: &Refusal) -> Self {
        let address = || Caller::Address(refusal.client);
        Self { reason: refusal.reason, caller: refusal.fingerprint.map_or_else(address, Caller::Token) }
    }
}

/// A refusal to be written, and how many were left out before it.
#[derive(Debug)]
pub(super) struct Folded {
    pub(super) refusal: Arc<Refusal>,
    pub(super) suppressed: u64,
}

/// What came within a window after the one that opened it.
#[derive(Debug, Default)]
struct Window {
    /// How many were written.
    written: u32,
    /// The last that came.
    held: Option<Arc<Refusal>>,
    /// Those before it.
    dropped: u64,
}

impl Window {
    fn hold(&mut self, refusal: Arc<Refusal>) {
        self.dropped += u64::from(self.held.replace(refusal).is_some());
    }

    fn close(self) -> Option<Folded> {
        self.held.map(|refusal| Folded { refusal, suppressed: self.dropped })
    }
}

/// The windows that are open. Each lasts as long, so they end in the order in which they began.
#[derive(Debug)]
pub(super) struct Folding {
    /// How many equal ones are written in a window before the rest is counted.
    free: u32,
    windows: HashMap<Key, Window>,
    ends: VecDeque<(Instant, Key)>,
}

impl Folding {
    /// Writes `free` equal ones in a second.
    pub(super) fn new(free: u32) -> Self {
        Self { free, windows: HashMap::new(), ends: VecDeque::new() }
    }

    /// Takes a refusal in, and gives out what is to be written now.
    pub(super) fn take(&mut self, refusal: Arc<Refusal>, now: Instant, write: &mut impl FnMut(Folded)) {
        self.expire(now, write);
        let key = Key::of(&refusal);
        if let Some(window) = self.windows.get_mut(&key) {
            if window.written >= self.free {
                return window.hold(refusal);
            }
            window.written += 1;
            return write(Folded { refusal, suppressed: 0 });
        }
        if self.windows.len() >= MOST {
            self.close_oldest(write);
        }
        write(Folded { refusal, suppressed: 0 });
        self.open(key, now);
    }

    /// Writes what was held in windows that have ended.
    pub(super) fn expire(&mut self, now: Instant, write: &mut impl FnMut(Folded)) {
        while self.ends.front().is_some_and(|(end, _)| *end <= now) {
            if let Some(key) = self.close_oldest(write) {
                // It was written just now: the next one waits its second.
                self.open(key, now);
            }
        }
    }

    /// Writes all that is held.
    pub(super) fn finish(&mut self, write: &mut impl FnMut(Folded)) {
        while !self.ends.is_empty() {
            self.close_oldest(write);
        }
    }

    /// When [`Self::expire`] next has something to do.
    pub(super) fn next_end(&self) -> Option<Instant> {
        self.ends.front().map(|(end, _)| *end)
    }

    fn open(&mut self, key: Key, now: Instant) {
        self.windows.insert(key, Window { written: 1, ..Window::default() });
        self.ends.push_back((now + WINDOW, key));
    }

    /// Returns the key if something had been held.
    fn close_oldest(&mut self, write: &mut impl FnMut(Folded)) -> Option<Key> {
        let (_, key) = self.ends.pop_front()?;
        let folded = self.windows.remove(&key)?.close()?;
        write(folded);
        Some(key)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn refusal(reason: Reason, client: u8) -> Refusal {
        let client = Some(IpAddr::from([10, 0, 0, client]));
        Refusal { client, ..Refusal::unread(reason, 401, String::new(), String::new()) }
    }

    fn written(folding: &mut Folding, now: Instant, refusals: impl IntoIterator<Item = Refusal>) -> Vec<u64> {
        let mut lines = Vec::new();
        let mut write = |folded: Folded| lines.push(folded.suppressed);
        for refusal in refusals {
            folding.take(Arc::new(refusal), now, &mut write);
        }
        folding.expire(now, &mut write);
        lines
    }

    #[test]
    fn so_many_equal_ones_are_written_as_are_free() {
        let mut folding = Folding::new(3);
        let start = Instant::now();
        let equal = (0..10).map(|_| refusal(Reason::TokenExpired, 1));
        assert_eq!(written(&mut folding, start, equal), [0, 0, 0]);
        // Seven were held: one is written for all of them, and opens the next window.
        assert_eq!(written(&mut folding, start + WINDOW, [refusal(Reason::TokenExpired, 1)]), [6, 0]);
    }

    #[test]
    fn the_same_refusal_is_written_once_a_second_and_then_counted() {
        let (mut folding, start) = (Folding::new(1), Instant::now());
        let expired = || refusal(Reason::TokenExpired, 1);
        assert_eq!(written(&mut folding, start, (0..10).map(|_| expired())), [0]);
        assert_eq!(written(&mut folding, start + WINDOW / 2, [expired()]), [0u64; 0]);
        // Ten are held: the last is written, nine were left out.
        assert_eq!(written(&mut folding, start + WINDOW, []), [9]);
        assert_eq!(written(&mut folding, start + WINDOW, [expired()]), [0u64; 0]);
        assert_eq!(written(&mut folding, start + WINDOW * 2, []), [0]);
        assert_eq!(written(&mut folding, start + WINDOW * 3, []), [0u64; 0]);
        assert_eq!(folding.next_end(), None);
        assert_eq!(written(&mut folding, start + WINDOW * 4, [expired()]), [0]);
    }

    #[test]
    fn other_reasons_callers_and_tokens_are_not_the_same() {
        let key = crate::domain::token::HashKey::from_bytes([1; 16]);
        let with_token = |name: &[u8]| {
            let mut refusal = refusal(Reason::TokenExpired, 1);
            refusal.fingerprint = Some(key.hash(1, name).fingerprint());
            refusal
        };
        let all = [
            refusal(Reason::TokenExpired, 1),
            refusal(Reason::TokenExpired, 2),
            refusal(Reason::TokenUnknown, 1),
            with_token(b"a"),
            with_token(b"b"),
        ];
        assert_eq!(written(&mut Folding::new(1), Instant::now(), all), [0; 5]);
    }

    #[test]
    fn a_token_is_the_same_from_every_address() {
        let key = crate::domain::token::HashKey::from_bytes([1; 16]);
        let from = |client| {
            let mut refusal = refusal(Reason::TokenExpired, client);
            refusal.fingerprint = Some(key.hash(1, b"a").fingerprint());
            refusal
        };
        assert_eq!(written(&mut Folding::new(1), Instant::now(), [from(1), from(2), from(3)]), [0]);
    }

    #[test]
    fn a_flood_of_callers_flushes_the_oldest_and_stays_within_the_bound() {
        let (mut folding, now) = (Folding::new(1), Instant::now());
        let held = (0..3).map(|_| refusal(Reason::TokenExpired, 1));
        assert_eq!(written(&mut folding, now, held), [0]);
        let flood = (0..5000u32).map(|number| {
            let mut refusal = refusal(Reason::TokenUnknown, 0);
            refusal.client = Some(IpAddr::from(number.to_be_bytes()));
            refusal
        });
        let lines = written(&mut folding, now, flood);
        assert_eq!((lines.len(), lines.iter().sum::<u64>()), (5001, 1));
        assert!(folding.windows.len() <= MOST && folding.ends.len() <= MOST);
    }

    proptest! {
        /// Each refusal is a line of its own or counted in one, whatever comes when.
        #[test]
        fn none_is_lost_and_none_is_counted_twice(arrivals in prop::collection::vec((0u64..700, 0u8..4), 0..200)) {
            let (mut folding, mut now) = (Folding::new(1), Instant::now());
            let mut lines: HashMap<Option<IpAddr>, Vec<Instant>> = HashMap::new();
            let mut told = 0;
            let count = arrivals.len() as u64;
            for (gap, client) in arrivals {
                now += Duration::from_millis(gap);
                folding.take(Arc::new(refusal(Reason::TokenExpired, client)), now, &mut |folded: Folded| {
                    told += 1 + folded.suppressed;
                    lines.entry(folded.refusal.client).or_default().push(now);
                });
            }
            for times in lines.values() {
                prop_assert!(times.windows(2).all(|pair| pair[1] - pair[0] >= WINDOW), "{times:?}");
            }
            folding.finish(&mut |folded: Folded| told += 1 + folded.suppressed);
            prop_assert_eq!(told, count);
        }
    }
}
