//! One answer on its way to the client, and what is due when it has ended.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::Response;
use http_body::{Body as HttpBody, Frame, SizeHint};

use crate::body::Body;
use crate::progress::Progress;
use crate::telemetry::Gauge;
use crate::upstream::Lease;

/// The body of an answer, which gives the connection to Grafana back when it has been read to its end.
#[derive(Debug)]
pub struct ExchangeBody {
    body: Body,
    lease: Option<Lease>,
    _ending: Ending,
}

/// What ends with an answer, however it ends.
#[derive(Debug)]
pub struct Ending {
    progress: Arc<Progress>,
    in_flight: Arc<AtomicUsize>,
    _gauge: Gauge,
}

impl Ending {
    /// An exchange begins. Returns the exchanges under way, this one included.
    pub fn begin(progress: Arc<Progress>, in_flight: Arc<AtomicUsize>, gauge: Gauge) -> (Self, usize) {
        progress.begin_exchange();
        let now = in_flight.fetch_add(1, Relaxed) + 1;
        (Self { progress, in_flight, _gauge: gauge }, now)
    }
}

impl Ending {
    /// Both sides agreed on another protocol: from now on the connection's bytes are not ours to judge.
    pub fn open_tunnel(&self) {
        self.progress.open_tunnel();
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.in_flight.fetch_sub(1, Relaxed);
        self.progress.end_exchange();
    }
}

impl ExchangeBody {
    /// Hands an answer over, tied to what it holds.
    pub fn wrap(response: Response<Body>, lease: Option<Lease>, ending: Ending) -> Response<Self> {
        ending.progress.reply();
        response.map(|body| Self { body, lease, _ending: ending })
    }
}

impl Drop for ExchangeBody {
    fn drop(&mut self) {
        if let Some(lease) = self.lease.take()
            && self.body.is_end_stream()
        {
            lease.release();
        }
    }
}

impl HttpBody for ExchangeBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        Pin::new(&mut self.get_mut().body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
