//! The request path: gate → headers → forward → (peek) → headers → respond. Each file is one of these steps.

mod exchange;
mod forward;
mod gate;
pub mod headers;
mod peek;
pub mod respond;
mod upgrade;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};

use http::HeaderValue;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use self::exchange::ExchangeBody;
use crate::body::UploadBounds;
use crate::domain::decide::Policy;
use crate::limits::Limits;
use crate::progress::Progress;
use crate::telemetry::Recorder;
use crate::upstream::Upstream;

/// Bounds of the request path.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Bytes of a request's body at most; `None`: Grafana decides.
    pub max_body: Option<u64>,
    /// Requests that one worker handles at once.
    pub max_in_flight: usize,
}

/// What all workers share.
#[derive(Clone, Debug)]
pub struct Shared {
    /// What decisions rest on.
    pub policy: Arc<Policy>,
    /// The buckets.
    pub limits: Arc<Limits>,
    /// Where refusals are told.
    pub recorder: Recorder,
    /// The process is ending: no new work is expected, Grafana may be gone.
    pub draining: Arc<AtomicBool>,
    /// The grace is over: what still runs ends.
    pub drained: CancellationToken,
    /// Tunnels, which outlive the connection's own task.
    pub tunnels: TaskTracker,
}

/// One worker's request path.
#[derive(Debug)]
pub struct Proxy {
    policy: Arc<Policy>,
    limits: Arc<Limits>,
    recorder: Recorder,
    draining: Arc<AtomicBool>,
    drained: CancellationToken,
    tunnels: TaskTracker,
    upstream: Upstream,
    uploads: UploadBounds,
    max_in_flight: usize,
    in_flight: Arc<AtomicUsize>,
    requests: AtomicU64,
    worker: u64,
}

/// The other end of a connection.
#[derive(Debug)]
pub struct Peer {
    /// Its address.
    pub address: IpAddr,
    /// The address as a header value.
    pub header: HeaderValue,
    /// What the connection and its exchange tell each other.
    pub progress: Arc<Progress>,
}

impl Proxy {
    /// The request path of worker number `worker`.
    pub fn new(shared: Shared, upstream: Upstream, settings: &Settings, uploads: UploadBounds, worker: u64) -> Self {
        Self {
            policy: shared.policy,
            limits: shared.limits,
            recorder: shared.recorder,
            draining: shared.draining,
            drained: shared.drained,
            tunnels: shared.tunnels,
            upstream,
            uploads,
            max_in_flight: settings.max_in_flight,
            in_flight: Arc::default(),
            requests: AtomicU64::new(0),
            worker,
        }
    }

    /// Closes what has been idle for too long.
    pub fn reap(&self) {
        self.upstream.reap();
    }

    /// Where refusals are told.
    pub const fn recorder(&self) -> &Recorder {
        &self.recorder
    }

    /// A number for a request that no other request of this process has, and nobody can guess.
    pub fn next_id(&self) -> u128 {
        let count = self.requests.fetch_add(1, Relaxed);
        let mut bytes = [0; 16];
        for (to, from) in bytes.iter_mut().zip(self.worker.to_le_bytes().into_iter().chain(count.to_le_bytes())) {
            *to = from;
        }
        self.policy.hash_key.hash(b'r', &bytes).0
    }
}
