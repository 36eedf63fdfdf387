//! One HTTP/2 connection. hyper and h2 speak the protocol; here are its bounds, and what makes a request of it one that
//! the rest of the program knows: the same as over HTTP/1.

use std::convert::Infallible;
use std::future::poll_fn;
use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::header::{COOKIE, HOST};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response, Uri};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::deadline::{Overdue, overdue};
use super::paced::Paced;
use super::unread::{Patient, Reading};
use super::{Arrival, Current, Settings};
use crate::body::Uploaded;
use crate::domain::fields::Fields;
use crate::domain::framing::{Fault, check_decoded};
use crate::domain::head::RequestParts;
use crate::progress::Progress;
use crate::proxy::{ExchangeBody, Peer};
use crate::upstream::Broken;

/// Requests at once on one connection.
const MAX_STREAMS: u32 = 100;

/// Bytes of an upload that may be on their way, of one stream and of all.
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 1024 * 1024;

/// Bytes of an answer that wait for a client which does not take them.
const MAX_WAITING: usize = 64 * 1024;

/// Requests taken back before they were looked at, and errors of the client's own making: more of them end the
/// connection (rapid reset, MadeYouReset).
const MAX_RESETS: usize = 20;

/// A client that sends nothing is asked whether it lives; without an answer it does not.
const ASK_AFTER: Duration = Duration::from_secs(20);
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// What running answers have once the end of the connection was announced.
const FAREWELL: Duration = Duration::from_secs(1);

/// Spawns the tasks of streams where the worker counts them, and ends those whose client takes nothing for so long.
#[derive(Clone, Debug)]
struct Tracked(TaskTracker, Duration);

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Tracked {
    fn execute(&self, future: F) {
        self.0.spawn(Patient::new(future, self.1));
    }
}

/// The streams of a connection.
#[derive(Debug)]
struct Streams {
    open: AtomicUsize,
    began: Instant,
    /// Nanoseconds of the connection's age when the last one ended, plus one; zero where there was none.
    rests_since: AtomicU64,
}

/// What a connection does.
enum Rest {
    /// Some stream is open.
    No,
    /// There was none so far.
    Unused,
    /// There is none since this moment.
    Since(Instant),
}

impl Streams {
    fn new() -> Self {
        Self { open: AtomicUsize::new(0), began: Instant::now(), rests_since: AtomicU64::new(0) }
    }

    fn rest(&self) -> Rest {
        match (self.open.load(Relaxed), self.rests_since.load(Relaxed).checked_sub(1)) {
            (1.., _) => Rest::No,
            (0, None) => Rest::Unused,
            (0, Some(age)) => Rest::Since(self.began + Duration::from_nanos(age)),
        }
    }
}

/// One open stream.
#[derive(Debug)]
struct Open(Arc<Streams>);

impl Open {
    fn new(streams: &Arc<Streams>) -> Self {
        streams.open.fetch_add(1, Relaxed);
        Self(Arc::clone(streams))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if self.0.open.fetch_sub(1, Relaxed) == 1 {
            let age = u64::try_from(self.0.began.elapsed().as_nanos()).unwrap_or(u64::MAX - 1);
            self.0.rests_since.store(age.saturating_add(1), Relaxed);
        }
    }
}

/// Serves one connection until it ends.
pub(super) async fn serve(
    arrival: Arrival,
    current: Arc<Current>,
    settings: Arc<Settings>,
    tasks: TaskTracker,
    drain: CancellationToken,
) {
    let Arrival { stream, address, .. } = arrival;
    let encrypted = stream.is_encrypted();
    let stalled = Arc::new(super::paced::Stalled::default());
    let stream = Paced::new(stream, Arc::clone(&stalled));
    let streams = Arc::new(Streams::new());
    let line = HeaderValue::try_from(address.to_string()).unwrap_or(HeaderValue::from_static("unknown"));
    let refusing = Arc::clone(&current);
    let client = Client { address, line, encrypted, current, settings: Arc::clone(&settings) };
    let service = {
        let streams = Arc::clone(&streams);
        service_fn(move |request| {
            let (client, open) = (client.clone(), Open::new(&streams));
            async move { Ok::<_, Infallible>(client.answer(request, open).await) }
        })
    };
    let mut builder = http2::Builder::new(Tracked(tasks, settings.body_timeout));
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(MAX_WAITING)
        // What is larger by more than twice h2 refuses by itself, without a word of ours.
        .max_header_list_size(u32::try_from(settings.max_head.saturating_mul(2)).unwrap_or(u32::MAX))
        .max_pending_accept_reset_streams(MAX_RESETS)
        .max_local_error_reset_streams(MAX_RESETS)
        .keep_alive_interval(ASK_AFTER)
        .keep_alive_timeout(ANSWER_WITHIN);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let mut draining = pin!(drain.cancelled());
    // The first request must come within the time of a head, and another within that of an idle connection.
    let mut end = pin!(sleep_until(Instant::now() + settings.head_timeout));
    let (mut told, mut closing) = (false, false);
    poll_fn(|cx| {
        if !told && draining.as_mut().poll(cx).is_ready() {
            told = true;
            connection.as_mut().graceful_shutdown();
        }
        // How it ended is told by its exchanges, but for what ended it before there was one.
        if let Poll::Ready(ended) = connection.as_mut().poll(cx) {
            if let Some(fault) = ended.err().and_then(|error| fault_of(&error)) {
                drop(refusing.load().proxy.refuse_head(&fault, Bytes::new(), address));
            }
            return Poll::Ready(());
        }
        while end.as_mut().poll(cx).is_ready() {
            let now = Instant::now();
            let deadline = stalled.since().map(|since| since + settings.body_timeout);
            if closing || deadline.is_some_and(|deadline| deadline <= now) {
                return Poll::Ready(());
            }
            let wait = settings.idle_timeout.min(settings.body_timeout);
            let next = deadline.unwrap_or(now + wait).min(now + wait);
            let ends = match streams.rest() {
                Rest::No => false,
                Rest::Unused => true,
                Rest::Since(moment) if now < moment + settings.idle_timeout => {
                    end.as_mut().reset(next.min(moment + settings.idle_timeout));
                    continue;
                }
                Rest::Since(_) => true,
            };
            if ends {
                closing = true;
                connection.as_mut().graceful_shutdown();
                end.as_mut().reset(now + FAREWELL);
                if connection.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(());
                }
            } else {
                end.as_mut().reset(next);
            }
        }
        Poll::Pending
    })
    .await;
}

/// What the client did against the protocol, where that ended the connection: h2 has told the client, and nobody else. A
/// connection that broke is no fault.
fn fault_of(error: &hyper::Error) -> Option<Fault> {
    let mut causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    let broke = |cause: &(dyn std::error::Error + 'static)| cause.downcast_ref::<std::io::Error>().is_some();
    let first = causes.next().filter(|first| !error.is_timeout() && !broke(*first))?;
    if causes.any(broke) {
        return None;
    }
    Some(Fault::head(format!("The client broke the rules of HTTP/2, and its connection was closed: {first}.")).with_hint(
        "Mend the client or the hop that wrote this: a line break in the credential, an upper-case name or a field of HTTP/1 \
         ends the connection over HTTP/2.",
    ))
}

/// Who sends, and what serves it.
#[derive(Clone)]
struct Client {
    address: IpAddr,
    line: HeaderValue,
    encrypted: bool,
    current: Arc<Current>,
    settings: Arc<Settings>,
}

impl Client {
    async fn answer(&self, request: Request<Incoming>, open: Open) -> Response<Timed> {
        let progress = Arc::<Progress>::default();
        let peer = Peer {
            address: self.address,
            header: self.line.clone(),
            encrypted: self.encrypted,
            can_switch: false,
            progress: Arc::clone(&progress),
        };
        let serving = self.current.load_full();
        let proxy = &serving.proxy;
        let reply = match translate(request, &self.settings) {
            Ok((parts, body)) => {
                // A fault of ours in one request must not end the others.
                let answer = AssertUnwindSafe(proxy.serve(parts, Uploaded::Http2(body), &peer)).catch_unwind();
                timed(answer, &progress).await.unwrap_or_else(|_| proxy.apologise(&peer))
            }
            Err(fault) => proxy.decline(&peer, &fault),
        };
        let reading = Reading::current();
        if let Some(reading) = reading.as_ref().filter(|_| !reply.body.is_end_stream()) {
            reading.offer();
        }
        let headers = reply.to_map();
        let mut response = Response::new(Timed { body: reply.body, progress, timer: None, reading, _open: open });
        *response.status_mut() = reply.status;
        *response.headers_mut() = headers;
        response
    }
}

/// Lets an exchange look at its deadlines when they are due.
async fn timed<F: Future>(future: F, progress: &Progress) -> F::Output {
    let mut future = pin!(future);
    let mut timer = pin!(sleep_until(Instant::now() + Duration::from_secs(3600)));
    poll_fn(|cx| {
        loop {
            if let Poll::Ready(output) = future.as_mut().poll(cx) {
                return Poll::Ready(output);
            }
            if let Overdue::Nothing = overdue(progress, timer.as_mut(), cx) {
                return Poll::Pending;
            }
        }
    })
    .await
}

/// The body of an answer that moves an upload, whose deadlines are still to be held.
#[derive(Debug)]
struct Timed {
    body: ExchangeBody,
    progress: Arc<Progress>,
    timer: Option<Pin<Box<Sleep>>>,
    reading: Option<Arc<Reading>>,
    _open: Open,
}

impl Body for Timed {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.body).poll_frame(cx);
        if let Some(reading) = &this.reading {
            // It is asked for more: what was offered before has been taken.
            if polled.is_ready() { reading.offer() } else { reading.take() }
        }
        let Some(next) = this.progress.earliest().filter(|_| polled.is_pending()) else { return polled };
        let next = this.progress.moment(next);
        let timer = this.timer.get_or_insert_with(|| Box::pin(sleep_until(next)));
        match overdue(&this.progress, timer.as_mut(), cx) {
            Overdue::Nothing => Poll::Pending,
            Overdue::Exchange | Overdue::Connection => Poll::Ready(Some(Err(Broken::Closed))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The request as it would have come over HTTP/1 (RFC 9113 §8.3.1): the authority as `Host`, the target in origin form, one
/// line of cookies. h2 has refused upper case, connection fields and most control bytes already.
fn translate(mut request: Request<Incoming>, settings: &Settings) -> Result<(RequestParts, Incoming), Fault> {
    let malformed = |detail: &str| Fault::head(detail);
    trim(request.headers_mut());
    let uri = request.uri();
    let target = uri.path_and_query().map_or("", |target| target.as_str());
    let authority = uri.authority().map(|authority| authority.as_str().to_owned());
    let fields = request.headers().iter().map(|(name, value)| (name.as_str().as_bytes(), value.as_bytes()));
    check_decoded(target, authority.as_deref().map(str::as_bytes), fields, &settings.bounds())?;
    if request.method() != Method::CONNECT {
        let target = target.parse::<Uri>().map_err(|_| malformed("The target cannot be read."))?;
        *request.uri_mut() = target;
    }
    let headers = request.headers_mut();
    if let Some(authority) = authority {
        headers.insert(HOST, HeaderValue::try_from(authority).map_err(|_| malformed("`:authority` is no host."))?);
    }
    join_cookies(headers);
    let (Parts { method, uri, headers, .. }, body) = request.into_parts();
    Ok((RequestParts { method, uri, fields: Fields::from(&headers) }, body))
}

/// HTTP/1 knows no blanks around a value; here they come through.
fn trim(headers: &mut HeaderMap) {
    for value in headers.values_mut() {
        let bytes = value.as_bytes();
        let trimmed = bytes.trim_ascii();
        if trimmed.len() < bytes.len()
            && let Ok(trimmed) = HeaderValue::from_bytes(trimmed)
        {
            *value = trimmed;
        }
    }
}

/// Cookies may come in several lines, for the sake of compression; HTTP/1 has one (RFC 9113 §8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    let lines: Vec<&[u8]> = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if lines.len() > 1
        && let Ok(all) = HeaderValue::from_bytes(&lines.join(&b"; "[..]))
    {
        headers.insert(COOKIE, all);
    }
}
