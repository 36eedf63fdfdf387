//! No eight bytes of any secret reach what the program prints or shows.

use std::io::{BufRead as _, Read as _, Write as _};

use crate::support::wire::connect;
use crate::support::{Origin, Program, TOKEN, ask, get};

const LEGACY: &str = "eyJrIjoiT0tTcG1pUlY2RnVKZTFVaDFsNFZXdE9ZWmNrMkZYbmsiLCJuIjoidGVzdCIsImlkIjoxfQ==";
const JWT: &str = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U";
const PASSWORD: &str = "correct-horse-battery-staple";
const SESSION: &str = "4f3c2b1a0d9e8f7c6b5a493827160514";

fn basic() -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(format!("admin:{PASSWORD}"))
}

/// All that the console tells, over its page, its API, its stream and `watch`.
fn console(program: &Program) -> String {
    let admin = program.admin.unwrap();
    let mut shown = String::new();
    for path in ["/", "/?path=*&token=x", "/api/refusals", "/api/tokens", "/api/config"] {
        let answer = get(admin, path, &[]);
        assert_eq!(answer.status, 200, "{path}");
        shown.push_str(&answer.text());
    }
    let told: serde_json::Value = serde_json::from_str(&get(admin, "/api/refusals", &[]).text()).unwrap();
    let kept = told["refusals"].as_array().unwrap();
    assert!(kept.len() > 50, "{}", kept.len());
    let mut stream = connect(admin);
    write!(stream, "GET /api/refusals/stream?last=0 HTTP/1.1\r\nHost: {admin}\r\n\r\n").unwrap();
    let end = format!("\"request_id\":{}", kept[0]["request_id"]);
    let (mut streamed, mut piece) = (String::new(), [0; 65536]);
    while !streamed.contains(&end) {
        let count = stream.read(&mut piece).unwrap();
        streamed.push_str(&String::from_utf8_lossy(&piece[..count]));
    }
    let mut watch = std::process::Command::new(crate::support::binary())
        .args(["watch", "--last", "1000", "--admin", &admin.to_string()])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let lines = std::io::BufReader::new(watch.stdout.take().unwrap()).lines().take(kept.len());
    let watched: Vec<String> = lines.map(Result::unwrap).collect();
    watch.kill().unwrap();
    watch.wait().unwrap();
    assert_eq!(watched.len(), kept.len());
    shown + &streamed + &watched.join("\n")
}

#[test]
fn nothing_that_is_printed_or_shown_holds_a_secret() {
    let origin = Origin::answering(
        "HTTP/1.1 401 Unauthorized\r\nContent-Type: application/json; charset=UTF-8\r\nX-Content-Type-Options: nosniff\r\nCache-Control: no-store\r\nX-Frame-Options: deny\r\nContent-Length: 26\r\n\r\n{\"message\":\"Unauthorized\"}",
    );
    let program = Program::before(
        &origin.url(),
        &["--log-level", "debug", "--log-requests", "all", "--authorization-restore-from", "X-Grafana-Token"],
    );
    let basic = basic();
    let mut shown = String::new();
    let mut told = |answer: Option<crate::support::Answer>| {
        if let Some(answer) = answer {
            shown.push_str(&format!("{:?}{}\n", answer.headers, answer.text()));
        }
    };
    for secret in [TOKEN, LEGACY, JWT, &basic] {
        for line in [
            format!("Authorization: Bearer {secret}"),
            format!("Authorization: {secret}"),
            format!("Authorization: Basic {secret}"),
            format!("X-Grafana-Token: {secret}"),
            format!("User-Agent: curl {secret}"),
            format!("X-Request-Id: {secret}"),
            format!("X-Grafana-Org-Id: {secret}"),
            format!("traceparent: 00-{secret}-x-01"),
            format!("Cookie: grafana_session={SESSION}; x={secret}"),
            format!("X-Forwarded-For: {secret}"),
            format!("Origin: http://{secret}"),
        ] {
            told(Some(get(program.data, "/x", &[&line, "X-Token-Proxy-Probe: p"])));
        }
        told(Some(get(program.data, &format!("/api/x/{secret}?auth_token={secret}&targetOrgId={secret}"), &[])));
        told(ask(program.data, format!("{secret} / HTTP/1.1\r\nHost: g\r\n\r\n")));
        told(ask(program.data, format!("GET / HTTP/1.1\r\nHost: {secret}\r\n\r\n")));
        told(ask(program.data, format!("GET / HTTP/1.1\r\nHost: g\r\nAuthorization: Bearer {secret}\nx: y\r\n\r\n")));
        told(ask(
            program.data,
            format!("GET / HTTP/1.1\r\nHost: g\r\nAuthorization: Bearer a\r\nAuthorization: Bearer {secret}\r\n\r\n"),
        ));
        told(ask(program.data, format!("GET / HTTP/1.1\r\nHost: g\r\nAuthorization: Bearer\r\n{secret}\r\n\r\n")));
    }
    shown.push_str(&program.metrics());
    shown.push_str(&console(&program));
    program.signal("TERM");
    program.wait_for_line(|line| line["event"] == "drained");
    shown.push_str(&program.lines().join("\n"));
    // Equal refusals are folded, so there are few; but there are some of each kind.
    let told = |word: &str| program.lines().iter().any(|line| line.contains(word));
    assert!(told("credential_missing") && told("newline_in_head") && told("[redacted]"), "nothing was printed");
    for secret in [&TOKEN[5..], LEGACY, JWT, &basic, PASSWORD, SESSION] {
        for window in secret.as_bytes().windows(8) {
            let piece = std::str::from_utf8(window).unwrap();
            if let Some(at) = shown.find(piece) {
                let start = at.saturating_sub(200);
                panic!(
                    "{piece} of a secret is shown: …{}…",
                    String::from_utf8_lossy(&shown.as_bytes()[start..(at + 60).min(shown.len())])
                );
            }
        }
    }
}
