//! How a listener for operators serves: few connections, short heads, nobody waited for for ever.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body::{Body, Frame, SizeHint};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;

/// Requests are small: a connection that is slower is no operator's.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);

/// For so long nothing may move: a stream speaks three times as often, and what is idle connects again.
const STILL: Duration = Duration::from_secs(45);

/// What answers.
pub(super) type Answer = Response<UnsyncBoxBody<Bytes, Infallible>>;

/// An answer, or what will be one.
pub(super) enum Reply {
    Now(Answer),
    Later(Pin<Box<dyn Future<Output = Answer> + Send>>),
}

impl From<Answer> for Reply {
    fn from(answer: Answer) -> Self {
        Self::Now(answer)
    }
}

/// Answers until the runtime ends, `most` connections at once: a flood on this port must not take the memory that
/// requests need.
pub(super) async fn serve<A, R>(listener: TcpListener, most: usize, answer: A)
where
    A: Fn(&Request<Incoming>) -> R + Clone + Send + 'static,
    R: Into<Reply> + Send,
{
    let permits = Arc::new(tokio::sync::Semaphore::new(most));
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let Ok(permit) = Arc::clone(&permits).acquire_owned().await else { return };
        let answer = answer.clone();
        tokio::spawn(async move {
            connection(stream, STILL, answer).await;
            drop(permit);
        });
    }
}

async fn connection<A, R>(stream: TcpStream, still: Duration, answer: A)
where
    A: Fn(&Request<Incoming>) -> R + Clone + Send + 'static,
    R: Into<Reply> + Send,
{
    let pulse = Pulse::new();
    let service = tower::service_fn({
        let pulse = pulse.clone();
        move |request: Request<Incoming>| {
            pulse.beat();
            let (reply, pulse) = (answer(&request).into(), pulse.clone());
            async move {
                let answer = match reply {
                    Reply::Now(answer) => answer,
                    Reply::Later(answer) => answer.await,
                };
                Ok::<_, Infallible>(answer.map(|body| Pulsing { body, pulse }))
            }
        }
    });
    let service = ServiceBuilder::new().layer(CatchPanicLayer::new()).service(service);
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    tokio::select! {
        // Whatever ends a connection early is the other side's business.
        _ = builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service)) => {}
        () = pulse.stopped(still) => {}
    }
}

/// When something last moved on a connection.
#[derive(Clone, Debug)]
struct Pulse {
    epoch: Instant,
    last: Arc<AtomicU64>,
}

impl Pulse {
    fn new() -> Self {
        Self { epoch: Instant::now(), last: Arc::default() }
    }

    fn beat(&self) {
        self.last.store(u64::try_from(self.epoch.elapsed().as_millis()).unwrap_or(u64::MAX), Relaxed);
    }

    /// Returns once nothing has moved for too long.
    async fn stopped(&self, still: Duration) {
        loop {
            let end = self.epoch + Duration::from_millis(self.last.load(Relaxed)) + still;
            if Instant::now() >= end {
                return;
            }
            tokio::time::sleep_until(end).await;
        }
    }
}

/// A body whose reading is a sign of life: it is asked for more only when the socket has taken what came before.
struct Pulsing {
    body: UnsyncBoxBody<Bytes, Infallible>,
    pulse: Pulse,
}

impl Body for Pulsing {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = self.get_mut();
        this.pulse.beat();
        Pin::new(&mut this.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A whole answer.
pub(super) fn answer(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut response = Response::new(Full::new(body.into()).boxed_unsync());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// A line of text.
pub(super) fn text(status: StatusCode, text: &'static str) -> Answer {
    answer(status, "text/plain; charset=utf-8", text)
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt as _;

    use super::*;

    /// A body that never ends.
    struct Endless;

    impl Body for Endless {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[b'x'; 65536])))))
        }
    }

    #[tokio::test]
    async fn who_does_not_read_is_given_up() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut reader = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        reader.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        // The socket fills up, and nothing moves any more.
        let serving = connection(stream, Duration::from_millis(100), |_| Response::new(Endless.boxed_unsync()));
        assert!(tokio::time::timeout(Duration::from_secs(20), serving).await.is_ok(), "still served");
    }
}
