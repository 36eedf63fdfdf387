//! The body of an answer: what we say ourselves, what passes through, what passes after a look at its beginning.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};

use super::upgrade::Tunnel;
use crate::upstream::{Broken, Incoming};

/// The body of an answer.
#[derive(Debug)]
pub enum Body {
    /// Nothing.
    Empty,
    /// Bytes of our own; taken when sent.
    Full(Option<Bytes>),
    /// Another's bytes, as they come.
    Passing(Incoming),
    /// Another's bytes, the first of which were looked at.
    Peeked(Box<Peeked>),
    /// None: behind the head, the connection is another protocol's.
    Tunnel(Box<Tunnel>),
}

/// A body whose beginning was looked at.
#[derive(Debug)]
pub struct Peeked {
    /// What was seen, still to be sent.
    pub seen: VecDeque<Frame<Bytes>>,
    /// What follows.
    pub rest: Incoming,
    /// The length that the whole body had before the look.
    pub length: SizeHint,
}

impl Body {
    /// A body of our own.
    pub const fn full(bytes: Bytes) -> Self {
        Self::Full(Some(bytes))
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match self.get_mut() {
            Self::Empty | Self::Tunnel(_) => Poll::Ready(None),
            Self::Full(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Passing(body) => Pin::new(body).poll_frame(cx),
            Self::Peeked(peeked) => match peeked.seen.pop_front() {
                Some(frame) => Poll::Ready(Some(Ok(frame))),
                None => Poll::Ready(ready!(Pin::new(&mut peeked.rest).poll_frame(cx))),
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty | Self::Tunnel(_) => true,
            Self::Full(bytes) => bytes.is_none(),
            Self::Passing(body) => body.is_end_stream(),
            Self::Peeked(peeked) => peeked.seen.is_empty() && peeked.rest.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty | Self::Tunnel(_) => SizeHint::with_exact(0),
            Self::Full(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Self::Passing(body) => body.size_hint(),
            Self::Peeked(peeked) => peeked.length,
        }
    }
}
