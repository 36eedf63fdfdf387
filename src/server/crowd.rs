//! Connections beyond the bound: each is told why it is not served.

use std::cell::Cell;
use std::net::IpAddr;

use tokio_util::task::TaskTracker;

use super::{Serving, farewell};
use crate::domain::reason::Reason;
use crate::proxy::respond::{Answer, as_bytes};
use crate::stream::Stream;
use crate::telemetry::Refusal;

/// So many of them may take their time to read it; others are closed at once.
const MAX_LEAVING: usize = 64;

/// Says why a connection is not served, without looking at what it sends. Nothing can be said in plain words where TLS
/// is expected.
pub(super) fn turn_away(stream: Stream, address: IpAddr, serving: &Serving, tasks: &TaskTracker) {
    let (proxy, encrypted) = (&serving.proxy, serving.settings.tls.is_some());
    let answer = Answer::new(
        Reason::Overloaded,
        "The proxy holds as many connections as it may (`http.max_connections`).",
        "Retry in a second; close idle connections, or raise the bound.",
    );
    let id = proxy.new_request_id();
    proxy.recorder().refused(Refusal {
        request_id: id.to_str().unwrap_or_default().to_owned(),
        client: Some(address),
        ..Refusal::unread(answer.reason, answer.status.as_u16(), answer.detail.clone(), answer.hint.clone())
    });
    let bytes = as_bytes(&answer.into_reply(&id, None), true);
    let said = match &stream {
        Stream::Tcp(stream) if !encrypted => stream.try_write(&bytes),
        Stream::Unix(stream) => stream.try_write(&bytes),
        Stream::Tcp(_) | Stream::Tls(_) => Ok(0),
    };
    // A close at once would be a reset where the request has come, and would take the answer with it.
    if let (Ok(1..), Some(leaving)) = (said, Leaving::begin()) {
        tasks.spawn(async move {
            farewell::close_within_bounds(stream).await;
            drop(leaving);
        });
    }
}

thread_local! {
    /// Connections of this worker that were turned away and have not been closed.
    static LEAVING: Cell<usize> = const { Cell::new(0) };
}

/// One of them.
struct Leaving;

impl Leaving {
    fn begin() -> Option<Self> {
        let now = LEAVING.get();
        (now < MAX_LEAVING).then(|| {
            LEAVING.set(now + 1);
            Self
        })
    }
}

impl Drop for Leaving {
    fn drop(&mut self) {
        LEAVING.set(LEAVING.get().saturating_sub(1));
    }
}
