//! The socket as hyper sees it: nothing that the framing refuses reaches the parser, and what the parser would answer
//! by itself is answered by us.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use smallvec::SmallVec;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::Settings;
use crate::domain::framing::{Bounds, Event, Fault, Scanner};
use crate::domain::reason::Reason;
use crate::progress::{Progress, Wait};

/// An answer of so many bytes is sent in one piece: copying it costs less than the kernel's reading of a list.
const SMALL: usize = 2048;

/// Where the stream is left for a last word, when hyper is done with a connection whose bytes were at fault.
pub(super) type LeftOver<S> = Arc<Mutex<Option<S>>>;

/// A stream whose heads and chunks are judged on their way in.
#[derive(Debug)]
pub(super) struct Guard<S> {
    stream: Option<S>,
    scanner: Scanner,
    progress: Arc<Progress>,
    left_over: LeftOver<S>,
    head_timeout: Duration,
    /// For the client to take the next bytes of an answer.
    reader_timeout: Duration,
    /// Bytes that came behind a head which asks for another protocol: whose they are is not yet known.
    held: Vec<u8>,
    /// Bytes that hyper wrote by itself were swallowed: it has given up on this connection.
    gave_up: bool,
    finished: bool,
}

impl<S> Guard<S> {
    /// Wraps a stream at its beginning.
    pub(super) fn new(
        stream: S,
        bounds: Bounds,
        progress: Arc<Progress>,
        left_over: LeftOver<S>,
        settings: &Settings,
    ) -> Self {
        Self {
            stream: Some(stream),
            scanner: Scanner::new(bounds),
            progress,
            left_over,
            head_timeout: settings.head_timeout,
            reader_timeout: settings.body_timeout,
            held: Vec::new(),
            gave_up: false,
            finished: false,
        }
    }

    fn stream(&mut self) -> io::Result<&mut S> {
        self.stream.as_mut().ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    /// Judges the bytes behind `before`, and cuts off what must not be seen.
    fn judge(&mut self, buffer: &mut ReadBuf<'_>, before: usize) {
        let fresh = buffer.filled().get(before..).unwrap_or_default();
        let (sound, event) = self.scanner.advance(fresh);
        match event {
            Event::More | Event::Head => {}
            Event::Hold => self.held.extend_from_slice(fresh.get(sound..).unwrap_or_default()),
            Event::Fault(fault) => self.progress.set_fault(fault),
        }
        buffer.set_filled(before + sound);
        // The clock of a head runs from its first byte to its last.
        if self.scanner.is_in_head() {
            self.progress.begin_head(self.scanner.heads() == 0, self.head_timeout);
        } else if sound > 0 {
            self.progress.finish(Wait::Head);
        }
    }

    /// The end of the stream where the rest is not to be trusted: at once where a body breaks off, at the end of the
    /// answer under way where the next head does.
    fn end(&self) -> Poll<io::Result<()>> {
        match self.progress.fault() {
            Some(fault) if fault.reason == Reason::BodyMalformed => {
                Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, "malformed body")))
            }
            _ if self.is_answering() => self.wait(),
            _ => Poll::Ready(Ok(())),
        }
    }

    /// Whether a request that was let through has not been answered: its service may not even have begun.
    fn is_answering(&self) -> bool {
        self.progress.is_answering() || self.progress.served() < self.scanner.heads()
    }

    fn wait(&self) -> Poll<io::Result<()>> {
        self.progress.hold();
        Poll::Pending
    }

    /// What hyper writes while no request is served is an answer of its own to a head, or the beginning of one, that it
    /// could not read. The service's to the request before it, where both came together, has an id.
    fn is_own_answer(&self, bytes: &[u8]) -> bool {
        !self.progress.is_answering()
            && bytes.starts_with(b"HTTP/1.1 4")
            && memchr::memmem::find(bytes, b"\r\nx-request-id: ").is_none()
    }

    /// A client that takes nothing of an answer must not hold it for ever.
    fn pace<T>(&self, polled: Poll<T>) -> Poll<T> {
        let waiting = self.progress.is_waiting(Wait::Reader);
        if polled.is_pending() && !waiting {
            self.progress.allow(Wait::Reader, self.reader_timeout);
        } else if polled.is_ready() && waiting {
            self.progress.finish(Wait::Reader);
        }
        polled
    }

    fn swallow(&mut self, bytes: &[u8]) {
        self.gave_up = true;
        let status =
            bytes.get(9..12).and_then(|digits| std::str::from_utf8(digits).ok()).and_then(|text| text.parse().ok());
        let status = status.unwrap_or(400);
        let reason = if status == 400 { Reason::HeadMalformed } else { Reason::HeadTooLarge };
        self.progress.set_fault(Fault { reason, status, detail: "The head cannot be read as HTTP/1.1.".into() });
    }
}

impl<S: AsyncRead + Unpin> Guard<S> {
    fn read_held(&mut self, buffer: &mut ReadBuf<'_>) -> bool {
        if self.held.is_empty() {
            return false;
        }
        let count = self.held.len().min(buffer.remaining());
        let rest = self.held.split_off(count);
        buffer.put_slice(&self.held);
        self.held = rest;
        true
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guard<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let guard = self.get_mut();
        if guard.progress.is_tunnel() {
            if guard.read_held(buffer) {
                return Poll::Ready(Ok(()));
            }
            return Pin::new(guard.stream()?).poll_read(cx, buffer);
        }
        if guard.progress.fault().is_some() {
            return guard.end();
        }
        let before = buffer.filled().len();
        if guard.scanner.is_held() {
            if guard.is_answering() {
                return guard.wait();
            }
            guard.scanner.resume();
        }
        if !guard.read_held(buffer) {
            std::task::ready!(Pin::new(guard.stream()?).poll_read(cx, buffer))?;
        }
        if buffer.filled().len() == before {
            return Poll::Ready(Ok(()));
        }
        guard.judge(buffer, before);
        if buffer.filled().len() > before {
            return Poll::Ready(Ok(()));
        }
        // Nothing of what came may be seen: an empty read would mean the end of the stream.
        if guard.progress.fault().is_some() { guard.end() } else { guard.wait() }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Guard<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let guard = self.get_mut();
        if guard.gave_up || guard.is_own_answer(bytes) {
            guard.swallow(bytes);
            return Poll::Ready(Ok(bytes.len()));
        }
        let polled = Pin::new(guard.stream()?).poll_write(cx, bytes);
        guard.pace(polled)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let guard = self.get_mut();
        if guard.gave_up || slices.first().is_some_and(|bytes| guard.is_own_answer(bytes)) {
            guard.swallow(slices.first().map_or(&[], |bytes| bytes));
            return Poll::Ready(Ok(slices.iter().map(|bytes| bytes.len()).sum()));
        }
        let stream = Pin::new(guard.stream()?);
        if slices.len() > 1 && slices.iter().map(|bytes| bytes.len()).sum::<usize>() <= SMALL {
            let mut whole = SmallVec::<[u8; SMALL]>::new();
            slices.iter().for_each(|bytes| whole.extend_from_slice(bytes));
            let polled = stream.poll_write(cx, &whole);
            return guard.pace(polled);
        }
        let polled = stream.poll_write_vectored(cx, slices);
        guard.pace(polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.as_ref().is_some_and(AsyncWrite::is_write_vectored)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let guard = self.get_mut();
        let polled = Pin::new(guard.stream()?).poll_flush(cx);
        guard.pace(polled)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let guard = self.get_mut();
        // The last word is still to be said.
        if guard.progress.fault().is_some() && !guard.finished {
            guard.finished = true;
            return Poll::Ready(Ok(()));
        }
        Pin::new(guard.stream()?).poll_shutdown(cx)
    }
}

impl<S> Drop for Guard<S> {
    fn drop(&mut self) {
        // Expired while idle: parked. hyper has no bytes of it, for all that were read belonged to heads that were served.
        if self.progress.fault().is_some() || self.progress.has_expired(Wait::Head) {
            *self.left_over.lock().unwrap_or_else(PoisonError::into_inner) = self.stream.take();
        }
    }
}
