//! One answer on its way to the client, and what is due when it has ended.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};

use super::body::Body;
use super::reply::Reply;
use super::upgrade::Tunnel;
use crate::limits::Slot;
use crate::progress::{Progress, Wait};
use crate::telemetry::Gauge;
use crate::upstream::Broken;

/// The body of an answer, and what ends with it.
#[derive(Debug)]
pub struct ExchangeBody {
    body: Body,
    ending: Ending,
}

/// What ends with an answer, however it ends.
#[derive(Debug)]
pub struct Ending {
    progress: Arc<Progress>,
    in_flight: Arc<AtomicUsize>,
    slot: Option<Slot>,
    silence: Duration,
    _gauge: Gauge,
}

impl Ending {
    /// An exchange begins, whose answer may be silent for so long. Returns the exchanges under way, this one included.
    pub fn begin(
        progress: Arc<Progress>,
        in_flight: Arc<AtomicUsize>,
        silence: Duration,
        gauge: Gauge,
    ) -> (Self, usize) {
        progress.begin_exchange();
        let now = in_flight.fetch_add(1, Relaxed) + 1;
        (Self { progress, in_flight, slot: None, silence, _gauge: gauge }, now)
    }
}

impl Ending {
    /// The answer is one of so many that may be outstanding.
    pub fn hold(&mut self, slot: Option<Slot>) {
        self.slot = slot;
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.in_flight.fetch_sub(1, Relaxed);
        self.progress.end_exchange();
    }
}

impl ExchangeBody {
    /// Hands an answer over, tied to what it holds.
    pub fn wrap(reply: Reply<Body>, ending: Ending) -> Reply<Self> {
        ending.progress.reply();
        reply.map(|body| Self { body, ending })
    }

    /// What follows the head where both sides agreed on another protocol.
    pub fn take_tunnel(&mut self) -> Option<Tunnel> {
        match std::mem::replace(&mut self.body, Body::Empty) {
            Body::Tunnel(tunnel) => Some(*tunnel),
            body => {
                self.body = body;
                None
            }
        }
    }
}

impl HttpBody for ExchangeBody {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let Self { body, ending } = self.get_mut();
        let polled = Pin::new(body).poll_frame(cx);
        let progress = &ending.progress;
        // A stream lives as long as it speaks.
        match polled {
            Poll::Pending if progress.has_expired(Wait::Answer) => return Poll::Ready(Some(Err(Broken::Stalled))),
            Poll::Pending if !progress.is_waiting(Wait::Answer) => progress.allow(Wait::Answer, ending.silence),
            Poll::Pending => {}
            Poll::Ready(_) => progress.finish(Wait::Answer),
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
