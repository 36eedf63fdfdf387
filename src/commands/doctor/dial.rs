//! From a name to a connection: addresses, TCP, TLS, each with its own deadline.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::RootCertStore;
use tokio_rustls::rustls::pki_types::ServerName;

use super::observations::{Stage, TlsFacts, TlsFault, Trouble};
use super::reply::printable;
use super::target::Target;
use super::witness::{Witness, fault};
use crate::stream::Stream;

/// Whom to believe, and how long to wait for each step.
#[derive(Clone, Debug)]
pub(super) struct Dialling {
    pub(super) roots: Arc<RootCertStore>,
    pub(super) patience: Duration,
}

impl Dialling {
    /// The addresses of the host.
    pub(super) async fn resolve(&self, target: &Target) -> Result<Vec<SocketAddr>, Trouble> {
        if let Some(address) = target.address() {
            return Ok(vec![SocketAddr::new(address, target.port)]);
        }
        let found = timeout(self.patience, tokio::net::lookup_host((target.host.as_str(), target.port))).await;
        let found: Vec<_> = match found {
            Err(_) => return Err(Trouble::TimedOut(Stage::Name)),
            Ok(Err(error)) => return Err(Trouble::NameUnknown(printable(&error.to_string(), 120))),
            Ok(Ok(found)) => found.collect(),
        };
        if found.is_empty() { Err(Trouble::NameUnknown("it has no address".to_owned())) } else { Ok(found) }
    }

    /// Connects to the first address that answers.
    pub(super) async fn connect(&self, addresses: &[SocketAddr]) -> Result<(TcpStream, SocketAddr), Trouble> {
        let mut trouble = Trouble::TimedOut(Stage::Connection);
        for address in addresses.iter().take(4) {
            match timeout(self.patience, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => {
                    let _ = stream.set_nodelay(true);
                    return Ok((stream, *address));
                }
                Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => trouble = Trouble::Refused,
                Ok(Err(error)) => trouble = Trouble::Unreachable(printable(&error.to_string(), 120)),
                Err(_) => {}
            }
        }
        Err(trouble)
    }

    /// Encrypts. What the server has shown is told where it is not believed, too.
    pub(super) async fn encrypt(
        &self,
        stream: TcpStream,
        target: &Target,
        protocols: &[&[u8]],
    ) -> (Result<Stream, Trouble>, Option<TlsFacts>) {
        let failed = |fault: TlsFault| (Err(Trouble::Tls(fault)), None);
        let (config, witness) = match Witness::configure(&self.roots, protocols) {
            Ok(made) => made,
            Err(error) => return failed(TlsFault::Other(error)),
        };
        let Ok(name) = ServerName::try_from(target.host.clone()) else {
            return failed(TlsFault::Other("the host is no name that a certificate could be for".to_owned()));
        };
        let connector = TlsConnector::from(Arc::new(config));
        let stream = match timeout(self.patience, connector.connect(name, stream)).await {
            Err(_) => return (Err(Trouble::TimedOut(Stage::Tls)), None),
            Ok(Err(error)) => {
                let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
                return failed(inner.map_or_else(|| of_io(&error), fault));
            }
            Ok(Ok(stream)) => stream,
        };
        let session = stream.get_ref().1;
        let shown = witness.shown.get();
        let facts = TlsFacts {
            version: session
                .protocol_version()
                .and_then(|version| version.as_str())
                .unwrap_or("TLS")
                .replace("v1_", " 1."),
            protocol: session.alpn_protocol().map(|name| printable(&String::from_utf8_lossy(name), 20)),
            certificate: shown.and_then(|shown| shown.certificate.clone()),
            chain: shown.map_or(0, |shown| shown.chain),
        };
        match shown.and_then(|shown| shown.fault.clone()) {
            Some(fault) => (Err(Trouble::Tls(fault)), Some(facts)),
            None => (Ok(Stream::Tls(Box::new(stream.into()))), Some(facts)),
        }
    }
}

/// A server that closes or answers in plain HTTP in the middle of a handshake speaks no TLS.
fn of_io(error: &io::Error) -> TlsFault {
    match error.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => TlsFault::Missing,
        _ => TlsFault::Other(printable(&error.to_string(), 120)),
    }
}
