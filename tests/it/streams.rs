//! Bodies stream in both directions, and nothing is held back.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crate::support::wire::{connect, read_answer};
use crate::support::{Origin, Program, ask, get};

/// Bytes that show it when one is lost, doubled or moved.
fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 31 + at / 251) as u8).collect()
}

#[test]
fn ten_mebibytes_pass_up_and_down_whole() {
    let body = pattern(10 * 1024 * 1024);
    let answer_body = body.clone();
    let origin = Origin::new(move |_, stream| {
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", answer_body.len()).is_ok()
            && stream.write_all(&answer_body).is_ok()
    });
    let program = Program::before(&origin.url(), &[]);
    let mut sized = format!("POST /api/up HTTP/1.1\r\nHost: g\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
    sized.extend_from_slice(&body);
    let mut chunked = b"POST /api/up HTTP/1.1\r\nHost: g\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for piece in body.chunks(100_000) {
        chunked.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
        chunked.extend_from_slice(piece);
        chunked.extend_from_slice(b"\r\n");
    }
    chunked.extend_from_slice(b"0\r\n\r\n");
    for request in [sized, chunked] {
        let mut stream = connect(program.data);
        let mut writer = stream.try_clone().unwrap();
        let writing = thread::spawn(move || writer.write_all(&request).unwrap());
        let answer = read_answer(&mut stream, &mut Vec::new(), false).unwrap();
        writing.join().unwrap();
        assert!(answer.body == body, "the download differs");
        assert!(origin.last().body == body, "the upload differs");
    }
}

#[test]
fn an_event_stream_arrives_event_by_event() {
    let (go, wait) = mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    let origin = Origin::new(move |_, stream: &mut TcpStream| {
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
            .unwrap();
        for n in 0..3 {
            stream.write_all(format!("9\r\ndata: {n}\n\n\r\n").as_bytes()).unwrap();
            // The next event is not sent before the client has seen this one.
            wait.lock().unwrap().recv_timeout(Duration::from_secs(10)).expect("the event was held back");
        }
        stream.write_all(b"0\r\n\r\n").is_ok()
    });
    let program = Program::before(&origin.url(), &[]);
    let mut stream = connect(program.data);
    stream.write_all(b"GET /api/live/sse HTTP/1.1\r\nHost: g\r\n\r\n").unwrap();
    let mut seen = String::new();
    for n in 0..3 {
        while !seen.contains(&format!("data: {n}")) {
            let mut piece = [0; 4096];
            let count = stream.read(&mut piece).unwrap();
            assert!(count > 0, "the stream ended");
            seen.push_str(&String::from_utf8_lossy(&piece[..count]));
        }
        go.send(()).unwrap();
    }
}

#[test]
fn an_upload_reaches_grafana_while_it_is_sent() {
    let origin = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let program = Program::before(&format!("http://{}", origin.local_addr().unwrap()), &[]);
    let mut client = connect(program.data);
    client.write_all(b"POST /api/up HTTP/1.1\r\nHost: g\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n").unwrap();
    let (mut upstream, _) = origin.accept().unwrap();
    let mut seen = Vec::new();
    while !String::from_utf8_lossy(&seen).contains("first") {
        let mut piece = [0; 4096];
        let count = upstream.read(&mut piece).unwrap();
        assert!(count > 0);
        seen.extend_from_slice(&piece[..count]);
    }
    client.write_all(b"4\r\nlast\r\n0\r\n\r\n").unwrap();
    upstream.write_all(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n").unwrap();
    assert_eq!(read_answer(&mut client, &mut Vec::new(), false).unwrap().status, 201);
}

#[test]
fn expect_continue_is_answered_when_the_body_is_wanted_and_only_then() {
    let origin = Origin::ok();
    let program = Program::before(&origin.url(), &["--http-max-body", "1KiB"]);
    let mut stream = connect(program.data);
    stream.write_all(b"POST /api/x HTTP/1.1\r\nHost: g\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n").unwrap();
    let mut piece = [0; 256];
    let count = stream.read(&mut piece).unwrap();
    assert!(piece[..count].starts_with(b"HTTP/1.1 100 Continue\r\n"));
    stream.write_all(b"hello").unwrap();
    assert_eq!(read_answer(&mut stream, &mut Vec::new(), false).unwrap().status, 200);
    assert_eq!(origin.last().body, b"hello");

    let mut stream = connect(program.data);
    stream
        .write_all(b"POST /api/x HTTP/1.1\r\nHost: g\r\nExpect: 100-continue\r\nContent-Length: 5000\r\n\r\n")
        .unwrap();
    let count = stream.read(&mut piece).unwrap();
    assert!(piece[..count].starts_with(b"HTTP/1.1 413"), "a refused body was asked for");
    assert_eq!(origin.count(), 1);
}

#[test]
fn bodies_beyond_the_bound_are_refused_also_without_a_length() {
    let origin = Origin::ok();
    let program = Program::before(&origin.url(), &["--http-max-body", "1KiB"]);
    let body = "x".repeat(2000);
    let request = format!(
        "POST /x HTTP/1.1\r\nHost: g\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
        body.len()
    );
    let answer = ask(program.data, request).unwrap();
    assert_eq!((answer.status, answer.reason()), (413, Some("body_too_large")));
}

#[test]
fn trailers_pass_both_ways_except_protected_names() {
    let origin = Origin::answering(
        "HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX-Token-Proxy-Reason: x\r\n\
         Content-Length: 5\r\nTransfer-Encoding: chunked\r\nX-Request-Id: z\r\nX-Sum: 7\r\n\r\n",
    );
    let program = Program::before(&origin.url(), &[]);
    let mut stream = connect(program.data);
    stream.write_all(b"GET /x HTTP/1.1\r\nHost: g\r\nTE: gzip, trailers\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    assert!(text.to_lowercase().ends_with("0\r\nx-sum: 7\r\n\r\n"), "{text}");
    assert_eq!(origin.last().all("te"), ["trailers"]);
}

#[test]
fn trailers_of_an_upload_pass_except_protected_names() {
    let origin = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let program = Program::before(&format!("http://{}", origin.local_addr().unwrap()), &[]);
    let mut client = connect(program.data);
    client
        .write_all(b"POST /x HTTP/1.1\r\nHost: g\r\nTrailer: X-Sum, Authorization\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX-Sum: 7\r\nAuthorization: Bearer x\r\nX_Grafana_Org_Id: 9\r\n\r\n")
        .unwrap();
    let (mut upstream, _) = origin.accept().unwrap();
    upstream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut seen = Vec::new();
    while !String::from_utf8_lossy(&seen).to_lowercase().contains("x-sum: 7\r\n\r\n") {
        let mut piece = [0; 4096];
        let count = upstream.read(&mut piece).unwrap();
        assert!(count > 0, "{}", String::from_utf8_lossy(&seen));
        seen.extend_from_slice(&piece[..count]);
    }
    let seen = String::from_utf8_lossy(&seen).to_lowercase();
    assert!(!seen.contains("bearer x") && !seen.contains("org"), "{seen}");
}

#[test]
fn a_websocket_is_joined_and_closed_from_either_side() {
    let origin = Origin::new(|seen, stream| {
        assert_eq!(seen.header("upgrade").as_deref(), Some("websocket"));
        assert_eq!(seen.header("connection").as_deref(), Some("Upgrade"));
        stream.write_all(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\nhello").unwrap();
        let mut piece = [0; 64];
        let count = stream.read(&mut piece).unwrap();
        stream.write_all(&piece[..count]).unwrap();
        false
    });
    let program = Program::before(&origin.url(), &[]);
    let mut stream = connect(program.data);
    stream.write_all(b"GET /api/live/ws HTTP/1.1\r\nHost: g\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13\r\n\r\n").unwrap();
    let mut pending = Vec::new();
    let answer = read_answer(&mut stream, &mut pending, true).unwrap();
    assert_eq!((answer.status, answer.header("sec-websocket-accept")), (101, Some("x")));
    assert_eq!(answer.header("upgrade"), Some("websocket"));
    // Bytes that are no HTTP at all, with newlines and NULs, in both directions.
    stream.write_all(b"\x81\x00\n\n\r\x00echo").unwrap();
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).unwrap();
    pending.extend_from_slice(&rest);
    assert_eq!(pending, b"hello\x81\x00\n\n\r\x00echo");
}

#[test]
fn a_tunnel_is_one_of_the_connections_and_gets_what_came_with_its_request() {
    let origin = Origin::new(|_, stream| {
        stream.write_all(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n").unwrap();
        let mut early = [0; 5];
        stream.read_exact(&mut early).unwrap();
        stream.write_all(&early).unwrap();
        // Held open until the client ends it.
        let _ = stream.read(&mut early);
        false
    });
    let program = Program::before(&origin.url(), &["--http-max-connections", "1", "--workers", "1"]);
    let mut tunnel = connect(program.data);
    tunnel.write_all(b"GET /api/live/ws HTTP/1.1\r\nHost: g\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13\r\n\r\nearly").unwrap();
    let mut pending = Vec::new();
    assert_eq!(read_answer(&mut tunnel, &mut pending, true).unwrap().status, 101);
    let mut echo = vec![0; 5 - pending.len()];
    tunnel.read_exact(&mut echo).unwrap();
    assert_eq!([pending, echo].concat(), b"early");
    let turned_away = || {
        let answer = read_answer(&mut connect(program.data), &mut Vec::new(), false);
        answer.is_some_and(|answer| answer.reason() == Some("overloaded"))
    };
    assert!(turned_away());
    drop(tunnel);
    let patience = Instant::now() + Duration::from_secs(20);
    let is_free = || {
        let mut stream = connect(program.data);
        stream.write_all(b"TRACE / HTTP/1.1\r\nHost: g\r\n\r\n").unwrap();
        read_answer(&mut stream, &mut Vec::new(), false).is_some_and(|answer| answer.status == 405)
    };
    while !is_free() {
        assert!(Instant::now() < patience, "the place of a tunnel that ended is not free");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_request_that_does_not_ask_for_it_is_no_upgrade() {
    let origin = Origin::ok();
    let program = Program::before(&origin.url(), &[]);
    for (line, lines) in [
        ("GET /ws HTTP/1.1", "Upgrade: websocket\r\n"),
        ("GET /ws HTTP/1.1", "Upgrade: websocket\r\nConnection: keep-alive\r\n"),
        ("GET /ws HTTP/1.0", "Upgrade: websocket\r\nConnection: Upgrade\r\n"),
        ("POST /ws HTTP/1.1", "Upgrade: websocket\r\nConnection: Upgrade\r\nContent-Length: 0\r\n"),
    ] {
        let answer = ask(program.data, format!("{line}\r\nHost: g\r\n{lines}\r\n")).unwrap();
        assert_eq!(answer.status, 200);
        let seen = origin.last();
        assert_eq!((seen.header("upgrade"), seen.header("connection")), (None, None), "{line} {lines}");
    }
}

#[test]
fn a_refused_upgrade_is_an_ordinary_answer_and_the_connection_goes_on() {
    let origin = Origin::answering(
        "HTTP/1.1 403 Forbidden\r\nContent-Type: text/plain; charset=utf-8\r\nSec-Websocket-Version: 13\r\nX-Content-Type-Options: nosniff\r\nContent-Length: 10\r\n\r\nForbidden\n",
    );
    let program = Program::before(&origin.url(), &[]);
    let mut stream = connect(program.data);
    let request = "GET /api/live/ws HTTP/1.1\r\nHost: g\r\nOrigin: http://evil\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13\r\n\r\n";
    let mut pending = Vec::new();
    // The second request comes before the first is answered: it must wait, and then be read as HTTP.
    stream.write_all(format!("{request}{request}").as_bytes()).unwrap();
    for _ in 0..2 {
        let answer = read_answer(&mut stream, &mut pending, false).unwrap();
        assert_eq!((answer.status, answer.reason()), (403, Some("live_origin_not_allowed")));
    }
}

#[test]
fn a_page_with_its_assets_comes_through() {
    let html = "<!DOCTYPE html><script src=\"/public/build/app.js\"></script>";
    let origin = Origin::new(move |seen, stream| {
        let (kind, body) = if seen.lines[0].contains("/public/") {
            ("text/javascript", "let a = 1;")
        } else {
            ("text/html; charset=UTF-8", html)
        };
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
            .is_ok()
    });
    let program = Program::before(&origin.url(), &[]);
    let page = get(program.data, "/", &[]);
    assert_eq!((page.text().as_str(), page.header("content-type")), (html, Some("text/html; charset=UTF-8")));
    let asset = get(program.data, "/public/build/app.js", &[]);
    assert_eq!(asset.text(), "let a = 1;");
    assert_eq!(asset.header("ratelimit"), None, "an exempt path shows a limit");
}

#[test]
fn a_websocket_is_told_that_the_proxy_goes_away() {
    let origin = Origin::new(|_, stream| {
        stream.write_all(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n\x81\x03one").unwrap();
        // Held open until the proxy ends it.
        let _ = stream.read(&mut [0; 64]);
        false
    });
    let mut program = Program::before(&origin.url(), &["--shutdown-grace", "200ms"]);
    let mut stream = connect(program.data);
    stream.write_all(b"GET /api/live/ws HTTP/1.1\r\nHost: g\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13\r\n\r\n").unwrap();
    let mut pending = Vec::new();
    assert_eq!(read_answer(&mut stream, &mut pending, true).unwrap().status, 101);
    let mut first = [0; 5];
    let missing = first.len() - pending.len();
    stream.read_exact(&mut first[..missing]).unwrap();
    program.signal("TERM");
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).unwrap();
    // RFC 6455 §7.4.1: 1001, going away.
    assert_eq!(rest, [0x88, 2, 0x03, 0xe9]);
    assert_eq!(program.wait(), Some(0));
}
