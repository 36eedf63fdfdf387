//! Two connections that agreed on another protocol: bytes both ways until both have ended.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf, copy_bidirectional_with_sizes};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::SILENCE;
use crate::domain::websocket::{Frames, GOING_AWAY};
use crate::stream::Stream;
use crate::telemetry::Gauge;

/// Live sends small messages often and large ones rarely; this holds one of the latter without many calls.
const BUFFER: usize = 64 * 1024;

/// The client's last word takes no longer.
const GOODBYE: Duration = Duration::from_millis(500);

/// Grafana's end of two that agreed on another protocol, until the client has been told so.
#[derive(Debug)]
pub struct Tunnel {
    /// The connection.
    pub(super) grafana: Stream,
    /// What Grafana has said already.
    pub(super) first: Bytes,
    /// Told when the process drains.
    pub(super) drained: CancellationToken,
    /// Where its task is counted.
    pub(super) tasks: TaskTracker,
    /// Counts it in the metrics.
    pub(super) gauge: Gauge,
}

impl Tunnel {
    /// Joins the two ends in a task of its own; `early` is what the client sent behind its request. Ends when both have,
    /// when both have been silent for long, or when the process drains; then the client is told that we go away. `held`
    /// is kept until then.
    pub fn open(self, client: Stream, early: Bytes, held: impl Send + 'static) {
        let Self { grafana, first, drained, tasks, gauge } = self;
        tasks.spawn(async move {
            carry(client, early, grafana, &first, SILENCE, drained).await;
            drop((gauge, held));
        });
    }
}

async fn carry<C, G>(
    client: C,
    early: Bytes,
    mut grafana: G,
    first: &[u8],
    silence: Duration,
    drained: CancellationToken,
) where
    C: AsyncRead + AsyncWrite + Unpin,
    G: AsyncRead + AsyncWrite + Unpin,
{
    let moved = Arc::<AtomicBool>::default();
    // All that moves, moves over the client's end.
    let mut client = Heard { stream: client, early, moved: Arc::clone(&moved), frames: Frames::default() };
    if client.write_all(first).await.is_err() {
        return;
    }
    let silent = async {
        // At least one whole turn, less than two.
        loop {
            tokio::time::sleep(silence).await;
            if !moved.swap(false, Relaxed) {
                return;
            }
        }
    };
    tokio::select! {
        // How a tunnel ends is the business of its two ends.
        _ = copy_bidirectional_with_sizes(&mut client, &mut grafana, BUFFER, BUFFER) => return,
        () = silent => {}
        () = drained.cancelled() => {}
    }
    // In the middle of a frame no word of ours can be told from Grafana's.
    if client.frames.is_between() {
        let goodbye = async {
            client.write_all(&GOING_AWAY).await?;
            client.shutdown().await
        };
        let _ = tokio::time::timeout(GOODBYE, goodbye).await;
    }
}

/// A stream that tells when bytes moved, and where the frames end that are written to it.
struct Heard<S> {
    stream: S,
    /// What was read from it before.
    early: Bytes,
    moved: Arc<AtomicBool>,
    frames: Frames,
}

impl<S: AsyncRead + Unpin> AsyncRead for Heard<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let heard = self.get_mut();
        if !heard.early.is_empty() {
            buffer.put_slice(&heard.early.split_to(heard.early.len().min(buffer.remaining())));
            return Poll::Ready(Ok(()));
        }
        let polled = Pin::new(&mut heard.stream).poll_read(cx, buffer);
        heard.moved.fetch_or(polled.is_ready(), Relaxed);
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Heard<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let heard = self.get_mut();
        let polled = Pin::new(&mut heard.stream).poll_write(cx, bytes);
        heard.moved.fetch_or(polled.is_ready(), Relaxed);
        if let Poll::Ready(Ok(written)) = polled {
            heard.frames.follow(bytes.get(..written).unwrap_or_default());
        }
        polled
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, duplex};
    use tokio::time::timeout;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn a_tunnel_lives_as_long_as_it_speaks_and_ends_with_its_silence() {
        let ((mut browser, client), (mut server, grafana)) = (duplex(64), duplex(64));
        let silence = Duration::from_millis(200);
        let frame = *b"\x81\x03one";
        let tunnel = tokio::spawn(async move {
            carry(client, Bytes::new(), grafana, &frame, silence, CancellationToken::new()).await
        });
        let mut piece = [0; 5];
        browser.read_exact(&mut piece).await.unwrap();
        assert_eq!(&piece, b"\x81\x03one");
        // For several turns, and only one of them speaks.
        for _ in 0..20 {
            server.write_all(&frame).await.unwrap();
            browser.read_exact(&mut piece).await.unwrap();
            tokio::time::sleep(silence / 5).await;
            assert!(!tunnel.is_finished());
        }
        timeout(PATIENCE, tunnel).await.expect("a silent tunnel is held").unwrap();
        let mut rest = Vec::new();
        browser.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest, GOING_AWAY);
    }

    #[tokio::test]
    async fn a_drain_says_goodbye_between_two_frames_and_never_within_one() {
        for (said, goodbye) in [(&b"\x81\x03one"[..], true), (b"\x81\x05on", false), (b"", true)] {
            let ((mut browser, client), (_server, grafana)) = (duplex(64), duplex(64));
            let drained = CancellationToken::new();
            let told = drained.clone();
            let said_first = said.to_vec();
            let tunnel =
                tokio::spawn(async move { carry(client, Bytes::new(), grafana, &said_first, PATIENCE, told).await });
            let mut first = vec![0; said.len()];
            browser.read_exact(&mut first).await.unwrap();
            drained.cancel();
            let mut rest = Vec::new();
            browser.read_to_end(&mut rest).await.unwrap();
            assert_eq!(rest, if goodbye { &GOING_AWAY[..] } else { b"" }, "{said:?}");
            timeout(PATIENCE, tunnel).await.unwrap().unwrap();
        }
    }

    #[tokio::test]
    async fn one_end_may_be_done_while_the_other_goes_on() {
        let ((mut browser, client), (mut server, grafana)) = (duplex(64), duplex(64));
        let early = Bytes::from_static(b"good");
        let tunnel =
            tokio::spawn(async move { carry(client, early, grafana, b"", PATIENCE, CancellationToken::new()).await });
        browser.write_all(b"bye").await.unwrap();
        browser.shutdown().await.unwrap();
        let mut all = Vec::new();
        server.read_to_end(&mut all).await.unwrap();
        server.write_all(b"and more").await.unwrap();
        drop(server);
        let mut rest = Vec::new();
        browser.read_to_end(&mut rest).await.unwrap();
        assert_eq!((all.as_slice(), rest.as_slice()), (&b"goodbye"[..], &b"and more"[..]));
        timeout(PATIENCE, tunnel).await.unwrap().unwrap();
    }
}
