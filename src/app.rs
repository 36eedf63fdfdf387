//! Composition root: configuration → bound → running → drained.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::admin::Telemetry;
use crate::body::UploadBounds;
use crate::config::Config;
use crate::domain::caller::Callers;
use crate::domain::decide::Policy;
use crate::domain::path_rule::{Costs, PathRules};
use crate::domain::token::HashKey;
use crate::limits::Limits;
use crate::limits::shared::{self as replicas, State};
use crate::proxy::{Lane, Proxy, Shared};
use crate::server::{self, Accepting, Bound, Current, Endpoint, Serving, Socket};
use crate::telemetry::otlp::Spans;
use crate::telemetry::{Backend, Log, Metrics, Recorder, Sources};
use crate::upstream::{Gauges, REAP_EVERY, Upstream};

/// A request waits no longer for the store that replicas share.
const STORE_DEADLINE: Duration = Duration::from_millis(25);

/// What a tunnel has to end once the grace is over.
const TUNNEL_GRACE: Duration = Duration::from_secs(1);

/// Why the program cannot start.
#[derive(Debug, thiserror::Error)]
#[error("{what}: {cause}")]
pub struct StartError {
    what: String,
    cause: String,
    cure: &'static str,
}

impl StartError {
    /// How to mend it.
    pub const fn cure(&self) -> &'static str {
        self.cure
    }
}

impl From<std::io::Error> for StartError {
    fn from(error: std::io::Error) -> Self {
        let cure = "raise the limits of this process (files, threads), or look at what the system says";
        Self { what: "the system refuses what every program needs".into(), cause: error.to_string(), cure }
    }
}

/// The running proxy.
#[derive(Debug)]
pub struct App {
    /// Where it listens.
    pub listening: Vec<Endpoint>,
    /// The telemetry listener's socket and address.
    pub telemetry: Option<(std::net::TcpListener, SocketAddr)>,
    /// The console's socket and address.
    pub admin: Option<(std::net::TcpListener, SocketAddr)>,
    shared: Shared,
    stop: CancellationToken,
    gauges: Arc<Gauges>,
    lanes: Vec<OwnLane>,
    workers: Vec<JoinHandle<()>>,
    spans: Option<Spans>,
    delay: Duration,
}

/// What a reload changes of one worker.
#[derive(Debug)]
struct OwnLane {
    lane: Arc<Lane>,
    upstream: Arc<Upstream>,
    current: Arc<Current>,
}

impl App {
    /// Binds every listener, then starts the workers. Nothing serves unless everything can.
    pub fn start(config: &Config, log: Log) -> Result<Self, StartError> {
        let store = store(config)?;
        let limits = Arc::new(Limits::new(&config.limits).sharing(store.clone()));
        let gauges = Arc::<Gauges>::default();
        let spans = config.spans.clone().map(Spans::start).transpose()?;
        let recorder = recorder(log, &limits, store, &gauges).with_spans(spans.clone());
        let count =
            config.server.workers.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
        let mut bound: Vec<Bound> = Vec::new();
        for endpoint in &config.server.listen {
            bound.push(server::bind(endpoint, count).map_err(|error| cannot_listen(endpoint, &error))?);
        }
        let telemetry = config.admin.telemetry.map(bind).transpose()?;
        let admin = config.admin.console.map(bind).transpose()?;
        let listening = bound.iter().map(|bound| bound.endpoint.clone()).collect();
        let hash_key = config.fingerprint_key.clone().map_or_else(random_key, Ok)?;
        let shared = Shared {
            policy: Arc::new(policy(config, hash_key)),
            limits,
            recorder,
            proving: Arc::default(),
            draining: Arc::new(AtomicBool::new(false)),
            drained: CancellationToken::new(),
            tunnels: TaskTracker::new(),
        };
        let mut app = Self {
            listening,
            telemetry,
            admin,
            shared,
            stop: CancellationToken::new(),
            gauges,
            lanes: Vec::new(),
            workers: Vec::new(),
            spans,
            delay: config.server.shutdown_delay,
        };
        let connections = Arc::new(AtomicUsize::new(0));
        for number in 0..count {
            let sockets = bound.iter_mut().filter_map(Bound::take).collect();
            app.spawn_worker(number, sockets, config, &connections)?;
        }
        Ok(app)
    }

    fn spawn_worker(
        &mut self,
        number: usize,
        sockets: Vec<Socket>,
        config: &Config,
        connections: &Arc<AtomicUsize>,
    ) -> Result<(), StartError> {
        let lane = Arc::new(Lane::new(&self.shared.policy, number as u64));
        let upstream = Arc::new(Upstream::new(config.upstream.clone(), Arc::clone(&self.gauges)));
        let serving = serving(&self.shared, config, &upstream, &lane);
        let current = Arc::new(Current::from_pointee(serving));
        let accepting = Accepting {
            current: Arc::clone(&current),
            connections: Arc::clone(connections),
            tasks: TaskTracker::new(),
            stop: self.stop.clone(),
        };
        let worker = Worker { accepting, shared: self.shared.clone() };
        let thread = std::thread::Builder::new().name(format!("worker-{number}"));
        let handle = thread.spawn(move || worker.run(sockets)).map_err(|error| StartError {
            what: "a worker cannot start".into(),
            cause: error.to_string(),
            cure: "raise the limit of threads, or lower workers",
        })?;
        self.workers.push(handle);
        self.lanes.push(OwnLane { lane, upstream, current });
        Ok(())
    }

    /// Serves by another configuration from now on: requests that have begun end as they began, connections stay, and so
    /// do the buckets of limits that did not change. What [`config::reload`](crate::config::reload) calls fixed stays as
    /// it is.
    pub fn reload(&mut self, config: &Config) {
        self.shared.policy = Arc::new(policy(config, self.shared.policy.hash_key.clone()));
        self.shared.limits = Arc::new(self.shared.limits.reloaded(&config.limits));
        self.delay = config.server.shutdown_delay;
        for OwnLane { lane, upstream, current } in &mut self.lanes {
            if !upstream.fits(&config.upstream) {
                *upstream = Arc::new(Upstream::new(config.upstream.clone(), Arc::clone(&self.gauges)));
            }
            current.store(Arc::new(serving(&self.shared, config, upstream, lane)));
        }
    }

    /// The limits in force.
    pub const fn limits(&self) -> &Arc<Limits> {
        &self.shared.limits
    }

    /// Where refusals are told.
    pub const fn recorder(&self) -> &Recorder {
        &self.shared.recorder
    }

    /// What the telemetry listener tells.
    pub fn health(&self) -> Telemetry {
        Telemetry { draining: Arc::clone(&self.shared.draining), recorder: self.shared.recorder.clone() }
    }

    /// Drains: readiness falls, after `shutdown.delay` accepting ends, running answers get `shutdown.grace` to finish.
    pub async fn drain(self) {
        self.shared.draining.store(true, Relaxed);
        tokio::time::sleep(self.delay).await;
        self.stop.cancel();
        let workers = self.workers;
        let joined = tokio::task::spawn_blocking(move || {
            workers.into_iter().for_each(|worker| drop(worker.join()));
            // What the last requests left behind.
            self.spans.iter().for_each(Spans::finish);
        });
        let _ = joined.await;
    }
}

struct Worker {
    accepting: Accepting,
    shared: Shared,
}

impl Worker {
    /// One thread, one runtime: a request and its connections never leave the core they came to.
    fn run(self, sockets: Vec<Socket>) {
        let runtime = match tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build() {
            Ok(runtime) => runtime,
            Err(error) => {
                tracing::error!(event = "worker_failed", detail = %error, "a worker cannot run");
                return;
            }
        };
        runtime.block_on(self.serve(sockets));
    }

    async fn serve(self, sockets: Vec<Socket>) {
        let Accepting { current, tasks, stop, .. } = self.accepting.clone();
        for socket in sockets {
            tasks.spawn(server::serve(socket, self.accepting.clone()));
        }
        let mut reap = tokio::time::interval(REAP_EVERY);
        while stop.run_until_cancelled(reap.tick()).await.is_some() {
            current.load().proxy.reap();
        }
        tasks.close();
        let grace = current.load().settings.shutdown_grace;
        if tokio::time::timeout(grace, tasks.wait()).await.is_err() {
            tracing::warn!(event = "grace_over", connections = tasks.len(), "closing connections that did not finish");
        }
        self.shared.drained.cancel();
        self.shared.tunnels.close();
        let _ = tokio::time::timeout(TUNNEL_GRACE, self.shared.tunnels.wait()).await;
    }
}

/// What one worker serves by.
fn serving(shared: &Shared, config: &Config, upstream: &Arc<Upstream>, lane: &Arc<Lane>) -> Serving {
    let uploads = UploadBounds {
        max_body: config.proxy.max_body,
        body_timeout: config.server.body_timeout,
        answer_timeout: config.upstream.response_timeout,
    };
    let proxy = Proxy::new(shared.clone(), Arc::clone(upstream), &config.proxy, uploads, Arc::clone(lane));
    Serving { proxy, settings: Arc::new(config.server.clone()) }
}

/// Starts to look for the store that all replicas share, where there is to be one.
fn store(config: &Config) -> Result<Option<Arc<replicas::Shared>>, StartError> {
    let Some(address) = config.shared.address.clone() else { return Ok(None) };
    let shared = replicas::Shared::start(replicas::Settings {
        address,
        authorities: config.shared.pem.clone(),
        lease: config.shared.lease,
        deadline: STORE_DEADLINE,
        max_tracked: config.limits.max_tracked,
    });
    Ok(Some(Arc::new(shared?)))
}

fn recorder(log: Log, limits: &Arc<Limits>, store: Option<Arc<replicas::Shared>>, gauges: &Arc<Gauges>) -> Recorder {
    let (limits, gauges) = (Arc::clone(limits), Arc::clone(gauges));
    let sources = Sources {
        tracked: Arc::new(move || limits.tracked()),
        backend: Arc::new(move || match store.as_ref().map(|store| store.state()) {
            None => Backend::Local,
            Some(State::Shared) => Backend::Shared,
            Some(State::Degraded) => Backend::Degraded,
        }),
        upstream: Arc::new(move || (gauges.idle(), gauges.busy())),
        dropped: log.dropped(),
    };
    Recorder::new(Metrics::new(sources), log)
}

fn policy(config: &Config, hash_key: HashKey) -> Policy {
    Policy {
        authorization: config.authorization.clone(),
        org: config.org.clone(),
        clients: config.clients.clone(),
        callers: Callers::new(&config.callers, &hash_key),
        exempt: PathRules::new(&config.limits.exempt),
        costs: Costs::new(&config.limits.cost),
        hash_key,
    }
}

fn random_key() -> Result<HashKey, StartError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| StartError {
        what: "the system gives no random bytes".into(),
        cause: error.to_string(),
        cure: "set GTP_FINGERPRINT_KEY",
    })?;
    Ok(HashKey::from_bytes(bytes))
}

fn cannot_listen(address: &impl std::fmt::Display, error: &std::io::Error) -> StartError {
    StartError {
        what: format!("cannot listen on {address}"),
        cause: error.to_string(),
        cure: "stop what holds the port, or choose another with --listen, --telemetry or --admin",
    }
}

fn bind(address: SocketAddr) -> Result<(std::net::TcpListener, SocketAddr), StartError> {
    let bound = || -> std::io::Result<_> {
        let listener = std::net::TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        Ok((listener, address))
    };
    bound().map_err(|error| cannot_listen(&address, &error))
}
