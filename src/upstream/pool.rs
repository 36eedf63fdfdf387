//! Idle connections of one worker: the last one used is the next one taken, so that the rest can grow old and go.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;

use super::connection::Connection;
use super::{Failure, Gauges, Route};
use crate::stream::Stream;

/// A server that keeps connections closes them after a minute or more; we go first, so that no request meets the close.
const MAX_ROUNDS: u32 = 11;

/// How often a pool is to be [reaped](super::Upstream::reap).
pub const REAP_EVERY: Duration = Duration::from_secs(5);

/// The idle connections.
#[derive(Debug)]
pub(super) struct Pool {
    idle: Mutex<Vec<Idle>>,
    gauges: Arc<Gauges>,
    /// Counts reapings: the age of what is idle, without a look at the clock for each request.
    round: AtomicU32,
}

#[derive(Debug)]
struct Idle {
    connection: Box<Connection>,
    since: u32,
}

/// One connection, taken for one exchange. Dropped, it closes; released, it serves again.
#[derive(Debug)]
pub(super) struct Lease {
    pub(super) connection: Box<Connection>,
    pool: Arc<Pool>,
}

impl Lease {
    /// Gives the connection back: the answer has been read to its end, and nothing stands behind it.
    pub(super) fn release(self) {
        let Self { mut connection, pool } = self;
        if !connection.wire.bytes.is_empty() {
            return;
        }
        connection.wire.end_message();
        pool.gauges.add_idle();
        pool.idle().push(Idle { connection, since: pool.round.load(Relaxed) });
    }

    /// The bare socket, and what was read from it already.
    pub(super) fn into_stream(self) -> (Stream, Bytes) {
        self.connection.into_stream()
    }
}

impl Pool {
    pub(super) const fn new(gauges: Arc<Gauges>) -> Self {
        Self { idle: Mutex::new(Vec::new()), gauges, round: AtomicU32::new(0) }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The idle connection used last that can take a request now.
    pub(super) fn take(self: &Arc<Self>) -> Option<Lease> {
        loop {
            let Idle { mut connection, .. } = self.idle().pop()?;
            self.gauges.remove_idle(1);
            if connection.is_silent() {
                return Some(Lease { connection, pool: Arc::clone(self) });
            }
        }
    }

    /// Opens a connection.
    pub(super) async fn connect(self: &Arc<Self>, route: &Route, limit: Duration) -> Result<Lease, Failure> {
        let stream = route.connect(limit).await?;
        let connection = Box::new(Connection::new(stream, Arc::clone(&self.gauges)));
        Ok(Lease { connection, pool: Arc::clone(self) })
    }

    pub(super) fn reap(&self) {
        let round = self.round.fetch_add(1, Relaxed).wrapping_add(1);
        let mut idle = self.idle();
        let before = idle.len();
        idle.retain_mut(|idle| round.wrapping_sub(idle.since) <= MAX_ROUNDS && idle.connection.is_silent());
        self.gauges.remove_idle(before - idle.len());
    }
}
