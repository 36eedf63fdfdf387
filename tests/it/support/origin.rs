//! A stand-in upstream that records the raw bytes of each request and answers with given bytes.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// A request as it reached the upstream.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The head's lines; the first is the request line.
    pub lines: Vec<String>,
    /// The body, chunks joined.
    pub body: Vec<u8>,
    /// Which connection it came on.
    pub connection: usize,
}

impl Seen {
    /// All values of a header.
    pub fn all(&self, name: &str) -> Vec<String> {
        let wanted = |line: &&String| line.split(':').next().is_some_and(|n| n.eq_ignore_ascii_case(name));
        self.lines.iter().skip(1).filter(wanted).map(|line| line.split_once(':').unwrap().1.trim().to_owned()).collect()
    }

    /// The first value of a header.
    pub fn header(&self, name: &str) -> Option<String> {
        self.all(name).into_iter().next()
    }
}

/// What to do with a request: write an answer to the stream; `false` closes the connection.
pub type Behaviour = Arc<dyn Fn(&Seen, &mut TcpStream) -> bool + Send + Sync>;

/// How the proxy names itself where it asks Grafana something of its own accord.
const OWN_AGENT: &str = "grafana-token-proxy/";

const VISITOR_REFUSED: &[u8] = b"HTTP/1.1 401 Unauthorized\r\nContent-Type: application/json; charset=UTF-8\r\n\
      Content-Length: 26\r\n\r\n{\"message\":\"Unauthorized\"}";

/// The upstream. It lives until the test's process ends.
pub struct Origin {
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    questions: Arc<Mutex<Vec<Seen>>>,
}

impl Origin {
    /// Answers each request with `bytes`.
    pub fn answering(bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        Self::new(move |_, stream| stream.write_all(&bytes).is_ok())
    }

    /// Answers `200` with a small JSON body.
    pub fn ok() -> Self {
        Self::answering("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")
    }

    pub fn new(behaviour: impl Fn(&Seen, &mut TcpStream) -> bool + Send + Sync + 'static) -> Self {
        Self::at(SocketAddr::from(([127, 0, 0, 1], 0)), behaviour)
    }

    /// The same, for a behaviour that says itself what becomes of a visitor without a credential.
    pub fn serving_visitors(behaviour: impl Fn(&Seen, &mut TcpStream) -> bool + Send + Sync + 'static) -> Self {
        Self::start(SocketAddr::from(([127, 0, 0, 1], 0)), true, behaviour)
    }

    /// The same, at an address.
    pub fn at(address: SocketAddr, behaviour: impl Fn(&Seen, &mut TcpStream) -> bool + Send + Sync + 'static) -> Self {
        Self::start(address, false, behaviour)
    }

    fn start(
        address: SocketAddr,
        visitors: bool,
        behaviour: impl Fn(&Seen, &mut TcpStream) -> bool + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        let (seen, questions) = (Arc::<Mutex<Vec<Seen>>>::default(), Arc::<Mutex<Vec<Seen>>>::default());
        let behaviour: Behaviour = Arc::new(behaviour);
        let records = (Arc::clone(&seen), Arc::clone(&questions));
        thread::spawn(move || {
            for (connection, stream) in listener.incoming().enumerate() {
                let (records, behaviour) = (records.clone(), Arc::clone(&behaviour));
                thread::spawn(move || serve(stream.unwrap(), connection, &records, visitors, &behaviour));
            }
        });
        Self { address, seen, questions }
    }

    #[allow(dead_code)]
    /// What the proxy asked of its own accord: about a visitor without a credential, about a credential, about an
    /// organisation.
    pub fn questions(&self) -> Vec<Seen> {
        self.questions.lock().unwrap().clone()
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// All requests of clients so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// The last request.
    pub fn last(&self) -> Seen {
        self.seen().pop().expect("nothing reached the upstream")
    }

    pub fn count(&self) -> usize {
        self.seen.lock().unwrap().len()
    }
}

type Record = Arc<Mutex<Vec<Seen>>>;

fn serve(
    mut stream: TcpStream,
    connection: usize,
    (seen_all, questions): &(Record, Record),
    visitors: bool,
    behaviour: &Behaviour,
) {
    // Longer than any deadline of the program that a test lets pass.
    stream.set_read_timeout(Some(Duration::from_secs(120))).unwrap();
    // An answer written in pieces must not wait for the acknowledgement of the first.
    stream.set_nodelay(true).unwrap();
    let mut pending = Vec::new();
    while let Some(mut seen) = read_request(&mut stream, &mut pending) {
        seen.connection = connection;
        let is_own = seen.header("user-agent").is_some_and(|agent| agent.starts_with(OWN_AGENT));
        let is_question = is_own && seen.lines[0].starts_with("GET ");
        let record = if is_question { questions } else { seen_all };
        record.lock().unwrap().push(seen.clone());
        // As Grafana does where anonymous access is off.
        if is_question && !visitors && seen.header("authorization").is_none() && seen.header("cookie").is_none() {
            if stream.write_all(VISITOR_REFUSED).is_err() {
                return;
            }
            continue;
        }
        if !behaviour(&seen, &mut stream) {
            return;
        }
    }
}

fn more(stream: &mut TcpStream, pending: &mut Vec<u8>) -> Option<()> {
    let mut piece = [0; 65536];
    let count = stream.read(&mut piece).ok()?;
    pending.extend_from_slice(&piece[..count]);
    (count > 0).then_some(())
}

fn read_request(stream: &mut TcpStream, pending: &mut Vec<u8>) -> Option<Seen> {
    let end = loop {
        if let Some(end) = pending.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            break end + 4;
        }
        more(stream, pending)?;
    };
    let head = String::from_utf8_lossy(&pending[..end - 4]).into_owned();
    pending.drain(..end);
    let seen = Seen { lines: head.split("\r\n").map(str::to_owned).collect(), body: Vec::new(), connection: 0 };
    let body = if seen.header("transfer-encoding").is_some() {
        read_chunks(stream, pending)?
    } else {
        let length = seen.header("content-length").map_or(0, |value| value.parse().unwrap());
        while pending.len() < length {
            more(stream, pending)?;
        }
        pending.drain(..length).collect()
    };
    Some(Seen { body, ..seen })
}

fn read_line(stream: &mut TcpStream, pending: &mut Vec<u8>) -> Option<String> {
    loop {
        if let Some(end) = pending.windows(2).position(|bytes| bytes == b"\r\n") {
            let line = String::from_utf8_lossy(&pending[..end]).into_owned();
            pending.drain(..end + 2);
            return Some(line);
        }
        more(stream, pending)?;
    }
}

fn read_chunks(stream: &mut TcpStream, pending: &mut Vec<u8>) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let size = usize::from_str_radix(read_line(stream, pending)?.split(';').next().unwrap(), 16).unwrap();
        if size == 0 {
            while !read_line(stream, pending)?.is_empty() {}
            return Some(body);
        }
        while pending.len() < size + 2 {
            more(stream, pending)?;
        }
        body.extend(pending.drain(..size));
        pending.drain(..2);
    }
}
