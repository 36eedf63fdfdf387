//! Where clients connect: a socket for each worker on the same port, over which the kernel spreads connections; or one
//! Unix socket, from which all workers take them.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::FileTypeExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use socket2::{Domain, Protocol, SockAddr, Type};

/// Connections the kernel keeps for us while a worker is busy.
const BACKLOG: i32 = 4096;

/// `listen`: an address, or `unix:/path`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// An address and a port.
    Tcp(SocketAddr),
    /// A Unix socket.
    Unix(PathBuf),
}

impl Endpoint {
    /// The address, where it is one.
    pub const fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(address) => Some(*address),
            Self::Unix(_) => None,
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// One worker's listening socket.
#[derive(Debug)]
pub enum Socket {
    /// Of an address.
    Tcp(std::net::TcpListener),
    /// Of a path.
    Unix(UnixListener),
}

/// The sockets of one endpoint: one for each worker.
#[derive(Debug)]
pub struct Bound {
    /// The endpoint, with the port that the kernel chose where 0 was asked for.
    pub endpoint: Endpoint,
    sockets: Vec<Socket>,
}

impl Bound {
    /// The next worker's socket.
    pub fn take(&mut self) -> Option<Socket> {
        self.sockets.pop()
    }
}

/// Binds one socket for each of `workers`.
pub fn bind(endpoint: &Endpoint, workers: usize) -> io::Result<Bound> {
    match endpoint {
        Endpoint::Tcp(address) => bind_address(*address, workers),
        Endpoint::Unix(path) => bind_path(path, workers),
    }
}

fn bind_address(address: SocketAddr, workers: usize) -> io::Result<Bound> {
    // Sockets that share a port would also share it with another process of ours, unnoticed: ask for the port alone
    // first.
    drop(bound(address, false)?);
    let first = open(address)?;
    let address = first.local_addr()?;
    let mut sockets = vec![Socket::Tcp(first)];
    for _ in 1..workers {
        sockets.push(Socket::Tcp(open(address)?));
    }
    Ok(Bound { endpoint: Endpoint::Tcp(address), sockets })
}

fn bound(address: SocketAddr, shared: bool) -> io::Result<socket2::Socket> {
    let socket = socket2::Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

fn open(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = bound(address, true)?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn bind_path(path: &Path, workers: usize) -> io::Result<Bound> {
    remove_stale(path)?;
    let socket = socket2::Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SockAddr::unix(path)?)?;
    socket.listen(BACKLOG)?;
    let first = UnixListener::from(socket);
    let mut sockets = Vec::new();
    for _ in 1..workers {
        sockets.push(Socket::Unix(first.try_clone()?));
    }
    sockets.push(Socket::Unix(first));
    Ok(Bound { endpoint: Endpoint::Unix(path.to_owned()), sockets })
}

/// Takes away what a program left behind that is gone: a socket at which nobody answers. Anything else is not ours.
fn remove_stale(path: &Path) -> io::Result<()> {
    let Ok(metadata) = std::fs::symlink_metadata(path) else { return Ok(()) };
    let nobody = |error: io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
    if metadata.file_type().is_socket() && UnixStream::connect(path).is_err_and(nobody) {
        return std::fs::remove_file(path);
    }
    Err(io::ErrorKind::AddrInUse.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_that_was_left_behind_is_replaced_and_one_in_use_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let endpoint = Endpoint::Unix(path.clone());
        let bound = bind(&endpoint, 2).unwrap();
        assert_eq!(bound.sockets.len(), 2);
        assert_eq!(bind(&endpoint, 1).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        drop(bound);
        assert!(path.exists() && bind(&endpoint, 1).is_ok());
        let file = folder.path().join("file");
        std::fs::write(&file, "precious").unwrap();
        assert_eq!(bind(&Endpoint::Unix(file.clone()), 1).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        assert_eq!(std::fs::read(file).unwrap(), b"precious");
    }
}
