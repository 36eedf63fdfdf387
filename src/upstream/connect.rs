//! Where Grafana is, and how to get there.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use http::HeaderValue;
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use super::{Failure, Tls};
use crate::stream::Stream;

/// `upstream.url`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Url {
    /// `http://host:port` or `https://host:port`.
    Host {
        /// Whether it is https.
        encrypted: bool,
        /// A name, an IPv4 address, or an IPv6 address without its brackets.
        host: String,
        /// The port, where one is named.
        port: Option<u16>,
    },
    /// `unix:/path`.
    Unix(PathBuf),
}

impl Url {
    /// Whether the connection is to be encrypted.
    pub const fn is_encrypted(&self) -> bool {
        matches!(self, Self::Host { encrypted: true, .. })
    }

    /// The host, where it is one.
    pub fn host(&self) -> Option<&str> {
        match self {
            Self::Host { host, .. } => Some(host),
            Self::Unix(_) => None,
        }
    }

    /// The port that is meant, where there is one.
    pub const fn port(&self) -> Option<u16> {
        match self {
            Self::Host { port: Some(port), .. } => Some(*port),
            Self::Host { encrypted, .. } => Some(if *encrypted { 443 } else { 80 }),
            Self::Unix(_) => None,
        }
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Host { encrypted, host, port } => {
                f.write_str(if *encrypted { "https://" } else { "http://" })?;
                if host.contains(':') {
                    write!(f, "[{host}]")?
                } else {
                    f.write_str(host)?
                }
                port.map_or(Ok(()), |port| write!(f, ":{port}"))
            }
        }
    }
}

/// The way to Grafana. A name is resolved anew for each connection, so that changes in DNS are followed.
#[derive(Clone)]
pub(super) struct Route {
    url: Url,
    literal: Option<SocketAddr>,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Route({})", self.url)
    }
}

impl Route {
    /// The way to `url`; with `tls` where it is https.
    pub(super) fn new(url: Url, tls: Option<Tls>) -> Self {
        let place = url.host().and_then(|host| host.parse::<IpAddr>().ok()).zip(url.port());
        let literal = place.map(|(address, port)| SocketAddr::new(address, port));
        let host = || url.host().and_then(|host| ServerName::try_from(host.to_owned()).ok());
        let tls = tls.filter(|_| url.is_encrypted()).and_then(|tls| Some((tls.config, tls.name.or_else(host)?)));
        Self { literal, tls: tls.map(|(config, name)| (TlsConnector::from(config), name)), url }
    }

    /// The value of `Host` that names it.
    pub(super) fn authority(&self) -> HeaderValue {
        let text = self.url.to_string();
        let authority = text.split_once("://").map_or("localhost", |(_, authority)| authority);
        HeaderValue::try_from(authority).unwrap_or(HeaderValue::from_static("grafana"))
    }

    /// Opens a connection within `limit`, trying each address that the name resolves to.
    pub(super) async fn connect(&self, limit: Duration) -> Result<Stream, Failure> {
        tokio::time::timeout(limit, self.open()).await.unwrap_or_else(|_| {
            let seconds = limit.as_secs_f32();
            Err(Failure::Unreachable(format!("no connection to {} within {seconds} s", self.url)))
        })
    }

    async fn open(&self) -> Result<Stream, Failure> {
        let unreachable = |error: io::Error| Failure::Unreachable(format!("no connection to {}: {error}", self.url));
        let stream = match (&self.url, self.literal) {
            (Url::Unix(path), _) => return Ok(UnixStream::connect(path).await.map_err(unreachable)?.into()),
            (_, Some(address)) => TcpStream::connect(address).await,
            (Url::Host { host, .. }, None) => {
                TcpStream::connect((host.as_str(), self.url.port().unwrap_or_default())).await
            }
        };
        let stream = stream.map_err(unreachable)?;
        // Small requests must not wait for the acknowledgement of the one before.
        let _ = stream.set_nodelay(true);
        match &self.tls {
            None if self.url.is_encrypted() => Err(Failure::Tls("the name of the server is no DNS name".into())),
            None => Ok(stream.into()),
            Some((connector, name)) => {
                let stream = connector.connect(name.clone(), stream).await;
                Ok(Box::new(stream.map_err(|error| Failure::Tls(error.to_string()))?).into())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(encrypted: bool, host: &str, port: Option<u16>) -> Url {
        Url::Host { encrypted, host: host.into(), port }
    }

    #[test]
    fn a_url_is_printed_as_it_is_written() {
        for (url, text, authority) in [
            (host(false, "grafana", Some(3000)), "http://grafana:3000", "grafana:3000"),
            (host(true, "grafana.example.com", None), "https://grafana.example.com", "grafana.example.com"),
            (host(false, "::1", Some(3000)), "http://[::1]:3000", "[::1]:3000"),
            (Url::Unix("/run/grafana.sock".into()), "unix:/run/grafana.sock", "localhost"),
        ] {
            assert_eq!(url.to_string(), text);
            assert_eq!(Route::new(url, None).authority(), authority);
        }
        assert_eq!((host(true, "g", None).port(), host(false, "g", None).port()), (Some(443), Some(80)));
    }
}
