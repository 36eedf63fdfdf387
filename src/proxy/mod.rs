//! The request path: gate → headers → forward → (peek) → headers → respond. Each file is one of these steps.

mod anonymous;
mod body;
mod exchange;
mod forward;
mod gate;
pub mod headers;
mod learn;
mod peek;
mod prove;
mod recall;
mod reply;
pub mod respond;
mod unread;
mod upgrade;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use self::exchange::ExchangeBody;
pub use self::prove::Proving;
pub use self::reply::Reply;
pub use self::upgrade::Tunnel;
use crate::body::UploadBounds;
use crate::domain::decide::Policy;
use crate::limits::Limits;
use crate::progress::Progress;
use crate::telemetry::Recorder;
use crate::upstream::Upstream;

/// The path whose request panics, for the test of what that does to others. No program that is not a test knows it.
#[cfg(test)]
pub const PANICS: &str = "/api/a-fault-of-ours";

/// So long an answer may be silent between two pieces, and so long both ends of a tunnel: Live pings every 25 s, and watches
/// are reminded every minute, so that this is the silence of ends that are gone.
const SILENCE: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 300 });

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
    /// What is known of Grafana's sign-in.
    pub proving: Arc<Proving>,
    /// The process is ending: no new work is expected, Grafana may be gone.
    pub draining: Arc<AtomicBool>,
    /// The grace is over: what still runs ends.
    pub drained: CancellationToken,
    /// Tunnels, which outlive the connection's own task.
    pub tunnels: TaskTracker,
}

/// What one worker keeps, whatever its configuration is.
#[derive(Debug)]
pub struct Lane {
    in_flight: Arc<AtomicUsize>,
    requests: AtomicU64,
    /// What the ids of this worker begin with.
    seed: u128,
}

impl Lane {
    /// Of worker number `worker`.
    pub fn new(policy: &Policy, worker: u64) -> Self {
        let seed = policy.hash_key.hash(b'r', &worker.to_le_bytes()).0;
        Self { in_flight: Arc::default(), requests: AtomicU64::new(0), seed }
    }
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
    upstream: Arc<Upstream>,
    proving: Arc<Proving>,
    identity_headers: Arc<[HeaderName]>,
    uploads: UploadBounds,
    max_in_flight: usize,
    lane: Arc<Lane>,
}

/// The other end of a connection.
#[derive(Debug)]
pub struct Peer {
    /// Its address.
    pub address: IpAddr,
    /// The address as a header value.
    pub header: HeaderValue,
    /// Whether it speaks TLS with us.
    pub encrypted: bool,
    /// Whether the connection can be handed over to another protocol.
    pub can_switch: bool,
    /// What the connection and its exchange tell each other.
    pub progress: Arc<Progress>,
}

impl Proxy {
    /// The request path of one worker.
    pub fn new(
        shared: Shared,
        upstream: Arc<Upstream>,
        settings: &Settings,
        uploads: UploadBounds,
        lane: Arc<Lane>,
    ) -> Self {
        Self {
            identity_headers: shared.policy.clients.identity_headers.as_slice().into(),
            policy: shared.policy,
            limits: shared.limits,
            recorder: shared.recorder,
            draining: shared.draining,
            drained: shared.drained,
            tunnels: shared.tunnels,
            upstream,
            proving: shared.proving,
            uploads,
            max_in_flight: settings.max_in_flight,
            lane,
        }
    }

    /// Closes what has been idle for too long.
    pub fn reap(&self) {
        self.upstream.reap();
    }

    /// Whether what this hop says about others is believed.
    pub fn trusts(&self, hop: IpAddr) -> bool {
        self.policy.clients.trusts(hop)
    }

    /// Where refusals are told.
    pub const fn recorder(&self) -> &Recorder {
        &self.recorder
    }

    /// A number for a request that no other request has: unique, not secret.
    pub fn next_id(&self) -> u128 {
        let count = self.lane.requests.fetch_add(1, Relaxed);
        // The finaliser of SplitMix64 is a bijection, so ids of one worker differ; the seed tells workers apart.
        let mut mixed = count.wrapping_add(self.lane.seed as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (self.lane.seed & !u128::from(u64::MAX)) | u128::from(mixed ^ (mixed >> 31))
    }
}
