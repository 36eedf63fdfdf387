//! One HTTP/1 connection from its first byte to its last: a head, its exchange, the next head.
//!
//! A server of our own: a library's would parse the head a second time, for the strict reading of it is ours anyway, and
//! would hide from us what we have to explain.

mod answer;
mod request;
mod sink;
mod turn;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderValue;
use tokio_util::sync::CancellationToken;

use self::turn::{End, Turn};
use super::{Arrival, Current, Settings};
use crate::proxy::Tunnel;
use crate::stream::Stream;

/// After so much idleness a connection gives its buffers back: most of its memory.
const PARK_AFTER: Duration = Duration::from_secs(2);

/// What an idle connection has for one more request when the process ends.
const LAST_CHANCE: Duration = Duration::from_millis(500);

/// A connection that is another protocol's from now on.
pub(super) struct Switched {
    tunnel: Tunnel,
    stream: Stream,
    /// What the client sent behind its request.
    early: Bytes,
}

impl Switched {
    /// Joins it with Grafana's. `held` is kept until the end.
    pub(super) fn open(self, held: impl Send + 'static) {
        self.tunnel.open(self.stream, self.early, held);
    }
}

/// Serves one connection until it ends, or speaks another protocol.
pub(super) async fn serve(
    arrival: Arrival,
    current: Arc<Current>,
    settings: Arc<Settings>,
    drain: CancellationToken,
) -> Option<Switched> {
    let Arrival { mut stream, address, .. } = arrival;
    let header = HeaderValue::try_from(address.to_string()).unwrap_or(HeaderValue::from_static("unknown"));
    loop {
        // In a box of its own, which is gone while the connection is parked.
        let turn = Box::pin(Turn::new(stream, address, header.clone(), &current, &settings, &drain).run());
        match turn.await {
            End::Idle(idle) => stream = idle,
            End::Switched(switched) => return Some(*switched),
            End::Closed => return None,
        }
        if !parked(&stream, &settings, &drain).await {
            return None;
        }
    }
}

/// Waits for the next request without the buffers that one needs. `false`: none came in time.
async fn parked(stream: &Stream, settings: &Settings, drain: &CancellationToken) -> bool {
    let patience = settings.idle_timeout.saturating_sub(PARK_AFTER);
    tokio::select! {
        readable = stream.readable() => readable.is_ok(),
        () = tokio::time::sleep(patience) => false,
        () = drain.cancelled() => tokio::time::timeout(LAST_CHANCE, stream.readable()).await.is_ok(),
    }
}
