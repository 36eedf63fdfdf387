//! What the proxy writes about its own traffic is enough to set its limits by.

use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::support::{Origin, Program, TOKEN, get};

const OTHER: &str = "glsa_iNValIdinValiDinvalidinvalidinva_5b582697";

/// What `limits suggest` makes of a log.
fn suggest(log: &str, arguments: &[&str]) -> Value {
    let mut child = Command::new(crate::support::binary())
        .args(["limits", "suggest", "--from-log", "-", "-o", "json"])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(log.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(!said.contains("yscW25im"), "{said}");
    serde_json::from_str(&said).unwrap()
}

fn caller<'a>(report: &'a Value, class: &str, requests: u64) -> &'a Value {
    let callers = report["callers"].as_array().unwrap();
    let found = callers.iter().find(|caller| caller["class"] == class && caller["requests"] == requests);
    found.unwrap_or_else(|| panic!("no {class} with {requests} requests in {report:#}"))
}

#[test]
fn its_own_log_tells_what_its_callers_need() {
    let origin = Origin::ok();
    // The two last requests of the first token are refused by the limit: they are demand, too.
    let program = Program::before(&origin.url(), &["--log-requests", "all", "--rate", "1/h", "--burst", "28"]);
    for number in 0..30 {
        let headers = [&*format!("Authorization: Bearer {TOKEN}"), &*format!("X-Request-Id: request-{number}")];
        let answer = get(program.data, "/api/org", &headers);
        assert_eq!(answer.status, if number < 28 { 200 } else { 429 });
    }
    for _ in 0..4 {
        assert_eq!(get(program.data, "/api/org", &[&format!("Authorization: {OTHER}")]).status, 200);
    }
    let id = "the-last-one";
    assert_eq!(get(program.data, "/login", &[&format!("X-Request-Id: {id}")]).status, 200);
    program.wait_for_line(|line| line["request_id"] == id);
    // A second refusal within a second is told at its end.
    program.refusal("request-29");
    let log = program.lines().join("\n");

    let report = suggest(&log, &[]);
    assert_eq!(report["requests"], 35, "{report:#}");
    let first = caller(&report, "token", 30);
    assert_eq!(first["kind"], "service_account");
    assert_eq!(first["limit_refuses"], json!({ "any": false, "requests": 0, "first": null }));
    assert_eq!(caller(&report, "token", 4)["kind"], "service_account");
    assert_eq!(caller(&report, "address", 1)["caller"], "127.0.0.1");
    let burst = first["with_headroom"]["burst"].as_u64().unwrap();
    assert!((10..=45).contains(&burst), "{report:#}");

    // The limit that was in force refuses again what it has refused.
    let report = suggest(&log, &["--limit-rate", "1/h", "--limit-burst", "28"]);
    assert_eq!(caller(&report, "token", 30)["limit_refuses"]["requests"], 2, "{report:#}");
    assert_eq!(caller(&report, "token", 4)["limit_refuses"]["any"], false);
}
