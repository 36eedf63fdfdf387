//! One connection to Grafana: its socket, what has been read and not yet used, and its place in the gauges.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use bytes::Bytes;

use crate::stream::{Buffered, Stream};

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
    pub(super) wire: Buffered,
    open: Open,
}

impl Connection {
    pub(super) fn new(stream: Stream, gauges: Arc<Gauges>) -> Self {
        Self { wire: Buffered::new(stream), open: Open::new(gauges) }
    }

    /// Whether the other side has neither closed an idle connection nor sent what nobody asked for.
    pub(super) fn is_silent(&mut self) -> bool {
        self.wire.bytes.is_empty() && self.wire.stream.is_silent()
    }

    /// The bare socket, and what was read from it already.
    pub(super) fn into_stream(self) -> (Stream, Bytes) {
        let Self { wire, open } = self;
        drop(open);
        wire.into_parts()
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
