//! Listening sockets, one for each worker on the same port: the kernel spreads connections over them.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{Settings, connection};
use crate::domain::reason::Reason;
use crate::proxy::Proxy;
use crate::proxy::respond::{Answer, as_bytes};
use crate::telemetry::Refusal;

/// Connections the kernel keeps for us while a worker is busy.
const BACKLOG: i32 = 4096;

/// How long accepting rests when the process has no descriptors left: long enough not to spin, short enough to notice.
const REST: Duration = Duration::from_millis(50);

/// The sockets of one address: one for each worker.
#[derive(Debug)]
pub struct Bound {
    /// The address, with the port that the kernel chose where 0 was asked for.
    pub address: SocketAddr,
    sockets: Vec<std::net::TcpListener>,
}

impl Bound {
    /// The next worker's socket.
    pub fn take(&mut self) -> Option<std::net::TcpListener> {
        self.sockets.pop()
    }
}

/// Binds one socket for each of `workers` to `address`.
pub fn bind(address: SocketAddr, workers: usize) -> io::Result<Bound> {
    // Sockets that share a port would also share it with another process of ours, unnoticed: ask for the port alone
    // first.
    drop(bound(address, false)?);
    let first = open(address)?;
    let address = first.local_addr()?;
    let mut sockets = vec![first];
    for _ in 1..workers {
        sockets.push(open(address)?);
    }
    Ok(Bound { address, sockets })
}

fn bound(address: SocketAddr, shared: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

fn open(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = bound(address, true)?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Accepts connections until `stop`, and serves each in a task of its own.
pub async fn serve(
    listener: TcpListener,
    proxy: Arc<Proxy>,
    settings: Arc<Settings>,
    connections: Arc<AtomicUsize>,
    tasks: TaskTracker,
    stop: CancellationToken,
) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => return,
        };
        match accepted {
            Ok((stream, remote)) => {
                // An answer of several writes must not wait for acknowledgements.
                let _ = stream.set_nodelay(true);
                let slot = Slot::take(&connections);
                if connections.load(Relaxed) > settings.max_connections {
                    tasks.spawn(turn_away(stream, remote, Arc::clone(&proxy), slot));
                    continue;
                }
                let gauge = proxy.recorder().metrics().connection();
                let (proxy, settings, stop) = (Arc::clone(&proxy), Arc::clone(&settings), stop.clone());
                tasks.spawn(async move {
                    connection::serve(stream, remote, proxy, settings, stop).await;
                    drop((slot, gauge));
                });
            }
            // The client went away before we came: nothing of ours.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                tracing::warn!(event = "accept_failed", detail = %error, "cannot accept connections");
                tokio::time::sleep(REST).await;
            }
        }
    }
}

/// One of the connections held.
struct Slot(Arc<AtomicUsize>);

impl Slot {
    fn take(connections: &Arc<AtomicUsize>) -> Self {
        connections.fetch_add(1, Relaxed);
        Self(Arc::clone(connections))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

/// Says why a connection is not served, without reading from it.
async fn turn_away(stream: TcpStream, remote: SocketAddr, proxy: Arc<Proxy>, slot: Slot) {
    let answer = Answer::new(
        Reason::Overloaded,
        "The proxy holds as many connections as it may (`http.max_connections`).",
        "Retry in a second; close idle connections, or raise the bound.",
    );
    let id = proxy.new_request_id();
    proxy.recorder().refused(Refusal {
        request_id: id.to_str().unwrap_or_default().to_owned(),
        client: Some(remote.ip().to_canonical()),
        ..Refusal::unread(answer.reason, answer.status.as_u16(), answer.detail.clone(), answer.hint.clone())
    });
    let response = answer.into_response(&id, None);
    let _ = stream.try_write(&as_bytes(&response, true));
    drop((stream, slot));
}
