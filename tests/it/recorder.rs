//! A stand-in upstream that keeps the raw bytes of each request, reads them more strictly than any server does, and says
//! in each answer which request it was: `X-Recorded`. It has everything but `/missing`. And a client that never takes silence for an answer.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use socket2::{Domain, Socket, Type};

/// How a request's body was framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    Absent,
    Sized,
    Chunked,
}

/// A request as the strict reading has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    pub method: String,
    pub target: Vec<u8>,
    pub version: String,
    /// Names in lower case.
    pub fields: Vec<(String, Vec<u8>)>,
    pub framing: Framing,
    pub body: Vec<u8>,
    /// Names in lower case.
    pub trailers: Vec<(String, Vec<u8>)>,
}

impl Reading {
    /// All values of a field.
    pub fn all(&self, name: &str) -> Vec<&[u8]> {
        self.fields.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_slice()).collect()
    }
}

/// What came on a connection up to the end of a request, or to its own end.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// Which connection it came on.
    pub connection: usize,
    pub bytes: Vec<u8>,
    /// Nothing where the connection ended before the request did.
    pub reading: Option<Result<Reading, String>>,
}

/// The upstream. It lives until the test's process ends.
pub struct Recorder {
    pub address: SocketAddr,
    records: Arc<Mutex<Vec<Recorded>>>,
}

impl Recorder {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let records = Arc::<Mutex<Vec<Recorded>>>::default();
        let kept = Arc::clone(&records);
        thread::spawn(move || {
            for (connection, stream) in listener.incoming().enumerate() {
                let kept = Arc::clone(&kept);
                thread::spawn(move || record(stream.unwrap(), connection, &kept));
            }
        });
        Self { address, records }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Everything so far, in the order of `X-Recorded`.
    pub fn records(&self) -> Vec<Recorded> {
        self.records.lock().unwrap().clone()
    }

    /// The strict reading of one request.
    pub fn reading(&self, index: usize) -> Reading {
        self.records()[index].reading.clone().expect("incomplete").expect("the upstream cannot read what it got")
    }

    /// How many requests came whole.
    pub fn count(&self) -> usize {
        self.records.lock().unwrap().iter().filter(|record| record.reading.is_some()).count()
    }
}

/// How the proxy names itself in its own requests.
const OWN_AGENT: &[u8] = b"\r\nuser-agent: grafana-token-proxy/";

fn record(mut stream: TcpStream, connection: usize, records: &Mutex<Vec<Recorded>>) {
    // An answer must not wait for the acknowledgement of the one before.
    stream.set_nodelay(true).unwrap();
    let mut pending = Vec::new();
    let mut piece = [0; 16384];
    loop {
        loop {
            let (bytes, reading): (Vec<u8>, _) = match read(&pending) {
                Ok(None) => break,
                Ok(Some((reading, size))) => (pending.drain(..size).collect(), Ok(reading)),
                Err(fault) => (std::mem::take(&mut pending), Err(fault)),
            };
            // What the proxy asks of its own accord is no request of a client.
            if bytes.windows(OWN_AGENT.len()).any(|window| window == OWN_AGENT) {
                let refused = "HTTP/1.1 401 X\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";
                if stream.write_all(refused.as_bytes()).is_err() {
                    return;
                }
                continue;
            }
            let is_head = matches!(&reading, Ok(reading) if reading.method == "HEAD");
            let is_missing = matches!(&reading, Ok(reading) if reading.target.starts_with(b"/missing"));
            let status = if is_missing { "404 Not Found" } else { "200 OK" };
            let is_sound = reading.is_ok();
            let index = {
                let mut records = records.lock().unwrap();
                records.push(Recorded { connection, bytes, reading: Some(reading) });
                records.len() - 1
            };
            let body = if is_head { "" } else { "{}" };
            let answer = format!(
                "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nX-Recorded: {index}\r\nContent-Length: 2\r\n\r\n{body}"
            );
            if stream.write_all(answer.as_bytes()).is_err() || !is_sound {
                return;
            }
        }
        match stream.read(&mut piece) {
            Ok(count) if count > 0 => pending.extend_from_slice(&piece[..count]),
            _ => {
                if !pending.is_empty() {
                    records.lock().unwrap().push(Recorded { connection, bytes: pending, reading: None });
                }
                return;
            }
        }
    }
}

fn is_token(name: &[u8]) -> bool {
    !name.is_empty() && name.iter().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte))
}

/// The first request in `bytes` and its size; nothing where it is not whole.
pub fn read(bytes: &[u8]) -> Result<Option<(Reading, usize)>, String> {
    let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else { return Ok(None) };
    let mut lines = split(&bytes[..end], b"\r\n").into_iter();
    let first = String::from_utf8_lossy(lines.next().unwrap_or_default()).into_owned();
    let words: Vec<&str> = first.split(' ').collect();
    let [method, target, version] = words[..] else { return Err(format!("request line {first:?}")) };
    if !is_token(method.as_bytes()) || target.is_empty() || version != "HTTP/1.1" {
        return Err(format!("request line {first:?}"));
    }
    let mut reading = Reading {
        method: method.to_owned(),
        target: target.as_bytes().to_vec(),
        version: version.to_owned(),
        fields: Vec::new(),
        framing: Framing::Absent,
        body: Vec::new(),
        trailers: Vec::new(),
    };
    if first.bytes().any(|byte| byte < 0x20 || byte == 0x7f) {
        return Err(format!("control bytes in {first:?}"));
    }
    for line in lines {
        reading.fields.push(read_field(line)?);
    }
    let lengths = reading.all("content-length");
    let codings = reading.all("transfer-encoding");
    let size = match (&lengths[..], &codings[..]) {
        ([], []) => 0,
        ([length], []) => {
            let sound = (1..=18).contains(&length.len()) && length.iter().all(u8::is_ascii_digit);
            let text = String::from_utf8_lossy(length).into_owned();
            let size = sound.then(|| text.parse::<usize>().unwrap()).ok_or_else(|| format!("length {text:?}"))?;
            if bytes.len() < end + 4 + size {
                return Ok(None);
            }
            reading.body = bytes[end + 4..end + 4 + size].to_vec();
            reading.framing = Framing::Sized;
            size
        }
        ([], [b"chunked"]) => {
            let Some(size) = read_chunks(&bytes[end + 4..], &mut reading)? else { return Ok(None) };
            reading.framing = Framing::Chunked;
            size
        }
        _ => return Err(format!("more than one framing: {lengths:?} {codings:?}")),
    };
    Ok(Some((reading, end + 4 + size)))
}

fn read_field(line: &[u8]) -> Result<(String, Vec<u8>), String> {
    let shown = String::from_utf8_lossy(line).into_owned();
    let colon = line.iter().position(|byte| *byte == b':').ok_or_else(|| format!("no colon in {shown:?}"))?;
    let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
    if !is_token(name) || value.iter().any(|byte| (*byte < 0x20 && *byte != b'\t') || *byte == 0x7f) {
        return Err(format!("field {shown:?}"));
    }
    Ok((String::from_utf8_lossy(name).to_ascii_lowercase(), value.to_vec()))
}

/// Reads the chunks into `reading`; the size of all of them.
fn read_chunks(bytes: &[u8], reading: &mut Reading) -> Result<Option<usize>, String> {
    let mut at = 0;
    let line = |from: usize| {
        let length = bytes.get(from..)?.windows(2).position(|window| window == b"\r\n")?;
        Some((&bytes[from..from + length], from + length + 2))
    };
    loop {
        let Some((digits, behind)) = line(at) else { return Ok(None) };
        let sound = (1..16).contains(&digits.len()) && digits.iter().all(u8::is_ascii_hexdigit);
        let digits = String::from_utf8_lossy(digits).into_owned();
        if !sound {
            return Err(format!("chunk size {digits:?}"));
        }
        let size = usize::from_str_radix(&digits, 16).unwrap();
        at = behind;
        if size == 0 {
            break;
        }
        if bytes.len() < at + size + 2 {
            return Ok(None);
        }
        if &bytes[at + size..at + size + 2] != b"\r\n" {
            return Err("no line end behind a chunk".into());
        }
        reading.body.extend_from_slice(&bytes[at..at + size]);
        at += size + 2;
    }
    loop {
        let Some((field, behind)) = line(at) else { return Ok(None) };
        at = behind;
        if field.is_empty() {
            return Ok(Some(at));
        }
        reading.trailers.push(read_field(field)?);
    }
}

fn split<'b>(bytes: &'b [u8], by: &[u8]) -> Vec<&'b [u8]> {
    let (mut pieces, mut rest) = (Vec::new(), bytes);
    while let Some(at) = rest.windows(by.len()).position(|window| window == by) {
        pieces.push(&rest[..at]);
        rest = &rest[at + by.len()..];
    }
    pieces.push(rest);
    pieces
}

/// The invariants of one request that went upstream, whoever sent it; the names of those that it breaks.
pub fn broken_invariants(reading: &Reading) -> Vec<String> {
    let mut broken = Vec::new();
    let mut must = |holds: bool, what: &str| {
        if !holds {
            broken.push(what.to_owned());
        }
    };
    must(reading.all("authorization").len() <= 1, "more than one Authorization");
    must(reading.all("x-grafana-org-id").len() <= 1, "more than one X-Grafana-Org-Id");
    must(reading.all("host").len() == 1, "not one Host");
    for (name, value) in &reading.fields {
        let folded = fold(name);
        let is_protected = ["authorization", "host", "content-length", "transfer-encoding", "x-grafana-org-id"]
            .contains(&folded.as_str())
            || folded.starts_with("x-forwarded-");
        must(!is_protected || folded == *name, &format!("{name} passes for {folded}"));
        must(!folded.starts_with("x-webauth-") && folded != "remote-user", &format!("{name} names a user"));
        let is_hop = match name.as_str() {
            "connection" => !value.eq_ignore_ascii_case(b"upgrade") || reading.all("upgrade").is_empty(),
            "upgrade" => !value.eq_ignore_ascii_case(b"websocket"),
            "te" => value != b"trailers",
            name => ["keep-alive", "proxy-connection", "proxy-authorization", "http2-settings"].contains(&name),
        };
        must(!is_hop, &format!("{name} is for one hop"));
    }
    for (name, _) in &reading.trailers {
        let folded = fold(name);
        let is_framing = ["host", "content-length", "transfer-encoding", "connection", "te"].contains(&folded.as_str());
        let is_identity = ["authorization", "x-grafana-org-id", "remote-user", "x-real-ip"].contains(&folded.as_str());
        let is_prefixed = ["x-webauth-", "x-forwarded-"].iter().any(|prefix| folded.starts_with(prefix));
        must(!is_framing && !is_identity && !is_prefixed, &format!("the trailer {name} passes"));
    }
    broken
}

/// As CGI and its kin read a name.
fn fold(name: &str) -> String {
    name.chars().map(|letter| if "_.".contains(letter) { '-' } else { letter }).collect()
}

/// An answer as a client has it. Interim answers are answers, too.
#[derive(Clone, Debug)]
pub struct Heard {
    pub status: u16,
    pub fields: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Heard {
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Why we refused it; nothing where the upstream answered.
    pub fn reason(&self) -> Option<&str> {
        self.field("x-token-proxy-reason")
    }

    /// Which request of the recorder this answers.
    pub fn recorded(&self) -> Option<usize> {
        self.field("x-recorded")?.parse().ok()
    }
}

/// One of the many addresses of this machine: on Linux, all of 127.0.0.0/8 are.
pub fn own_address(source: u32) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(Ipv4Addr::new(127, 0, 1, 0)) + source)
}

/// One connection of a client.
pub struct Client {
    stream: TcpStream,
    pending: Vec<u8>,
}

impl Client {
    /// Connects from an address of its own: what is told of one caller's refusals is folded.
    pub fn from(source: u32, address: SocketAddr) -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from((own_address(source), 0)).into()).unwrap();
        socket.connect(&address.into()).unwrap();
        let stream = TcpStream::from(socket);
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        Self { stream, pending: Vec::new() }
    }

    /// Sends what the other side takes: it may have had enough before the end.
    pub fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// The next answer; nothing where the connection ended instead. Fails where neither comes.
    pub fn hear(&mut self, head_only: bool) -> Option<Heard> {
        loop {
            if let Some((heard, size)) = parse_answer(&self.pending, head_only) {
                self.pending.drain(..size);
                return Some(heard);
            }
            if !self.more() {
                assert!(self.pending.is_empty(), "a broken answer: {:?}", String::from_utf8_lossy(&self.pending));
                return None;
            }
        }
    }

    /// What comes until the connection ends.
    pub fn rest(&mut self) -> Vec<u8> {
        while self.more() {}
        std::mem::take(&mut self.pending)
    }

    fn more(&mut self) -> bool {
        let mut piece = [0; 16384];
        match self.stream.read(&mut piece) {
            Ok(count) => {
                self.pending.extend_from_slice(&piece[..count]);
                count > 0
            }
            Err(error) => {
                let silent = matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
                assert!(!silent, "neither an answer nor a close; so far {:?}", String::from_utf8_lossy(&self.pending));
                false
            }
        }
    }
}

fn parse_answer(bytes: &[u8], head_only: bool) -> Option<(Heard, usize)> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut lines = head.split("\r\n");
    let first = lines.next().unwrap();
    assert!(first.starts_with("HTTP/1.1 ") || first.starts_with("HTTP/1.0 "), "no answer: {head:?}");
    let status: u16 = first[9..12].parse().unwrap();
    let fields = lines.map(|line| line.split_once(':').unwrap_or_else(|| panic!("no field: {line:?}")));
    let fields = fields.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect();
    let mut heard = Heard { status, fields, body: Vec::new() };
    let without_body = head_only || matches!(status, 100..=199 | 204 | 304);
    let length = if without_body { 0 } else { heard.field("content-length").expect("no length").parse().unwrap() };
    let body = bytes.get(end + 4..end + 4 + length)?;
    heard.body = body.to_vec();
    Some((heard, end + 4 + length))
}
