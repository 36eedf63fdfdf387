//! What no client library sends: each gets an answer of ours with its reason, and nothing reaches Grafana.

use std::io::{Read, Write};

use crate::support::wire::{connect, read_answer};
use crate::support::{Origin, Program, TOKEN, ask};

fn head(line: &str) -> String {
    format!("GET /api/org HTTP/1.1\r\nHost: g\r\n{line}\r\n\r\n")
}

#[test]
fn damaged_heads_are_refused_by_us_and_explained() {
    let origin = Origin::ok();
    let program = Program::before(&origin.url(), &[]);
    let token = format!("Authorization: Bearer {TOKEN}");
    let cases = [
        (head(&format!("{token}\n")), 400, "newline_in_head"),
        (head(&format!("{token}\r")), 400, "newline_in_head"),
        (head("Authorization: Bearer glsa_yscW25imSKJI\nuav8zF37RZmnbiDvB05G_fcaaf58a"), 400, "newline_in_head"),
        (head("Authorization: Bearer glsa_yscW25imSKJI\r\nuav8zF37RZmnbiDvB05G_fcaaf58a"), 400, "newline_in_head"),
        ("GET /api/org HTTP/1.1\nHost: g\n\n".into(), 400, "newline_in_head"),
        (head(&format!("{token}\0")), 400, "head_malformed"),
        (head("Authorization : Bearer x"), 400, "head_malformed"),
        (head("Host: b"), 400, "head_malformed"),
        ("GET / HTTP/1.1\r\n\r\n".into(), 400, "head_malformed"),
        (head(" folded: x"), 400, "head_malformed"),
        (head("Content-Length: 1\r\nContent-Length: 2"), 400, "head_malformed"),
        (head("Content-Length: 1\r\nTransfer-Encoding: chunked"), 400, "head_malformed"),
        (head("Transfer-Encoding: ,chunked"), 501, "head_malformed"),
        (head("Transfer-Encoding: gzip, chunked"), 501, "head_malformed"),
        ("GET /a b HTTP/1.1\r\nHost: g\r\n\r\n".into(), 400, "head_malformed"),
        ("GET / HTTP/3.0\r\nHost: g\r\n\r\n".into(), 505, "head_malformed"),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".into(), 400, "head_malformed"),
        ("nonsense\r\n\r\n".into(), 400, "head_malformed"),
        (head(&format!("X: {}", "y".repeat(40_000))), 431, "head_too_large"),
        (head(&"X: y\r\n".repeat(120)), 431, "head_too_large"),
        (format!("GET /{} HTTP/1.1\r\nHost: g\r\n\r\n", "x".repeat(9000)), 414, "head_too_large"),
        ("CONNECT g:443 HTTP/1.1\r\nHost: g:443\r\n\r\n".into(), 405, "method_refused"),
        ("TRACE / HTTP/1.1\r\nHost: g\r\n\r\n".into(), 405, "method_refused"),
        ("OPTIONS * HTTP/1.1\r\nHost: g\r\n\r\n".into(), 405, "method_refused"),
    ];
    for (request, status, reason) in cases {
        let answer = ask(program.data, &request).unwrap_or_else(|| panic!("no answer to {request:?}"));
        assert_eq!((answer.status, answer.reason()), (status, Some(reason)), "{request:?}");
        assert!(answer.header("content-type").unwrap().starts_with("application/json"));
        let line = program.refusal(answer.header("x-request-id").unwrap());
        assert_eq!(line["reason"], reason);
        assert_eq!(line["source"], if status == 405 { "proxy" } else { "client" });
    }
    assert_eq!(origin.count(), 0, "something of a refused request reached the upstream");
}

#[test]
fn damaged_chunks_are_400_and_poison_nothing() {
    let origin = Origin::ok();
    let program = Program::before(&origin.url(), &[]);
    for body in [
        "5\nhello\r\n0\r\n\r\n",
        "zz\r\nhello\r\n",
        "2\r\nhello\r\n0\r\n\r\n",
        "FFFFFFFFFFFFFFFFF\r\n",
        "5\r\nhello\r\n0\r\nbad trailer\r\n\r\n",
    ] {
        let request = format!("POST /api/x HTTP/1.1\r\nHost: g\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
        let answer = ask(program.data, &request).unwrap_or_else(|| panic!("no answer to {body:?}"));
        assert_eq!((answer.status, answer.reason()), (400, Some("body_malformed")), "{body:?}");
    }
    // Whatever the origin saw of them ended there: a sound request is served as ever.
    assert_eq!(ask(program.data, "GET /fine HTTP/1.1\r\nHost: g\r\n\r\n").unwrap().status, 200);
    assert_eq!(origin.last().lines[0], "GET /fine HTTP/1.1");
}

#[test]
fn a_sound_request_before_a_damaged_one_is_still_answered() {
    let origin = Origin::ok();
    let program = Program::before(&origin.url(), &[]);
    let mut stream = connect(program.data);
    stream.write_all(b"GET /a HTTP/1.1\r\nHost: g\r\n\r\nGET /b HTTP/1.1\nHost: g\r\n\r\n").unwrap();
    let mut pending = Vec::new();
    assert_eq!(read_answer(&mut stream, &mut pending, false).unwrap().status, 200);
    let second = read_answer(&mut stream, &mut pending, false).unwrap();
    assert_eq!((second.status, second.reason()), (400, Some("newline_in_head")));
    assert_eq!(stream.read(&mut [0; 16]).unwrap(), 0, "the connection goes on");
    assert_eq!(origin.count(), 1);
}

#[test]
fn a_head_in_small_pieces_is_read_like_a_whole_one() {
    let origin = Origin::ok();
    let program = Program::before(&origin.url(), &[]);
    let mut stream = connect(program.data);
    for byte in format!("GET /api/org HTTP/1.1\r\nHost: g\r\nAuthorization: Bearer {TOKEN}\r\n\r\n").bytes() {
        stream.write_all(&[byte]).unwrap();
    }
    assert_eq!(read_answer(&mut stream, &mut Vec::new(), false).unwrap().status, 200);
    assert_eq!(origin.last().all("authorization"), [format!("Bearer {TOKEN}")]);
}

#[test]
fn silent_and_slow_clients_meet_their_deadline() {
    let origin = Origin::ok();
    let program = Program::before(
        &origin.url(),
        &["--http-head-timeout", "300ms", "--http-idle-timeout", "300ms", "--http-body-timeout", "300ms"],
    );
    let mut silent = connect(program.data);
    assert_eq!(silent.read(&mut [0; 16]).unwrap(), 0, "a silent connection gets no answer, only its end");
    let mut slow = connect(program.data);
    slow.write_all(b"GET / HTTP/1.1\r\nHos").unwrap();
    let answer = read_answer(&mut slow, &mut Vec::new(), false).unwrap();
    assert_eq!((answer.status, answer.reason()), (408, Some("head_timeout")));
    let mut idle = connect(program.data);
    idle.write_all(b"GET / HTTP/1.1\r\nHost: g\r\n\r\n").unwrap();
    let mut pending = Vec::new();
    assert_eq!(read_answer(&mut idle, &mut pending, false).unwrap().status, 200);
    assert_eq!(idle.read(&mut [0; 16]).unwrap(), 0);
    let mut stalled = connect(program.data);
    stalled.write_all(b"POST / HTTP/1.1\r\nHost: g\r\nContent-Length: 10\r\n\r\nabc").unwrap();
    let answer = read_answer(&mut stalled, &mut Vec::new(), false).unwrap();
    assert_eq!((answer.status, answer.reason()), (408, Some("body_timeout")));
}

#[test]
fn requests_that_come_together_get_each_their_own_answer() {
    let origin = Origin::ok();
    let program = Program::before(&origin.url(), &[]);
    let (sound, refused) = ("GET /sound HTTP/1.1\r\nHost: g\r\n\r\n", "TRACE / HTTP/1.1\r\nHost: g\r\n\r\n");
    for (first, second, statuses) in [
        (refused, sound, [405, 200]),
        (sound, refused, [200, 405]),
        (refused, refused, [405, 405]),
        (sound, sound, [200, 200]),
    ] {
        let (mut stream, mut pending, before) = (connect(program.data), Vec::new(), origin.count());
        stream.write_all(format!("{first}{second}").as_bytes()).unwrap();
        for status in statuses {
            let answer = read_answer(&mut stream, &mut pending, false).unwrap();
            assert_eq!(answer.status, status, "{first}{second}");
            assert_eq!(answer.reason().is_some(), status == 405);
        }
        assert_eq!(origin.count() - before, statuses.iter().filter(|status| **status == 200).count());
    }
}
