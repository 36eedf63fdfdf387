use super::*;

const BOUNDS: Bounds = Bounds { max_head: 4096, max_headers: 20, max_target: 1024 };

/// Feeds `bytes` in pieces of `size`, and returns the heads seen, or the fault.
fn scan(bytes: &[u8], size: usize) -> Result<u64, Fault> {
    let mut scanner = Scanner::new(BOUNDS);
    for piece in bytes.chunks(size) {
        let mut rest = piece;
        while !rest.is_empty() {
            let (taken, event) = scanner.advance(rest);
            rest = &rest[taken..];
            match event {
                Event::Fault(fault) => return Err(fault),
                Event::Hold => return Ok(scanner.heads()),
                Event::More | Event::Head => assert!(rest.is_empty(), "stopped without a cause"),
            }
        }
    }
    Ok(scanner.heads())
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
fn bytes_behind_an_upgrade_wait() {
    let mut scanner = Scanner::new(BOUNDS);
    let head = b"GET /api/live/ws HTTP/1.1\r\nHost: g\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
    assert_eq!(scanner.advance(head), (head.len(), Event::Head));
    assert_eq!(scanner.advance(b"\x81\x00"), (0, Event::Hold));
    scanner.resume();
    assert!(matches!(scanner.advance(b"\x81\x00\n"), (0, Event::Fault(_))));
}

/// The strict reading alone, line by line.
fn strictly(bytes: &[u8]) -> Option<usize> {
    let mut scanner = Scanner::new(BOUNDS);
    let mut rest = bytes;
    while !rest.is_empty() {
        match scanner.step_head(rest).ok()? {
            (taken, Some(Event::Head)) => return Some(bytes.len() - rest.len() + taken),
            (taken, _) => rest = &rest[taken..],
        }
    }
    None
}

proptest::proptest! {
    #[test]
    fn the_fast_reading_accepts_only_what_the_strict_one_does(
        target in "/[ -~]{0,20}", name in "[ -~]{1,12}|Content-Length|Transfer-Encoding|Host|Upgrade", value in "[\\x00-\\x7f\u{80}-\u{90}]{0,12}|chunked|[0-9]{1,3}",
        lines in 0usize..3
    ) {
        let head = format!("GET {target} HTTP/1.1\r\nHost: g\r\n{}\r\nrest", format!("{name}: {value}\r\n").repeat(lines));
        let fast = fast::whole_head(head.as_bytes(), &BOUNDS).filter(|(head, _)| head.finish().is_ok()).map(|(_, size)| size);
        if let Some(size) = fast {
            proptest::prop_assert_eq!(strictly(head.as_bytes()), Some(size), "{:?}", head);
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
