//! The client's end of an HTTP/1 connection: the connection reads heads from it and writes answers to it, and lends it to
//! the exchange that reads a body.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::io::AsyncWrite as _;

use super::{Decoder, UploadFailure};
use crate::progress::Progress;
use crate::stream::Buffered;

/// What a client waits for that asked whether its body is wanted (RFC 9110 §10.1.1).
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// So much of what a client sends while its answer is under way is read, to notice its end behind that.
const MAX_AHEAD: usize = 64 * 1024;

/// An end that the connection and one exchange on it hold, in turn: both run in one task.
#[derive(Clone, Debug)]
pub struct Shared(Arc<Mutex<Inbound>>);

impl Shared {
    /// For one connection.
    pub fn new(inbound: Inbound) -> Self {
        Self(Arc::new(Mutex::new(inbound)))
    }

    /// Takes the turn.
    pub fn lock(&self) -> MutexGuard<'_, Inbound> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether an exchange holds it, too, and may read on.
    pub fn is_lent(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }

    /// Takes the connection out, unless an exchange holds it, too.
    pub fn into_inner(self) -> Option<Buffered> {
        let inbound = Arc::into_inner(self.0)?.into_inner().unwrap_or_else(PoisonError::into_inner);
        Some(inbound.wire)
    }
}

/// The connection, and what is still to come of the body of the request under way.
#[derive(Debug)]
pub struct Inbound {
    /// The connection.
    pub wire: Buffered,
    body: Decoder,
    /// What is still to be said before the client sends its body.
    interim: &'static [u8],
    /// It ended in the middle of a body.
    gone: bool,
    progress: Arc<Progress>,
}

impl Inbound {
    /// Before the first request.
    pub const fn new(wire: Buffered, progress: Arc<Progress>) -> Self {
        Self { wire, body: Decoder::Ended, interim: b"", gone: false, progress }
    }

    /// A request begins whose body comes as `body`; `asks` says that the client waits to be told that it is wanted.
    pub fn begin(&mut self, body: Decoder, asks: bool) {
        self.body = body;
        self.interim = if asks { CONTINUE } else { b"" };
    }

    /// Whether the body has been read to its end.
    pub const fn is_body_read(&self) -> bool {
        self.body.is_ended()
    }

    /// How much of the body is to come.
    pub fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }

    /// Reads the next piece of the body.
    pub fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, UploadFailure>>> {
        loop {
            match self.body.decode(&mut self.wire.bytes) {
                Ok(Some(frame)) => return Poll::Ready(Some(Ok(frame))),
                Ok(None) if self.body.is_ended() => return Poll::Ready(None),
                Ok(None) if matches!(self.body, Decoder::Broken) => {
                    return Poll::Ready(Some(Err(UploadFailure::Broken)));
                }
                Ok(None) => {}
                Err(fault) => {
                    self.progress.set_fault(fault);
                    return Poll::Ready(Some(Err(UploadFailure::Broken)));
                }
            }
            let filled = match ready!(self.poll_interim(cx)) {
                Ok(()) => ready!(self.wire.poll_fill(cx)),
                Err(error) => Err(error),
            };
            if !matches!(filled, Ok(1..)) {
                self.body = Decoder::Broken;
                self.gone = true;
            }
        }
    }

    /// Tells the client that its body is wanted, where it waits for that.
    fn poll_interim(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.interim.is_empty() {
            return Poll::Ready(Ok(()));
        }
        while !self.interim.is_empty() {
            let count = ready!(Pin::new(&mut self.wire.stream).poll_write(cx, self.interim))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.interim = self.interim.get(count..).unwrap_or_default();
        }
        Pin::new(&mut self.wire.stream).poll_flush(cx)
    }

    /// Writes a piece of the answer. What was begun to be said before it is said to its end; what was not is not said.
    pub fn poll_write(&mut self, cx: &mut Context<'_>, slices: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        if self.interim.len() < CONTINUE.len() {
            ready!(self.poll_interim(cx))?;
        }
        self.interim = b"";
        match slices {
            [bytes] => Pin::new(&mut self.wire.stream).poll_write(cx, bytes),
            slices => Pin::new(&mut self.wire.stream).poll_write_vectored(cx, slices),
        }
    }

    /// Drops what has come of a body that nobody wants. Whether that was all of it.
    pub fn discard(&mut self) -> bool {
        while let Ok(Some(_)) = self.body.decode(&mut self.wire.bytes) {}
        self.body.is_ended()
    }

    /// Ready where the client has gone while its answer is under way. What it sends meanwhile is kept for later. Who reads
    /// the body meets its end there.
    pub fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.gone {
            return Poll::Ready(());
        }
        while self.body.is_ended() && self.wire.bytes.len() < MAX_AHEAD {
            if !matches!(ready!(self.wire.poll_fill(cx)), Ok(1..)) {
                self.gone = true;
                return Poll::Ready(());
            }
        }
        Poll::Pending
    }
}
