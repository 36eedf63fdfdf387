//! Start, readiness, drain.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::support::wire::{connect, read_answer};
use crate::support::{Origin, Program, get};

#[test]
fn the_telemetry_listener_tells_life_readiness_and_metrics_and_nothing_else() {
    let origin = Origin::ok();
    let program = Program::before(&origin.url(), &[]);
    assert_eq!(get(program.telemetry, "/livez", &[]).status, 200);
    assert_eq!(get(program.telemetry, "/readyz", &[]).status, 200);
    assert_eq!(get(program.telemetry, "/api/org", &[]).status, 404);
    let metrics = get(program.telemetry, "/metrics", &[]);
    assert!(metrics.header("content-type").unwrap().starts_with("text/plain; version=0.0.4"));
    assert!(
        metrics.text().contains("grafana_token_proxy_build_info")
            && metrics.text().contains("process_resident_memory_bytes")
    );
    // The data listener has nothing of its own.
    assert_eq!(get(program.data, "/livez", &[]).status, 200);
    assert_eq!(origin.last().lines[0], "GET /livez HTTP/1.1");
}

#[test]
fn metrics_are_valid_for_prometheus() {
    let origin = Origin::ok();
    let program = Program::before(&origin.url(), &[]);
    get(program.data, "/x", &[]);
    let Ok(mut child) = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
    else {
        eprintln!("skipped: promtool is not installed (Debian: prometheus)");
        return;
    };
    child.stdin.take().unwrap().write_all(program.metrics().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
}

#[test]
fn a_taken_port_is_said_and_nothing_serves() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = Command::new(crate::support::binary())
        .args(["run", "--listen", &address, "--telemetry", "off", "--admin", "off"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    assert!(said.contains(&address) && said.contains("--listen"), "{said}");
}

#[test]
fn sigterm_finishes_running_answers_and_ends_well() {
    let gate = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut program =
        Program::before(&format!("http://{}", gate.local_addr().unwrap()), &["--shutdown-delay", "300ms"]);
    let mut client = connect(program.data);
    client.write_all(b"GET /slow HTTP/1.1\r\nHost: g\r\n\r\n").unwrap();
    let (mut upstream, _) = gate.accept().unwrap();
    assert!(upstream.read(&mut [0; 4096]).unwrap() > 0);
    let mut idle = connect(program.data);
    program.signal("TERM");
    // Readiness falls first, while the listener still accepts.
    let deadline = Instant::now() + Duration::from_secs(10);
    while get(program.telemetry, "/readyz", &[]).status != 503 {
        assert!(Instant::now() < deadline);
    }
    upstream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n").unwrap();
    std::thread::sleep(Duration::from_millis(500));
    upstream.write_all(b"done").unwrap();
    let answer = read_answer(&mut client, &mut Vec::new(), false).unwrap();
    assert_eq!((answer.status, answer.text().as_str()), (200, "done"));
    assert_eq!(client.read(&mut [0; 16]).unwrap(), 0, "the connection outlives its last answer");
    assert_eq!(idle.read(&mut [0; 16]).unwrap(), 0, "an idle connection outlives the drain");
    assert_eq!(program.wait(), Some(0));
}

#[test]
fn the_grace_is_the_end_and_a_second_signal_ends_at_once() {
    for second in [false, true] {
        let mute = TcpListener::bind("127.0.0.1:0").unwrap();
        let grace = if second { "600s" } else { "300ms" };
        let mut program =
            Program::before(&format!("http://{}", mute.local_addr().unwrap()), &["--shutdown-grace", grace]);
        let mut client = connect(program.data);
        client.write_all(b"GET /never HTTP/1.1\r\nHost: g\r\n\r\n").unwrap();
        let (_upstream, _) = mute.accept().unwrap();
        program.signal("TERM");
        if second {
            program.wait_for_line(|line| line["event"] == "draining");
            program.signal("TERM");
        }
        assert!(program.wait().is_some());
    }
}

#[test]
fn too_many_requests_or_connections_get_a_clear_503() {
    let mute = TcpListener::bind("127.0.0.1:0").unwrap();
    let program = Program::before(
        &format!("http://{}", mute.local_addr().unwrap()),
        &["--http-max-in-flight", "1", "--workers", "1", "--http-max-connections", "3"],
    );
    let mut first = connect(program.data);
    first.write_all(b"GET /a HTTP/1.1\r\nHost: g\r\n\r\n").unwrap();
    let (_held, _) = mute.accept().unwrap();
    let answer = get(program.data, "/b", &[]);
    assert_eq!((answer.status, answer.reason(), answer.header("retry-after")), (503, Some("overloaded"), Some("1")));
    let _more: Vec<_> = (0..2).map(|_| connect(program.data)).collect();
    // Whether its request has come or not: a close with unread bytes must not take the answer away.
    for round in 0..100 {
        let mut beyond = connect(program.data);
        if round > 0 {
            let _ = beyond.write_all(b"GET /c HTTP/1.1\r\nHost: g\r\n\r\n");
        }
        let answer = read_answer(&mut beyond, &mut Vec::new(), false).unwrap();
        assert_eq!((answer.status, answer.reason()), (503, Some("overloaded")), "{round}");
    }
}

#[test]
fn healthcheck_agrees_with_the_running_program() {
    let origin = Origin::ok();
    let mut program = Program::before(&origin.url(), &[]);
    let check = |address: &str| {
        Command::new(crate::support::binary())
            .args(["healthcheck", "--telemetry", address])
            .output()
            .unwrap()
            .status
            .code()
    };
    let address = program.telemetry.to_string();
    assert_eq!(check(&address), Some(0));
    program.signal("TERM");
    assert_eq!(program.wait(), Some(0));
    assert_eq!(check(&address), Some(1));
}
