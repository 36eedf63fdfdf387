//! Composition root: configuration → bound → running → drained.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::admin::{ConfigRow, Console, Telemetry};
use crate::body::UploadBounds;
use crate::config::Config;
use crate::domain::decide::Policy;
use crate::domain::path_rule::PathRules;
use crate::domain::token::HashKey;
use crate::limits::Limits;
use crate::proxy::{Proxy, Shared};
use crate::server::{self, Bound};
use crate::telemetry::otlp::Spans;
use crate::telemetry::{Log, Metrics, Recorder, Sources};
use crate::upstream::{Gauges, REAP_EVERY, Upstream};

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
    pub listening: Vec<SocketAddr>,
    /// The telemetry listener's socket and address.
    pub telemetry: Option<(std::net::TcpListener, SocketAddr)>,
    /// The console's socket and address.
    pub admin: Option<(std::net::TcpListener, SocketAddr)>,
    shared: Shared,
    stop: CancellationToken,
    workers: Vec<JoinHandle<()>>,
    spans: Option<Spans>,
    delay: Duration,
}

impl App {
    /// Binds every listener, then starts the workers. Nothing serves unless everything can.
    pub fn start(config: &Config, log: Log) -> Result<Self, StartError> {
        let (limits, gauges) = (Arc::new(Limits::new(&config.limits)), Arc::<Gauges>::default());
        let spans = config.spans.clone().map(Spans::start).transpose()?;
        let recorder = recorder(log, &limits, &gauges).with_spans(spans.clone());
        let count =
            config.server.workers.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
        let mut bound: Vec<Bound> = Vec::new();
        for address in &config.server.listen {
            bound.push(server::bind(*address, count).map_err(|error| cannot_listen(*address, &error))?);
        }
        let telemetry = config.admin.telemetry.map(bind).transpose()?;
        let admin = config.admin.console.map(bind).transpose()?;
        let listening = bound.iter().map(|bound| bound.address).collect();
        let shared = Shared {
            policy: Arc::new(policy(config)?),
            limits,
            recorder,
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
            workers: Vec::new(),
            spans,
            delay: config.server.shutdown_delay,
        };
        let connections = Arc::new(AtomicUsize::new(0));
        for number in 0..count {
            let sockets = bound.iter_mut().filter_map(Bound::take).collect();
            app.workers.push(app.spawn_worker(number, sockets, config, &gauges, &connections)?);
        }
        Ok(app)
    }

    fn spawn_worker(
        &self,
        number: usize,
        sockets: Vec<std::net::TcpListener>,
        config: &Config,
        gauges: &Arc<Gauges>,
        connections: &Arc<AtomicUsize>,
    ) -> Result<JoinHandle<()>, StartError> {
        let upstream = Upstream::new(config.upstream.clone(), Arc::clone(gauges)).map_err(|error| StartError {
            what: "the upstream cannot be used".into(),
            cause: error.to_string(),
            cure: "set upstream.url",
        })?;
        let uploads = UploadBounds {
            max_body: config.proxy.max_body,
            body_timeout: config.server.body_timeout,
            answer_timeout: config.upstream.response_timeout,
        };
        let proxy = Proxy::new(self.shared.clone(), upstream, &config.proxy, uploads, number as u64);
        let worker = Worker {
            proxy: Arc::new(proxy),
            settings: Arc::new(config.server.clone()),
            connections: Arc::clone(connections),
            stop: self.stop.clone(),
            shared: self.shared.clone(),
        };
        std::thread::Builder::new().name(format!("worker-{number}")).spawn(move || worker.run(sockets)).map_err(
            |error| StartError {
                what: "a worker cannot start".into(),
                cause: error.to_string(),
                cure: "raise the limit of threads, or lower workers",
            },
        )
    }

    /// What the telemetry listener tells.
    pub fn health(&self) -> Telemetry {
        Telemetry { draining: Arc::clone(&self.shared.draining), recorder: self.shared.recorder.clone() }
    }

    /// What the console shows, with the rows of the configuration. `None` where it is switched off.
    pub fn console(&self, config: Vec<ConfigRow>, upstream: &str) -> Option<Console> {
        Console::new(self.shared.recorder.clone(), Arc::clone(&self.shared.limits), config, upstream)
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
    proxy: Arc<Proxy>,
    settings: Arc<server::Settings>,
    connections: Arc<AtomicUsize>,
    stop: CancellationToken,
    shared: Shared,
}

impl Worker {
    /// One thread, one runtime: a request and its connections never leave the core they came to.
    fn run(self, sockets: Vec<std::net::TcpListener>) {
        let runtime = match tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build() {
            Ok(runtime) => runtime,
            Err(error) => {
                tracing::error!(event = "worker_failed", detail = %error, "a worker cannot run");
                return;
            }
        };
        runtime.block_on(self.serve(sockets));
    }

    async fn serve(self, sockets: Vec<std::net::TcpListener>) {
        let tasks = TaskTracker::new();
        for socket in sockets {
            let listener = match TcpListener::from_std(socket) {
                Ok(listener) => listener,
                Err(error) => {
                    tracing::error!(event = "worker_failed", detail = %error, "a worker cannot listen");
                    return;
                }
            };
            let serving = server::serve(
                listener,
                Arc::clone(&self.proxy),
                Arc::clone(&self.settings),
                Arc::clone(&self.connections),
                tasks.clone(),
                self.stop.clone(),
            );
            tasks.spawn(serving);
        }
        let mut reap = tokio::time::interval(REAP_EVERY);
        while self.stop.run_until_cancelled(reap.tick()).await.is_some() {
            self.proxy.reap();
        }
        tasks.close();
        if tokio::time::timeout(self.settings.shutdown_grace, tasks.wait()).await.is_err() {
            tracing::warn!(event = "grace_over", connections = tasks.len(), "closing connections that did not finish");
        }
        self.shared.drained.cancel();
        self.shared.tunnels.close();
        let _ = tokio::time::timeout(TUNNEL_GRACE, self.shared.tunnels.wait()).await;
    }
}

fn recorder(log: Log, limits: &Arc<Limits>, gauges: &Arc<Gauges>) -> Recorder {
    let (limits, gauges) = (Arc::clone(limits), Arc::clone(gauges));
    let sources = Sources {
        tracked: Arc::new(move || limits.tracked()),
        upstream: Arc::new(move || (gauges.idle(), gauges.busy())),
        dropped: log.dropped(),
    };
    Recorder::new(Metrics::new(sources), log)
}

fn policy(config: &Config) -> Result<Policy, StartError> {
    let hash_key = match &config.fingerprint_key {
        Some(key) => key.clone(),
        None => random_key()?,
    };
    Ok(Policy {
        authorization: config.authorization.clone(),
        org: config.org.clone(),
        clients: config.clients.clone(),
        exempt: PathRules::new(&config.limits.exempt),
        hash_key,
    })
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

fn cannot_listen(address: SocketAddr, error: &std::io::Error) -> StartError {
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
    bound().map_err(|error| cannot_listen(address, &error))
}
