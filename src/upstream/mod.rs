//! Connections to Grafana: a pool for each worker, and what can go wrong with them.

mod connect;
mod pool;

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use http::{HeaderValue, Method, Request, Response, Uri};
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;

pub use self::connect::Address;
pub use self::pool::{Gauges, Lease, Pool};
use crate::body::RequestBody;
use crate::progress::{Progress, Wait};

/// Where Grafana is, and how long it may take.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `http://host:port`; a path is not allowed, for requests pass as they came.
    pub url: Uri,
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
    /// The connection ended before the answer's head.
    #[error("the connection was closed before an answer came")]
    Reset,
    /// What came is no HTTP answer.
    #[error("the answer is not valid HTTP/1.1 ({0})")]
    Malformed(String),
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
    address: Address,
    authority: HeaderValue,
    settings: Settings,
    pool: Arc<Pool>,
}

/// What became of one attempt.
enum Attempt {
    Answered(Response<Incoming>),
    /// The connection was gone before a byte was written: the request is as good as new.
    NotSent(Box<Request<RequestBody>>),
    /// The connection ended without an answer: Grafana may have seen the request.
    Lost(Failure),
}

impl Upstream {
    /// Prepares the way; connects when the first request comes.
    pub fn new(settings: Settings, gauges: Arc<Gauges>) -> Result<Self, connect::InvalidAddress> {
        let address = Address::parse(&settings.url)?;
        let authority = address.authority();
        Ok(Self { address, authority, settings, pool: Arc::new(Pool::new(gauges)) })
    }

    /// `Host` for requests that have none.
    pub const fn authority(&self) -> &HeaderValue {
        &self.authority
    }

    /// What an answer's head may take.
    pub const fn response_timeout(&self) -> Duration {
        self.settings.response_timeout
    }

    /// Closes connections that have been idle for too long, or that Grafana has closed.
    pub fn reap(&self) {
        self.pool.reap();
    }

    /// Sends `request` and waits for the head of the answer. The lease goes back to the pool once the body has been
    /// read to its end.
    ///
    /// A pooled connection that turns out to be closed is replaced once by a fresh one, and only for a request that is
    /// idempotent and has no body: nothing else may reach Grafana twice (RFC 9110 §9.2.2). `again` makes the request anew
    /// where that happens.
    pub async fn send(
        &self,
        request: Request<RequestBody>,
        again: impl FnOnce() -> Option<Request<RequestBody>>,
        progress: &Progress,
    ) -> Result<(Response<Incoming>, Lease), Failure> {
        let mut request = request;
        let limit = self.settings.response_timeout;
        let repeatable = is_repeatable(&request);
        while let Some(mut lease) = self.pool.take() {
            let answer = lease.try_send(request);
            match attempt(answer, limit, progress).await {
                Attempt::Answered(answer) => return Ok((answer, lease)),
                Attempt::NotSent(unsent) => request = *unsent,
                // The stale connection was one of several, all of an upstream that restarted: take a fresh one.
                Attempt::Lost(Failure::Reset) if repeatable => {
                    request = again().ok_or(Failure::Reset)?;
                    break;
                }
                Attempt::Lost(failure) => return Err(failure),
            }
        }
        let mut lease = self.pool.connect(&self.address, self.settings.connect_timeout).await?;
        let answer = lease.try_send(request);
        match attempt(answer, limit, progress).await {
            Attempt::Answered(answer) => Ok((answer, lease)),
            Attempt::NotSent(_) => Err(Failure::Reset),
            Attempt::Lost(failure) => Err(failure),
        }
    }
}

/// Waits for the head of an answer, for as long as it may take.
async fn attempt(
    answer: impl Future<Output = Result<Response<Incoming>, TrySendError<Request<RequestBody>>>>,
    limit: Duration,
    progress: &Progress,
) -> Attempt {
    progress.allow(Wait::Answer, limit);
    let mut answer = pin!(answer);
    let outcome = poll_fn(|cx| {
        if let Poll::Ready(outcome) = answer.as_mut().poll(cx) {
            return Poll::Ready(Some(outcome));
        }
        let overdue = progress.has_expired(Wait::Answer) || progress.has_expired(Wait::Body);
        if overdue { Poll::Ready(None) } else { Poll::Pending }
    })
    .await;
    progress.finish(Wait::Answer);
    match outcome {
        Some(Ok(answer)) => Attempt::Answered(answer),
        Some(Err(mut error)) => match error.take_message() {
            Some(request) => Attempt::NotSent(Box::new(request)),
            None => Attempt::Lost(explain(error.into_error())),
        },
        None if progress.has_expired(Wait::Body) => Attempt::Lost(Failure::Upload),
        None => Attempt::Lost(Failure::TimedOut(limit)),
    }
}

/// Whether a request may reach Grafana twice.
fn is_repeatable(request: &Request<RequestBody>) -> bool {
    matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS | Method::PUT | Method::DELETE)
        && matches!(request.body(), RequestBody::Empty)
}

fn explain(error: hyper::Error) -> Failure {
    if error.is_parse() {
        return Failure::Malformed(error.to_string());
    }
    if error.is_user() || error.is_body_write_aborted() {
        return Failure::Upload;
    }
    Failure::Reset
}
