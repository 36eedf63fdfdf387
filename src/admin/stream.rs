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
use crate::telemetry::ring::{Cursor, Follower, Following, Ring, Told};
use crate::telemetry::timestamp;

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
    /// What is to be said before what comes.
    first: VecDeque<Bytes>,
    /// The number of the last refusal that came, whether it fitted or not.
    last: u64,
    follower: Follower,
    filter: Filter,
    ring: Ring,
    _place: Place,
}

/// Follows the refusals that fit: those kept after `last` first (all later ones, where none is named). `None`: there are
/// too many readers already.
pub(super) fn follow(
    ring: &Ring,
    readers: &Readers,
    filter: Filter,
    last: Option<Cursor>,
) -> Option<UnsyncBoxBody<Bytes, Infallible>> {
    let place = readers.take()?;
    let Following { restarted, before, after, follower } = ring.follow(last);
    // Tells a browser when to come again, and everybody that the stream has begun.
    let mut first = VecDeque::from([Bytes::from_static(b"retry: 2000\n\n")]);
    if restarted {
        let since = timestamp(ring.began());
        first.push_back(format!("event: restart\ndata: {{\"since\":\"{since}\"}}\n\n").into());
    }
    let mut state = State { first, last: after, follower, filter, ring: ring.clone(), _place: place };
    before.iter().for_each(|told| state.take(told));
    let events = stream::unfold(state, |mut state| async move {
        let event = state.next().await?;
        Some((Ok::<_, Infallible>(Frame::data(event)), state))
    });
    Some(StreamBody::new(events).boxed_unsync())
}

impl State {
    /// The next event. A reader that fell behind gets none: it comes again with the number that it has.
    async fn next(&mut self) -> Option<Bytes> {
        let silence = tokio::time::sleep(HEARTBEAT);
        tokio::pin!(silence);
        loop {
            if let Some(event) = self.first.pop_front() {
                return Some(event);
            }
            tokio::select! {
                told = self.follower.next() => self.take(&told.ok()?),
                () = &mut silence => return Some(Bytes::from_static(b": still here\n\n")),
            }
        }
    }

    /// What is to be said of a refusal: that others before it are kept no more, and itself where it fits.
    fn take(&mut self, told: &Arc<Told>) {
        let missed = told.sequence.saturating_sub(told.suppressed + 1).saturating_sub(self.last);
        self.last = told.sequence;
        if missed > 0 {
            self.first.push_back(format!("event: gap\ndata: {{\"missed\":{missed}}}\n\n").into());
        }
        if self.filter.fits(told) {
            let id = self.ring.cursor(told.sequence);
            self.first.push_back(format!("id: {id}\nevent: refusal\ndata: {}\n\n", told.json).into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_bounded_and_given_back() {
        let readers = Readers::default();
        let taken: Vec<_> = (0..MAX_READERS).map(|_| readers.take().unwrap()).collect();
        assert!(readers.take().is_none());
        drop(taken);
        assert!(readers.take().is_some());
    }
}
