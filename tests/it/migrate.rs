//! `migrate nginx`: what comes out serves as the nginx did that it was made from.

use std::process::{Command, Stdio};

use crate::support::peers::Peer;
use crate::support::{Answer, Origin, Program, TOKEN, ask};

fn migrated(text: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("nginx.conf");
    std::fs::write(&file, text).unwrap();
    let output = Command::new(crate::support::binary())
        .args(["migrate", "nginx", file.to_str().unwrap()])
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_real_nginx_and_what_it_was_migrated_to_answer_alike() {
    let origin = Origin::ok();
    let inside = format!(
        "client_max_body_size 1k; location / {{ limit_req zone=token burst=2 nodelay; proxy_pass {}; \
         proxy_set_header Host $http_host; proxy_set_header Authorization \"Bearer $http_x_api_key\"; \
         proxy_set_header X-Grafana-Org-Id 2; proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; }}",
        origin.url()
    );
    let zone = "limit_req_zone $http_x_api_key zone=token:1m rate=1r/m; limit_req_status 429;";
    let Some(nginx) = Peer::nginx_with(zone, &inside) else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("proxy.yaml");
    let yaml = migrated(&format!("{zone} server {{ {inside} }}"));
    std::fs::write(&file, &yaml).unwrap();
    let program = Program::before(&origin.url(), &["--config", file.to_str().unwrap()]);
    let places = [nginx.url.trim_start_matches("http://").parse().unwrap(), program.data];
    let request = |method: &str, key: &str, body: usize| {
        format!(
            "{method} /api/search HTTP/1.1\r\nHost: grafana.example.com\r\nX-Api-Key: {key}\r\nContent-Length: {body}\r\n\r\n{}",
            "x".repeat(body)
        )
    };
    let seen = |at: usize, answer: &Answer| {
        let last = origin.last();
        (answer.status, last.all("authorization"), last.all("x-grafana-org-id"), last.all("host"), at)
    };
    // Three that pass, then one too many; then another caller with a body that is too large.
    let mut told = [Vec::new(), Vec::new()];
    for (at, place) in places.into_iter().enumerate() {
        for _ in 0..3 {
            let answer = ask(place, request("GET", TOKEN, 0)).unwrap();
            let (status, authorization, organisation, host, _) = seen(at, &answer);
            told[at].push(format!("{status} {authorization:?} {organisation:?} {host:?}"));
        }
        told[at].push(ask(place, request("GET", TOKEN, 0)).unwrap().status.to_string());
        told[at].push(ask(place, request("POST", "another", 2000)).unwrap().status.to_string());
    }
    assert_eq!(told[0], told[1], "{yaml}");
    let wanted = format!("200 [\"Bearer {TOKEN}\"] [\"2\"] [\"grafana.example.com\"]");
    assert_eq!((&told[1][0], &told[1][3][..]), (&wanted, "429"));
}

#[test]
fn strict_fails_where_something_is_left_and_json_is_data() {
    let run = |text: &str, more: &[&str]| {
        use std::io::Write as _;
        let mut child = Command::new(crate::support::binary())
            .args(["migrate", "nginx", "-"])
            .args(more)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let _ = child.stdin.take().unwrap().write_all(text.as_bytes());
        let output = child.wait_with_output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    };
    let good = "proxy_pass http://127.0.0.1:3000;";
    assert_eq!(run(good, &["--strict"]).0, 0);
    let (code, _, told) = run(&format!("{good}\nsub_filter a b;"), &["--strict"]);
    assert!(code == 1 && told.contains("1 taken over, 0 not needed, 1 cannot, 0 unknown"), "{told}");
    let (code, json, _) = run(good, &["-o", "json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((code, &json["lines"][0]["key"]), (0, &"upstream.url".into()));
    let (code, out, told) = run("server {", &[]);
    assert!(code == 1 && out.is_empty() && told.contains("standard input:1:"), "{told}");
    assert_eq!(run(good, &["--frobnicate"]).0, 2);
}
