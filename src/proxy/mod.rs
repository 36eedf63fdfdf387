//! The request path: gate, headers, forward, peek, upgrade, respond.

/// Bounds of the request path.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Bytes of a request's body at most; `None`: Grafana decides.
    pub max_body: Option<u64>,
    /// Requests that one worker handles at once.
    pub max_in_flight: usize,
}
