//! The only reader of arguments, environment and files: load, validate, error.
//!
//! [`keys`] is the one table. [`mod@file`], [`environment`] and [`arguments`] read the three sources into [`given`] values;
//! [`effective`] lays them over each other and collects every [`mistake`]; [`coherence`] finds what no key can know
//! alone. [`mod@print`], [`schema`] and [`mod@reference`] write the table down for people and editors.

pub mod arguments;
pub mod certificates;
pub mod coherence;
pub mod effective;
pub mod environment;
pub mod file;
pub mod given;
pub mod keys;
pub mod masking;
pub mod mistake;
pub mod nearest;
pub mod origin;
pub mod print;
pub mod reference;
pub mod reload;
pub mod schema;
pub mod suggestion;
pub mod tokens;
pub mod values;
pub mod yaml;

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::limits::shared::{Address, Lease};
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
    /// The store of limits that all replicas share.
    pub shared: SharedStore,
    /// Known callers, as they are written down.
    pub tokens: Vec<tokens::TokenSettings>,
    /// Known callers, with what they are known by.
    pub callers: Vec<(domain::caller::KnownBy, Arc<domain::caller::Caller>)>,
    /// The client.
    pub clients: domain::client::Settings,
    /// Certificates and keys.
    pub files: certificates::Files,
    /// The log.
    pub log: telemetry::LogSettings,
    /// The collector of spans (`OTEL_…`), if the operator named one.
    pub spans: Option<telemetry::otlp::Settings>,
    /// The key of fingerprints (`GTP_FINGERPRINT_KEY`), if the operator set one.
    pub fingerprint_key: Option<domain::token::HashKey>,
}

/// `limits.shared` and what belongs to it.
#[derive(Clone, Debug, Default)]
pub struct SharedStore {
    /// Where it is; `None`: each replica limits by itself.
    pub address: Option<Address>,
    /// How much is taken from it at once.
    pub lease: Lease,
    /// Authorities that may have signed its certificate, in place of the system's.
    pub authorities: Option<PathBuf>,
    /// What that file holds.
    pub pem: Option<Vec<u8>>,
}

impl Config {
    /// The names of known callers, in their order.
    pub fn names(&self) -> Vec<Arc<str>> {
        self.tokens.iter().map(|token| Arc::clone(&token.name)).collect()
    }

    /// When the certificate that is served ends, in seconds since 1970; `None` without TLS.
    pub fn certificate_ends(&self) -> Option<u64> {
        self.server.tls.as_ref().and_then(crate::server::tls::Tls::not_after)
    }

    /// A configuration in which nothing is set: what the defaults of the table are entered into.
    fn unset() -> Self {
        let rate = domain::limit::Rate { period: Duration::ZERO, burst: NonZeroU32::MIN };
        Self {
            server: server::Settings {
                listen: Vec::new(),
                tls: None,
                handshake_timeout: Duration::ZERO,
                h2c: false,
                proxy_protocol: false,
                workers: None,
                max_head: 0,
                max_headers: 0,
                head_timeout: Duration::ZERO,
                body_timeout: Duration::ZERO,
                idle_timeout: Duration::ZERO,
                max_connections: 0,
                shutdown_delay: Duration::ZERO,
                shutdown_grace: Duration::ZERO,
            },
            admin: admin::Settings { telemetry: None, console: None },
            upstream: upstream::Settings {
                url: upstream::Url::Unix(std::path::PathBuf::new()),
                tls: None,
                connect_timeout: Duration::ZERO,
                response_timeout: Duration::ZERO,
            },
            proxy: proxy::Settings { max_body: None, max_in_flight: 0 },
            authorization: domain::credential::Settings::default(),
            org: domain::org::Settings::default(),
            limits: domain::limit::Settings::new(rate, rate, 0),
            shared: SharedStore::default(),
            tokens: Vec::new(),
            callers: Vec::new(),
            clients: domain::client::Settings::default(),
            files: certificates::Files::default(),
            log: telemetry::LogSettings::default(),
            spans: None,
            fingerprint_key: None,
        }
    }
}

#[cfg(test)]
mod tests;
