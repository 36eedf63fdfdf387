//! A refusal is explained in the header, in the log and in the metrics, and its body is left alone.

use std::io::Write;

use serde_json::json;

use crate::support::{Origin, Program, TOKEN, get};

const GRAFANA: &str = "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nX-Frame-Options: deny\r\nX-Xss-Protection: 1; mode=block\r\n";
const EXPIRED: &str = "{\"extra\":null,\"message\":\"Expired API key\",\"messageId\":\"api-key.expired\",\"statusCode\":401,\"traceID\":\"\"}\n";

fn expired() -> Origin {
    Origin::answering(format!(
        "HTTP/1.1 401 Unauthorized\r\n{GRAFANA}Content-Type: application/json; charset=UTF-8\r\nContent-Length: {}\r\n\r\n{EXPIRED}",
        EXPIRED.len()
    ))
}

#[test]
fn an_expired_token_is_told_in_header_log_and_metric() {
    let origin = expired();
    let program = Program::before(&origin.url(), &["--org", "1"]);
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let answer = get(
        program.data,
        "/api/dashboards/uid/abc?secret=1",
        &[
            &format!("Authorization: bearer {TOKEN}"),
            "User-Agent: ci/1.0",
            &format!("traceparent: {trace}"),
            "X-Request-Id: my-id-1",
        ],
    );
    assert_eq!((answer.status, answer.reason(), answer.text().as_str()), (401, Some("token_expired"), EXPIRED));
    assert_eq!(
        answer.header("proxy-status"),
        Some("grafana-token-proxy; received-status=401; details=\"token_expired\"")
    );
    assert_eq!(answer.header("x-request-id"), Some("my-id-1"));
    let line = program.refusal("my-id-1");
    let expected = json!({"event": "request_refused", "status": 401, "source": "grafana", "reason": "token_expired", "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
        "method": "GET", "path": "/api/dashboards/uid/abc", "client": "127.0.0.1", "user_agent": "ci/1.0", "token_kind": "service_account",
        "auth_received": "bearer", "auth_sent": "bearer", "changes": ["scheme_case"], "org_by": "default", "level": "warn"});
    for (key, value) in expected.as_object().unwrap() {
        assert_eq!(&line[key], value, "{key} in {line}");
    }
    assert_eq!(line["org_sent"].to_string().trim_matches('"'), "1");
    assert_eq!(line["token_fingerprint"].as_str().unwrap().len(), 12);
    assert!(
        line["hint"].as_str().unwrap().len() > 20 && line["doc"].as_str().unwrap().ends_with("#token-expired"),
        "{line}"
    );
    assert!(line["duration_ms"].as_f64().unwrap() >= line["upstream_ms"].as_f64().unwrap());
    assert_eq!(program.metric("grafana_token_proxy_refusals_total{reason=\"token_expired\",source=\"grafana\",code=\"401\",token=\"other\"}"), Some(1.0));
    assert_eq!(
        program.metric("grafana_token_proxy_http_requests_total{method=\"GET\",code=\"401\",token=\"other\"}"),
        Some(1.0)
    );
}

#[test]
fn logfmt_and_pretty_say_the_same() {
    for format in ["logfmt", "pretty"] {
        let origin = expired();
        let mut command = std::process::Command::new(crate::support::binary());
        // The listening line is read as JSON by the harness: find the port by asking for one.
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        command.args([
            "run",
            "--upstream",
            &origin.url(),
            "--telemetry",
            "off",
            "--admin",
            "off",
            "--log-format",
            format,
        ]);
        command.args(["--listen", &format!("127.0.0.1:{port}")]).stdout(std::process::Stdio::piped());
        let mut child = command.spawn().unwrap();
        let address = std::net::SocketAddr::from(([127, 0, 0, 1], port));
        while std::net::TcpStream::connect(address).is_err() {
            std::thread::yield_now();
        }
        get(address, "/api/org", &[&format!("Authorization: Bearer {TOKEN}"), "User-Agent: a \"quoted\" one"]);
        std::process::Command::new("kill").arg(child.id().to_string()).status().unwrap();
        let mut text = String::new();
        std::io::Read::read_to_string(&mut child.stdout.take().unwrap(), &mut text).unwrap();
        child.wait().unwrap();
        let line =
            text.lines().find(|line| line.contains("token_expired")).unwrap_or_else(|| panic!("{format}: {text}"));
        if format == "logfmt" {
            assert!(
                line.contains("reason=token_expired") && line.contains(r#"user_agent="a \"quoted\" one""#),
                "{line}"
            );
        }
        assert!(line.contains("/api/org"), "{line}");
    }
}

#[test]
fn a_refusal_of_a_hop_is_not_blamed_on_grafana() {
    let body = "<html><head><title>401 Authorization Required</title></head></html>";
    let origin = Origin::answering(format!(
        "HTTP/1.1 401 Unauthorized\r\nServer: nginx/1.25.3\r\nWWW-Authenticate: Basic realm=\"Restricted\"\r\nContent-Type: text/html\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    ));
    let program = Program::before(&origin.url(), &[]);
    let answer = get(program.data, "/api/org", &[&format!("Authorization: Bearer {TOKEN}")]);
    assert_eq!((answer.status, answer.reason(), answer.text().as_str()), (401, Some("hop_unauthorized"), body));
    assert_eq!(answer.header("www-authenticate"), Some("Basic realm=\"Restricted\""));
    assert_eq!(program.refusal(answer.header("x-request-id").unwrap())["source"], "hop");
}

#[test]
fn compressed_and_chunked_refusals_are_read_and_passed_byte_for_byte() {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(EXPIRED.as_bytes()).unwrap();
    let packed = encoder.finish().unwrap();
    let bytes = packed.clone();
    let origin = Origin::new(move |_, stream| {
        let mut answer = format!("HTTP/1.1 401 Unauthorized\r\n{GRAFANA}Content-Type: application/json; charset=UTF-8\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n").into_bytes();
        for piece in bytes.chunks(40) {
            answer.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
            answer.extend_from_slice(piece);
            answer.extend_from_slice(b"\r\n");
        }
        answer.extend_from_slice(b"0\r\n\r\n");
        stream.write_all(&answer).is_ok()
    });
    let program = Program::before(&origin.url(), &[]);
    let answer = get(program.data, "/api/org", &[&format!("Authorization: Bearer {TOKEN}")]);
    assert_eq!((answer.reason(), &answer.body), (Some("token_expired"), &packed));
}

#[test]
fn a_large_refusal_passes_whole_though_only_its_beginning_is_read() {
    let body = format!("{{\"message\":\"Permission denied\",\"padding\":\"{}\"}}", "x".repeat(1_000_000));
    let length = body.len();
    let sent = body.clone();
    let origin = Origin::new(move |_, stream| {
        write!(stream, "HTTP/1.1 403 Forbidden\r\n{GRAFANA}Content-Type: application/json; charset=UTF-8\r\nContent-Length: {length}\r\n\r\n{sent}").is_ok()
    });
    let program = Program::before(&origin.url(), &[]);
    let answer = get(program.data, "/api/admin/stats", &[&format!("Authorization: Bearer {TOKEN}")]);
    assert_eq!(answer.status, 403);
    assert!(answer.reason().is_some());
    assert!(answer.text() == body, "the body was changed");
}
