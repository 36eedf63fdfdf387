//! What a client uploads, counted and timed.

mod decoder;
mod inbound;
mod outgoing;

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderName;
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;

pub use self::decoder::Decoder;
pub use self::inbound::{Inbound, Shared};
pub use self::outgoing::{Coding, Outgoing, Stopped};
use crate::domain::org::folds_alike;
use crate::progress::{Progress, Wait};

/// Why an upload broke off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[repr(u8)]
pub enum UploadFailure {
    /// It is longer than `http.max_body`.
    #[error("the body is longer than http.max_body")]
    TooLarge = 1,
    /// The client's bytes are malformed, or it went away.
    #[error("the client's body ended badly")]
    Broken = 2,
}

/// What the exchange is told about an upload that another task reads.
#[derive(Debug, Default)]
pub struct UploadOutcome(AtomicU8);

impl UploadOutcome {
    /// Why the upload broke off, if it did.
    pub fn failure(&self) -> Option<UploadFailure> {
        match self.0.load(Relaxed) {
            1 => Some(UploadFailure::TooLarge),
            2 => Some(UploadFailure::Broken),
            _ => None,
        }
    }
}

/// The times and sizes that bound an upload.
#[derive(Clone, Copy, Debug)]
pub struct UploadBounds {
    /// Bytes at most.
    pub max_body: Option<u64>,
    /// Between two pieces.
    pub body_timeout: Duration,
    /// What the upstream has for the head of its answer, counted from the last piece.
    pub answer_timeout: Duration,
}

/// The body of a request as it comes.
#[derive(Debug)]
pub enum Uploaded {
    /// Nothing.
    None,
    /// On an HTTP/1 connection.
    Http1(Shared),
    /// In a stream of HTTP/2.
    Http2(Incoming),
}

impl HttpBody for Uploaded {
    type Data = Bytes;
    type Error = UploadFailure;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, UploadFailure>>> {
        match self.get_mut() {
            Self::None => Poll::Ready(None),
            Self::Http1(inbound) => inbound.lock().poll_body(cx),
            Self::Http2(body) => {
                Pin::new(body).poll_frame(cx).map(|frame| frame.map(|frame| frame.map_err(|_| UploadFailure::Broken)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::None => true,
            Self::Http1(inbound) => inbound.lock().is_body_read(),
            Self::Http2(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::None => SizeHint::with_exact(0),
            Self::Http1(inbound) => inbound.lock().size_hint(),
            Self::Http2(body) => body.size_hint(),
        }
    }
}

/// The body of a request on its way to Grafana.
#[derive(Debug)]
pub enum RequestBody {
    /// Nothing.
    Empty,
    /// What the client uploads.
    Upload(Upload),
}

/// A body as it streams in.
#[derive(Debug)]
pub struct Upload {
    uploaded: Uploaded,
    left: u64,
    bounds: UploadBounds,
    progress: Arc<Progress>,
    outcome: Arc<UploadOutcome>,
    identity_headers: Arc<[HeaderName]>,
}

impl Upload {
    /// Wraps what comes from the client. `identity_headers` are the names by which only the headers of a trusted proxy may
    /// name a user.
    pub fn new(
        uploaded: Uploaded,
        bounds: UploadBounds,
        progress: Arc<Progress>,
        outcome: Arc<UploadOutcome>,
        identity_headers: Arc<[HeaderName]>,
    ) -> Self {
        Self { uploaded, left: bounds.max_body.unwrap_or(u64::MAX), bounds, progress, outcome, identity_headers }
    }

    fn fail(&self, failure: UploadFailure) -> Poll<Option<Result<Frame<Bytes>, UploadFailure>>> {
        self.outcome.0.store(failure as u8, Relaxed);
        self.progress.finish(Wait::Body);
        Poll::Ready(Some(Err(failure)))
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, UploadFailure>>> {
        let Poll::Ready(piece) = Pin::new(&mut self.uploaded).poll_frame(cx) else {
            if !self.progress.is_waiting(Wait::Body) {
                self.progress.allow(Wait::Body, self.bounds.body_timeout);
            }
            return Poll::Pending;
        };
        self.progress.finish(Wait::Body);
        self.progress.extend(Wait::Answer, self.bounds.answer_timeout);
        match piece {
            None => Poll::Ready(None),
            Some(Err(failure)) => self.fail(failure),
            Some(Ok(mut frame)) => {
                if let Some(data) = frame.data_ref() {
                    let Some(left) = self.left.checked_sub(data.len() as u64) else {
                        return self.fail(UploadFailure::TooLarge);
                    };
                    self.left = left;
                }
                if let Some(trailers) = frame.trailers_mut() {
                    drop_protected(trailers, &self.identity_headers);
                }
                Poll::Ready(Some(Ok(frame)))
            }
        }
    }
}

/// Trailers arrive after every decision was made: none may carry what was decided about (RFC 9110 §6.5.1).
pub fn drop_protected(trailers: &mut http::HeaderMap, identity_headers: &[HeaderName]) {
    let names_user = |name: &HeaderName| {
        identity_headers.iter().any(|own| folds_alike(own.as_str().as_bytes(), name.as_str().as_bytes()))
    };
    let is_protected = |name: &&HeaderName| is_protected_trailer(name.as_str()) || names_user(name);
    let names: Vec<_> = trailers.keys().filter(is_protected).cloned().collect();
    for name in names {
        trailers.remove(name);
    }
}

fn is_protected_trailer(name: &str) -> bool {
    crate::domain::org::is_alias(name.as_bytes())
        || crate::domain::head::is_protected(name.as_bytes())
        || matches!(name, "transfer-encoding" | "connection" | "upgrade" | "te" | "trailer" | "proxy-authorization")
        || name.starts_with("x-webauth-")
        || name.starts_with("x-token-proxy-")
        || name.starts_with("x-forwarded-")
        || name == "remote-user"
}

impl HttpBody for RequestBody {
    type Data = Bytes;
    type Error = UploadFailure;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, UploadFailure>>> {
        match self.get_mut() {
            Self::Empty => Poll::Ready(None),
            Self::Upload(upload) => upload.poll(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Upload(upload) => upload.uploaded.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Upload(upload) => upload.uploaded.size_hint(),
        }
    }
}
