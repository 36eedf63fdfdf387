//! The listener for operators: `/livez`, `/readyz`, `/metrics`, and nothing else.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;

use crate::telemetry::Recorder;

/// Scrapes are small and rare: a connection that is slower is no scraper.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);

/// Scrapes at once, at most: a flood on this port must not take the memory that requests need.
const MAX_CONCURRENT: usize = 16;

/// Where operators look.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The telemetry listener; `None` switches it off.
    pub telemetry: Option<SocketAddr>,
}

/// What the telemetry listener tells.
#[derive(Clone, Debug)]
pub struct Telemetry {
    /// The process drains: it lives, and is not ready.
    pub draining: Arc<AtomicBool>,
    /// The metrics.
    pub recorder: Recorder,
}

impl Telemetry {
    /// Answers until the runtime ends.
    pub async fn serve(self, listener: TcpListener) {
        let permits = Arc::new(tokio::sync::Semaphore::new(MAX_CONCURRENT));
        loop {
            let Ok((stream, _)) = listener.accept().await else {
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            let Ok(permit) = Arc::clone(&permits).acquire_owned().await else { return };
            let telemetry = self.clone();
            tokio::spawn(async move {
                let answer = tower::service_fn(move |request: Request<Incoming>| {
                    let answer = telemetry.answer(&request);
                    async move { Ok::<_, Infallible>(answer) }
                });
                let service = ServiceBuilder::new().layer(CatchPanicLayer::new()).service(answer);
                let mut builder = http1::Builder::new();
                builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
                // Whatever ends a scrape early is the scraper's business.
                let _ = builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service)).await;
                drop(permit);
            });
        }
    }

    fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "only GET\n");
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
            return response;
        }
        match request.uri().path() {
            "/livez" => text(StatusCode::OK, "ok\n"),
            "/readyz" if self.draining.load(Relaxed) => {
                text(StatusCode::SERVICE_UNAVAILABLE, "shutting down: running answers finish, no new work is wanted\n")
            }
            "/readyz" => text(StatusCode::OK, "ok\n"),
            "/metrics" => self.metrics(request),
            _ => text(StatusCode::NOT_FOUND, "here are /livez, /readyz and /metrics\n"),
        }
    }

    fn metrics(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        let accept = request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let exposition = self.recorder.metrics().expose(accept);
        let mut response = Response::new(Full::from(exposition.text));
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(exposition.content_type));
        response
    }
}

fn text(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
