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

/// What came instead of a head, and the word that the next step must hold.
#[test]
fn the_next_step_is_made_for_what_was_found() {
    let program = Program::before(&Origin::ok().url(), &[]);
    let token = format!("Authorization: Bearer {TOKEN}");
    for (request, word, detail) in [
        ("GET / HTTP/1.1\r\nHost: g\nX-Name: a\r\n\r\n".into(), "CR LF", "line 2 (`Host`)"),
        (head(&"X: y\r\n".repeat(120)), "http.max_headers", "100"),
        (format!("GET /{} HTTP/1.1\r\nHost: g\r\n\r\n", "x".repeat(9000)), "Shorten the path", "8192"),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".into(), "http.h2c", "HTTP/2"),
        ("\x16\x03\x01\x02\0\x01\0\x01\u{7f}\x03\x03".into(), "http://", "TLS"),
        (head("X: a\x01b"), "curl -v", "line 3 (`X`)"),
        (format!("GET / HTTP/1.1\r\n{token}\r\n\r\nHost: g\r\n\r\n"), "without its newline", "no `Host`"),
        (head(&format!("{token}\r\n rest")), "without its newline", "begins with a blank"),
        (head(&format!("{token}\n")), "without its newline", "right behind the value"),
    ] {
        let answer = ask(program.data, &request).unwrap_or_else(|| panic!("no answer to {request:?}"));
        let line = program.refusal(answer.header("x-request-id").unwrap());
        assert!(line["hint"].as_str().unwrap().contains(word), "{request:?}: {line}");
        assert!(line["detail"].as_str().unwrap().contains(detail), "{request:?}: {line}");
        // Each is the only one of its kind in its second.
        std::thread::sleep(std::time::Duration::from_millis(1001));
    }
}

#[test]
fn the_rest_of_a_head_that_a_secret_cut_is_known_as_such() {
    let origin = Origin::ok();
    let program = Program::before(&origin.url(), &[]);
    let mut stream = connect(program.data);
    let request =
        format!("GET /api/org HTTP/1.1\r\nHost: g\r\nAuthorization: Bearer {TOKEN}\r\n\r\nAccept: */*\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut pending = Vec::new();
    assert_eq!(read_answer(&mut stream, &mut pending, false).unwrap().status, 200);
    let second = read_answer(&mut stream, &mut pending, false).unwrap();
    assert_eq!((second.status, second.reason()), (400, Some("newline_in_head")));
    assert_eq!(origin.count(), 1);
}

#[test]
fn who_sent_a_head_at_fault_is_told_as_far_as_it_can_be_made_out() {
    let program = Program::before(&Origin::ok().url(), &[]);
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let head = format!(
        "POST /api/folders?x=1 HTTP/1.1\r\nHost: g\r\nUser-Agent: deploy/1.4\r\nX-Request-Id: from-ci-7\r\n\
         traceparent: 00-{trace}-b7ad6b7169203331-01\r\nAuthorization: Bearer {TOKEN}\n\r\n\r\n"
    );
    let answer = ask(program.data, head).unwrap();
    assert_eq!((answer.reason(), answer.header("x-request-id")), (Some("newline_in_head"), Some("from-ci-7")));
    let line = program.refusal("from-ci-7");
    for (key, value) in [
        ("method", "POST"),
        ("path", "/api/folders"),
        ("user_agent", "deploy/1.4"),
        ("trace_id", trace),
        ("token_kind", "service_account"),
        ("auth_received", "bearer"),
        ("auth_sent", "none"),
    ] {
        assert_eq!(line[key], value, "{line}");
    }
    assert!(line["token_fingerprint"].is_string() && answer.text().contains(trace), "{line} {}", answer.text());
    let counted = "grafana_token_proxy_http_requests_total{method=\"other\",code=\"400\",token=\"none\"}";
    assert_eq!(program.metric(counted), Some(1.0));
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
