//! `grafana-token-proxy`: a reverse proxy in front of Grafana that preserves and repairs `Authorization`, limits each
//! token, sets the organisation, and explains every refusal.
//!
//! The modules stand in dependency order: a module uses only those above it (`tests/architecture.rs` holds this).
//!
//! The walk of a request: [`server`] accepts a connection (PROXY header, TLS) and judges the bytes of the head
//! ([`domain::framing`]) → the gate of [`proxy`] asks [`domain::decide`] (client → credential → organisation → limit) →
//! refused: [`proxy::respond`] · granted: [`proxy::headers`] cleans and stamps, and the request is forwarded →
//! [`upstream`] → [`domain::classify`] reads the answer (with a bounded peek where it must see the body) →
//! [`proxy::headers`] cleans the answer → [`telemetry`] writes the line and the counters, and keeps the refusal for
//! [`admin`] to show.

pub mod domain;
pub mod progress;
pub mod stream;
pub mod pem;
pub mod body;
pub mod telemetry;
pub mod limits;
pub mod upstream;
pub mod proxy;
pub mod server;
pub mod admin;
pub mod config;
pub mod app;
pub mod commands;
