//! Where an answer is written: the client's end of the connection, which must take it in time.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::AsyncWrite;

use crate::body::Shared;
use crate::progress::{Progress, Wait};

/// The client's end. Held only while it is written to: the body of an answer may move an upload from the same end.
pub(super) struct Sink<'c> {
    pub(super) client: &'c Shared,
    pub(super) progress: &'c Progress,
    /// For the client to take the next bytes.
    pub(super) patience: Duration,
}

impl Sink<'_> {
    /// A client that takes nothing of an answer must not hold it for ever.
    fn pace<T>(&self, polled: Poll<T>) -> Poll<T> {
        let waiting = self.progress.is_waiting(Wait::Reader);
        if polled.is_pending() && !waiting {
            self.progress.allow(Wait::Reader, self.patience);
        } else if polled.is_ready() && waiting {
            self.progress.finish(Wait::Reader);
        }
        polled
    }
}

impl AsyncWrite for Sink<'_> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let polled = self.client.lock().poll_write(cx, &[IoSlice::new(bytes)]);
        self.pace(polled)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = self.client.lock().poll_write(cx, slices);
        self.pace(polled)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.client.lock().wire.stream).poll_flush(cx);
        self.pace(polled)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.client.lock().wire.stream).poll_shutdown(cx)
    }
}
