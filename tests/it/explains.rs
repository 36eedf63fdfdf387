//! A refusal is explained in the header, in the log and in the metrics, and its body is left alone.

use std::io::Write;

use serde_json::json;

use crate::support::{Origin, Program, TOKEN, get};

const JWT: &str = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U";
const UNCLAIMED: &str = "{\"extra\":null,\"message\":\"Unauthorized\",\"messageId\":\"auth.unauthorized\",\"statusCode\":401,\"traceID\":\"\"}\n";
const LACKING: &str = "{\"accessErrorId\":\"ACE1\",\"message\":\"You'll need additional permissions to perform this action. Permissions needed: folders:read\",\"title\":\"Access denied\"}\n";

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

/// What the log says of one request that Grafana answers so: reason, detail and hint.
fn explained(status: &str, body: &'static str, arguments: &[&str], target: &str, lines: &[&str]) -> [String; 3] {
    let origin = Origin::answering(format!(
        "HTTP/1.1 {status}\r\n{GRAFANA}Content-Type: application/json; charset=UTF-8\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    ));
    let program = Program::before(&origin.url(), arguments);
    let answer = get(program.data, target, lines);
    let line = program.refusal(answer.header("x-request-id").unwrap());
    let said = ["reason", "detail", "hint"].map(|key| line[key].as_str().unwrap_or_default().to_owned());
    for secret in [&TOKEN[5..], JWT, "YWRtaW46YWRtaW4"] {
        assert!(!line.to_string().contains(secret), "{line}");
    }
    said
}

fn unauthorised(arguments: &[&str], target: &str, lines: &[&str]) -> [String; 3] {
    explained("401 Unauthorized", UNCLAIMED, arguments, target, lines)
}

fn forbidden(arguments: &[&str], target: &str, lines: &[&str]) -> [String; 3] {
    explained("403 Forbidden", LACKING, arguments, target, lines)
}

const IDENTITY: [&str; 2] = ["--clients-identity-headers", "X-WEBAUTH-USER"];
const TRUSTED: [&str; 2] = ["--clients-trusted-proxies", "127.0.0.0/8"];
const OTHERS_TRUSTED: [&str; 2] = ["--clients-trusted-proxies", "10.0.0.0/8"];

#[test]
fn an_identity_header_that_was_dropped_is_said_first() {
    for (arguments, line, begins, step) in [
        (
            [IDENTITY, OTHERS_TRUSTED].concat(),
            "X-WEBAUTH-USER: admin",
            "`X-WEBAUTH-USER` came from 127.0.0.1, which is not in `clients.trusted_proxies`, and was dropped.",
            "Add the proxy in front (127.0.0.1) to `clients.trusted_proxies`",
        ),
        (
            TRUSTED.to_vec(),
            "X-WEBAUTH-USER: admin",
            "`X-WEBAUTH-USER` is not in `clients.identity_headers`, and was dropped.",
            "Name `X-WEBAUTH-USER` in `clients.identity_headers`",
        ),
        (
            [IDENTITY, TRUSTED].concat(),
            "X_WEBAUTH_USER: admin",
            "`X_WEBAUTH_USER` is another spelling of a header that names a user",
            "Send `X_WEBAUTH_USER` in exactly the configured spelling",
        ),
    ] {
        let [reason, detail, hint] = unauthorised(&arguments, "/api/org", &[line]);
        assert_eq!(reason, "credential_missing");
        assert!(detail.starts_with(begins) && hint.starts_with(step), "{detail} {hint}");
        assert!(!detail.contains("Authorization"), "{detail}");
    }
    let origin = Origin::answering("HTTP/1.1 302 Found\r\nLocation: /login\r\nContent-Length: 0\r\n\r\n");
    let program = Program::before(&origin.url(), &IDENTITY);
    let answer = get(program.data, "/d/x", &["X-WEBAUTH-USER: admin"]);
    let line = program.refusal(answer.header("x-request-id").unwrap());
    assert_eq!(line["reason"], "redirected_to_login");
    assert!(line["detail"].as_str().unwrap().starts_with("`X-WEBAUTH-USER` came from 127.0.0.1"), "{line}");
}

#[test]
fn a_credential_that_was_not_restored_is_named_with_what_won() {
    let restore = ["--authorization-restore-from", "X-Forwarded-Authorization"];
    let carrier = format!("X-Forwarded-Authorization: Bearer {TOKEN}");
    let lines = ["Authorization: Basic YWRtaW46YWRtaW4=", &carrier];
    let wrong = "{\"message\":\"Invalid username or password\",\"messageId\":\"password-auth.failed\",\"statusCode\":401,\"traceID\":\"\"}";
    for [reason, detail, hint] in [
        explained("401 Unauthorized", wrong, &restore, "/api/org", &lines),
        forbidden(&restore, "/api/folders", &lines),
    ] {
        assert!(reason == "password_wrong" || reason == "permission_missing", "{reason}");
        assert!(
            detail.starts_with(
                "The credential in `X-Forwarded-Authorization` was not used, because `Authorization` held user and password."
            ),
            "{detail}"
        );
        assert!(hint.starts_with("Let the proxy in front stop sending its own `Authorization`"), "{hint}");
    }
    let [_, detail, hint] = unauthorised(&[restore, OTHERS_TRUSTED].concat(), "/api/org", &[&carrier]);
    assert!(detail.contains("because it came from 127.0.0.1, which is not in `clients.trusted_proxies`"), "{detail}");
    assert!(hint.starts_with("Add the proxy in front (127.0.0.1)"), "{hint}");
    // A hop that passes both on, one a copy of the other, took nothing away.
    let own = format!("Authorization: Bearer {TOKEN}");
    let [_, detail, _] = forbidden(&restore, "/api/folders", &[&own, &carrier]);
    assert!(!detail.contains("X-Forwarded-Authorization"), "{detail}");
}

#[test]
fn a_token_is_not_blamed_where_a_jwt_may_have_signed_in() {
    let (token, jwt) = (format!("Authorization: Bearer {TOKEN}"), format!("X-JWT-Assertion: {JWT}"));
    let [reason, detail, hint] = forbidden(&[], "/api/folders", &[&token, &jwt]);
    assert_eq!(reason, "permission_missing");
    assert!(detail.contains("its user may be the one who lacks `folders:read`"), "{detail}");
    assert!(hint.starts_with("Give the user of the JWT in `X-JWT-Assertion` (or, where Grafana passed over"), "{hint}");
    let [_, detail, _] = unauthorised(&[], "/api/org", &[&token, &jwt]);
    assert!(
        detail.contains("A JWT in `X-JWT-Assertion` came along, and Grafana tries it before the token"),
        "{detail}"
    );
}

#[test]
fn the_user_whom_a_trusted_proxy_names_is_who_was_judged() {
    let trusting = [IDENTITY, TRUSTED].concat();
    let [reason, detail, hint] = forbidden(&trusting, "/api/folders", &["X-WEBAUTH-USER: alice"]);
    assert_eq!(reason, "permission_missing");
    assert!(detail.contains("`X-WEBAUTH-USER` named the user whom Grafana judged"), "{detail}");
    assert!(hint.starts_with("Give the user named by `X-WEBAUTH-USER` a role"), "{hint}");
    assert!(!format!("{detail}{hint}").contains("alice"), "a name is nobody else's business");
    let [reason, detail, _] = unauthorised(&trusting, "/api/folders", &["X-WEBAUTH-USER: alice"]);
    assert_eq!(reason, "credential_not_recognised");
    assert!(detail.starts_with("Grafana refused the user named by `X-WEBAUTH-USER`"), "{detail}");
}

#[test]
fn a_token_in_the_wrong_place_is_found_by_its_value() {
    let query = format!("/api/org?apitoken={TOKEN}");
    for (target, line, place) in [
        ("/api/org", format!("X-Grafana-Service-Account-Token: {TOKEN}"), "`X-Grafana-Service-Account-Token`"),
        ("/api/org", format!("X-Api-Token: Bearer {TOKEN}"), "`X-Api-Token`"),
        ("/api/org", format!("Cookie: a=b; grafana_token={TOKEN}"), "the cookie `grafana_token`"),
        ("/api/org", format!("{TOKEN}: {TOKEN}"), "another header"),
        (&query, "X-A: b".to_owned(), "`apitoken` in the query"),
    ] {
        let [reason, detail, hint] = unauthorised(&[], target, &[&line]);
        assert_eq!(reason, "credential_missing");
        assert!(detail.contains(&format!("a token is in {place}, where Grafana does not read it")), "{detail}");
        assert!(hint.starts_with(&format!("Move the token from {place} to `Authorization: Bearer <token>`")), "{hint}");
    }
}
