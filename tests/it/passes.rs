//! What is not ours to change passes untouched, in both directions.

use std::io::Write;

use crate::support::wire::{connect, read_answer};
use crate::support::{Origin, Program, TOKEN, ask, get};

fn bearer() -> String {
    format!("Authorization: Bearer {TOKEN}")
}

#[test]
fn a_request_reaches_grafana_as_it_was_sent() {
    let origin = Origin::ok();
    let program = Program::before(&origin.url(), &[]);
    let target = "/api/search?query=a%20b&x={y}|'&tag=%E2%9C%93;z";
    let lines = [
        bearer(),
        "Cookie: grafana_session=abc; x=y".into(),
        "Accept-Encoding: gzip, zstd".into(),
        "Origin: http://g".into(),
        "X-Custom: a,  b".into(),
    ];
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let answer = get(program.data, target, &lines);
    assert_eq!((answer.status, answer.text().as_str()), (200, "{}"));
    let seen = origin.last();
    assert_eq!(seen.lines[0], format!("GET {target} HTTP/1.1"));
    assert_eq!(seen.header("host"), Some(program.data.to_string()));
    assert_eq!(seen.all("authorization"), [format!("Bearer {TOKEN}")]);
    assert_eq!(seen.header("cookie").unwrap(), "grafana_session=abc; x=y");
    assert_eq!(seen.header("accept-encoding").unwrap(), "gzip, zstd");
    assert_eq!(seen.header("origin").unwrap(), "http://g");
    assert_eq!(seen.header("x-custom").unwrap(), "a,  b");
    assert_eq!(seen.all("x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(seen.header("x-request-id").as_deref(), answer.header("x-request-id"));
    assert_eq!(seen.header("x-grafana-org-id"), None);
}

#[test]
fn methods_and_paths_of_every_kind_pass() {
    let origin = Origin::ok();
    let program = Program::before(&origin.url(), &[]);
    for (method, target) in [
        ("DELETE", "/api/x//y/../z"),
        ("PATCH", "/api/%2e%2e/%2F"),
        ("PROPFIND", "/dav;v=1"),
        ("M-SEARCH", "/a\\b"),
        ("OPTIONS", "/api"),
        ("GET", "/subpath/api/health?"),
        ("PUT", "/api/ü"),
    ] {
        let request = format!("{method} {target} HTTP/1.1\r\nHost: g\r\n\r\n");
        assert_eq!(ask(program.data, request).unwrap().status, 200, "{method} {target}");
        assert_eq!(origin.last().lines[0], format!("{method} {target} HTTP/1.1"));
    }
    assert_eq!(ask(program.data, "GET http://g/abs?x=1 HTTP/1.1\r\nHost: g\r\n\r\n").unwrap().status, 200);
    assert_eq!(origin.last().lines[0], "GET /abs?x=1 HTTP/1.1");
    assert_eq!(ask(program.data, "GET /old HTTP/1.0\r\n\r\n").unwrap().status, 200);
    assert_eq!(origin.last().lines[0], "GET /old HTTP/1.1");
}

#[test]
fn answers_come_back_as_grafana_gave_them() {
    for (name, bytes, status, body) in [
        ("204", "HTTP/1.1 204 No Content\r\nX-A: b\r\n\r\n", 204, ""),
        ("304", "HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\nX-A: b\r\n\r\n", 304, ""),
        (
            "redirect",
            "HTTP/1.1 301 Moved\r\nLocation: https://other.example/elsewhere?y\r\nX-A: b\r\nContent-Length: 2\r\n\r\nhi",
            301,
            "hi",
        ),
        (
            "chunked",
            "HTTP/1.1 200 OK\r\nX-A: b\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
            200,
            "hello",
        ),
        (
            "error",
            "HTTP/1.1 500 Own words\r\nX-A: b\r\nContent-Type: application/json\r\nContent-Length: 19\r\n\r\n{\"message\":\"oh no\"}",
            500,
            "{\"message\":\"oh no\"}",
        ),
        (
            "both framings",
            "HTTP/1.1 200 OK\r\nX-A: b\r\nContent-Length: 99\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
            200,
            "hi",
        ),
        (
            "early hints",
            "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\nX-A: b\r\nContent-Length: 2\r\n\r\nhi",
            200,
            "hi",
        ),
    ] {
        let origin = Origin::answering(bytes);
        let program = Program::before(&origin.url(), &[]);
        let answer = get(program.data, "/x", &[]);
        assert_eq!((answer.status, answer.text().as_str(), answer.header("x-a")), (status, body, Some("b")), "{name}");
        let own = bytes.rsplit("HTTP/1.1 ").next().and_then(|answer| answer.split("\r\n").next()).unwrap();
        assert_eq!(answer.line, format!("HTTP/1.1 {own}"), "{name}");
        assert_eq!(answer.reason(), None, "{name}");
    }
}

#[test]
fn cookies_and_repeated_headers_keep_their_number_and_order() {
    let origin = Origin::answering(
        "HTTP/1.1 200 OK\r\nSet-Cookie: a=1; Path=/\r\nSet-Cookie: b=2; HttpOnly\r\nVary: x\r\nContent-Length: 0\r\n\r\n",
    );
    let program = Program::before(&origin.url(), &[]);
    let answer = get(program.data, "/login", &[]);
    let cookies: Vec<_> =
        answer.headers.iter().filter(|(n, _)| n.eq_ignore_ascii_case("set-cookie")).map(|(_, v)| v.as_str()).collect();
    assert_eq!(cookies, ["a=1; Path=/", "b=2; HttpOnly"]);
}

#[test]
fn head_has_the_length_and_no_body() {
    let origin = Origin::answering("HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n");
    let program = Program::before(&origin.url(), &[]);
    let mut stream = connect(program.data);
    let mut pending = Vec::new();
    for _ in 0..2 {
        stream.write_all(b"HEAD /x HTTP/1.1\r\nHost: g\r\n\r\n").unwrap();
        let answer = read_answer(&mut stream, &mut pending, true).unwrap();
        assert_eq!((answer.status, answer.header("content-length")), (200, Some("1234")));
        assert!(pending.is_empty());
    }
}

#[test]
fn connections_are_reused_on_both_sides_and_pipelined_requests_answered_in_order() {
    let origin = Origin::new(|seen, stream| {
        let path = seen.lines[0].split(' ').nth(1).unwrap().to_owned();
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{path}", path.len()).is_ok()
    });
    let program = Program::before(&origin.url(), &[]);
    let mut stream = connect(program.data);
    let requests: String = (0..20).map(|n| format!("GET /{n} HTTP/1.1\r\nHost: g\r\n\r\n")).collect();
    stream.write_all(requests.as_bytes()).unwrap();
    let mut pending = Vec::new();
    for n in 0..20 {
        assert_eq!(read_answer(&mut stream, &mut pending, false).unwrap().text(), format!("/{n}"));
    }
    assert!(origin.seen().iter().all(|seen| seen.connection == 0), "the upstream connection was not reused");
}

#[test]
fn hop_by_hop_fields_stay_on_their_hop() {
    let origin = Origin::answering(
        "HTTP/1.1 200 OK\r\nConnection: X-Hop, keep-alive\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nProxy-Authenticate: Basic\r\nProxy-Authentication-Info: x\r\nX-Token-Proxy-Reason: forged\r\nContent-Length: 0\r\n\r\n",
    );
    let program = Program::before(&origin.url(), &[]);
    let auth = bearer();
    let answer = get(
        program.data,
        "/x",
        &[
            &auth,
            "Connection: keep-alive, X-Secret",
            "Connection: Authorization",
            "X-Secret: 1",
            "Keep-Alive: timeout=5",
            "TE: trailers, gzip",
            "Proxy-Connection: keep-alive",
            "Proxy-Authorization: Basic x",
            "Upgrade: h2c",
            "HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA",
        ],
    );
    for gone in ["x-hop", "keep-alive", "proxy-authenticate", "proxy-authentication-info", "x-token-proxy-reason"] {
        assert_eq!(answer.header(gone), None, "{gone}");
    }
    let seen = origin.last();
    for gone in
        ["connection", "x-secret", "keep-alive", "proxy-connection", "proxy-authorization", "upgrade", "http2-settings"]
    {
        assert_eq!(seen.header(gone), None, "{gone}");
    }
    assert_eq!(seen.header("te").as_deref(), Some("trailers"));
    assert_eq!(seen.all("authorization"), [format!("Bearer {TOKEN}")], "a nomination took the credential away");
}

#[test]
fn strangers_cannot_speak_for_others() {
    let origin = Origin::ok();
    let program = Program::before(&origin.url(), &[]);
    let forged = [
        "X-Forwarded-For: 1.2.3.4",
        "X-Real-IP: 1.2.3.4",
        "Forwarded: for=1.2.3.4",
        "X-Forwarded-Host: evil",
        "X-Forwarded-Proto: https",
        "X-Forwarded-User: root",
        "X-WEBAUTH-USER: admin",
        "X_WebAuth_User: admin",
        "Remote-User: admin",
        "X_Grafana_Org_Id: 7",
        "X.Grafana.Org.Id: 7",
    ];
    get(program.data, "/x", &forged);
    let seen = origin.last();
    assert_eq!(seen.all("x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(seen.all("x-real-ip"), ["127.0.0.1"]);
    assert_eq!(seen.all("x-forwarded-host"), [program.data.to_string()]);
    assert_eq!(seen.all("x-forwarded-proto"), ["http"]);
    for gone in [
        "forwarded",
        "x-forwarded-user",
        "x-webauth-user",
        "x_webauth_user",
        "remote-user",
        "x_grafana_org_id",
        "x.grafana.org.id",
    ] {
        assert_eq!(seen.header(gone), None, "{gone}");
    }
    let trusting = Program::before(
        &origin.url(),
        &["--clients-trusted-proxies", "127.0.0.0/8", "--clients-identity-headers", "X-WEBAUTH-USER"],
    );
    get(
        trusting.data,
        "/x",
        &["X-Forwarded-For: 1.2.3.4", "X-Forwarded-Proto: https", "X-WEBAUTH-USER: admin", "X-WEBAUTH-NAME: n"],
    );
    let seen = origin.last();
    assert_eq!(seen.all("x-forwarded-for"), ["1.2.3.4, 127.0.0.1"]);
    assert_eq!(seen.all("x-forwarded-proto"), ["https"]);
    assert_eq!(seen.all("x-real-ip"), ["1.2.3.4"], "all users of the hop would be one address to Grafana");
    assert_eq!(seen.header("x-webauth-user").as_deref(), Some("admin"));
    assert_eq!(seen.header("x-webauth-name"), None);
    get(trusting.data, "/x", &["X-Forwarded-For:", "X-Forwarded-Proto: https", "Connection: x-forwarded-proto"]);
    let seen = origin.last();
    assert_eq!(
        (seen.all("x-forwarded-for"), seen.all("x-forwarded-proto")),
        (vec!["127.0.0.1".into()], vec!["https".into()])
    );
}
