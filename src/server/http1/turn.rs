//! A connection while it is in use: the requests on it, one after the other.

use std::future::poll_fn;
use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use futures_util::FutureExt as _;
use http::{HeaderValue, StatusCode};
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::sync::{CancellationToken, WaitForCancellationFuture};

use super::answer::write_head;
use super::request::{self, Wishes};
use super::sink::Sink;
use super::{LAST_CHANCE, PARK_AFTER, Switched};
use crate::body::{Decoder, Inbound, Outgoing, Shared, Uploaded};
use crate::domain::framing::{Fault, Found, Framing, HeadReader, RequestHead};
use crate::domain::head::RequestParts;
use crate::domain::reason::Reason;
use crate::progress::{Progress, Wait};
use crate::proxy::{ExchangeBody, Peer, Proxy, Reply};
use crate::server::deadline::{Overdue, overdue};
use crate::server::farewell::{close_within_bounds, end_within_bounds, say_last_word_within_bounds};
use crate::server::{Current, Settings};
use crate::stream::{Buffered, Stream};

/// How the turn of a connection ended.
pub(super) enum End {
    /// No request has come for a while; the next one finds it here.
    Idle(Stream),
    Switched(Box<Switched>),
    Closed,
}

/// What came instead of the next answer, or after it.
enum Next {
    Head(Bytes, RequestHead),
    Fault(Fault),
    /// Nothing, for as long as that may last.
    Nothing,
    Gone,
}

/// What becomes of the connection after an answer.
enum After {
    Another,
    /// The answer was the last.
    Answered,
    /// The answer was the last, and something of the request is unread.
    Unread,
    Closed,
    Fault(Fault),
    Switched(Box<ExchangeBody>),
}

/// The connection, from its first byte or from its waking to its end or its rest.
pub(super) struct Turn<'c> {
    client: Shared,
    peer: Peer,
    current: &'c Current,
    settings: &'c Settings,
    drain: &'c CancellationToken,
    draining: Pin<Box<WaitForCancellationFuture<'c>>>,
    /// The drain wakes this task from now on.
    registered: bool,
    timer: Pin<Box<Sleep>>,
    heads: HeadReader,
    served: u64,
    /// The memory of the last answer's head, for the next.
    out: Vec<u8>,
}

impl<'c> Turn<'c> {
    pub(super) fn new(
        stream: Stream,
        address: IpAddr,
        header: HeaderValue,
        current: &'c Current,
        settings: &'c Settings,
        drain: &'c CancellationToken,
    ) -> Self {
        let progress = Arc::<Progress>::default();
        let encrypted = stream.is_encrypted();
        let inbound = Inbound::new(Buffered::new(stream), Arc::clone(&progress));
        Self {
            client: Shared::new(inbound),
            peer: Peer { address, header, encrypted, can_switch: true, progress },
            current,
            settings,
            drain,
            draining: Box::pin(drain.cancelled()),
            registered: false,
            timer: Box::pin(sleep_until(Instant::now() + settings.head_timeout)),
            heads: HeadReader::new(settings.bounds()),
            served: 0,
            out: Vec::new(),
        }
    }

    /// Serves requests up to the end of the connection, or until none has come for a while.
    pub(super) async fn run(mut self) -> End {
        // The first head is timed from the beginning of the connection.
        self.peer.progress.allow(Wait::Head, self.settings.head_timeout);
        loop {
            let after = match self.next().await {
                Next::Head(bytes, head) => self.exchange(bytes, head).await,
                Next::Fault(fault) => After::Fault(fault),
                Next::Nothing if self.may_rest() => return self.into_stream().map_or(End::Closed, End::Idle),
                Next::Nothing | Next::Gone => After::Closed,
            };
            match after {
                After::Another => self.served += 1,
                After::Closed => return End::Closed,
                After::Answered => {
                    if let Some(stream) = self.into_stream() {
                        end_within_bounds(stream).await;
                    }
                    return End::Closed;
                }
                After::Unread => {
                    if let Some(stream) = self.into_stream() {
                        close_within_bounds(stream).await;
                    }
                    return End::Closed;
                }
                After::Fault(fault) => {
                    let (address, current) = (self.peer.address, self.current);
                    if let Some(Buffered { stream, bytes, .. }) = self.client.into_inner() {
                        let serving = current.load_full();
                        say_last_word_within_bounds(stream, &fault, bytes.freeze(), address, &serving.proxy).await;
                    }
                    return End::Closed;
                }
                After::Switched(body) => return self.switch(*body),
            }
        }
    }

    /// Whether the connection is worth keeping: of use before, and not about to end.
    fn may_rest(&self) -> bool {
        self.served > 0 && self.settings.idle_timeout > PARK_AFTER && !self.drain.is_cancelled()
    }

    fn into_stream(self) -> Option<Stream> {
        self.client.into_inner().map(|wire| wire.stream)
    }

    fn switch(self, mut body: ExchangeBody) -> End {
        let Some(tunnel) = body.take_tunnel() else { return End::Closed };
        drop(body);
        let Some((stream, early)) = self.client.into_inner().map(Buffered::into_parts) else { return End::Closed };
        End::Switched(Box::new(Switched { tunnel, stream, early }))
    }

    /// Waits for the head of the next request.
    async fn next(&mut self) -> Next {
        let Self { client, peer, settings, drain, draining, registered, timer, heads, served, .. } = self;
        let progress = &*peer.progress;
        let (mut farewell, mut begins) = (false, false);
        if *served > 0 {
            let begun = !client.lock().wire.bytes.is_empty();
            let limit = if begun { settings.head_timeout } else { settings.idle_timeout.min(PARK_AFTER) };
            progress.allow(Wait::Head, limit);
        }
        poll_fn(|cx| {
            loop {
                let mut inbound = client.lock();
                let wire = &mut inbound.wire;
                let idle = wire.bytes.is_empty();
                if !idle {
                    match heads.read(&wire.bytes) {
                        // A later head is timed from its first byte; most come whole.
                        Ok(Found::More) if std::mem::take(&mut begins) => {
                            progress.allow(Wait::Head, settings.head_timeout);
                        }
                        Ok(Found::More) => {}
                        Ok(Found::Blank(size)) => {
                            wire.bytes.advance(size);
                            continue;
                        }
                        Ok(Found::Head(head)) => {
                            progress.finish(Wait::Head);
                            return Poll::Ready(Next::Head(wire.bytes.split_to(head.size).freeze(), head));
                        }
                        Err(fault) => return Poll::Ready(Next::Fault(fault)),
                    }
                }
                match wire.poll_fill(cx) {
                    Poll::Ready(Ok(1..)) => {
                        begins |= idle && *served > 0;
                        continue;
                    }
                    Poll::Ready(_) => return Poll::Ready(Next::Gone),
                    Poll::Pending => {}
                }
                drop(inbound);
                // A request may be on its way, which would be cut off: it gets a moment to arrive.
                if is_draining(drain, draining.as_mut(), registered, cx) && idle && !farewell {
                    farewell = true;
                    progress.allow(Wait::Head, LAST_CHANCE);
                }
                match overdue(progress, timer.as_mut(), cx) {
                    Overdue::Nothing => return Poll::Pending,
                    Overdue::Exchange => {}
                    Overdue::Connection if idle => return Poll::Ready(Next::Nothing),
                    Overdue::Connection => return Poll::Ready(Next::Fault(head_timeout(settings.head_timeout))),
                }
            }
        })
        .await
    }

    /// Serves one request.
    async fn exchange(&mut self, bytes: Bytes, head: RequestHead) -> After {
        let (parts, wishes) = match request::read(bytes, &head, self.heads.take_fields()) {
            Ok(read) => read,
            Err(fault) => return After::Fault(fault),
        };
        let body = self.lend(head.framing, wishes.expects);
        // A request is served whole by what is current when it begins.
        let serving = self.current.load_full();
        match self.answer(&serving.proxy, parts, body).await {
            Some(reply) => self.send(reply, wishes).await,
            None => After::Closed,
        }
    }

    /// The body of a request that is framed so.
    fn lend(&self, framing: Framing, expects: bool) -> Uploaded {
        let body = match framing {
            Framing::None => return Uploaded::None,
            Framing::Sized(length) => Decoder::Sized(length),
            Framing::Chunked => Decoder::chunked(self.settings.bounds()),
        };
        let mut inbound = self.client.lock();
        // Who has begun to send does not wait.
        let asks = expects && inbound.wire.bytes.is_empty();
        inbound.begin(body, asks);
        Uploaded::Http1(self.client.clone())
    }

    /// Asks for the answer. `None`: nobody waits for it any more.
    async fn answer(&mut self, proxy: &Proxy, parts: RequestParts, body: Uploaded) -> Option<Reply<ExchangeBody>> {
        let Self { client, peer, timer, .. } = self;
        // A fault of ours in one request must not end the others of this worker.
        let mut service = pin!(AssertUnwindSafe(proxy.serve(parts, body, peer)).catch_unwind());
        let answered = watched(client, &peer.progress, timer, |cx| service.as_mut().poll(cx)).await?;
        Some(answered.unwrap_or_else(|_| proxy.apologise(peer)))
    }

    /// Sends the answer.
    async fn send(&mut self, reply: Reply<ExchangeBody>, wishes: Wishes) -> After {
        // Who answers before the end of an upload seldom wants the rest: the connection ends with the answer, and says so.
        let stays = !self.drain.is_cancelled() && !self.client.is_lent() && self.client.lock().discard();
        let mut out = std::mem::take(&mut self.out);
        out.clear();
        let (coding, stays) = write_head(&mut out, &reply, &wishes, stays);
        let switches = reply.status == StatusCode::SWITCHING_PROTOCOLS;
        let mut outgoing = Outgoing::framed(out, reply.body, coding, wishes.trailers);
        let sent = self.write(&mut outgoing).await;
        let (out, body) = outgoing.into_parts();
        self.out = out;
        if sent && switches {
            return After::Switched(Box::new(body));
        }
        drop(body);
        let mut inbound = self.client.lock();
        match sent {
            false => After::Closed,
            true if !inbound.discard() => After::Unread,
            true if stays => {
                inbound.wire.end_message();
                After::Another
            }
            true if inbound.wire.bytes.is_empty() => After::Answered,
            true => After::Unread,
        }
    }

    /// Whether all of it was written, and a reader was there.
    async fn write(&mut self, outgoing: &mut Outgoing<ExchangeBody>) -> bool {
        let Self { client, peer, settings, timer, .. } = self;
        let mut sink = Sink { client, progress: &peer.progress, patience: settings.body_timeout };
        let written = watched(client, &peer.progress, timer, |cx| outgoing.poll_write(&mut sink, cx)).await;
        written.is_some_and(|written| written.is_ok())
    }
}

/// What comes of `step`, unless before that the client has gone, or a deadline has passed that ends the connection.
async fn watched<T>(
    client: &Shared,
    progress: &Progress,
    timer: &mut Pin<Box<Sleep>>,
    mut step: impl FnMut(&mut Context<'_>) -> Poll<T>,
) -> Option<T> {
    poll_fn(|cx| {
        loop {
            if let Poll::Ready(done) = step(cx) {
                return Poll::Ready(Some(done));
            }
            if client.lock().poll_gone(cx).is_ready() {
                return Poll::Ready(None);
            }
            match overdue(progress, timer.as_mut(), cx) {
                Overdue::Nothing => return Poll::Pending,
                // The exchange has to look at it.
                Overdue::Exchange => {}
                Overdue::Connection => return Poll::Ready(None),
            }
        }
    })
    .await
}

/// Whether the process ends; wakes the task when it begins to.
fn is_draining(
    drain: &CancellationToken,
    draining: Pin<&mut WaitForCancellationFuture<'_>>,
    registered: &mut bool,
    cx: &mut Context<'_>,
) -> bool {
    if !std::mem::replace(registered, true) {
        return draining.poll(cx).is_ready();
    }
    drain.is_cancelled()
}

fn head_timeout(limit: Duration) -> Fault {
    let detail = format!("The head was not complete after {} s.", limit.as_secs_f32());
    Fault::new(Reason::HeadTimeout, 408, detail)
}
