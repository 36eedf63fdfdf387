//! As much of HTTP/2 as a load needs: one request at a time on a connection, its answer counted by its frames.

use std::io::{Error, ErrorKind, Result};

use fluke_hpack::{Decoder, Encoder};

/// The preface; settings that let each stream send what it wants; and room for gigabytes on the connection: a client that
/// has to allow more now and then would be measured with that.
const BEGIN: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\
    \x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x04\x7f\xff\xff\xff\
    \x00\x00\x04\x08\x00\x00\x00\x00\x00\x7f\xff\x00\x00";

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;

const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;
const PADDED: u8 = 8;
const PRIORITY: u8 = 0x20;

/// The client's side of one connection.
pub struct Client {
    encoder: Encoder<'static>,
    decoder: Decoder<'static>,
    /// Bytes of frames that have not come whole.
    pending: Vec<u8>,
    /// What is to be sent before the next request.
    owed: Vec<u8>,
    stream: u32,
    status: u16,
}

impl Default for Client {
    fn default() -> Self {
        Self {
            encoder: Encoder::new(),
            decoder: Decoder::new(),
            pending: Vec::new(),
            owed: BEGIN.to_vec(),
            stream: 0,
            status: 0,
        }
    }
}

impl Client {
    /// The bytes of the next request: a GET of `path`, as [`Request`](crate::request::Request) has it.
    pub fn request(&mut self, path: &str, token: &str) -> Vec<u8> {
        self.stream = if self.stream == 0 { 1 } else { self.stream + 2 };
        let credential = format!("Bearer {token}");
        let fields: [(&[u8], &[u8]); 8] = [
            (b":method", b"GET"),
            (b":scheme", b"http"),
            (b":path", path.as_bytes()),
            (b":authority", b"grafana.example.com"),
            (b"user-agent", b"python-requests/2.32.3"),
            (b"accept", b"application/json"),
            (b"accept-encoding", b"gzip, deflate"),
            (b"authorization", credential.as_bytes()),
        ];
        let block = self.encoder.encode(fields);
        let mut bytes = std::mem::take(&mut self.owed);
        frame(&mut bytes, HEADERS, END_STREAM | END_HEADERS, self.stream, &block);
        bytes
    }

    /// Takes the next bytes; gives the status of the answer once it is whole.
    ///
    /// # Errors
    /// When the stream or the connection was refused, or the bytes are no HTTP/2.
    pub fn take(&mut self, piece: &[u8]) -> Result<Option<u16>> {
        self.pending.extend_from_slice(piece);
        let pending = std::mem::take(&mut self.pending);
        let (mut rest, mut whole) = (pending.as_slice(), None);
        while let Some((&[a, b, c, kind, flags, s, t, u, v], behind)) = rest.split_first_chunk::<9>() {
            let length = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
            let Some((payload, next)) = behind.split_at_checked(length) else { break };
            rest = next;
            let stream = u32::from_be_bytes([s & 0x7f, t, u, v]);
            match kind {
                HEADERS => self.read_head(flags, payload)?,
                SETTINGS if flags & ACK == 0 => frame(&mut self.owed, SETTINGS, ACK, 0, b""),
                PING if flags & ACK == 0 => frame(&mut self.owed, PING, ACK, 0, payload),
                RST_STREAM | GOAWAY => return Err(broken("the stream or the connection was ended")),
                _ => {}
            }
            if matches!(kind, DATA | HEADERS) && flags & END_STREAM != 0 && stream == self.stream {
                whole = Some(self.status);
            }
        }
        self.pending = rest.to_vec();
        Ok(whole)
    }

    fn read_head(&mut self, flags: u8, payload: &[u8]) -> Result<()> {
        if flags & END_HEADERS == 0 {
            return Err(broken("a head in several frames"));
        }
        let padded = usize::from(flags & PADDED != 0);
        let padding = if padded > 0 { usize::from(payload.first().copied().unwrap_or(0)) } else { 0 };
        let begin = padded + if flags & PRIORITY != 0 { 5 } else { 0 };
        let block = payload.get(begin..payload.len().saturating_sub(padding)).unwrap_or_default();
        let fields = self.decoder.decode(block).map_err(|_| broken("a head that cannot be decoded"))?;
        let status = fields.iter().find(|(name, _)| &**name == b":status");
        let status = status.and_then(|(_, value)| std::str::from_utf8(value).ok()?.parse().ok());
        self.status = status.unwrap_or(self.status);
        Ok(())
    }
}

fn frame(out: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    let [_, length @ ..] = u32::try_from(payload.len()).unwrap_or(0).to_be_bytes();
    out.extend_from_slice(&length);
    out.extend_from_slice(&[kind, flags]);
    out.extend_from_slice(&stream.to_be_bytes());
    out.extend_from_slice(payload);
}

fn broken(what: &'static str) -> Error {
    Error::new(ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_whole_with_its_last_frame_wherever_it_is_cut() {
        let mut answer = Vec::new();
        frame(&mut answer, SETTINGS, 0, 0, b"");
        frame(&mut answer, HEADERS, END_HEADERS, 1, &Encoder::new().encode([(&b":status"[..], &b"401"[..])]));
        frame(&mut answer, DATA, 0, 1, b"half");
        frame(&mut answer, DATA, END_STREAM, 1, b"");
        for cut in 0..answer.len() {
            let mut client = Client::default();
            assert!(client.request("/x", "t").starts_with(b"PRI"));
            assert_eq!(client.take(&answer[..cut]).unwrap(), None, "cut at {cut}");
            assert_eq!(client.take(&answer[cut..]).unwrap(), Some(401), "cut at {cut}");
            // The settings are acknowledged before the next request.
            assert!(client.request("/x", "t").starts_with(&[0, 0, 0, SETTINGS, ACK]));
        }
    }

    #[test]
    fn what_is_refused_is_an_error() {
        let mut answer = Vec::new();
        frame(&mut answer, RST_STREAM, 0, 1, &[0, 0, 0, 1]);
        assert!(Client::default().take(&answer).is_err());
    }
}
