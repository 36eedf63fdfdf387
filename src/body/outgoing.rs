//! A message on its way out: its head in one piece, its body as it comes.

use std::io::{self, IoSlice, Write as _};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use http::HeaderMap;
use http_body::{Body, Frame};
use smallvec::SmallVec;
use tokio::io::AsyncWrite;

/// So much is sent in one piece: copying it costs less than the kernel's reading of a list.
const SMALL: usize = 2048;

/// Why a message could not be written.
#[derive(Debug)]
pub enum Stopped {
    /// The connection takes no more.
    Connection,
    /// The body broke off, or was not as long as it said.
    Body,
}

/// A message that is being written.
#[derive(Debug)]
pub struct Outgoing<B> {
    /// The head; behind it, what frames the next piece of a body.
    prefix: Vec<u8>,
    written: usize,
    piece: Bytes,
    suffix: &'static [u8],
    body: B,
    coding: Coding,
    /// Its trailers go out, too.
    trailers: bool,
    /// Nothing of it is gone once it has been written.
    bodyless: bool,
    /// No byte of it has gone out.
    untouched: bool,
    /// The head goes out also where the body breaks off at its first piece: whoever gets an answer learns what it was.
    head_counts: bool,
    broken: bool,
}

/// How a body is framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// Nothing more comes.
    Ended,
    /// So many bytes are still to come.
    Sized(u64),
    /// Chunks.
    Chunked,
    /// As it comes, until the connection ends.
    UntilClose,
}

impl Coding {
    /// The usual one for `body`.
    pub fn of(body: &impl Body) -> Self {
        match body.size_hint().exact() {
            _ if body.is_end_stream() => Self::Ended,
            Some(length) => Self::Sized(length),
            None => Self::Chunked,
        }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Outgoing<B> {
    /// A message whose head, with its last blank line, is `head`, and says how `body` is framed: as [`Coding::of`] has it.
    pub fn new(head: Vec<u8>, body: B) -> Self {
        let coding = Coding::of(&body);
        Self { head_counts: false, ..Self::framed(head, body, coding, true) }
    }

    /// An answer whose body is framed by `coding`; `trailers` says whether the reader takes any.
    pub fn framed(head: Vec<u8>, body: B, coding: Coding, trailers: bool) -> Self {
        let bodyless = coding == Coding::Ended;
        let piece = Bytes::new();
        Self {
            prefix: head,
            written: 0,
            piece,
            suffix: b"",
            body,
            coding,
            trailers,
            bodyless,
            untouched: true,
            head_counts: true,
            broken: false,
        }
    }

    /// The memory of the head, for the next one, and the body.
    pub fn into_parts(self) -> (Vec<u8>, B) {
        (self.prefix, self.body)
    }

    /// Prepares it for another connection. `false` where bytes are gone that cannot be had again.
    pub fn rewind(&mut self) -> bool {
        if !self.untouched && !self.bodyless {
            return false;
        }
        self.written = 0;
        self.untouched = true;
        true
    }

    /// Whether no byte of it has gone out.
    pub const fn is_untouched(&self) -> bool {
        self.untouched
    }

    /// Writes on. Ready once all of it is written.
    pub fn poll_write(
        &mut self,
        stream: &mut (impl AsyncWrite + Unpin),
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Stopped>> {
        loop {
            // The first piece of a body has often come with its head: both go out in one call.
            if self.piece.is_empty() && self.suffix.is_empty() && !matches!(self.coding, Coding::Ended) && !self.broken
            {
                match self.poll_piece(cx) {
                    Poll::Ready(Ok(())) => {}
                    Poll::Ready(Err(_)) if self.head_counts && !self.is_flushed() => self.broken = true,
                    Poll::Ready(Err(stopped)) => return Poll::Ready(Err(stopped)),
                    Poll::Pending if self.is_flushed() => {
                        // What TLS has not passed on yet must not wait for the next piece.
                        let _ = Pin::new(&mut *stream).poll_flush(cx);
                        return Poll::Pending;
                    }
                    Poll::Pending => {}
                }
            }
            if !self.is_flushed() {
                ready!(self.poll_bytes(stream, cx)).map_err(|_| Stopped::Connection)?;
            }
            if self.is_flushed() && self.broken {
                // What TLS holds back must go out before the end.
                let _ = ready!(Pin::new(&mut *stream).poll_flush(cx));
                return Poll::Ready(Err(Stopped::Body));
            }
            if self.is_flushed() && matches!(self.coding, Coding::Ended) {
                return Pin::new(&mut *stream).poll_flush(cx).map_err(|_| Stopped::Connection);
            }
        }
    }

    fn is_flushed(&self) -> bool {
        self.written == self.prefix.len() && self.piece.is_empty() && self.suffix.is_empty()
    }

    fn poll_bytes(&mut self, stream: &mut (impl AsyncWrite + Unpin), cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let prefix = self.prefix.get(self.written..).unwrap_or_default();
        let mut count = if self.piece.is_empty() && self.suffix.is_empty() {
            ready!(Pin::new(stream).poll_write(cx, prefix))?
        } else {
            let parts = [prefix, &self.piece, self.suffix];
            if parts.iter().map(|part| part.len()).sum::<usize>() <= SMALL {
                let mut whole = SmallVec::<[u8; SMALL]>::new();
                parts.iter().for_each(|part| whole.extend_from_slice(part));
                ready!(Pin::new(stream).poll_write(cx, &whole))?
            } else {
                ready!(Pin::new(stream).poll_write_vectored(cx, &parts.map(IoSlice::new)))?
            }
        };
        if count == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        self.untouched = false;
        let of_prefix = count.min(prefix.len());
        self.written += of_prefix;
        count -= of_prefix;
        let of_piece = count.min(self.piece.len());
        self.piece.advance(of_piece);
        self.suffix = self.suffix.get(count - of_piece..).unwrap_or_default();
        Poll::Ready(Ok(()))
    }

    /// Takes the next piece of the body, and frames it.
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Stopped>> {
        let frame = match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
            Some(Ok(frame)) => Some(frame),
            Some(Err(_)) => return Poll::Ready(Err(Stopped::Body)),
            None => None,
        };
        // What stands before is written, or is the head that this piece follows.
        if self.written == self.prefix.len() {
            self.prefix.clear();
            self.written = 0;
        }
        Poll::Ready(match self.coding {
            Coding::Ended => Ok(()),
            Coding::Sized(left) => self.take_sized(left, frame),
            Coding::Chunked => {
                self.take_chunk(frame);
                Ok(())
            }
            Coding::UntilClose => {
                match frame {
                    Some(frame) => self.piece = frame.into_data().unwrap_or_default(),
                    None => self.coding = Coding::Ended,
                }
                Ok(())
            }
        })
    }

    fn take_sized(&mut self, left: u64, frame: Option<Frame<Bytes>>) -> Result<(), Stopped> {
        let Some(frame) = frame else { return Err(Stopped::Body) };
        let Ok(data) = frame.into_data() else { return Ok(()) };
        let left = left.checked_sub(data.len() as u64).ok_or(Stopped::Body)?;
        self.coding = if left == 0 { Coding::Ended } else { Coding::Sized(left) };
        self.piece = data;
        Ok(())
    }

    fn take_chunk(&mut self, frame: Option<Frame<Bytes>>) {
        let Some(frame) = frame else {
            self.suffix = b"0\r\n\r\n";
            self.coding = Coding::Ended;
            return;
        };
        match frame.into_data() {
            // An empty chunk would end the body.
            Ok(data) if data.is_empty() => {}
            Ok(data) => {
                let _ = write!(self.prefix, "{:x}\r\n", data.len());
                self.piece = data;
                self.suffix = b"\r\n";
                // The end has often come with the last data: the whole goes out in one call.
                if self.body.is_end_stream() {
                    self.suffix = b"\r\n0\r\n\r\n";
                    self.coding = Coding::Ended;
                }
            }
            Err(frame) => {
                let trailers = frame.into_trailers().ok().filter(|_| self.trailers).unwrap_or_default();
                self.prefix.extend_from_slice(b"0\r\n");
                write_fields(&mut self.prefix, &trailers);
                self.suffix = b"\r\n";
                self.coding = Coding::Ended;
            }
        }
    }
}

fn write_fields(out: &mut Vec<u8>, fields: &HeaderMap) {
    for (name, value) in fields {
        out.extend_from_slice(name.as_str().as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
}

#[cfg(test)]
mod tests;
