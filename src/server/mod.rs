//! From the client: listen, accept, connection.

mod connection;
mod guard;
mod listen;

use std::net::SocketAddr;
use std::time::Duration;

pub use self::listen::{Bound, bind, serve};

/// Where to listen, and the bounds of a connection.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The addresses of the data listener.
    pub listen: Vec<SocketAddr>,
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
