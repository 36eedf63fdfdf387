//! However an upstream behaves, the client gets the right answer, and the next one gets its own.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::support::wire::{connect, read_answer};
use crate::support::{Answer, Origin, Program, ask, get};

/// What the client must see.
#[derive(Clone, Copy, Debug)]
enum Sees {
    /// A whole answer with this status and body.
    Whole(u16, &'static str),
    /// Our own answer for this reason.
    Ours(u16, &'static str),
    /// An answer that visibly breaks off.
    Broken,
}

use Sees::{Broken, Ours, Whole};

const MALFORMED: Sees = Ours(502, "upstream_malformed");
const RESET: Sees = Ours(502, "upstream_reset");

/// What comes after the odd answer.
#[derive(Clone, Copy, Debug)]
enum Then {
    /// The connection waits for the next request.
    Stays,
    /// It is closed.
    Closes,
}

use Then::{Closes, Stays};

const CASES: &[(&str, Then, Sees)] = &[
    ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nodd", Stays, Whole(200, "odd")),
    ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nodd", Closes, Whole(200, "odd")),
    ("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 3\r\n\r\nodd", Closes, Whole(200, "odd")),
    ("HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nodd", Closes, Whole(200, "odd")),
    ("HTTP/1.1 200 OK\r\n\r\nuntil the end", Closes, Whole(200, "until the end")),
    ("HTTP/1.0 200 OK\r\n\r\nuntil the end", Closes, Whole(200, "until the end")),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nodd\r\n0\r\n\r\n", Stays, Whole(200, "odd")),
    (
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nodd\r\n0\r\nX-T: 1\r\n\r\n",
        Stays,
        Whole(200, "odd"),
    ),
    ("HTTP/1.1 404 \r\nContent-Length: 0\r\n\r\n", Stays, Whole(404, "")),
    ("HTTP/1.1 204 No Content\r\n\r\n", Stays, Whole(204, "")),
    ("HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\n", Stays, Whole(304, "")),
    // What stands behind an answer is nobody's.
    ("HTTP/1.1 204 No Content\r\nContent-Length: 3\r\n\r\nodd", Stays, Whole(204, "")),
    ("HTTP/1.1 304 Not Modified\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", Stays, Whole(304, "")),
    (
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\noddHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
        Stays,
        Whole(200, "odd"),
    ),
    (
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
        Stays,
        Whole(200, ""),
    ),
    // Both framings: the coding counts (RFC 9112 §6.3).
    (
        "HTTP/1.1 200 OK\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nodd\r\n0\r\n\r\n",
        Stays,
        Whole(200, "odd"),
    ),
    // Answers before the answer.
    ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nodd", Stays, Whole(200, "odd")),
    (
        "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nodd",
        Stays,
        Whole(200, "odd"),
    ),
    ("HTTP/1.1 103 Early Hints\r\n\r\n", Closes, RESET),
    ("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", Stays, MALFORMED),
    // Bodies that end before their end.
    ("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nodd", Closes, Broken),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nodd\r\n", Closes, Broken),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nod", Closes, Broken),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nodd\r\nxyz\r\n", Stays, Broken),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\nodd\n0\n\n", Stays, Broken),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\noddly\r\n0\r\n\r\n", Stays, Broken),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nodd\r\n", Stays, Broken),
    // Heads that are none.
    ("", Closes, RESET),
    ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n", Closes, RESET),
    ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nodd", Stays, MALFORMED),
    ("HTTP/1.1 200 OK\r\nContent-Length: -3\r\n\r\nodd", Stays, MALFORMED),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\nodd", Stays, MALFORMED),
    ("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", Stays, MALFORMED),
    ("HTTP/1.1 200 OK\r\nX: a\x01b\r\nContent-Length: 3\r\n\r\nodd", Stays, MALFORMED),
    ("HTTP/1.1 200 OK\r\nX: a\r\n folded\r\nContent-Length: 3\r\n\r\nodd", Stays, MALFORMED),
    ("HTTP/1.1 200 OK\nContent-Length: 3\n\nodd", Stays, MALFORMED),
    ("HTTP/2 200 OK\r\n\r\n", Stays, MALFORMED),
    ("+OK POP3 ready\r\n", Stays, MALFORMED),
];

/// Answers `/even` as it should, and everything else as the case says.
fn origin(odd: impl Into<Vec<u8>>, then: Then) -> Origin {
    let odd = odd.into();
    Origin::new(move |seen, stream| {
        if seen.lines[0].contains("/even") {
            return stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\neven").is_ok();
        }
        let _ = stream.write_all(&odd);
        matches!(then, Stays)
    })
}

fn check(case: &str, sees: Sees, answer: Option<&Answer>) {
    match (sees, answer) {
        (Whole(status, body), Some(answer)) => {
            assert_eq!((answer.status, answer.text().as_str()), (status, body), "{case:?}");
        }
        (Ours(status, reason), Some(answer)) => {
            assert_eq!((answer.status, answer.reason()), (status, Some(reason)), "{case:?}");
        }
        (Broken, None) => {}
        (sees, answer) => panic!("{case:?}: wanted {sees:?}, got {answer:?}"),
    }
}

#[test]
fn each_behaviour_gets_its_answer_and_harms_no_other() {
    for &(bytes, then, sees) in CASES {
        let origin = origin(bytes, then);
        let program = Program::before(&origin.url(), &["--workers", "1"]);
        check(bytes, sees, ask(program.data, "GET /odd HTTP/1.1\r\nHost: g\r\n\r\n").as_ref());
        for _ in 0..2 {
            let answer = get(program.data, "/even", &[]);
            assert_eq!((answer.status, answer.text().as_str()), (200, "even"), "after {bytes:?}");
        }
        // Nothing was said by Grafana that could be lost by asking again; nothing else may be asked twice.
        let odd = origin.seen().iter().filter(|seen| seen.lines[0].contains("/odd")).count();
        assert_eq!(odd, 1, "{bytes:?}");
    }
}

#[test]
fn an_answer_whose_body_is_wrong_from_the_start_is_still_seen_as_what_it_was() {
    for (bytes, head) in [
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nab", "HTTP/1.1 200 OK\r\n"),
        ("HTTP/1.1 401 Unauthorized\r\nContent-Length: 100\r\n\r\n", "HTTP/1.1 401 Unauthorized\r\n"),
    ] {
        let program = Program::before(&origin(bytes, Closes).url(), &[]);
        let mut stream = connect(program.data);
        stream.write_all(b"GET /odd HTTP/1.1\r\nHost: g\r\n\r\n").unwrap();
        let mut seen = String::new();
        stream.read_to_string(&mut seen).unwrap();
        assert!(seen.starts_with(head) && seen.ends_with("\r\n\r\n"), "{bytes:?}: {seen:?}");
    }
}

#[test]
fn heads_and_hints_without_an_end_are_bounded() {
    let long = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "a".repeat(1 << 20));
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: a\r\n".repeat(101));
    let hints = "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(10_000);
    for bytes in [long, many, hints] {
        let origin = origin(bytes, Stays);
        let program = Program::before(&origin.url(), &["--workers", "1"]);
        check("too much", MALFORMED, ask(program.data, "GET /odd HTTP/1.1\r\nHost: g\r\n\r\n").as_ref());
        assert_eq!(get(program.data, "/even", &[]).text(), "even");
    }
}

#[test]
fn the_body_of_an_answer_to_head_is_nobody_s() {
    let origin = origin("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nodd", Stays);
    let program = Program::before(&origin.url(), &["--workers", "1"]);
    let answer = ask(program.data, "HEAD /odd HTTP/1.1\r\nHost: g\r\n\r\n").unwrap();
    assert_eq!((answer.status, answer.header("content-length")), (200, Some("3")));
    assert_eq!(get(program.data, "/even", &[]).text(), "even");
}

/// Answers once it has read a head, and reads no body.
fn hasty(answer: &'static [u8], then: fn(TcpStream)) -> std::net::SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut seen = Vec::new();
            let mut piece = [0; 1024];
            while !seen.windows(4).any(|bytes| bytes == b"\r\n\r\n") {
                let count = stream.read(&mut piece).unwrap();
                seen.extend_from_slice(&piece[..count]);
            }
            stream.write_all(answer).unwrap();
            then(stream);
        }
    });
    address
}

/// Uploads until the other side has had enough, and reads its answer.
fn upload_and_read(program: &Program, length: usize) -> Option<Answer> {
    let mut client = connect(program.data);
    write!(client, "POST /odd HTTP/1.1\r\nHost: g\r\nContent-Length: {length}\r\n\r\n").unwrap();
    let mut reader = client.try_clone().unwrap();
    let sending = std::thread::spawn(move || {
        let piece = vec![b'x'; 64 * 1024];
        let mut left = length;
        while left > 0 && client.write_all(&piece[..left.min(piece.len())]).is_ok() {
            left -= left.min(piece.len());
        }
    });
    let answer = read_answer(&mut reader, &mut Vec::new(), false);
    drop(reader.shutdown(std::net::Shutdown::Both));
    sending.join().unwrap();
    answer
}

#[test]
fn an_answer_that_comes_before_the_upload_ends_reaches_the_client() {
    const TOO_LARGE: &[u8] = b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nodd";
    // It reads on, stops reading, or closes: the answer is worth more than the error that follows it.
    let drains = |mut stream: TcpStream| drop(std::io::copy(&mut stream, &mut std::io::sink()));
    let waits = |stream: TcpStream| {
        std::thread::sleep(Duration::from_secs(5));
        drop(stream);
    };
    for then in [drains as fn(TcpStream), waits] {
        let program = Program::before(&format!("http://{}", hasty(TOO_LARGE, then)), &["--workers", "1"]);
        check("early", Whole(413, "odd"), upload_and_read(&program, 8 << 20).as_ref());
    }
}

#[test]
fn an_upload_that_breaks_off_is_never_whole_for_grafana() {
    let origin = Origin::ok();
    let program = Program::before(&origin.url(), &["--workers", "1"]);
    for head in ["Content-Length: 9\r\n\r\nodd", "Transfer-Encoding: chunked\r\n\r\n3\r\nodd\r\n"] {
        let mut client = connect(program.data);
        write!(client, "POST /odd HTTP/1.1\r\nHost: g\r\n{head}").unwrap();
        drop(client);
    }
    assert_eq!(get(program.data, "/even", &[]).status, 200);
    assert!(origin.seen().iter().all(|seen| seen.lines[0].contains("/even")), "a broken upload was completed");
}
