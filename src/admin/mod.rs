//! The listeners for operators: `/livez`, `/readyz`, `/metrics`.

use std::net::SocketAddr;

/// Where operators look.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The telemetry listener; `None` switches it off.
    pub telemetry: Option<SocketAddr>,
}
