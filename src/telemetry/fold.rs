//! Folds refusals that repeat: of the same one of the same caller so many are told in a second, the rest is counted.
//!
//! Pure: the time is an argument. Every refusal is either told or counted in the `suppressed` of a later one.

use std::collections::{HashMap, VecDeque};
use std::hash::{Hash, Hasher};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;

use super::record::Refusal;
use crate::domain::head::Reading;
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
    shadow: bool,
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
        // The tokens of such a flood are all different, and it is the address that is over its limit; and a head at fault is
        // its sender's, whatever token it holds.
        if refusal.reason == Reason::AuthFailuresLimited || refusal.facts.reading != Reading::Whole {
            return Self { reason: refusal.reason, shadow: refusal.shadow, caller: address() };
        }
        Self {
            reason: refusal.reason,
            shadow: refusal.shadow,
            caller: refusal.fingerprint.map_or_else(address, Caller::Token),
        }
    }
}

/// A refusal to be told, and how many were left out before it.
#[derive(Debug)]
pub(super) struct Folded {
    pub(super) refusal: Arc<Refusal>,
    pub(super) suppressed: u64,
}

/// Where refusals are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Log,
    Ring,
}

impl Place {
    const ALL: [Self; 2] = [Self::Log, Self::Ring];

    /// How many equal ones are told in a window before the rest is counted. A log is kept for months; the ring is
    /// looked at now, and only a flood must not leave nothing else to be seen.
    pub(super) const fn free(self) -> u32 {
        match self {
            Self::Log => 1,
            Self::Ring => 20,
        }
    }
}

/// What came since the refusal that opened it.
#[derive(Debug, Default)]
struct Window {
    /// How many were told in each place.
    told: [u32; 2],
    /// How many were not.
    held: [u64; 2],
    /// The last of those.
    last: Option<Arc<Refusal>>,
}

impl Window {
    fn take(&mut self, refusal: Arc<Refusal>, tell: &mut impl FnMut(Place, Folded)) {
        let mut is_held = false;
        for ((place, told), held) in Place::ALL.into_iter().zip(&mut self.told).zip(&mut self.held) {
            if *told < place.free() {
                *told += 1;
                tell(place, Folded { refusal: Arc::clone(&refusal), suppressed: 0 });
            } else {
                *held += 1;
                is_held = true;
            }
        }
        if is_held {
            self.last = Some(refusal);
        }
    }

    /// Tells the last of those that were held, and opens the next window with it: its followers wait their second.
    fn close(mut self, tell: &mut impl FnMut(Place, Folded)) -> Option<Self> {
        let last = self.last.take()?;
        let mut next = Self::default();
        for ((place, told), held) in Place::ALL.into_iter().zip(&mut next.told).zip(self.held) {
            if let Some(suppressed) = held.checked_sub(1) {
                *told = 1;
                tell(place, Folded { refusal: Arc::clone(&last), suppressed });
            }
        }
        Some(next)
    }
}

/// The windows that are open. Each lasts as long, so they end in the order in which they began.
#[derive(Debug, Default)]
pub(super) struct Folding {
    windows: HashMap<Key, Window, RandomState>,
    ends: VecDeque<(Instant, Key)>,
}

impl Folding {
    /// Takes a refusal in, and gives out what is to be told now.
    pub(super) fn take(&mut self, refusal: Arc<Refusal>, now: Instant, tell: &mut impl FnMut(Place, Folded)) {
        self.expire(now, tell);
        let key = Key::of(&refusal);
        if let Some(window) = self.windows.get_mut(&key) {
            return window.take(refusal, tell);
        }
        if self.windows.len() >= MOST {
            self.close_oldest(tell);
        }
        let mut window = Window::default();
        window.take(refusal, tell);
        self.open(key, window, now);
    }

    /// Tells what was held in windows that have ended.
    pub(super) fn expire(&mut self, now: Instant, tell: &mut impl FnMut(Place, Folded)) {
        while self.ends.front().is_some_and(|(end, _)| *end <= now) {
            if let Some((key, window)) = self.close_oldest(tell) {
                self.open(key, window, now);
            }
        }
    }

    /// Tells all that is held.
    pub(super) fn finish(&mut self, tell: &mut impl FnMut(Place, Folded)) {
        while !self.ends.is_empty() {
            self.close_oldest(tell);
        }
    }

    /// When [`Self::expire`] next has something to do.
    pub(super) fn next_end(&self) -> Option<Instant> {
        self.ends.front().map(|(end, _)| *end)
    }

    fn open(&mut self, key: Key, window: Window, now: Instant) {
        self.windows.insert(key, window);
        self.ends.push_back((now + WINDOW, key));
    }

    /// Returns the window that follows, if something had been held.
    fn close_oldest(&mut self, tell: &mut impl FnMut(Place, Folded)) -> Option<(Key, Window)> {
        let (_, key) = self.ends.pop_front()?;
        let next = self.windows.remove(&key)?.close(tell)?;
        Some((key, next))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn refusal(reason: Reason, client: u8) -> Refusal {
        let client = Some(IpAddr::from([10, 0, 0, client]));
        let mut refusal = Refusal { client, ..Refusal::unread(reason, 401, String::new(), String::new()) };
        refusal.facts.reading = Reading::Whole;
        refusal
    }

    /// The counts of those left out before each that is told in `place`.
    fn told(
        place: Place,
        folding: &mut Folding,
        now: Instant,
        refusals: impl IntoIterator<Item = Refusal>,
    ) -> Vec<u64> {
        let mut lines = Vec::new();
        let mut tell = |at: Place, folded: Folded| {
            if at == place {
                lines.push(folded.suppressed);
            }
        };
        for refusal in refusals {
            folding.take(Arc::new(refusal), now, &mut tell);
        }
        folding.expire(now, &mut tell);
        lines
    }

    fn written(folding: &mut Folding, now: Instant, refusals: impl IntoIterator<Item = Refusal>) -> Vec<u64> {
        told(Place::Log, folding, now, refusals)
    }

    #[test]
    fn so_many_equal_ones_are_kept_as_are_free() {
        let mut folding = Folding::default();
        let start = Instant::now();
        let equal = |count| (0..count).map(|_| refusal(Reason::TokenExpired, 1));
        assert_eq!(told(Place::Ring, &mut folding, start, equal(25)), [0; 20]);
        // Five were held: one is told for all of them, and opens the next window.
        assert_eq!(told(Place::Ring, &mut folding, start + WINDOW, equal(1)), [4, 0]);
        // The log has folded more; where the ring held nothing, all of its places are free again.
        assert_eq!(told(Place::Ring, &mut folding, start + WINDOW * 2, equal(21)), [0; 20]);
    }

    #[test]
    fn the_same_refusal_is_written_once_a_second_and_then_counted() {
        let (mut folding, start) = (Folding::default(), Instant::now());
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
        assert_eq!(written(&mut Folding::default(), Instant::now(), all), [0; 5]);
    }

    #[test]
    fn a_token_is_the_same_from_every_address() {
        let key = crate::domain::token::HashKey::from_bytes([1; 16]);
        let from = |client| {
            let mut refusal = refusal(Reason::TokenExpired, client);
            refusal.fingerprint = Some(key.hash(1, b"a").fingerprint());
            refusal
        };
        assert_eq!(written(&mut Folding::default(), Instant::now(), [from(1), from(2), from(3)]), [0]);
    }

    #[test]
    fn a_flood_of_callers_flushes_the_oldest_and_stays_within_the_bound() {
        let (mut folding, now) = (Folding::default(), Instant::now());
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
        fn none_is_lost_and_none_is_counted_twice(arrivals in prop::collection::vec((0u64..700, 0u8..4, 1..30usize), 0..60)) {
            let (mut folding, mut now) = (Folding::default(), Instant::now());
            let mut lines: HashMap<Option<IpAddr>, Vec<Instant>> = HashMap::new();
            let mut told = [0; 2];
            let count: u64 = arrivals.iter().map(|(.., count)| *count as u64).sum();
            for (gap, client, equal) in arrivals {
                now += Duration::from_millis(gap);
                for _ in 0..equal {
                    folding.take(Arc::new(refusal(Reason::TokenExpired, client)), now, &mut |place, folded| {
                        told[place as usize] += 1 + folded.suppressed;
                        if place == Place::Log {
                            lines.entry(folded.refusal.client).or_default().push(now);
                        }
                    });
                }
            }
            for times in lines.values() {
                prop_assert!(times.windows(2).all(|pair| pair[1] - pair[0] >= WINDOW), "{times:?}");
            }
            folding.finish(&mut |place, folded| told[place as usize] += 1 + folded.suppressed);
            prop_assert_eq!(told, [count; 2]);
        }
    }
}
