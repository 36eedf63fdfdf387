//! HTTP/2 in front: the same requests, the same answers, the same refusals as over HTTP/1.

use std::io::Write as _;
use std::time::Duration;

use crate::support::certificates::Authority;
use crate::support::frames::{Client, Frame, headers};
use crate::support::peers::installed;
use crate::support::{Origin, Program, TOKEN};

fn program(origin: &Origin, arguments: &[&str]) -> Program {
    Program::before(&origin.url(), &[&["--http-h2c", "on"], arguments].concat())
}

#[test]
fn curl_chooses_http2_over_tls_and_in_the_clear() {
    let Some(curl) = installed("curl", "curl") else { return };
    let origin = Origin::new(|seen, stream| {
        let body = format!("{} bytes", seen.body.len());
        write!(stream, "HTTP/1.1 200 OK\r\nKeep-Alive: x\r\nContent-Length: {}\r\n\r\n{body}", body.len()).is_ok()
    });
    let authority = Authority::new();
    let pair = authority.issue("server", &["localhost"]);
    let encrypted = Program::before(&origin.url(), &pair.arguments("--tls-cert-file", "--tls-key-file"));
    let plain = program(&origin, &["--rate", "1/h", "--burst", "3"]);
    let file = authority.folder().join("body");
    std::fs::write(&file, vec![b'x'; 3_000_000]).unwrap();
    let upload = format!("@{}", file.display());
    let (https, http) = (
        format!("https://localhost:{}/api/org", encrypted.data.port()),
        format!("http://localhost:{}/api/org", plain.data.port()),
    );
    let ca = authority.file();
    let ca = ca.to_str().unwrap();
    let run = |arguments: &[&str]| {
        let output = std::process::Command::new(&curl)
            .args(["-sS", "-i", "--max-time", "20", "-H", &format!("Authorization: {TOKEN}")])
            .args(arguments)
            .output()
            .unwrap();
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    };
    for (arguments, wanted) in [
        (&["--cacert", ca, &https][..], "0 bytes"),
        (&["--cacert", ca, "--data-binary", &upload, &https], "3000000 bytes"),
        (&["--http2-prior-knowledge", &http], "0 bytes"),
        (&["--http2-prior-knowledge", "--data-binary", "abc", &http], "3 bytes"),
        // The same port speaks HTTP/1, too; an upgrade to h2c is not taken up.
        (&["--http1.1", &http], "0 bytes"),
    ] {
        let said = run(arguments);
        let version = if arguments.contains(&"--http1.1") { "HTTP/1.1 200" } else { "HTTP/2 200" };
        assert!(said.starts_with(version) && said.ends_with(wanted), "{arguments:?}: {said}");
        assert!(!said.to_ascii_lowercase().contains("keep-alive"), "{said}");
        assert_eq!(origin.last().all("authorization"), [format!("Bearer {TOKEN}")]);
    }
    let refused = run(&["--http2-prior-knowledge", &http]);
    assert!(
        refused.starts_with("HTTP/2 429") && refused.contains("x-token-proxy-reason: token_rate_limited"),
        "{refused}"
    );
}

#[test]
fn what_is_special_to_http2_is_translated() {
    let origin = Origin::ok();
    let program = program(&origin, &[]);
    let mut client = Client::connect(program.data);
    let answer = client.ask(&[
        (":method", "GET"),
        (":scheme", "http"),
        (":path", "/api/org?x=1"),
        (":authority", "grafana.example.com"),
        ("cookie", "a=1"),
        ("cookie", "grafana_session=2"),
        ("authorization", &format!("  Bearer {TOKEN} ")),
        ("te", "trailers"),
    ]);
    assert_eq!(answer.status, 200);
    let seen = origin.last();
    assert_eq!(seen.lines[0], "GET /api/org?x=1 HTTP/1.1");
    assert_eq!(seen.all("host"), ["grafana.example.com"]);
    assert_eq!(seen.all("cookie"), ["a=1; grafana_session=2"]);
    assert_eq!(seen.all("authorization"), [format!("Bearer {TOKEN}")]);
    assert_eq!(seen.all("x-forwarded-host"), ["grafana.example.com"]);
    // Another on the same connection, by Host alone.
    let answer = client.ask(&[(":method", "GET"), (":scheme", "http"), (":path", "/"), ("host", "g")]);
    assert_eq!((answer.status, origin.last().all("host")), (200, vec!["g".to_owned()]));
}

#[test]
fn each_stream_counts_against_the_limits_and_is_explained() {
    let origin = Origin::ok();
    let program = program(&origin, &["--rate", "1/h", "--burst", "2"]);
    let mut client = Client::connect(program.data);
    let credential = format!("Bearer {TOKEN}");
    let mut ask = || client.ask(&[&headers("/api/org")[..], &[("authorization", &credential)]].concat());
    assert_eq!((ask().status, ask().status), (200, 200));
    let answer = ask();
    assert_eq!((answer.status, answer.header("x-token-proxy-reason")), (429, Some("token_rate_limited")));
    let line = program.refusal(answer.header("x-request-id").unwrap());
    assert_eq!((&line["reason"], &line["path"]), (&"token_rate_limited".into(), &"/api/org".into()));
    assert_eq!(origin.count(), 2);
}

#[test]
fn heads_that_http1_would_refuse_are_refused_and_explained() {
    let origin = Origin::ok();
    let program = program(&origin, &[]);
    let long = format!("/{}", "x".repeat(9000));
    let many: Vec<(String, String)> = (0..120).map(|number| (format!("x-{number}"), "y".to_owned())).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(name, value)| (&**name, &**value)).collect();
    let base = headers("/api/org");
    for (lines, status, reason) in [
        ([&base[..], &[("host", "other")]].concat(), 400, "head_malformed"),
        ([&base[..], &[("host", "g"), ("host", "g")]].concat(), 400, "head_malformed"),
        (vec![(":method", "GET"), (":scheme", "http"), (":path", "/")], 400, "head_malformed"),
        (vec![(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "a@b")], 400, "head_malformed"),
        (headers(&long).to_vec(), 414, "head_too_large"),
        ([&base[..], &many].concat(), 431, "head_too_large"),
        (vec![(":method", "TRACE"), (":scheme", "http"), (":path", "/"), (":authority", "g")], 405, "method_refused"),
        (vec![(":method", "CONNECT"), (":authority", "g:443")], 405, "method_refused"),
        ([&base[..], &[("x-grafana-org-id", "1"), ("x-grafana-org-id", "2")]].concat(), 403, "org_override_refused"),
        (
            [&base[..], &[("authorization", "Bearer a"), ("authorization", "Bearer b")]].concat(),
            400,
            "credential_conflict",
        ),
    ] {
        let answer = Client::connect(program.data).ask(&lines);
        assert_eq!((answer.status, answer.header("x-token-proxy-reason")), (status, Some(reason)), "{lines:?}");
        let line = program.refusal(answer.header("x-request-id").unwrap());
        assert_eq!(line["reason"], reason);
    }
    assert_eq!(origin.count(), 0);
}

#[test]
fn a_drain_says_goodbye_and_finishes_what_runs() {
    let (release, gate) = std::sync::mpsc::channel::<()>();
    let gate = std::sync::Mutex::new(gate);
    let origin = Origin::new(move |_, stream| {
        let _ = gate.lock().unwrap().recv();
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone").is_ok()
    });
    let mut program = program(&origin, &[]);
    let mut client = Client::connect(program.data);
    let stream = client.send(&headers("/slow"), true);
    while origin.count() == 0 {
        std::thread::yield_now();
    }
    program.signal("TERM");
    client.until(|frame| frame.kind == Frame::GOAWAY);
    release.send(()).unwrap();
    let answer = client.answer(stream);
    assert_eq!((answer.status, answer.body.as_slice()), (200, &b"done"[..]));
    drop(client);
    assert_eq!(program.wait(), Some(0));
}

#[test]
fn silent_and_idle_connections_are_closed() {
    let origin = Origin::ok();
    let program = program(&origin, &["--http-head-timeout", "400ms", "--http-idle-timeout", "400ms"]);
    // The preface alone; a byte of it; nothing.
    for bytes in [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], b"P", b""] {
        let mut stream = crate::support::wire::connect(program.data);
        stream.write_all(bytes).unwrap();
        let mut rest = Vec::new();
        // A read ends only when the other side closes; the test's own deadline would be an error.
        std::io::Read::read_to_end(&mut stream, &mut rest).unwrap();
    }
    let mut client = Client::connect(program.data);
    assert_eq!(client.ask(&headers("/")).status, 200);
    client.until_closed();
}

#[test]
fn a_connection_rests_for_the_whole_of_its_idle_time() {
    let program = program(&Origin::ok(), &["--http-head-timeout", "300ms", "--http-idle-timeout", "20s"]);
    let mut client = Client::connect(program.data);
    for _ in 0..4 {
        assert_eq!(client.ask(&headers("/")).status, 200);
        std::thread::sleep(Duration::from_millis(400));
    }
}

#[test]
fn a_stream_whose_client_takes_nothing_is_reset_and_the_others_go_on() {
    let origin = Origin::new(|seen, stream| {
        if seen.lines[0].contains("/large") {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1048576\r\n\r\n");
            return stream.write_all(&[b'x'; 1 << 20]).is_ok();
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").is_ok()
    });
    let program = program(&origin, &["--http-body-timeout", "1s"]);
    let mut client = Client::connect(program.data);
    // Room for the connection, and none for the stream beyond what each begins with.
    client.write(&Frame::new(Frame::WINDOW_UPDATE, 0, 0, (1u32 << 20).to_be_bytes()));
    let large = client.send(&headers("/large"), true);
    for _ in 0..3 {
        assert_eq!(client.ask(&headers("/")).status, 200);
    }
    let end = client.until(|frame| frame.kind == Frame::RST_STREAM);
    assert_eq!(end.stream, large);
    assert_eq!(client.ask(&headers("/")).status, 200, "the connection ended with it");
}
