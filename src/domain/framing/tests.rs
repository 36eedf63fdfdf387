use super::*;
use crate::domain::fields::Field;
use crate::domain::reason::Reason;

const BOUNDS: Bounds = Bounds { max_head: 4096, max_headers: 20, max_target: 1024 };

/// A connection as it is read: heads, and between them bodies.
struct Connection {
    heads: HeadReader,
    body: Option<Body>,
    buffer: Vec<u8>,
    seen: u64,
}

enum Body {
    Sized(u64),
    Chunked(Dechunker),
}

impl Connection {
    fn new() -> Self {
        Self { heads: HeadReader::new(BOUNDS), body: None, buffer: Vec::new(), seen: 0 }
    }

    fn take(&mut self, piece: &[u8]) -> Result<(), Fault> {
        self.buffer.extend_from_slice(piece);
        while !self.buffer.is_empty() {
            let (taken, body) = match self.body.take() {
                None => match self.heads.read(&self.buffer)? {
                    Found::More => return Ok(()),
                    Found::Blank(size) => (size, None),
                    Found::Head(head) => {
                        self.seen += 1;
                        let body = match head.framing {
                            Framing::None => None,
                            Framing::Sized(length) => Some(Body::Sized(length)),
                            Framing::Chunked => Some(Body::Chunked(Dechunker::new(BOUNDS))),
                        };
                        (head.size, body)
                    }
                },
                Some(Body::Sized(left)) => {
                    let taken = usize::try_from(left).unwrap().min(self.buffer.len());
                    let left = left - taken as u64;
                    (taken, (left > 0).then_some(Body::Sized(left)))
                }
                Some(Body::Chunked(mut chunks)) => match chunks.advance(&self.buffer)? {
                    Part::End(count) => (count, None),
                    Part::Framing(count) | Part::Data(count) => (count, Some(Body::Chunked(chunks))),
                },
            };
            self.body = body;
            self.buffer.drain(..taken);
        }
        Ok(())
    }
}

/// Feeds `bytes` in pieces of `size`, and returns the heads seen, or the fault.
fn scan(bytes: &[u8], size: usize) -> Result<u64, Fault> {
    let mut connection = Connection::new();
    bytes.chunks(size).try_for_each(|piece| connection.take(piece))?;
    Ok(connection.seen)
}

/// The outcome must not depend on how the network cut the bytes.
fn scan_every_way(bytes: &[u8]) -> Result<u64, (Reason, u16)> {
    let whole = scan(bytes, bytes.len().max(1)).map_err(|fault| (fault.reason, fault.status));
    for size in [1, 2, 3, 7] {
        let cut = scan(bytes, size).map_err(|fault| (fault.reason, fault.status));
        assert_eq!(cut, whole, "pieces of {size}: {}", String::from_utf8_lossy(bytes));
    }
    whole
}

fn with_line(line: &str) -> Result<u64, (Reason, u16)> {
    scan_every_way(format!("GET /api/org HTTP/1.1\r\nHost: g\r\n{line}\r\n\r\n").as_bytes())
}

#[test]
fn sound_requests_pass_one_after_another() {
    let two = b"GET / HTTP/1.1\r\nHost: g\r\n\r\nPOST /x HTTP/1.1\r\nHost: g\r\nContent-Length: 3\r\n\r\nabcGET / HTTP/1.1\r\nhost: g\r\n\r\n";
    assert_eq!(scan_every_way(two), Ok(3));
    let chunked = b"POST /x HTTP/1.1\r\nHost: g\r\nTransfer-Encoding: chunked\r\n\r\n4;a=b\r\nGET \r\n0\r\nX-T: 1\r\n\r\nGET / HTTP/1.1\r\nHost: g\r\n\r\n";
    assert_eq!(scan_every_way(chunked), Ok(2));
    assert_eq!(scan_every_way(b"\r\nGET / HTTP/1.0\r\n\r\n"), Ok(1));
    assert_eq!(scan_every_way(b"GET http://g:1/x HTTP/1.1\r\nHost: G:1\r\n\r\n"), Ok(1));
    assert_eq!(scan_every_way("GET /ü?a={b}|` HTTP/1.1\r\nHost: g\r\n\r\n".as_bytes()), Ok(1));
}

#[test]
fn a_newline_in_the_secret_is_told_apart() {
    let newline = Err((Reason::NewlineInHead, 400));
    assert_eq!(with_line("Authorization: Bearer glsa_x\n"), newline);
    assert_eq!(with_line("Authorization: Bearer glsa_x\nrest"), newline);
    assert_eq!(with_line("Authorization: Bearer glsa_x\r\nrest"), newline);
    assert_eq!(with_line("Authorization: Bearer glsa_x\r"), newline);
    assert_eq!(with_line("Accept: a\nb: c"), newline);
    assert_eq!(with_line("Accept: a\rb"), Err((Reason::HeadMalformed, 400)));
}

#[test]
fn heads_that_parsers_disagree_about_are_refused() {
    let malformed = Err((Reason::HeadMalformed, 400));
    for line in [
        " folded",
        "Authorization : x",
        ": x",
        "a b: x",
        "Accept: \0",
        "Host: other",
        "Content-Length: 1\r\nContent-Length: 1",
        "Content-Length: +1",
        "Content-Length: 0x1",
        "Content-Length: 1, 1",
        "Content-Length:",
        "Content-Length: 99999999999999999999",
        "Content-Length: 1\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 1",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    ] {
        assert_eq!(with_line(line), malformed, "{line:?}");
    }
    for coding in [",chunked", "gzip, chunked", "xchunked", "chunked, chunked", "identity"] {
        assert_eq!(with_line(&format!("Transfer-Encoding: {coding}")), Err((Reason::HeadMalformed, 501)), "{coding}");
    }
    for head in [
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a@b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
        "GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n",
        "GET x HTTP/1.1\r\nHost: b\r\n\r\n",
        "GET /%00 HTTP/1.1\r\nHost: b\r\n\r\n",
        "GET /a#b HTTP/1.1\r\nHost: b\r\n\r\n",
        "GET /a b HTTP/1.1\r\nHost: b\r\n\r\n",
        "GET  / HTTP/1.1\r\nHost: b\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
    ] {
        assert_eq!(scan_every_way(head.as_bytes()), malformed, "{head:?}");
    }
    assert_eq!(scan_every_way(b"GET / HTTP/1.2\r\nHost: b\r\n\r\n"), Err((Reason::HeadMalformed, 505)));
}

#[test]
fn sizes_are_bounded() {
    let long = "x".repeat(5000);
    assert_eq!(with_line(&format!("A: {long}")), Err((Reason::HeadTooLarge, 431)));
    assert_eq!(with_line(&"A: b\r\n".repeat(30)), Err((Reason::HeadTooLarge, 431)));
    let target = format!("GET /{} HTTP/1.1\r\nHost: g\r\n\r\n", "x".repeat(2000));
    assert_eq!(scan_every_way(target.as_bytes()), Err((Reason::HeadTooLarge, 414)));
}

#[test]
fn chunks_are_read_strictly() {
    for body in [
        "x\r\n",
        "5\nhello\r\n",
        "5\r\nhello!\r\n",
        "-1\r\n",
        "FFFFFFFFFFFFFFFFF\r\n",
        "5 \r\n",
        "\r\n",
        "1;a\nb\r\n",
        "0\r\nbad\r\n\r\n",
        "0\r\nA: b\n\r\n",
    ] {
        let bytes = format!("POST / HTTP/1.1\r\nHost: g\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
        assert_eq!(scan_every_way(bytes.as_bytes()), Err((Reason::BodyMalformed, 400)), "{body:?}");
    }
    let extension =
        format!("POST / HTTP/1.1\r\nHost: g\r\nTransfer-Encoding: chunked\r\n\r\n1;{}\r\n", "e".repeat(2000));
    assert_eq!(scan_every_way(extension.as_bytes()), Err((Reason::BodyMalformed, 400)));
}

#[test]
fn the_parts_of_a_head_are_where_they_are_said_to_be() {
    for method in ["GET", "PATCH"] {
        let bytes = format!("{method} /a?b HTTP/1.0\r\nHost: g\r\nContent-Length:\t3 \r\nX:\r\n\r\nabc").into_bytes();
        for strictly in [false, true] {
            let mut reader = HeadReader::new(BOUNDS);
            let found = if strictly { reader.read_strictly(&bytes) } else { reader.read(&bytes) };
            let Ok(Found::Head(head)) = found else { panic!("{found:?}") };
            assert_eq!((&bytes[..head.method_end], &bytes[head.target]), (method.as_bytes(), &b"/a?b"[..]));
            assert_eq!((&bytes[head.size..], head.old_version, head.framing), (&b"abc"[..], true, Framing::Sized(3)));
            let fields: Vec<(&[u8], &[u8])> =
                reader.take_fields().iter().map(|field| (&bytes[field.name()], &bytes[field.value()])).collect();
            assert_eq!(fields, [(&b"Host"[..], &b" g"[..]), (b"Content-Length", b"\t3 "), (b"X", b"")]);
        }
    }
}

#[test]
fn what_follows_the_bytes_of_another_protocol_is_no_request() {
    let head = "GET /api/live/ws HTTP/1.1\r\nHost: g\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
    let refused = scan_every_way(format!("{head}\u{81}\0\n").as_bytes());
    assert_eq!(refused, Err((Reason::HeadMalformed, 400)));
}

/// The strict reading alone, line by line.
fn strictly(bytes: &[u8]) -> Option<(RequestHead, Vec<Field>)> {
    let mut reader = HeadReader::new(BOUNDS);
    match reader.read_strictly(bytes).ok()? {
        Found::Head(head) => Some((head, reader.take_fields())),
        Found::More | Found::Blank(_) => None,
    }
}

proptest::proptest! {
    #[test]
    fn the_fast_reading_accepts_only_what_the_strict_one_does(
        target in "/[ -~]{0,20}", name in "[ -~]{1,12}|Content-Length|Transfer-Encoding|Host|Upgrade", value in "[\\x00-\\x7f\u{80}-\u{90}]{0,12}|chunked|[0-9]{1,3}",
        lines in 0usize..3
    ) {
        let head = format!("GET {target} HTTP/1.1\r\nHost: g\r\n{}\r\nrest", format!("{name}: {value}\r\n").repeat(lines));
        let mut reader = HeadReader::new(BOUNDS);
        if fast::whole_head(head.as_bytes(), &BOUNDS, &mut Vec::new()).is_some()
            && let Ok(Found::Head(found)) = reader.read(head.as_bytes())
        {
            proptest::prop_assert_eq!(strictly(head.as_bytes()), Some((found, reader.take_fields())), "{:?}", head);
        }
    }

    #[test]
    fn no_bytes_panic_and_no_cut_changes_the_outcome(bytes in proptest::collection::vec(proptest::sample::select(
        b"GET / HTP1.\r\n:aAuthorization Transfer-Encoding: chunkedContent-Length0123;\t\0\x80".to_vec()), 0..200)) {
        let mut head = b"GET / HTTP/1.1\r\nHost: g\r\n".to_vec();
        head.extend_from_slice(&bytes);
        let _ = scan_every_way(&head);
        let _ = scan_every_way(&bytes);
    }
}
