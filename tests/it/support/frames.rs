//! A client that writes HTTP/2 frames by hand (RFC 9113), and reads the answers.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use super::wire::connect;

pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// One frame.
#[derive(Clone, Debug)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

impl Frame {
    pub const DATA: u8 = 0;
    pub const HEADERS: u8 = 1;
    pub const RST_STREAM: u8 = 3;
    pub const SETTINGS: u8 = 4;
    pub const PING: u8 = 6;
    pub const GOAWAY: u8 = 7;
    pub const WINDOW_UPDATE: u8 = 8;
    pub const CONTINUATION: u8 = 9;
    pub const END_STREAM: u8 = 1;
    pub const END_HEADERS: u8 = 4;

    pub fn new(kind: u8, flags: u8, stream: u32, payload: impl Into<Vec<u8>>) -> Self {
        Self { kind, flags, stream, payload: payload.into() }
    }

    pub fn bytes(&self) -> Vec<u8> {
        let length = u32::try_from(self.payload.len()).unwrap().to_be_bytes();
        [&length[1..], &[self.kind, self.flags], &self.stream.to_be_bytes(), &self.payload].concat()
    }
}

/// The fields of an ordinary request.
pub fn headers(path: &str) -> [(&str, &str); 4] {
    [(":method", "GET"), (":scheme", "http"), (":path", path), (":authority", "g")]
}

/// A block of fields, literal and without an index (RFC 7541 §6.2.2).
pub fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, value) in fields {
        out.push(0);
        for text in [name, value] {
            put_length(&mut out, text.len());
            out.extend_from_slice(text.as_bytes());
        }
    }
    out
}

fn put_length(out: &mut Vec<u8>, length: usize) {
    if length < 127 {
        return out.push(length as u8);
    }
    out.push(127);
    let mut rest = length - 127;
    while rest >= 128 {
        out.push((rest % 128) as u8 | 128);
        rest /= 128;
    }
    out.push(rest as u8);
}

/// What came of a request.
#[derive(Debug, Default)]
pub struct Answer {
    pub status: u16,
    pub fields: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// The code, where the stream was reset.
    pub reset: Option<u32>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }
}

/// A connection.
pub struct Client {
    pub stream: TcpStream,
    pending: Vec<u8>,
    next: u32,
    decoder: fluke_hpack::Decoder<'static>,
}

impl Client {
    /// Connects, and says what every client says at first.
    pub fn connect(address: SocketAddr) -> Self {
        let mut client = Self::silent(address);
        client.stream.write_all(PREFACE).unwrap();
        // Answers are written without a table, so that reading them takes none.
        client.write(&Frame::new(Frame::SETTINGS, 0, 0, [0, 1, 0, 0, 0, 0]));
        client
    }

    /// Connects, and says nothing.
    pub fn silent(address: SocketAddr) -> Self {
        let stream = connect(address);
        stream.set_nodelay(true).unwrap();
        Self { stream, pending: Vec::new(), next: 1, decoder: fluke_hpack::Decoder::new() }
    }

    /// Writes a frame; whether the other side still takes it.
    pub fn write(&mut self, frame: &Frame) -> bool {
        self.stream.write_all(&frame.bytes()).is_ok()
    }

    /// Begins a request, and returns its stream.
    pub fn send(&mut self, fields: &[(&str, &str)], end: bool) -> u32 {
        let stream = self.next;
        self.next += 2;
        let block = block(fields);
        let mut pieces = block.chunks(16_000).peekable();
        let mut kind = Frame::HEADERS;
        while let Some(piece) = pieces.next() {
            let last = if pieces.peek().is_none() { Frame::END_HEADERS } else { 0 };
            let ends = if end && kind == Frame::HEADERS { Frame::END_STREAM } else { 0 };
            self.write(&Frame::new(kind, last | ends, stream, piece));
            kind = Frame::CONTINUATION;
        }
        stream
    }

    /// Sends a request without a body, and waits for its answer.
    pub fn ask(&mut self, fields: &[(&str, &str)]) -> Answer {
        let stream = self.send(fields, true);
        self.answer(stream)
    }

    /// Waits for an answer: whole, or reset, or lost with the connection.
    pub fn answer(&mut self, stream: u32) -> Answer {
        let mut answer = Answer::default();
        while let Some(frame) = self.read() {
            if frame.stream != stream {
                continue;
            }
            match frame.kind {
                Frame::HEADERS => {
                    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
                    for (name, value) in self.decoder.decode(&frame.payload).unwrap() {
                        let (name, value) = (text(name), text(value));
                        match name.as_str() {
                            ":status" => answer.status = value.parse().unwrap(),
                            _ => answer.fields.push((name, value)),
                        }
                    }
                }
                Frame::DATA => answer.body.extend_from_slice(&frame.payload),
                Frame::RST_STREAM => {
                    answer.reset = Some(u32::from_be_bytes(frame.payload[..4].try_into().unwrap()));
                    return answer;
                }
                _ => {}
            }
            if matches!(frame.kind, Frame::HEADERS | Frame::DATA) && frame.flags & Frame::END_STREAM != 0 {
                return answer;
            }
        }
        answer
    }

    /// Reads up to a frame that fits.
    pub fn until(&mut self, fits: impl Fn(&Frame) -> bool) -> Frame {
        loop {
            let frame = self.read().expect("the connection ended first");
            if fits(&frame) {
                return frame;
            }
        }
    }

    /// Reads until the other side closes; the last GOAWAY's code.
    pub fn until_closed(&mut self) -> Option<u32> {
        let mut code = None;
        while let Some(frame) = self.read() {
            if frame.kind == Frame::GOAWAY {
                code = Some(u32::from_be_bytes(frame.payload[4..8].try_into().unwrap()));
            }
        }
        code
    }

    /// The next frame; pings and settings are acknowledged. `None`: the connection has ended.
    pub fn read(&mut self) -> Option<Frame> {
        while self.pending.len() < 9 {
            self.more()?;
        }
        let length = u32::from_be_bytes([0, self.pending[0], self.pending[1], self.pending[2]]) as usize;
        while self.pending.len() < 9 + length {
            self.more()?;
        }
        let rest = self.pending.split_off(9 + length);
        let bytes = std::mem::replace(&mut self.pending, rest);
        let stream = u32::from_be_bytes(bytes[5..9].try_into().unwrap()) & 0x7fff_ffff;
        let frame = Frame::new(bytes[3], bytes[4], stream, &bytes[9..]);
        if matches!(frame.kind, Frame::SETTINGS | Frame::PING) && frame.flags & 1 == 0 {
            let payload = if frame.kind == Frame::PING { frame.payload.clone() } else { Vec::new() };
            self.write(&Frame::new(frame.kind, 1, 0, payload));
        }
        Some(frame)
    }

    fn more(&mut self) -> Option<()> {
        let mut piece = [0; 16_384];
        match self.stream.read(&mut piece) {
            Ok(0) => None,
            Ok(count) => {
                self.pending.extend_from_slice(&piece[..count]);
                Some(())
            }
            Err(error) => {
                // A reset is an end, too; the test's own deadline is not.
                assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "no end of the connection: {error}");
                None
            }
        }
    }
}
