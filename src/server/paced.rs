//! A stream that knows since when the other side has taken nothing of what is to be written.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use crate::stream::Stream;

/// Since when writing has been waiting.
#[derive(Debug, Default)]
pub(super) struct Stalled {
    epoch: OnceLock<Instant>,
    /// Nanoseconds of the epoch's age, plus one; zero while nothing waits.
    since: AtomicU64,
}

impl Stalled {
    /// Since when, if it waits.
    pub(super) fn since(&self) -> Option<Instant> {
        let since = self.since.load(Relaxed).checked_sub(1)?;
        self.epoch.get().map(|epoch| *epoch + std::time::Duration::from_nanos(since))
    }

    fn note<T>(&self, polled: &Poll<T>) {
        if polled.is_ready() {
            self.since.store(0, Relaxed);
        } else if self.since.load(Relaxed) == 0 {
            let age = self.epoch.get_or_init(Instant::now).elapsed();
            self.since.store(u64::try_from(age.as_nanos()).unwrap_or(u64::MAX - 1).saturating_add(1), Relaxed);
        }
    }
}

/// The stream.
#[derive(Debug)]
pub(super) struct Paced {
    stream: Stream,
    stalled: Arc<Stalled>,
}

impl Paced {
    pub(super) const fn new(stream: Stream, stalled: Arc<Stalled>) -> Self {
        Self { stream, stalled }
    }
}

impl AsyncRead for Paced {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Paced {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let paced = self.get_mut();
        let polled = Pin::new(&mut paced.stream).poll_write(cx, bytes);
        paced.stalled.note(&polled);
        polled
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let paced = self.get_mut();
        let polled = Pin::new(&mut paced.stream).poll_write_vectored(cx, slices);
        paced.stalled.note(&polled);
        polled
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let paced = self.get_mut();
        let polled = Pin::new(&mut paced.stream).poll_flush(cx);
        paced.stalled.note(&polled);
        polled
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}
