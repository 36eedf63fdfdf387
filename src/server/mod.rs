//! From the client: listen, accept, connection.

mod crowd;
mod deadline;
mod endpoint;
mod farewell;
mod http1;
mod http2;
mod listen;
mod paced;
mod unread;
pub mod tls;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

pub use self::endpoint::{Bound, Endpoint, Socket, bind};
pub use self::listen::{Accepting, serve};
use crate::domain::framing::Bounds;
use crate::proxy::Proxy;
use crate::stream::Stream;

/// Bytes of a target at most.
const MAX_TARGET: usize = 8 * 1024;

/// A connection that is ready to be served.
struct Arrival {
    /// Its bytes.
    stream: Stream,
    /// The other end: the peer, or whom a trusted hop named in the PROXY header.
    address: IpAddr,
    /// Whether it speaks HTTP/2.
    is_http2: bool,
}

/// What serves a worker's connections; another one after a reload.
pub type Current = ArcSwap<Serving>;

/// What serves connections and their requests.
#[derive(Debug)]
pub struct Serving {
    /// The request path.
    pub proxy: Proxy,
    /// The bounds of connections that begin now.
    pub settings: Arc<Settings>,
}

/// Where to listen, and the bounds of a connection.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where the data listener is.
    pub listen: Vec<Endpoint>,
    /// How connections over TCP are encrypted; `None`: not at all.
    pub tls: Option<tls::Tls>,
    /// For the handshake.
    pub handshake_timeout: Duration,
    /// Whether HTTP/2 is spoken without TLS, with clients that begin with it.
    pub h2c: bool,
    /// Whether trusted hops say with the PROXY protocol who the client is.
    pub proxy_protocol: bool,
    /// Threads that serve; `None`: one a core.
    pub workers: Option<usize>,
    /// Bytes of a head at most.
    pub max_head: usize,
    /// Header lines at most.
    pub max_headers: usize,
    /// From the first moment of a connection, or the first byte of a later head, to the head's end.
    pub head_timeout: Duration,
    /// Between two pieces of a body.
    pub body_timeout: Duration,
    /// Between two requests.
    pub idle_timeout: Duration,
    /// Connections held at once.
    pub max_connections: usize,
    /// Between the fall of readiness and the end of accepting.
    pub shutdown_delay: Duration,
    /// For running answers to finish.
    pub shutdown_grace: Duration,
}

impl Settings {
    /// How much of a head is taken.
    const fn bounds(&self) -> Bounds {
        Bounds { max_head: self.max_head, max_headers: self.max_headers, max_target: MAX_TARGET }
    }
}
