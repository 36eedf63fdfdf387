//! One connection from its first byte to its last: hyper in the middle, deadlines and the last word around it.

use std::convert::Infallible;
use std::future::poll_fn;
use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::FutureExt as _;
use http::{HeaderValue, StatusCode};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::guard::{Guard, LeftOver};
use super::{Current, Settings};
use crate::domain::framing::{Bounds, Fault};
use crate::domain::reason::Reason;
use crate::progress::{Progress, Wait};
use crate::proxy::respond::{Answer, as_bytes};
use crate::proxy::{Peer, Proxy};
use crate::stream::Stream;
use crate::telemetry::Refusal;

/// Bytes of a target at most.
pub(super) const MAX_TARGET: usize = 8 * 1024;

/// How long the last word to a connection at fault may take.
const LAST_WORD: Duration = Duration::from_millis(900);

/// After so much idleness a connection gives its buffers back: most of its memory.
const PARK_AFTER: Duration = Duration::from_secs(2);

/// What an idle connection has for one more request when the process ends.
const LAST_CHANCE: Duration = Duration::from_millis(500);

/// Unread bytes that are taken off the line before it is closed, so that the answer is not lost with a reset.
const MAX_DRAINED: usize = 64 * 1024;

/// A connection that is ready to be served.
pub(super) struct Arrival {
    /// Its bytes.
    pub stream: Stream,
    /// The other end: the peer, or whom a trusted hop named in the PROXY header.
    pub address: IpAddr,
    /// Whether it speaks HTTP/2.
    pub is_http2: bool,
}

/// Serves one connection until it ends.
pub(super) async fn serve(arrival: Arrival, current: Arc<Current>, settings: Arc<Settings>, drain: CancellationToken) {
    let Arrival { mut stream, address, .. } = arrival;
    let header = HeaderValue::try_from(address.to_string()).unwrap_or(HeaderValue::from_static("unknown"));
    loop {
        // In a box of its own, which is gone while the connection is parked.
        let turn = Box::pin(take_turn(stream, address, header.clone(), &current, &settings, &drain));
        let Some(idle) = turn.await else { return };
        stream = idle;
        if !parked(&stream, &settings, &drain).await {
            return;
        }
    }
}

/// Waits for the next request without the buffers that one needs. `false`: none came in time.
async fn parked(stream: &Stream, settings: &Settings, drain: &CancellationToken) -> bool {
    let patience = settings.idle_timeout.saturating_sub(PARK_AFTER);
    tokio::select! {
        readable = stream.readable() => readable.is_ok(),
        () = tokio::time::sleep(patience) => false,
        () = drain.cancelled() => tokio::time::timeout(LAST_CHANCE, stream.readable()).await.is_ok(),
    }
}

/// Serves requests up to the end of the connection, or until none has come for a while: then the connection comes back.
async fn take_turn(
    stream: Stream,
    address: IpAddr,
    header: HeaderValue,
    current: &Current,
    settings: &Settings,
    drain: &CancellationToken,
) -> Option<Stream> {
    let progress = Arc::new(Progress::new(settings.idle_timeout.min(PARK_AFTER)));
    let encrypted = stream.is_encrypted();
    let peer = Peer { address, header, encrypted, progress: Arc::clone(&progress) };
    let left_over: LeftOver<Stream> = LeftOver::default();
    progress.allow(Wait::Head, settings.head_timeout);
    let bounds = Bounds { max_head: settings.max_head, max_headers: settings.max_headers, max_target: MAX_TARGET };
    let guard = Guard::new(stream, bounds, Arc::clone(&progress), Arc::clone(&left_over), settings);
    run(guard, &peer, current, settings, drain).await;
    let stream = left_over.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take()?;
    if progress.is_parked() {
        return Some(stream);
    }
    let timed_out = (progress.has_expired(Wait::Head) && !progress.is_idle()).then(|| head_timeout(settings));
    let fault = progress.fault().cloned().or(timed_out);
    // The request whose body broke off has its answer already, from its own exchange.
    let told = |fault: &Fault| fault.reason == Reason::BodyMalformed && progress.has_replied();
    if let Some(fault) = fault.filter(|fault| !told(fault)) {
        say_last_word_within_bounds(stream, &fault, address, &current.load().proxy).await;
    }
    None
}

async fn run(guard: Guard<Stream>, peer: &Peer, current: &Current, settings: &Settings, drain: &CancellationToken) {
    let progress = &*peer.progress;
    // A request is served whole by what is current when it begins.
    let service = service_fn(|request| async move {
        let serving = current.load_full();
        let proxy = &serving.proxy;
        // A fault of ours in one request must not end the others of this worker.
        let answer = AssertUnwindSafe(proxy.serve(request, peer)).catch_unwind().await;
        Ok::<_, Infallible>(answer.unwrap_or_else(|_| proxy.apologise(peer)))
    });
    let mut builder = http1::Builder::new();
    // The guard has judged sizes already; hyper's own bounds only must not be narrower.
    if settings.max_headers > 100 {
        builder.max_headers(settings.max_headers);
    }
    if settings.max_head > 256 * 1024 {
        builder.max_buf_size(settings.max_head + 64 * 1024);
    }
    let mut connection = pin!(builder.serve_connection(TokioIo::new(guard), service).with_upgrades());
    let mut draining = pin!(drain.cancelled());
    let (mut told, mut registered, mut farewell) = (false, false, None);
    let mut timer = pin!(sleep_until(Instant::now() + settings.head_timeout));
    poll_fn(|cx| {
        // Once its waker is registered, this future has nothing new to say before the word is given.
        if !told && (!registered || drain.is_cancelled()) {
            registered = true;
            if draining.as_mut().poll(cx).is_ready() {
                told = say_goodbye(progress, &mut farewell);
                if told {
                    connection.as_mut().graceful_shutdown();
                }
            }
        }
        loop {
            // How it ended is told by the exchange on it or by the fault found in it.
            if connection.as_mut().poll(cx).is_ready() {
                return Poll::Ready(());
            }
            if progress.take_held() {
                continue;
            }
            match overdue(progress, timer.as_mut(), cx) {
                Overdue::Nothing => return Poll::Pending,
                Overdue::Exchange => {}
                Overdue::Connection => {
                    if settings.idle_timeout > PARK_AFTER && farewell.is_none() {
                        progress.park();
                    }
                    return Poll::Ready(());
                }
            }
        }
    })
    .await;
}

/// Whether hyper is to be told that the connection ends. With an answer under way it is, and says so in its head. On one
/// that is idle a request may be on its way, which would be cut off: it gets a moment to arrive. `farewell` is what had
/// been served when that began.
fn say_goodbye(progress: &Progress, farewell: &mut Option<u64>) -> bool {
    if progress.is_answering() {
        return true;
    }
    match farewell {
        Some(served) => progress.served() > *served,
        None => {
            *farewell = Some(progress.served());
            progress.allow(Wait::Head, LAST_CHANCE);
            false
        }
    }
}

/// What became of the deadlines.
pub(super) enum Overdue {
    Nothing,
    /// The exchange must look at its own.
    Exchange,
    /// Nobody is left to answer: the connection ends.
    Connection,
}

/// Looks at the timer, which stands at the earliest deadline or before it.
pub(super) fn overdue(progress: &Progress, mut timer: Pin<&mut Sleep>, cx: &mut Context<'_>) -> Overdue {
    loop {
        let Some(next) = progress.earliest().map(|at| progress.moment(at)) else { return Overdue::Nothing };
        if next < timer.deadline() {
            timer.as_mut().reset(next);
        }
        if timer.as_mut().poll(cx).is_pending() {
            return Overdue::Nothing;
        }
        if progress.expire(Instant::now()) {
            let orphan = progress.has_expired(Wait::Body) && progress.has_replied();
            let over = progress.has_expired(Wait::Head) || progress.has_expired(Wait::Reader) || orphan;
            return if over { Overdue::Connection } else { Overdue::Exchange };
        }
        timer.as_mut().reset(next);
    }
}

fn head_timeout(settings: &Settings) -> Fault {
    Fault {
        reason: Reason::HeadTimeout,
        status: 408,
        detail: format!("The head was not complete after {} s.", settings.head_timeout.as_secs_f32()),
    }
}

/// Answers a client whose bytes were at fault, for as long as a last word may take.
pub(super) async fn say_last_word_within_bounds(stream: Stream, fault: &Fault, client: IpAddr, proxy: &Proxy) {
    let began = Instant::now();
    let _ = tokio::time::timeout(LAST_WORD, say_last_word(stream, fault, client, began, proxy)).await;
}

/// Answers, and takes what the client still sends off the line.
async fn say_last_word(mut stream: Stream, fault: &Fault, client: IpAddr, began: Instant, proxy: &Proxy) {
    let id = proxy.new_request_id();
    let hint = hint_for(fault.reason);
    let mut answer = Answer::new(fault.reason, fault.detail.clone(), hint);
    answer.status = StatusCode::from_u16(fault.status).unwrap_or(StatusCode::BAD_REQUEST);
    let response = answer.into_response(&id, None);
    proxy.recorder().refused(Refusal {
        request_id: id.to_str().unwrap_or_default().to_owned(),
        client: Some(client),
        duration: began.elapsed(),
        ..Refusal::unread(fault.reason, fault.status, fault.detail.clone(), hint.to_owned())
    });
    if stream.write_all(&as_bytes(&response, true)).await.is_err() || stream.shutdown().await.is_err() {
        return;
    }
    // A close with unread bytes would reset the connection, and take the answer with it.
    let mut waste = [0; 4096];
    let mut drained = 0;
    while drained < MAX_DRAINED {
        match stream.read(&mut waste).await {
            Ok(0) | Err(_) => return,
            Ok(count) => drained += count,
        }
    }
}

pub(super) const fn hint_for(reason: Reason) -> &'static str {
    match reason {
        Reason::NewlineInHead => {
            "Read the secret without its newline: `printf %s`, `tr -d '\\n'`, or `kubectl create secret --from-file` of a \
             file without one."
        }
        Reason::HeadTooLarge => "Send fewer or smaller headers (often a heap of cookies), or raise `http.max_head`.",
        Reason::HeadTimeout => "Send the whole head at once; look for a slow hop, or raise `http.head_timeout`.",
        Reason::TlsFailed => {
            "Speak TLS to this port (https://), show a certificate where `tls.client_auth` asks for one, and trust the \
             authority of ours."
        }
        Reason::BodyMalformed => "Mend the client or the hop that framed this body.",
        _ => "Mend the client or the hop that wrote this head; `curl -v` through the same way shows a sound one.",
    }
}
