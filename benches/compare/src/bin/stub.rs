//! The upstream of the comparison: one thread, keep-alive, answers of a fixed size, nothing else. `stub PORT`
//!
//! `/size/N` answers N bytes, `/tunnel/N` switches protocols and sends N bytes, `/api/refused` a 401 as Grafana words it, all
//! else 1 KiB as Grafana's headers dress it.

use std::{
    collections::HashMap,
    error::Error,
    io::{self, ErrorKind},
    net::{Ipv4Addr, SocketAddr},
    rc::Rc,
};

use grafana_token_proxy_compare::socket::{self, Got};
use memchr::memmem;
use mio::{
    Events, Interest, Poll, Token,
    net::{TcpListener, TcpStream},
};
use slab::Slab;

const LISTENER: Token = Token(usize::MAX);
const PIECE: usize = 64 * 1024;
const LARGEST: u64 = 1 << 30;

/// An answer: its head and first bytes in one piece, the rest out of a filler that all share.
struct Answer {
    first: Vec<u8>,
    length: u64,
}

/// One connection from the proxy.
struct Connection {
    stream: TcpStream,
    /// A head that has come in part; mostly empty.
    head: Vec<u8>,
    /// Bytes of a request's body that are still to be thrown away.
    body_left: u64,
    /// The answer to a request whose body has not come whole.
    due: Option<Rc<Answer>>,
    /// The answer under way, and how much of it is written.
    writing: Option<(Rc<Answer>, u64)>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let port = std::env::args().nth(1).ok_or("usage: stub PORT")?.parse()?;
    let mut listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
    let mut poll = Poll::new()?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    let mut stub = Stub { answers: HashMap::new(), filler: vec![b'x'; PIECE], buffer: vec![0; PIECE] };
    let mut connections: Slab<Connection> = Slab::new();
    let mut events = Events::with_capacity(1024);
    loop {
        match poll.poll(&mut events, None) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            other => other?,
        }
        for event in &events {
            if event.token() == LISTENER {
                accept(&listener, &poll, &mut connections)?;
                continue;
            }
            let Some(connection) = connections.get_mut(event.token().0) else { continue };
            if !matches!(stub.serve(connection, event.is_read_closed()), Ok(true)) {
                connections.remove(event.token().0);
            }
        }
    }
}

fn accept(listener: &TcpListener, poll: &Poll, connections: &mut Slab<Connection>) -> io::Result<()> {
    loop {
        let (mut stream, _) = match listener.accept() {
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            other => other?,
        };
        stream.set_nodelay(true)?;
        let entry = connections.vacant_entry();
        let interest = Interest::READABLE | Interest::WRITABLE;
        poll.registry().register(&mut stream, Token(entry.key()), interest)?;
        entry.insert(Connection { stream, head: Vec::new(), body_left: 0, due: None, writing: None });
    }
}

struct Stub {
    answers: HashMap<String, Rc<Answer>>,
    filler: Vec<u8>,
    buffer: Vec<u8>,
}

impl Stub {
    /// Does what can be done now; `false` when the connection has ended.
    fn serve(&mut self, connection: &mut Connection, closed: bool) -> io::Result<bool> {
        if !self.write(connection)? {
            return Ok(true);
        }
        let mut buffer = std::mem::take(&mut self.buffer);
        let goes_on = self.read(connection, &mut buffer, closed);
        // Whatever became of this connection: the others need it.
        self.buffer = buffer;
        goes_on
    }

    fn read(&mut self, connection: &mut Connection, buffer: &mut [u8], closed: bool) -> io::Result<bool> {
        loop {
            match socket::read(&connection.stream, buffer, closed)? {
                Got::End => return Ok(false),
                Got::Nothing => return Ok(true),
                Got::Bytes(length, more) => {
                    self.take(connection, buffer.get(..length).unwrap_or_default())?;
                    if !more {
                        return Ok(true);
                    }
                }
            }
        }
    }

    /// Takes bytes of requests and answers each that is whole.
    fn take(&mut self, connection: &mut Connection, piece: &[u8]) -> io::Result<()> {
        let thrown = connection.body_left.min(piece.len() as u64);
        connection.body_left -= thrown;
        let piece = piece.get(usize::try_from(thrown).unwrap_or(0)..).unwrap_or_default();
        if connection.body_left == 0
            && let Some(answer) = connection.due.take()
        {
            connection.writing = Some((answer, 0));
            self.write(connection)?;
        }
        connection.head.extend_from_slice(piece);
        while let Some(end) = memmem::find(&connection.head, b"\r\n\r\n") {
            let head = connection.head.get(..end).unwrap_or_default();
            let answer = self.answer(path(head))?;
            let body = content_length(head);
            let come = (connection.head.len() - end - 4) as u64;
            connection.body_left = body.saturating_sub(come);
            let used = end + 4 + usize::try_from(body.min(come)).unwrap_or(0);
            connection.head.drain(..used);
            if connection.body_left > 0 {
                connection.due = Some(answer);
                return Ok(());
            }
            // A proxy sends its next request after our answer only, so that one answer at most is under way.
            connection.writing = Some((answer, 0));
            self.write(connection)?;
        }
        Ok(())
    }

    /// Writes what the socket takes; `true` when nothing is left.
    fn write(&self, connection: &mut Connection) -> io::Result<bool> {
        while let Some((answer, written)) = &mut connection.writing {
            let offset = usize::try_from(*written).unwrap_or(usize::MAX);
            let rest = usize::try_from(answer.length - *written).unwrap_or(usize::MAX);
            let piece = match answer.first.get(offset..) {
                Some(piece) if !piece.is_empty() => piece,
                _ => self.filler.get(..rest.min(PIECE)).unwrap_or_default(),
            };
            let length = socket::write(&connection.stream, piece)?;
            *written += length as u64;
            if *written >= answer.length {
                connection.writing = None;
            } else if length < piece.len() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn answer(&mut self, path: &str) -> io::Result<Rc<Answer>> {
        let special = path == "/api/refused" || path.starts_with("/size/") || path.starts_with("/tunnel/");
        let key = if special { path } else { "" };
        if let Some(answer) = self.answers.get(key) {
            return Ok(Rc::clone(answer));
        }
        let switches = key.starts_with("/tunnel/");
        let (status, size) = match key.strip_prefix("/size/").or_else(|| key.strip_prefix("/tunnel/")) {
            Some(size) => ("200 OK", size.parse().map_err(|_| io::Error::from(ErrorKind::InvalidInput))?),
            None => ("200 OK", 1024),
        };
        if size > LARGEST {
            return Err(ErrorKind::InvalidInput.into());
        }
        let refused = br#"{"message":"Unauthorized","messageId":"auth.unauthorized","statusCode":401,"traceID":""}"#;
        let refused = (key == "/api/refused").then_some(refused.as_slice());
        let (status, size) = refused.map_or((status, size), |body| ("401 Unauthorized", body.len() as u64));
        let head = if switches {
            format!(
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nX-Length: {size}\r\n\r\n"
            )
        } else {
            format!(
                "HTTP/1.1 {status}\r\nCache-Control: no-store\r\nContent-Type: application/json\r\n\
             X-Content-Type-Options: nosniff\r\nX-Frame-Options: deny\r\nX-Xss-Protection: 1; mode=block\r\n\
             Date: Mon, 02 Nov 2026 10:00:00 GMT\r\nContent-Length: {size}\r\n\r\n"
            )
        };
        let with_head = usize::try_from(size).unwrap_or(PIECE).min(PIECE);
        let body = refused.unwrap_or_else(|| self.filler.get(..with_head).unwrap_or_default());
        let answer = Rc::new(Answer { length: head.len() as u64 + size, first: [head.as_bytes(), body].concat() });
        self.answers.insert(key.to_owned(), Rc::clone(&answer));
        Ok(answer)
    }
}

/// The path of a request's first line.
fn path(head: &[u8]) -> &str {
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let target = line.split(|byte| *byte == b' ').nth(1).unwrap_or_default();
    std::str::from_utf8(target).unwrap_or_default()
}

/// The length of a request's body, 0 where none is named.
fn content_length(head: &[u8]) -> u64 {
    // Nearly every request has no body: one search settles that, in either spelling that proxies send.
    let at = memmem::find(head, b"ontent-Length:").or_else(|| memmem::find(head, b"ontent-length:"));
    let at = at.or_else(|| memmem::find(head, b"content-length:").map(|at| at + 1));
    let value = at.and_then(|at| head.get(at + 14..)).unwrap_or_default();
    let value = value.split(|byte| *byte == b'\r').next().unwrap_or_default();
    std::str::from_utf8(value).ok().and_then(|value| value.trim().parse().ok()).unwrap_or(0)
}
