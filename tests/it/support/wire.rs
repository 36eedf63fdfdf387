//! A raw client: sends the bytes it is given, reads the answer as it comes.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// An answer, taken apart.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status line.
    pub line: String,
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub fn reason(&self) -> Option<&str> {
        self.header("x-token-proxy-reason")
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

pub fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// Sends `bytes` on a fresh connection and reads one answer. `None`: the connection was closed without one.
pub fn ask(address: SocketAddr, bytes: impl AsRef<[u8]>) -> Option<Answer> {
    let mut stream = connect(address);
    stream.write_all(bytes.as_ref()).unwrap();
    let head_only = bytes.as_ref().starts_with(b"HEAD ");
    read_answer(&mut stream, &mut Vec::new(), head_only)
}

/// `GET` with these header lines.
pub fn get(address: SocketAddr, path: &str, lines: &[&str]) -> Answer {
    let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
    ask(address, format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n{lines}\r\n")).expect("no answer")
}

/// Reads one answer; `pending` holds what came behind the one before.
pub fn read_answer(stream: &mut TcpStream, pending: &mut Vec<u8>, head_only: bool) -> Option<Answer> {
    loop {
        let answer = read_one(stream, pending, head_only)?;
        if answer.status != 100 {
            return Some(answer);
        }
    }
}

fn more(stream: &mut TcpStream, pending: &mut Vec<u8>) -> bool {
    let mut piece = [0; 65536];
    match stream.read(&mut piece) {
        Ok(count) => {
            pending.extend_from_slice(&piece[..count]);
            count > 0
        }
        Err(_) => false,
    }
}

fn read_one(stream: &mut TcpStream, pending: &mut Vec<u8>, head_only: bool) -> Option<Answer> {
    let end = loop {
        if let Some(end) = pending.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            break end + 4;
        }
        if !more(stream, pending) {
            return None;
        }
    };
    let head = String::from_utf8_lossy(&pending[..end - 4]).into_owned();
    pending.drain(..end);
    let mut lines = head.split("\r\n");
    let line = lines.next()?.to_owned();
    let status = line.split(' ').nth(1)?.parse().ok()?;
    let headers: Vec<(String, String)> =
        lines.filter_map(|line| line.split_once(':')).map(|(n, v)| (n.to_owned(), v.trim().to_owned())).collect();
    let mut answer = Answer { line, status, headers, body: Vec::new() };
    if head_only || matches!(status, 100..=199 | 204 | 304) {
        return Some(answer);
    }
    if answer.header("transfer-encoding").is_some() {
        answer.body = read_chunks(stream, pending)?;
    } else if let Some(length) = answer.header("content-length").map(|value| value.parse::<usize>().unwrap()) {
        while pending.len() < length {
            if !more(stream, pending) {
                return None;
            }
        }
        answer.body = pending.drain(..length).collect();
    } else {
        while more(stream, pending) {}
        answer.body = std::mem::take(pending);
    }
    Some(answer)
}

fn read_chunks(stream: &mut TcpStream, pending: &mut Vec<u8>) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = loop {
            if let Some(end) = pending.windows(2).position(|bytes| bytes == b"\r\n") {
                break end;
            }
            if !more(stream, pending) {
                return None;
            }
        };
        let size = usize::from_str_radix(std::str::from_utf8(&pending[..end]).ok()?, 16).ok()?;
        pending.drain(..end + 2);
        while pending.len() < size + 2 {
            if !more(stream, pending) {
                return None;
            }
        }
        body.extend(pending.drain(..size));
        pending.drain(..2);
        if size == 0 {
            return Some(body);
        }
    }
}
