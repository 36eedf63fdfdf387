//! The body of an answer as it comes, on the connection that it comes on. Nothing runs beside the exchange: whoever reads
//! the body moves the rest of the upload, too.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body::{Body, Frame, SizeHint};

use super::answer::{Framing, MAX_HEAD, MAX_LINES};
use super::outgoing::Outgoing;
use super::pool::Lease;
use crate::domain::framing::{Bounds, Dechunker, Part};
use crate::stream::Stream;

const BOUNDS: Bounds = Bounds { max_head: MAX_HEAD, max_headers: MAX_LINES, max_target: 0 };

/// Why a body ended before its end.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// The connection ended in the middle.
    #[error("the connection was closed in the middle of the answer's body")]
    Closed,
    /// The chunks are no chunks.
    #[error("the answer's body is malformed: {0}")]
    Malformed(String),
}

/// A body, which gives its connection back when it has been read to its end.
#[derive(Debug)]
pub struct Incoming {
    lease: Option<Lease>,
    /// The request, where it is not all written yet: seldom, so that it takes no room in every answer.
    outgoing: Option<Box<Outgoing>>,
    decoder: Decoder,
    keep_alive: bool,
}

#[derive(Debug)]
enum Decoder {
    Ended,
    Sized(u64),
    Chunked(Box<Dechunker>),
    UntilClose,
    /// It ended before its end: whoever reads on must not take that for the end.
    Broken,
}

impl Incoming {
    pub(super) fn new(lease: Lease, outgoing: Option<Box<Outgoing>>, framing: Framing, keep_alive: bool) -> Self {
        let decoder = match framing {
            Framing::Empty => Decoder::Ended,
            Framing::Sized(length) => Decoder::Sized(length),
            Framing::Chunked => Decoder::Chunked(Box::new(Dechunker::new(BOUNDS))),
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
        let buffer = &mut self.lease.as_mut()?.connection.buffer;
        match &mut self.decoder {
            Decoder::Ended | Decoder::Broken => None,
            _ if buffer.is_empty() => None,
            Decoder::UntilClose => Some(Ok(Frame::data(buffer.split().freeze()))),
            Decoder::Sized(left) => {
                let count = usize::try_from(*left).unwrap_or(usize::MAX).min(buffer.len());
                *left -= count as u64;
                let data = buffer.split_to(count).freeze();
                if *left == 0 {
                    self.end();
                }
                Some(Ok(Frame::data(data)))
            }
            Decoder::Chunked(chunks) => match dechunk(chunks, buffer) {
                Ok(Some(Some(frame))) => Some(Ok(frame)),
                Ok(None) => None,
                Ok(Some(None)) => {
                    let trailers = parse_trailers(chunks.trailers());
                    self.end();
                    match trailers {
                        Some(Ok(trailers)) => Some(Ok(Frame::trailers(trailers))),
                        Some(Err(broken)) => Some(Err(self.break_off(broken))),
                        None => None,
                    }
                }
                Err(broken) => Some(Err(self.break_off(broken))),
            },
        }
    }
}

/// The next piece of data, `Some(None)` at the end, or nothing where more bytes must come.
fn dechunk(chunks: &mut Dechunker, buffer: &mut BytesMut) -> Result<Option<Option<Frame<Bytes>>>, Broken> {
    while !buffer.is_empty() {
        match chunks.advance(buffer).map_err(|fault| Broken::Malformed(fault.detail))? {
            Part::Framing(count) => buffer.advance(count),
            Part::Data(count) => return Ok(Some(Some(Frame::data(buffer.split_to(count).freeze())))),
            Part::End(count) => {
                buffer.advance(count);
                return Ok(Some(None));
            }
        }
    }
    Ok(None)
}

fn parse_trailers(lines: &[u8]) -> Option<Result<HeaderMap, Broken>> {
    if lines.len() <= 2 {
        return None;
    }
    let malformed = || Broken::Malformed("a trailer is no field".to_owned());
    let parse = || {
        let mut fields = [httparse::EMPTY_HEADER; MAX_LINES];
        let Ok(httparse::Status::Complete((_, fields))) = httparse::parse_headers(lines, &mut fields) else {
            return Err(malformed());
        };
        let mut trailers = HeaderMap::with_capacity(fields.len());
        for field in fields.iter() {
            let name = HeaderName::from_bytes(field.name.as_bytes()).map_err(|_| malformed())?;
            trailers.append(name, HeaderValue::from_bytes(field.value).map_err(|_| malformed())?);
        }
        Ok(trailers)
    };
    Some(parse())
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
                match outgoing.poll_write(&mut connection.stream, cx) {
                    Poll::Pending => {}
                    Poll::Ready(outcome) => {
                        incoming.keep_alive &= outcome.is_ok();
                        incoming.outgoing = None;
                    }
                }
            }
            match ready!(connection.poll_fill(cx)) {
                Ok(count) if count > 0 => {}
                Ok(_) if matches!(incoming.decoder, Decoder::UntilClose) => incoming.end(),
                _ => return Poll::Ready(Some(Err(incoming.break_off(Broken::Closed)))),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.decoder, Decoder::Ended)
    }

    fn size_hint(&self) -> SizeHint {
        match self.decoder {
            Decoder::Ended => SizeHint::with_exact(0),
            Decoder::Sized(left) => SizeHint::with_exact(left),
            Decoder::Chunked(_) | Decoder::UntilClose | Decoder::Broken => SizeHint::default(),
        }
    }
}
