//! Well-formed requests, one to three on a connection, and damage to them: all of it from a seed.

/// Splitmix64: small, and the same on every machine.
pub(super) struct Chance(u64);

impl Chance {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    fn of<'a, T: ?Sized>(&mut self, choices: &[&'a T]) -> &'a T {
        choices[self.below(choices.len())]
    }
}

const TOKENS: [&str; 4] = [
    "glsa_yscW25imSKJIuav8zF37RZmnbiDvB05G_fcaaf58a",
    "glsa_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa_00000000",
    "eyJrIjoiT0tTcG1pUlY2RnVKZTFVaDFsNFZXdE9ZWmNrMkZYbmsiLCJuIjoidGVzdCIsImlkIjoxfQ==",
    "something-else",
];

/// Lines that change who asks, for whom, or where a body ends; or that look so.
const LINES: [&str; 36] = [
    "Authorization: Bearer something-else",
    "authorization: Basic YWRtaW46YWRtaW4=",
    "Authorization:",
    "Authorization : Bearer x",
    "X_Authorization: Bearer x",
    "X-Grafana-Org-Id: 9",
    "x-grafana-org-id: 3",
    "X_Grafana_Org_Id: 9",
    "X.Grafana.Org.Id: 9",
    "X-Grafana-Org-Id: 3, 9",
    "X-WEBAUTH-USER: admin",
    "Content-Length: 0",
    "Content-Length: 5",
    "content-length: 5",
    "Content-Length: +5",
    "Content-Length: 5, 5",
    "Content_Length: 5",
    "Transfer-Encoding: chunked",
    "transfer-encoding: Chunked",
    "Transfer-Encoding: gzip, chunked",
    "Transfer-Encoding: identity",
    "Transfer-Encoding : chunked",
    "Transfer_Encoding: chunked",
    "Transfer-Encoding:\tchunked",
    "Transfer-Encoding: \u{b}chunked",
    "Connection: close",
    "Connection: Authorization, X-Grafana-Org-Id",
    "Connection: Transfer-Encoding",
    "Connection: Content-Length",
    "Connection: X-Note, keep-alive",
    "Upgrade: h2c",
    "Upgrade: websocket",
    "Expect: 100-continue",
    "TE: trailers",
    "Host: h",
    " folded: line",
];

const BYTES: &[u8] = b"\r\n\0\t :;,_.-/\\%#?@\"0159aAfFxX\x01\x0b\x0c\x1f\x7f\x80\x85\xa0\xff";

const ENDS: [&str; 6] = ["\n", "\r", "\r\r\n", "\n\r\n", "", "\r\n\r\n"];

/// What ends each mutant where nothing has swallowed it: its answer closes the connection.
const LAST: &[u8] = b"GET /last HTTP/1.1\r\nHost: g\r\nConnection: close\r\n\r\n";

/// The bytes of one connection.
pub(super) fn mutant(chance: &mut Chance) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..=chance.below(3) {
        bytes.extend_from_slice(&request(chance));
    }
    // Some stay as they are: what is well-formed must pass.
    for _ in 0..chance.below(4) {
        damage(&mut bytes, chance);
    }
    bytes.extend_from_slice(LAST);
    bytes
}

fn request(chance: &mut Chance) -> Vec<u8> {
    let method = chance.of(&["GET", "POST", "PUT", "DELETE", "PATCH"]);
    let target =
        chance.of(&["/", "/api/org", "/api/search?query=a%20b&x={y}", "/x//../y;z", "http://g/abs?x", "/d/x?orgId=7"]);
    let version = if chance.one_in(20) { "1.0" } else { "1.1" };
    let mut lines = vec![format!("Host: {}", if chance.one_in(20) { "g:80" } else { "g" })];
    if !chance.one_in(4) {
        let scheme = chance.of(&["Bearer", "Bearer", "Bearer", "bearer", "Basic"]);
        let token = chance.of(&TOKENS);
        lines.push(format!("Authorization: {scheme} {token}"));
    }
    if chance.one_in(2) {
        lines.push(format!("X-Grafana-Org-Id: {}", 1 + chance.below(5)));
    }
    // The answer to this says what we made of the request.
    if !chance.one_in(3) {
        lines.push(format!("X-Token-Proxy-Probe: probe-{}", chance.next() % 1_000_000));
    }
    if chance.one_in(2) {
        lines.push("X-Note: GET /smuggled HTTP/1.1".to_owned());
    }
    if chance.one_in(12) {
        lines.push(chance.of(&LINES).to_owned());
    }
    let body = body(chance, &mut lines);
    for at in (1..lines.len()).rev() {
        let other = chance.below(at + 1);
        lines.swap(at, other);
    }
    let head = format!("{method} {target} HTTP/{version}\r\n{}\r\n\r\n", lines.join("\r\n"));
    [head.into_bytes(), body].concat()
}

/// A body that looks like a request to whoever begins to read in it, and the line that frames it.
fn body(chance: &mut Chance, lines: &mut Vec<String>) -> Vec<u8> {
    let data = b"GET /smuggled HTTP/1.1\r\nHost: g\r\nAuthorization: Bearer smuggled\r\n\r\n";
    let data = &data[..chance.below(data.len() + 1)];
    match chance.below(3) {
        0 => Vec::new(),
        1 => {
            lines.push(format!("Content-Length: {}", data.len()));
            data.to_vec()
        }
        _ => {
            lines.push("Transfer-Encoding: chunked".to_owned());
            let mut body = Vec::new();
            let mut rest = data;
            while !rest.is_empty() {
                let (chunk, behind) = rest.split_at(1 + chance.below(rest.len()));
                let extension = if chance.one_in(6) { ";a=\"b\"" } else { "" };
                body.extend_from_slice(format!("{:x}{extension}\r\n", chunk.len()).as_bytes());
                body.extend_from_slice(chunk);
                body.extend_from_slice(b"\r\n");
                rest = behind;
            }
            body.extend_from_slice(b"0\r\n");
            if chance.one_in(6) {
                body.extend_from_slice(chance.of(&LINES).as_bytes());
                body.extend_from_slice(b"\r\n");
            }
            body.extend_from_slice(b"\r\n");
            body
        }
    }
}

/// One damage somewhere.
fn damage(bytes: &mut Vec<u8>, chance: &mut Chance) {
    let at = chance.below(bytes.len());
    let byte = BYTES[chance.below(BYTES.len())];
    match chance.below(12) {
        0 => bytes[at] = byte,
        1 => bytes.insert(at, byte),
        2 => drop(bytes.remove(at)),
        3 => bytes[at] ^= 1 << chance.below(8),
        4 | 5 => {
            let line = chance.of(&LINES);
            insert_line(bytes, line.as_bytes(), chance);
        }
        6 => {
            // A line that stands there already, once more.
            let from = line_start(bytes, at);
            let until = bytes[from..].iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |end| from + end);
            let line = bytes[from..until].strip_suffix(b"\r").unwrap_or(&bytes[from..until]).to_vec();
            insert_line(bytes, &line, chance);
        }
        7 => {
            let end = chance.of(&ENDS);
            if let Some(at) = next_end(bytes, at) {
                bytes.splice(at..at + 2, end.bytes());
            }
        }
        8 => {
            // A line less.
            let from = line_start(bytes, at);
            let until = next_end(bytes, from).map_or(bytes.len(), |end| end + 2);
            bytes.drain(from..until);
        }
        9 => {
            // Another digit: of a length, a chunk's size, an organisation, a version.
            let digits: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at].is_ascii_digit()).collect();
            if let Some(at) = digits.get(chance.below(digits.len())) {
                bytes[*at] = b"0123456789"[chance.below(10)];
            }
        }
        10 => {
            // Blanks around a colon.
            let colons: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at] == b':').collect();
            if let Some(at) = colons.get(chance.below(colons.len())) {
                bytes.insert(at + chance.below(2), b" \t\x0b\xa0"[chance.below(4)]);
            }
        }
        // The end is missing: what follows is taken for it. Seldom, for we wait for the deadline then.
        _ if chance.one_in(4) => bytes.truncate(at.max(1)),
        // A letter's case.
        _ => bytes[at] ^= if bytes[at].is_ascii_alphabetic() { 0x20 } else { 0 },
    }
    if bytes.is_empty() {
        bytes.push(byte);
    }
}

fn line_start(bytes: &[u8], at: usize) -> usize {
    bytes[..at].iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1)
}

fn next_end(bytes: &[u8], at: usize) -> Option<usize> {
    bytes[at..].windows(2).position(|window| window == b"\r\n").map(|end| at + end)
}

fn insert_line(bytes: &mut Vec<u8>, line: &[u8], chance: &mut Chance) {
    let somewhere = chance.below(bytes.len());
    if let Some(end) = next_end(bytes, somewhere) {
        bytes.splice(end + 2..end + 2, [line, b"\r\n"].concat());
    }
}
