//! Idle connections of one worker: the last one used is the next one taken, so that the rest can grow old and go.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::time::Instant;

use super::{Address, Failure};
use crate::body::RequestBody;

/// A server that keeps connections closes them after a minute or more; we go first, so that no request meets the close.
const IDLE_LIMIT: Duration = Duration::from_secs(55);

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
}

/// The idle connections.
#[derive(Debug)]
pub struct Pool {
    idle: Mutex<Vec<Idle>>,
    gauges: Arc<Gauges>,
}

#[derive(Debug)]
struct Idle {
    sender: SendRequest<RequestBody>,
    since: Instant,
}

/// One connection, taken for one exchange. Dropped, it closes; released, it serves again.
#[derive(Debug)]
pub struct Lease {
    sender: SendRequest<RequestBody>,
    pool: Arc<Pool>,
}

impl Lease {
    pub(super) fn try_send(
        &mut self,
        request: Request<RequestBody>,
    ) -> impl Future<Output = Result<Response<Incoming>, TrySendError<Request<RequestBody>>>> + use<> {
        self.sender.try_send_request(request)
    }

    /// Gives the connection back: the answer has been read to its end.
    pub fn release(self) {
        if self.sender.is_closed() {
            return;
        }
        let Self { sender, pool } = self;
        pool.gauges.idle.fetch_add(1, Relaxed);
        pool.idle().push(Idle { sender, since: Instant::now() });
    }
}

impl Pool {
    pub(super) const fn new(gauges: Arc<Gauges>) -> Self {
        Self { idle: Mutex::new(Vec::new()), gauges }
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The idle connection used last that can take a request now.
    pub(super) fn take(self: &Arc<Self>) -> Option<Lease> {
        let mut idle = self.idle();
        // One that was released but has not finished its last exchange (its task has not run since) stays for later.
        let at = loop {
            let at = idle.iter().rposition(|idle| idle.sender.is_ready() || idle.sender.is_closed())?;
            if idle.get(at).is_some_and(|idle| idle.sender.is_ready()) {
                break at;
            }
            idle.remove(at);
            self.gauges.idle.fetch_sub(1, Relaxed);
        };
        let taken = idle.remove(at);
        self.gauges.idle.fetch_sub(1, Relaxed);
        Some(Lease { sender: taken.sender, pool: Arc::clone(self) })
    }

    /// Opens a connection.
    pub(super) async fn connect(self: &Arc<Self>, address: &Address, limit: Duration) -> Result<Lease, Failure> {
        let stream = address.connect(limit).await?;
        let (sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|error| Failure::Unreachable(error.to_string()))?;
        let open = OpenGuard::new(Arc::clone(&self.gauges));
        tokio::spawn(async move {
            // How a connection ends is told to the exchange on it; one that ends idle concerns nobody.
            let _ = connection.with_upgrades().await;
            drop(open);
        });
        Ok(Lease { sender, pool: Arc::clone(self) })
    }

    pub(super) fn reap(&self) {
        let now = Instant::now();
        let mut idle = self.idle();
        let before = idle.len();
        idle.retain(|idle| !idle.sender.is_closed() && now.duration_since(idle.since) < IDLE_LIMIT);
        self.gauges.idle.fetch_sub(before - idle.len(), Relaxed);
    }
}

struct OpenGuard(Arc<Gauges>);

impl OpenGuard {
    fn new(gauges: Arc<Gauges>) -> Self {
        gauges.open.fetch_add(1, Relaxed);
        Self(gauges)
    }
}

impl Drop for OpenGuard {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Relaxed);
    }
}
