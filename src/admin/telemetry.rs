//! `/livez`, `/readyz`, `/metrics`, and nothing else.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use http::{HeaderValue, Method, Request, StatusCode, header};
use hyper::body::Incoming;
use tokio::net::TcpListener;

use super::serve::{Answer, answer, serve, text};
use crate::telemetry::Recorder;

/// Scrapers and probes at once, at most.
const MAX_CONCURRENT: usize = 16;

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
        serve(listener, MAX_CONCURRENT, move |request| self.answer(request)).await;
    }

    fn answer(&self, request: &Request<Incoming>) -> Answer {
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

    fn metrics(&self, request: &Request<Incoming>) -> Answer {
        let accept = request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let exposition = self.recorder.metrics().expose(accept);
        let mut response = answer(StatusCode::OK, exposition.content_type, exposition.text);
        // Whoever asks through a cache wants to know how old it is, not to be refused it.
        response.headers_mut().remove(header::CACHE_CONTROL);
        response
    }
}
