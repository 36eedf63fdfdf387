//! Connections to Grafana: a pool for each worker, the exchange on one, and what can go wrong with it.
//!
//! An exchange owns its connection and moves it itself: no task stands between the two, so that an answer wakes nobody
//! but the connection that it goes to.

pub mod answer;
mod connect;
mod connection;
mod incoming;
mod pool;
mod tls;

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::{HeaderValue, Method, StatusCode};
use tokio::time::Instant;

use self::answer::{Head, Malformed};
use self::connect::Route;
pub use self::connect::Url;
pub use self::connection::Gauges;
pub use self::incoming::{Broken, Incoming};
pub use self::pool::REAP_EVERY;
use self::pool::{Lease, Pool};
pub use self::tls::{Tls, TlsFile, system_roots};
use crate::body::{Outgoing, RequestBody, Stopped};
use crate::progress::{Progress, Wait};

/// Answers before the answer (1xx) that are passed over, at most.
const MAX_INTERIM: u32 = 16;

/// Where Grafana is, and how long it may take.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where it is. A path is not allowed, for requests pass as they came.
    pub url: Url,
    /// How connections are encrypted, where they are.
    pub tls: Option<Tls>,
    /// Until a connection stands.
    pub connect_timeout: Duration,
    /// Until the head of the answer.
    pub response_timeout: Duration,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// No connection came about.
    #[error("{0}")]
    Unreachable(String),
    /// A connection, and no agreement on TLS.
    #[error("no TLS with Grafana: {0}")]
    Tls(String),
    /// The connection ended before the answer's head.
    #[error("the connection was closed before an answer came")]
    Reset,
    /// What came is no HTTP answer.
    #[error("the answer is not valid HTTP/1.1: {0}")]
    Malformed(#[from] Malformed),
    /// The answer's head did not come in time.
    #[error("no answer within {} s", .0.as_secs_f32())]
    TimedOut(Duration),
    /// The client's body broke off, so the request could not be completed.
    #[error("the request's body broke off")]
    Upload,
}

/// One worker's way to Grafana.
#[derive(Debug)]
pub struct Upstream {
    route: Route,
    authority: HeaderValue,
    settings: Settings,
    pool: Arc<Pool>,
}

/// A request that can be sent.
#[derive(Debug)]
pub struct Outward {
    /// The method, which says what an answer may hold, and whether the request may be repeated.
    pub method: Method,
    /// The whole head, the blank line at its end included.
    pub head: Vec<u8>,
    /// The body that the head speaks of.
    pub body: RequestBody,
}

/// What became of one attempt.
enum Attempt {
    Answered(Head),
    /// The connection ended without a byte of an answer.
    Lost,
    Failed(Failure),
}

impl Upstream {
    /// Prepares the way; connects when the first request comes.
    pub fn new(settings: Settings, gauges: Arc<Gauges>) -> Self {
        let route = Route::new(settings.url.clone(), settings.tls.clone());
        let authority = route.authority();
        Self { route, authority, settings, pool: Arc::new(Pool::new(gauges)) }
    }

    /// `Host` for requests that have none.
    pub const fn authority(&self) -> &HeaderValue {
        &self.authority
    }

    /// Whether it may go on under these settings, with the connections that it has.
    pub fn fits(&self, settings: &Settings) -> bool {
        let same_tls = match (&self.settings.tls, &settings.tls) {
            (None, None) => true,
            (Some(one), Some(other)) => Arc::ptr_eq(&one.config, &other.config) && one.name == other.name,
            _ => false,
        };
        let (own, other) = (&self.settings, settings);
        same_tls
            && (&own.url, own.connect_timeout, own.response_timeout)
                == (&other.url, other.connect_timeout, other.response_timeout)
    }

    /// Closes connections that have been idle for too long, or that Grafana has closed. To be called every
    /// [`REAP_EVERY`].
    pub fn reap(&self) {
        self.pool.reap();
    }

    /// Sends a request, at `sent`, and waits for the head of the answer. Its body gives the connection back when it has been read.
    ///
    /// A pooled connection that turns out to be closed is replaced: by another, where no byte of the request was
    /// written; once, by a fresh one, where the request is idempotent and has no body. Nothing else may reach Grafana
    /// twice (RFC 9110 §9.2.2).
    pub async fn send(
        &self,
        request: Outward,
        sent: Instant,
        progress: &Progress,
    ) -> Result<(Head, Incoming), Failure> {
        let repeatable = is_repeatable(&request);
        let to_head = request.method == Method::HEAD;
        let mut outgoing = Some(Outgoing::new(request.head, request.body));
        let mut sent = Some(sent);
        while let Some(mut lease) = self.pool.take() {
            match self.attempt(&mut lease, &mut outgoing, to_head, sent.take(), progress).await {
                Attempt::Answered(head) => return Ok(answered(head, lease, outgoing)),
                Attempt::Failed(failure) => return Err(failure),
                Attempt::Lost => {}
            }
            let Some(request) = outgoing.as_mut() else { return Err(Failure::Reset) };
            let untouched = request.is_untouched();
            if !untouched && !repeatable || !request.rewind() {
                return Err(Failure::Reset);
            }
            // The stale connection may be one of many, all of an upstream that restarted: take a fresh one.
            if !untouched {
                break;
            }
        }
        // Connecting is rare, and its state would make that of every request larger.
        let connecting = Box::pin(self.pool.connect(&self.route, self.settings.connect_timeout));
        let mut lease = connecting.await?;
        match self.attempt(&mut lease, &mut outgoing, to_head, None, progress).await {
            Attempt::Answered(head) => Ok(answered(head, lease, outgoing)),
            Attempt::Failed(failure) => Err(failure),
            Attempt::Lost => Err(Failure::Reset),
        }
    }

    /// Writes the request and waits for the head of the answer, for as long as it may take. A request without a body is
    /// kept until then.
    async fn attempt(
        &self,
        lease: &mut Lease,
        outgoing: &mut Option<Outgoing<RequestBody>>,
        to_head: bool,
        sent: Option<Instant>,
        progress: &Progress,
    ) -> Attempt {
        let limit = self.settings.response_timeout;
        progress.allow_from(Wait::Answer, sent.unwrap_or_else(Instant::now), limit);
        let mut exchange = Exchange { lease, outgoing, to_head, interim: 0, written: false };
        let attempt = poll_fn(|cx| {
            if let Poll::Ready(attempt) = exchange.poll(cx) {
                return Poll::Ready(attempt);
            }
            if progress.has_expired(Wait::Body) {
                return Poll::Ready(Attempt::Failed(Failure::Upload));
            }
            if progress.has_expired(Wait::Answer) {
                return Poll::Ready(Attempt::Failed(Failure::TimedOut(limit)));
            }
            Poll::Pending
        });
        let attempt = attempt.await;
        progress.finish(Wait::Answer);
        attempt
    }
}

/// One attempt, under way.
struct Exchange<'e> {
    lease: &'e mut Lease,
    outgoing: &'e mut Option<Outgoing<RequestBody>>,
    to_head: bool,
    interim: u32,
    written: bool,
}

impl Exchange<'_> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Attempt> {
        let wire = &mut self.lease.connection.wire;
        if !self.written
            && let Some(outgoing) = self.outgoing
        {
            match outgoing.poll_write(&mut wire.stream, cx) {
                Poll::Pending => {}
                Poll::Ready(Ok(())) => self.written = true,
                Poll::Ready(Err(Stopped::Body)) => return Poll::Ready(Attempt::Failed(Failure::Upload)),
                Poll::Ready(Err(Stopped::Connection)) if outgoing.is_untouched() => return Poll::Ready(Attempt::Lost),
                // Grafana may have answered before it closed: that answer is worth more than our error. What could not
                // be written stays, so that the connection is not used again.
                Poll::Ready(Err(Stopped::Connection)) => {}
            }
        }
        loop {
            match answer::take(&mut wire.bytes, self.to_head) {
                Ok(None) => {}
                Ok(Some(head)) if is_interim(head.status) => {
                    self.interim += 1;
                    if self.interim > MAX_INTERIM {
                        let flood = Malformed("too many answers before the answer");
                        return Poll::Ready(Attempt::Failed(flood.into()));
                    }
                    continue;
                }
                Ok(Some(head)) => {
                    if self.written {
                        *self.outgoing = None;
                    }
                    return Poll::Ready(Attempt::Answered(head));
                }
                Err(malformed) => return Poll::Ready(Attempt::Failed(malformed.into())),
            }
            match ready!(wire.poll_fill(cx)) {
                Ok(1..) => {}
                Ok(0) | Err(_) if wire.bytes.is_empty() && self.interim == 0 => {
                    return Poll::Ready(Attempt::Lost);
                }
                Ok(0) | Err(_) => return Poll::Ready(Attempt::Failed(Failure::Reset)),
            }
        }
    }
}

fn is_interim(status: StatusCode) -> bool {
    status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS
}

fn answered(head: Head, lease: Lease, outgoing: Option<Outgoing<RequestBody>>) -> (Head, Incoming) {
    let body = if head.status == StatusCode::SWITCHING_PROTOCOLS {
        Incoming::switched(lease)
    } else {
        Incoming::new(lease, outgoing.map(Box::new), head.framing, head.keep_alive)
    };
    (head, body)
}

/// Whether a request may reach Grafana twice.
fn is_repeatable(request: &Outward) -> bool {
    matches!(request.method, Method::GET | Method::HEAD | Method::OPTIONS | Method::PUT | Method::DELETE)
        && matches!(request.body, RequestBody::Empty)
}
