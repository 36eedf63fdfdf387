//! Accepts connections and serves each in a task of its own: the PROXY header and TLS first, under one deadline.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::endpoint::Socket;
use super::{Arrival, Current, Settings, crowd, farewell, http1, http2};
use crate::domain::framing::Fault;
use crate::domain::proxy_protocol::{self, Parsed};
use crate::domain::reason::Reason;
use crate::proxy::Proxy;
use crate::stream::Stream;

/// How long accepting rests when the process has no descriptors left: long enough not to spin, short enough to notice.
const REST: Duration = Duration::from_millis(50);

/// A PROXY header comes in one piece. Where it does not, it is looked for again after this.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// Who is at the other end of a Unix socket: somebody on this machine.
const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// What accepting needs.
#[derive(Clone, Debug)]
pub struct Accepting {
    /// What serves the connections.
    pub current: Arc<Current>,
    /// Connections held by all workers.
    pub connections: Arc<AtomicUsize>,
    /// Where connections are spawned.
    pub tasks: TaskTracker,
    /// Ends accepting, and tells connections to finish.
    pub stop: CancellationToken,
}

enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listener {
    fn new(socket: Socket) -> io::Result<Self> {
        match socket {
            Socket::Tcp(listener) => TcpListener::from_std(listener).map(Self::Tcp),
            Socket::Unix(listener) => UnixListener::from_std(listener).map(Self::Unix),
        }
    }

    async fn accept(&self) -> io::Result<(Stream, IpAddr)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, remote) = listener.accept().await?;
                // An answer of several writes must not wait for acknowledgements.
                let _ = stream.set_nodelay(true);
                Ok((stream.into(), remote.ip().to_canonical()))
            }
            Self::Unix(listener) => Ok((listener.accept().await?.0.into(), HERE)),
        }
    }
}

/// Accepts connections until told to stop.
pub async fn serve(socket: Socket, accepting: Accepting) {
    let listener = match Listener::new(socket) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(event = "worker_failed", detail = %error, "a worker cannot listen");
            return;
        }
    };
    // Said once, not at each attempt.
    let mut failing = false;
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = accepting.stop.cancelled() => break,
        };
        match accepted {
            Ok((stream, address)) => {
                if std::mem::take(&mut failing) {
                    tracing::info!(event = "accepting_again", "connections are accepted again");
                }
                accepting.admit(stream, address);
            }
            // The client went away before we came: nothing of ours.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                if !std::mem::replace(&mut failing, true) {
                    tracing::warn!(event = "accept_failed", detail = %error, "cannot accept connections");
                }
                tokio::time::sleep(REST).await;
            }
        }
    }
    // Who has come already would be cut off with the socket, and has perhaps sent its request.
    while let Some(Ok((stream, address))) = listener.accept().now_or_never() {
        accepting.admit(stream, address);
    }
}

impl Accepting {
    fn admit(&self, stream: Stream, address: IpAddr) {
        let serving = self.current.load_full();
        let slot = Slot::take(&self.connections);
        if self.connections.load(Relaxed) > serving.settings.max_connections {
            crowd::turn_away(stream, address, &serving, &self.tasks);
            return;
        }
        let gauge = serving.proxy.recorder().metrics().connection();
        let settings = Arc::clone(&serving.settings);
        let (current, stop, tasks) = (Arc::clone(&self.current), self.stop.clone(), self.tasks.clone());
        self.tasks.spawn(async move {
            let arrival = match stream {
                // What few connections need takes no room in the task of each.
                Stream::Tcp(stream) if settings.tls.is_some() || settings.proxy_protocol || settings.h2c => {
                    let prepare = Box::pin(prepare(stream, address, &settings, &serving.proxy));
                    stop.run_until_cancelled(prepare).await.flatten()
                }
                stream => Some(Arrival { stream, address, is_http2: false }),
            };
            drop(serving);
            match arrival {
                // Large, and rare.
                Some(arrival) if arrival.is_http2 => {
                    Box::pin(http2::serve(arrival, current, settings, tasks, stop)).await;
                }
                Some(arrival) => {
                    if let Some(switched) = http1::serve(arrival, current, settings, stop).await {
                        switched.open((slot, gauge));
                        return;
                    }
                }
                None => {}
            }
            drop((slot, gauge));
        });
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

/// Reads the PROXY header and shakes hands, where the one and the other are asked for. `None`: it came to nothing, and
/// that is told.
async fn prepare(stream: TcpStream, peer: IpAddr, settings: &Settings, proxy: &Proxy) -> Option<Arrival> {
    let deadline = Instant::now() + settings.handshake_timeout.min(settings.head_timeout);
    let mut stream = stream;
    let mut address = peer;
    if settings.proxy_protocol && proxy.trusts(peer) {
        match tokio::time::timeout_at(deadline, read_proxy_header(&mut stream)).await {
            Ok(Ok(client)) => address = client.map_or(peer, |client| client.ip().to_canonical()),
            Ok(Err(detail)) => return refuse_preface(stream, peer, detail, proxy).await,
            Err(_) => return refuse_preface(stream, peer, "did not come in time", proxy).await,
        }
    }
    let Some(tls) = &settings.tls else {
        let preface = settings.h2c && begins_http2(&stream, deadline).await;
        return Some(Arrival { stream: stream.into(), address, is_http2: preface });
    };
    let mut first = [0];
    let plain = matches!(
        tokio::time::timeout_at(deadline, stream.peek(&mut first)).await,
        Ok(Ok(1)) if first.iter().all(u8::is_ascii_uppercase)
    );
    if plain {
        let fault = Fault::new(Reason::TlsFailed, 400, "Plain HTTP came to a port that speaks TLS.");
        farewell::say_last_word_within_bounds(stream.into(), &fault, Bytes::new(), address, proxy).await;
        return None;
    }
    match tls.accept(stream, deadline.saturating_duration_since(Instant::now())).await {
        Ok((stream, is_http2)) => Some(Arrival { stream, address, is_http2 }),
        Err(error) => {
            let fault = Fault::new(Reason::TlsFailed, 0, format!("The TLS handshake failed: {error}."));
            drop(proxy.refuse_head(&fault, Bytes::new(), address));
            None
        }
    }
}

/// Whether a connection begins with HTTP/2's preface: no method of HTTP/1 begins so. Who says nothing in time is told by
/// HTTP/1's own deadline.
async fn begins_http2(stream: &TcpStream, deadline: Instant) -> bool {
    let mut seen = [0; 3];
    let look = async {
        loop {
            match stream.peek(&mut seen).await {
                Ok(count @ 1..3) if seen.iter().zip(b"PRI").take(count).all(|(one, other)| one == other) => {
                    tokio::time::sleep(LOOK_AGAIN).await;
                }
                Ok(_) | Err(_) => return &seen == b"PRI",
            }
        }
    };
    tokio::time::timeout_at(deadline, look).await.unwrap_or(false)
}

/// Takes the header off the line, and not a byte behind it. The error says what is wrong with it.
async fn read_proxy_header(stream: &mut TcpStream) -> Result<Option<SocketAddr>, &'static str> {
    let mut seen = [0; proxy_protocol::MAX_LENGTH];
    let mut before = 0;
    loop {
        let count = stream.peek(&mut seen).await.map_err(|_| "could not be read")?;
        match proxy_protocol::parse(seen.get(..count).unwrap_or_default()) {
            Parsed::Header { length, client } => {
                let header = seen.get_mut(..length).unwrap_or_default();
                stream.read_exact(header).await.map_err(|_| "could not be read")?;
                return Ok(client);
            }
            Parsed::Malformed(why) => return Err(why),
            Parsed::More if count == 0 => return Err("did not come before the end of the connection"),
            // A look takes nothing off the line, so what is there says nothing about what is still to come.
            Parsed::More if count == before => tokio::time::sleep(LOOK_AGAIN).await,
            Parsed::More => before = count,
        }
    }
}

/// A trusted hop must say who the client is; what it sends instead is not read as a request.
async fn refuse_preface(stream: TcpStream, peer: IpAddr, why: &str, proxy: &Proxy) -> Option<Arrival> {
    let fault = Fault::head(format!("The PROXY header of a trusted hop {why}.")).with_hint(
        "Switch the PROXY protocol on in this hop, or take it out of `clients.trusted_proxies`, or set \
         `clients.proxy_protocol: off`.",
    );
    farewell::say_last_word_within_bounds(stream.into(), &fault, Bytes::new(), peer, proxy).await;
    None
}
