//! Where Grafana is, and how to get there.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use http::{HeaderValue, Uri};
use tokio::net::TcpStream;

use super::Failure;

/// An upstream URL that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is no upstream: it must be http://host:port")]
pub struct InvalidAddress(String);

/// Host and port of Grafana. A name is resolved anew for each connection, so that changes in DNS are followed.
#[derive(Clone, Debug)]
pub struct Address {
    host: String,
    port: u16,
    literal: Option<SocketAddr>,
}

impl Address {
    /// Reads `http://host[:port]`.
    pub fn parse(url: &Uri) -> Result<Self, InvalidAddress> {
        let host = url.host().ok_or_else(|| InvalidAddress(url.to_string()))?;
        let port = url.port_u16().unwrap_or(80);
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let literal = bare.parse::<IpAddr>().ok().map(|address| SocketAddr::new(address, port));
        Ok(Self { host: host.to_owned(), port, literal })
    }

    /// The value of `Host` that names it.
    pub(super) fn authority(&self) -> HeaderValue {
        HeaderValue::try_from(format!("{}:{}", self.host, self.port)).unwrap_or(HeaderValue::from_static("grafana"))
    }

    /// Opens a connection within `limit`, trying each address that the name resolves to.
    pub(super) async fn connect(&self, limit: Duration) -> Result<TcpStream, Failure> {
        let place = || format!("{}:{}", self.host, self.port);
        let stream = match tokio::time::timeout(limit, self.open()).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(Failure::Unreachable(format!("no connection to {}: {error}", place()))),
            Err(_) => {
                let seconds = limit.as_secs_f32();
                return Err(Failure::Unreachable(format!("no connection to {} within {seconds} s", place())));
            }
        };
        // Small requests must not wait for the acknowledgement of the one before.
        let _ = stream.set_nodelay(true);
        Ok(stream)
    }

    async fn open(&self) -> std::io::Result<TcpStream> {
        match self.literal {
            Some(address) => TcpStream::connect(address).await,
            None => TcpStream::connect((self.host.as_str(), self.port)).await,
        }
    }
}
