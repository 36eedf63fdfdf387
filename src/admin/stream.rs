//! Refusals as they happen, as server-sent events.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, StreamBody};

use super::filter::Filter;
use crate::telemetry::ring::{Follower, Ring, Told};

/// How often a stream speaks that has nothing to tell: proxies and browsers take silence for death.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// Readers at once, at most.
const MAX_READERS: usize = 16;

/// The places of readers.
#[derive(Clone, Debug, Default)]
pub(super) struct Readers(Arc<AtomicUsize>);

/// One place, given back when it is dropped.
struct Place(Arc<AtomicUsize>);

impl Readers {
    fn take(&self) -> Option<Place> {
        let taken = self.0.try_update(Relaxed, Relaxed, |count| (count < MAX_READERS).then_some(count + 1));
        taken.ok().map(|_| Place(Arc::clone(&self.0)))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

struct State {
    /// What is still to be said before what comes.
    first: VecDeque<Bytes>,
    follower: Follower,
    filter: Filter,
    _place: Place,
}

/// Follows the refusals that fit: those kept after `last` first (all later ones, where none is named). `None`: there are
/// too many readers already.
pub(super) fn follow(
    ring: &Ring,
    readers: &Readers,
    filter: Filter,
    last: Option<u64>,
) -> Option<UnsyncBoxBody<Bytes, Infallible>> {
    let place = readers.take()?;
    let (before, newest, follower) = ring.follow(last);
    // Tells a browser when to come again, and everybody that the stream has begun.
    let mut first = VecDeque::from([Bytes::from_static(b"retry: 2000\n\n")]);
    first.extend(last.and_then(|last| gap(last, before.first().map(|told| told.sequence - told.suppressed), newest)));
    first.extend(before.iter().filter(|told| filter.fits(told)).map(|told| event(told)));
    let state = State { first, follower, filter, _place: place };
    let events = stream::unfold(state, |mut state| async move {
        let event = state.next().await?;
        Some((Ok::<_, Infallible>(Frame::data(event)), state))
    });
    Some(StreamBody::new(events).boxed_unsync())
}

impl State {
    /// The next event. A reader that fell behind gets none: it comes again with the number that it has.
    async fn next(&mut self) -> Option<Bytes> {
        if let Some(event) = self.first.pop_front() {
            return Some(event);
        }
        let silence = tokio::time::sleep(HEARTBEAT);
        tokio::pin!(silence);
        loop {
            tokio::select! {
                told = self.follower.next() => match told {
                    Ok(told) if self.filter.fits(&told) => return Some(event(&told)),
                    Ok(_) => {}
                    Err(_) => return None,
                },
                () = &mut silence => return Some(Bytes::from_static(b": still here\n\n")),
            }
        }
    }
}

fn event(told: &Told) -> Bytes {
    format!("id: {}\nevent: refusal\ndata: {}\n\n", told.sequence, told.json).into()
}

/// Says what came after `last` and is kept no more.
fn gap(last: u64, oldest: Option<u64>, newest: u64) -> Option<Bytes> {
    let last = if last > newest { 0 } else { last };
    let missed = match oldest {
        Some(oldest) => oldest.saturating_sub(last + 1),
        None => newest.saturating_sub(last),
    };
    (missed > 0).then(|| format!("event: gap\ndata: {{\"missed\":{missed}}}\n\n").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_is_what_nobody_can_tell_any_more() {
        assert_eq!(gap(5, Some(6), 9), None);
        assert_eq!(gap(5, None, 5), None);
        assert_eq!(gap(500, Some(1), 3), None);
        assert!(String::from_utf8_lossy(&gap(5, Some(8), 9).unwrap()).contains("\"missed\":2"));
        assert!(String::from_utf8_lossy(&gap(5, None, 7).unwrap()).contains("\"missed\":2"));
    }

    #[test]
    fn places_are_bounded_and_given_back() {
        let readers = Readers::default();
        let taken: Vec<_> = (0..MAX_READERS).map(|_| readers.take().unwrap()).collect();
        assert!(readers.take().is_none());
        drop(taken);
        assert!(readers.take().is_some());
    }
}
