//! The body of an answer as it comes, on the connection that it comes on. Nothing runs beside the exchange: whoever reads
//! the body moves the rest of the upload, too.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::answer::{Framing, MAX_HEAD, MAX_LINES};
use super::pool::Lease;
use crate::body::{Decoder, Outgoing, RequestBody, Stopped, drop_protected};
use crate::domain::framing::Bounds;
use crate::stream::Stream;

const BOUNDS: Bounds = Bounds { max_head: MAX_HEAD, max_headers: MAX_LINES, max_target: 0 };

/// Why a body ended before its end.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// The connection ended in the middle.
    #[error("the connection was closed in the middle of the answer's body")]
    Closed,
    /// Nothing came of it for long.
    #[error("nothing came of the answer's body for long")]
    Stalled,
    /// The chunks are no chunks.
    #[error("the answer's body is malformed: {0}")]
    Malformed(String),
}

/// A body, which gives its connection back when it has been read to its end.
#[derive(Debug)]
pub struct Incoming {
    lease: Option<Lease>,
    /// The request, where it is not all written yet: seldom, so that it takes no room in every answer.
    outgoing: Option<Box<Outgoing<RequestBody>>>,
    decoder: Decoder,
    keep_alive: bool,
}

impl Incoming {
    pub(super) fn new(
        lease: Lease,
        outgoing: Option<Box<Outgoing<RequestBody>>>,
        framing: Framing,
        keep_alive: bool,
    ) -> Self {
        let decoder = match framing {
            Framing::Empty => Decoder::Ended,
            Framing::Sized(length) => Decoder::Sized(length),
            Framing::Chunked => Decoder::chunked(BOUNDS),
            Framing::UntilClose => Decoder::UntilClose,
        };
        let mut incoming = Self { lease: Some(lease), outgoing, decoder, keep_alive };
        if matches!(incoming.decoder, Decoder::Ended) {
            incoming.end();
        }
        incoming
    }

    /// What stands behind an answer that switched protocols: no body, but the connection.
    pub(super) const fn switched(lease: Lease) -> Self {
        Self { lease: Some(lease), outgoing: None, decoder: Decoder::Ended, keep_alive: false }
    }

    /// The bare socket behind an answer that switched protocols, and what was read from it already.
    pub fn into_stream(self) -> Option<(Stream, Bytes)> {
        self.lease.map(Lease::into_stream)
    }

    /// The body is complete.
    fn end(&mut self) {
        self.decoder = Decoder::Ended;
        // An upload that Grafana did not wait for leaves the connection in the middle of a request.
        let unfinished = self.outgoing.take().is_some();
        if let Some(lease) = self.lease.take()
            && self.keep_alive
            && !unfinished
        {
            lease.release();
        }
    }

    fn break_off(&mut self, broken: Broken) -> Broken {
        self.decoder = Decoder::Broken;
        self.outgoing = None;
        self.lease = None;
        broken
    }

    /// What the bytes that have come give.
    fn decode(&mut self) -> Option<Result<Frame<Bytes>, Broken>> {
        let wire = &mut self.lease.as_mut()?.connection.wire;
        match self.decoder.decode(&mut wire.bytes) {
            Ok(frame) => {
                if self.decoder.is_ended() {
                    self.end();
                }
                frame.map(|mut frame| {
                    if let Some(trailers) = frame.trailers_mut() {
                        drop_protected(trailers, &[]);
                    }
                    Ok(frame)
                })
            }
            Err(fault) => Some(Err(self.break_off(Broken::Malformed(fault.detail)))),
        }
    }
}

impl Body for Incoming {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let incoming = self.get_mut();
        loop {
            if let Some(frame) = incoming.decode() {
                return Poll::Ready(Some(frame));
            }
            let Some(Lease { connection, .. }) = &mut incoming.lease else {
                let broken = matches!(incoming.decoder, Decoder::Broken);
                return Poll::Ready(broken.then_some(Err(Broken::Closed)));
            };
            if let Some(outgoing) = &mut incoming.outgoing {
                match outgoing.poll_write(&mut connection.wire.stream, cx) {
                    Poll::Pending => {}
                    // Who uploads has gone, or sends what is no body: Grafana would wait for the rest, and we for Grafana.
                    Poll::Ready(Err(Stopped::Body)) => {
                        return Poll::Ready(Some(Err(incoming.break_off(Broken::Closed))));
                    }
                    Poll::Ready(outcome) => {
                        incoming.keep_alive &= outcome.is_ok();
                        incoming.outgoing = None;
                    }
                }
            }
            match ready!(connection.wire.poll_fill(cx)) {
                Ok(count) if count > 0 => {}
                Ok(_) if matches!(incoming.decoder, Decoder::UntilClose) => incoming.end(),
                _ => return Poll::Ready(Some(Err(incoming.break_off(Broken::Closed)))),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.decoder.is_ended()
    }

    fn size_hint(&self) -> SizeHint {
        self.decoder.size_hint()
    }
}
