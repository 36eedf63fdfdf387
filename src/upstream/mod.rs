//! Connections to Grafana: pool, connect, health.

use std::time::Duration;

/// Where Grafana is, and how long it may take.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `http://host:port`; a path is not allowed, for requests pass as they came.
    pub url: http::Uri,
    /// Until a connection stands.
    pub connect_timeout: Duration,
    /// Until the head of the answer.
    pub response_timeout: Duration,
}
