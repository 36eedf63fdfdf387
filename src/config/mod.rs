//! The only reader of arguments, environment and files: load, validate, error.

use crate::{admin, domain, proxy, server, telemetry, upstream};

/// The effective configuration: what each part is given.
#[derive(Clone, Debug)]
pub struct Config {
    /// The data listener.
    pub server: server::Settings,
    /// The operators' listener.
    pub admin: admin::Settings,
    /// Grafana.
    pub upstream: upstream::Settings,
    /// The request path.
    pub proxy: proxy::Settings,
    /// The credential.
    pub authorization: domain::credential::Settings,
    /// The organisation.
    pub org: domain::org::Settings,
    /// The limits.
    pub limits: domain::limit::Settings,
    /// The client.
    pub clients: domain::client::Settings,
    /// The log.
    pub log: telemetry::LogSettings,
    /// The key of fingerprints (`GTP_FINGERPRINT_KEY`), if the operator set one.
    pub fingerprint_key: Option<domain::token::HashKey>,
}
