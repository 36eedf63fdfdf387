//! Requests as Grafana's real callers send them, each with a sound service account token.

/// Letters of the secret part of a token.
const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const HEX: &[u8; 16] = b"0123456789abcdef";

/// Bytes of a service account token.
const TOKEN: usize = 46;

/// A service account token whose checksum is right: `glsa_` + 32 characters + `_` + the little-endian hex of the CRC-32
/// of all before the last underscore. A proxy that checks the sum must take the way of a sound token, as it mostly does.
#[must_use]
pub fn token(number: u64) -> String {
    String::from_utf8_lossy(&token_bytes(number)).into_owned()
}

/// It takes a tenth of a microsecond, so that a million tokens need no table: its walk would push the lines of the proxy
/// out of the caches that the cores share.
fn token_bytes(number: u64) -> [u8; TOKEN] {
    // SplitMix64: distinct numbers give distinct, evenly spread secrets, the same in each run.
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut secret = [b'A'; 32];
    for place in &mut secret {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let letter = usize::try_from((mixed >> 33) % 62).unwrap_or(0);
        *place = ALPHABET.get(letter).copied().unwrap_or(b'A');
    }
    let mut token = [b'_'; TOKEN];
    put(&mut token, 0, b"glsa");
    put(&mut token, 5, &secret);
    let sum = crc32fast::hash(token.get(..37).unwrap_or_default());
    for (at, byte) in sum.to_le_bytes().into_iter().enumerate() {
        let digit = |four: u8| HEX.get(usize::from(four)).copied().unwrap_or(b'0');
        put(&mut token, 38 + at * 2, &[digit(byte >> 4), digit(byte & 15)]);
    }
    token
}

fn put(all: &mut [u8], at: usize, bytes: &[u8]) {
    if let Some(place) = all.get_mut(at..at + bytes.len()) {
        place.copy_from_slice(bytes);
    }
}

/// What a request is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// An answer.
    #[default]
    Get,
    /// Another protocol.
    Upgrade,
    /// To bring so many bytes.
    Post(usize),
}

/// The bytes of one request, whose token is exchanged in place from request to request.
#[derive(Clone, Debug)]
pub struct Request {
    bytes: Vec<u8>,
    token_at: usize,
}

impl Request {
    /// A request for `path` with the headers that Grafana's Go and Python clients send, and `more` plain ones.
    #[must_use]
    pub fn new(path: &str, token: &str, kind: Kind, more: usize) -> Self {
        let method = if matches!(kind, Kind::Post(_)) { "POST" } else { "GET" };
        let before = format!(
            "{method} {path} HTTP/1.1\r\nHost: grafana.example.com\r\nUser-Agent: python-requests/2.32.3\r\n\
             Accept: application/json\r\nAccept-Encoding: gzip, deflate\r\nAuthorization: Bearer "
        );
        let token_at = before.len();
        let more: String = (0..more).map(|line| format!("X-Detail-{line:02}: a value of usual length\r\n")).collect();
        let own = match kind {
            Kind::Get => String::new(),
            Kind::Upgrade => "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                              Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                .to_owned(),
            Kind::Post(length) => format!("Content-Type: application/json\r\nContent-Length: {length}\r\n"),
        };
        let body = if let Kind::Post(length) = kind { vec![b'x'; length] } else { Vec::new() };
        let lines = [before.as_bytes(), token.as_bytes(), b"\r\n", own.as_bytes(), more.as_bytes(), b"\r\n"].concat();
        Self { bytes: [lines, body].concat(), token_at }
    }

    /// Puts the token of this number in the place of the last one.
    pub fn set_token(&mut self, number: u64) {
        put(&mut self.bytes, self.token_at, &token_bytes(number));
    }

    /// What goes over the wire.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksum_is_the_one_that_grafana_computes() {
        let token = token(7);
        let (signed, sum) = token.rsplit_once('_').unwrap();
        assert_eq!(token.len(), TOKEN);
        assert_eq!(sum, format!("{:08x}", crc32fast::hash(signed.as_bytes()).swap_bytes()));
        // Grafana's own test vector holds the same relation.
        assert_eq!(crc32fast::hash(b"glsa_yscW25imSKJIuav8zF37RZmnbiDvB05G").swap_bytes(), 0xfcaa_f58a);
    }

    #[test]
    fn tokens_are_distinct() {
        let tokens: std::collections::HashSet<_> = (0..10_000).map(token).collect();
        assert_eq!(tokens.len(), 10_000);
    }

    #[test]
    fn token_is_exchanged_in_place() {
        for kind in [Kind::Get, Kind::Upgrade, Kind::Post(3)] {
            let mut request = Request::new("/x", &token(1), kind, 1);
            request.set_token(2);
            assert_eq!(request.as_bytes(), Request::new("/x", &token(2), kind, 1).as_bytes());
        }
    }

    #[test]
    fn request_has_as_many_lines_as_asked_for() {
        let text = Request::new("/x", &token(1), Kind::Get, 95);
        let text = std::str::from_utf8(text.as_bytes()).unwrap();
        assert_eq!(text.strip_suffix("\r\n\r\n").unwrap().split("\r\n").count(), 1 + 100);
    }
}
