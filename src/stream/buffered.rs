//! A connection and what has been read from it and not yet used.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use tokio_util::io::poll_read_buf;

use super::Stream;

/// Room for an ordinary message.
const FIRST_READ: usize = 8 * 1024;

/// Room for a piece of a large one: fewer and longer reads move more bytes for each system call.
const LARGEST_READ: usize = 256 * 1024;

/// A connection with its buffer.
#[derive(Debug)]
pub struct Buffered {
    /// The connection.
    pub stream: Stream,
    /// What was read and is still to be used.
    pub bytes: BytesMut,
    read_size: usize,
    /// The largest piece of this message.
    largest: usize,
}

impl Buffered {
    /// Nothing has been read.
    pub fn new(stream: Stream) -> Self {
        Self { stream, bytes: BytesMut::new(), read_size: FIRST_READ, largest: 0 }
    }

    /// Reads more behind what is there. Zero bytes mean the end.
    pub fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let room = self.bytes.capacity() - self.bytes.len();
        if room < self.read_size / 2 {
            self.bytes.reserve(self.read_size);
        }
        let room = self.bytes.capacity() - self.bytes.len();
        let count = ready!(poll_read_buf(Pin::new(&mut self.stream), cx, &mut self.bytes))?;
        self.largest = self.largest.max(count);
        if count == room {
            self.read_size = (self.read_size * 2).min(LARGEST_READ);
        }
        Poll::Ready(Ok(count))
    }

    /// A message has ended and all its bytes have been used: gives back the memory of a large one. Another of its size is
    /// expected, and less after each that is smaller.
    pub fn end_message(&mut self) {
        if self.read_size > FIRST_READ && self.bytes.is_empty() {
            if self.largest < self.read_size / 2 {
                self.read_size = (self.read_size / 2).max(FIRST_READ);
            }
            self.bytes = BytesMut::new();
        }
        self.largest = 0;
    }

    /// The bare connection, and what was read from it already.
    pub fn into_parts(self) -> (Stream, Bytes) {
        (self.stream, self.bytes.freeze())
    }
}
