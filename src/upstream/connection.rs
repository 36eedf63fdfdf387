//! One connection to Grafana: its socket, what has been read and not yet used, and its place in the gauges.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use tokio_util::io::poll_read_buf;

use crate::stream::Stream;

/// Room for an ordinary answer.
const FIRST_READ: usize = 8 * 1024;

/// Room for a piece of a large one: fewer and longer reads move more bytes for each system call.
const LARGEST_READ: usize = 256 * 1024;

/// Connections of all workers, for the metrics.
#[derive(Debug, Default)]
pub struct Gauges {
    idle: AtomicUsize,
    open: AtomicUsize,
}

impl Gauges {
    /// Connections waiting in a pool.
    pub fn idle(&self) -> usize {
        self.idle.load(Relaxed)
    }

    /// Connections with an exchange on them.
    pub fn busy(&self) -> usize {
        self.open.load(Relaxed).saturating_sub(self.idle())
    }

    pub(super) fn add_idle(&self) {
        self.idle.fetch_add(1, Relaxed);
    }

    pub(super) fn remove_idle(&self, count: usize) {
        self.idle.fetch_sub(count, Relaxed);
    }
}

/// A connection.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) stream: Stream,
    pub(super) buffer: BytesMut,
    read_size: usize,
    open: Open,
}

impl Connection {
    pub(super) fn new(stream: Stream, gauges: Arc<Gauges>) -> Self {
        Self { stream, buffer: BytesMut::new(), read_size: FIRST_READ, open: Open::new(gauges) }
    }

    /// Reads more behind what is there. Zero bytes mean the end.
    pub(super) fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let room = self.buffer.capacity() - self.buffer.len();
        if room < self.read_size / 2 {
            self.buffer.reserve(self.read_size);
        }
        let room = self.buffer.capacity() - self.buffer.len();
        let count = ready!(poll_read_buf(Pin::new(&mut self.stream), cx, &mut self.buffer))?;
        if count == room {
            self.read_size = (self.read_size * 2).min(LARGEST_READ);
        }
        Poll::Ready(Ok(count))
    }

    /// Whether the other side has neither closed an idle connection nor sent what nobody asked for.
    pub(super) fn is_silent(&mut self) -> bool {
        self.buffer.is_empty() && self.stream.is_silent()
    }

    /// Gives back the memory of a large answer.
    pub(super) fn shrink(&mut self) {
        if self.read_size > FIRST_READ {
            self.read_size = FIRST_READ;
            self.buffer = BytesMut::new();
        }
    }

    /// The bare socket, and what was read from it already.
    pub(super) fn into_stream(self) -> (Stream, Bytes) {
        let Self { stream, buffer, open, .. } = self;
        drop(open);
        (stream, buffer.freeze())
    }
}

/// Counted as long as it is ours.
#[derive(Debug)]
struct Open(Arc<Gauges>);

impl Open {
    fn new(gauges: Arc<Gauges>) -> Self {
        gauges.open.fetch_add(1, Relaxed);
        Self(gauges)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Relaxed);
    }
}
