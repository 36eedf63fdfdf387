//! A connection of the load: in the clear, or in TLS.

use std::{
    error::Error,
    fs,
    io::{self, Read, Write},
    net::SocketAddr,
    sync::Arc,
};

use mio::net::TcpStream;
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    client::Resumption,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};

/// How connections are opened.
#[derive(Clone, Default)]
pub struct Opening {
    /// Whom to trust; without, no TLS is spoken.
    tls: Option<Arc<ClientConfig>>,
}

impl Opening {
    /// TLS with whoever shows the certificate in this file; each handshake is a whole one.
    ///
    /// # Errors
    /// When the file holds none.
    pub fn trusting(file: &str) -> Result<Self, Box<dyn Error>> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(&fs::read(file)?)?)?;
        let mut config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        config.resumption = Resumption::disabled();
        Ok(Self { tls: Some(Arc::new(config)) })
    }

    /// Opens one, TLS and all, and leaves it in a state that waits for nobody.
    ///
    /// # Errors
    /// When it does not come about.
    pub fn open(&self, address: SocketAddr) -> io::Result<Wire> {
        let mut stream = std::net::TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        let Some(config) = &self.tls else {
            stream.set_nonblocking(true)?;
            return Ok(Wire::Plain(TcpStream::from_std(stream)));
        };
        let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
        let mut connection = ClientConnection::new(Arc::clone(config), name).map_err(io::Error::other)?;
        while connection.is_handshaking() {
            connection.complete_io(&mut stream)?;
        }
        stream.set_nonblocking(true)?;
        Ok(Wire::Tls(Box::new(StreamOwned::new(connection, TcpStream::from_std(stream)))))
    }
}

/// One connection.
pub enum Wire {
    /// In the clear.
    Plain(TcpStream),
    /// In TLS.
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Wire {
    /// What events are waited for on.
    pub fn socket(&mut self) -> &mut TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => &mut stream.sock,
        }
    }

    /// Whether a read may leave bytes behind though it did not fill its buffer.
    #[must_use]
    pub const fn reads_by_records(&self) -> bool {
        matches!(self, Self::Tls(_))
    }
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.write(bytes),
            Self::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}
