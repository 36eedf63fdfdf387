//! A refused request is a span in the trace of its caller, where a collector is named; nothing waits for it.

use std::io::Write;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::Instant;

use serde_json::Value;

use crate::support::program::PATIENCE;
use crate::support::{Origin, Program, TOKEN, get};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const EXPIRED: &str = "HTTP/1.1 401 Unauthorized\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nX-Frame-Options: deny\r\nContent-Type: application/json; charset=UTF-8\r\nContent-Length: 103\r\n\r\n{\"extra\":null,\"message\":\"Expired API key\",\"messageId\":\"api-key.expired\",\"statusCode\":401,\"traceID\":\"\"}\n";
const TAKEN: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";

fn program(origin: &Origin, variables: &[(&str, &str)]) -> Program {
    let mut command = Command::new(crate::support::binary());
    command.args([
        "run",
        "--upstream",
        &origin.url(),
        "--listen",
        "127.0.0.1:0",
        "--telemetry",
        "127.0.0.1:0",
        "--admin",
        "off",
    ]);
    command.args(["--log-format", "json", "--workers", "1"]).envs(variables.iter().copied());
    Program::start(command)
}

/// All spans that have come, each with the resource it came with.
fn spans(collector: &Origin) -> Vec<(Value, Value)> {
    let mut found = Vec::new();
    for seen in collector.seen() {
        let body: Value = serde_json::from_slice(&seen.body).unwrap();
        for group in body["resourceSpans"].as_array().unwrap() {
            for scope in group["scopeSpans"].as_array().unwrap() {
                let spans = scope["spans"].as_array().unwrap().iter();
                found.extend(spans.map(|span| (span.clone(), group["resource"].clone())));
            }
        }
    }
    found
}

fn wait_for(what: &str, met: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !met() {
        assert!(Instant::now() < deadline, "{what} did not come");
        thread::yield_now();
    }
}

/// The value of an attribute, whatever its type.
fn attribute(holder: &Value, key: &str) -> Option<String> {
    let pairs = holder["attributes"].as_array().unwrap();
    let value = pairs.iter().find(|pair| pair["key"] == key)?["value"].as_object().unwrap().values().next().unwrap();
    Some(value.as_str().map_or_else(|| value.to_string(), str::to_owned))
}

#[test]
fn a_refused_request_is_a_span_of_its_callers_trace() {
    let (origin, collector) = (Origin::answering(EXPIRED), Origin::answering(TAKEN));
    let program = program(
        &origin,
        &[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url()),
            ("OTEL_EXPORTER_OTLP_HEADERS", "Authorization=Bearer%20hunter2hunter2"),
            ("OTEL_RESOURCE_ATTRIBUTES", "k8s.pod.name=grafana-0"),
            ("OTEL_SERVICE_NAME", "front"),
            ("OTEL_BSP_SCHEDULE_DELAY", "50"),
        ],
    );
    let parent = format!("00-{TRACE}-00f067aa0ba902b7-01");
    let lines = [&format!("Authorization: Bearer {TOKEN}"), &format!("traceparent: {parent}"), "tracestate: a=b"];
    let answer = get(program.data, "/api/org?auth_token=hunter2", &lines);
    assert_eq!(answer.reason(), Some("token_expired"));
    // The context passes as it came, and the line names the trace.
    assert_eq!((origin.last().all("traceparent"), origin.last().all("tracestate")), (vec![parent], vec!["a=b".into()]));
    let id = answer.header("x-request-id").unwrap();
    let line = program.refusal(id);
    assert_eq!(line["trace_id"], TRACE);

    wait_for("a span", || collector.count() > 0);
    let request = collector.last();
    assert_eq!(request.lines[0], "POST /v1/traces HTTP/1.1");
    assert_eq!(request.header("content-type").as_deref(), Some("application/json"));
    assert_eq!(request.header("authorization").as_deref(), Some("Bearer hunter2hunter2"));
    let (span, resource) = spans(&collector).remove(0);
    assert_eq!((span["traceId"].as_str(), span["parentSpanId"].as_str()), (Some(TRACE), Some("00f067aa0ba902b7")));
    assert_eq!((span["name"].as_str(), span["kind"].as_u64()), (Some("GET"), Some(2)));
    assert_eq!(span["spanId"].as_str().map(str::len), Some(16));
    let time = |key: &str| span[key].as_str().unwrap().parse::<u128>().unwrap();
    assert!(time("startTimeUnixNano") <= time("endTimeUnixNano"));
    for (key, expected) in [
        ("http.request.method", "GET"),
        ("http.response.status_code", "401"),
        ("url.path", "/api/org"),
        ("client.address", "127.0.0.1"),
        ("grafana_token_proxy.reason", "token_expired"),
        ("grafana_token_proxy.source", "grafana"),
        ("grafana_token_proxy.hint", line["hint"].as_str().unwrap()),
        ("grafana_token_proxy.detail", line["detail"].as_str().unwrap()),
        ("grafana_token_proxy.token_fingerprint", line["token_fingerprint"].as_str().unwrap()),
        ("grafana_token_proxy.request_id", id),
    ] {
        assert_eq!(attribute(&span, key).as_deref(), Some(expected), "{key}");
    }
    assert_eq!(attribute(&resource, "service.name").as_deref(), Some("front"));
    assert_eq!(attribute(&resource, "k8s.pod.name").as_deref(), Some("grafana-0"));
    let body = String::from_utf8(request.body).unwrap();
    assert!(!body.contains("hunter2") && !body.contains(&TOKEN[5..20]), "{body}");
    let told = program.lines().join("\n") + &program.metrics();
    assert!(!told.contains("hunter2"), "{told}");
}

#[test]
fn only_refusals_of_sampled_traces_are_told() {
    let (origin, collector) = (Origin::answering(EXPIRED), Origin::answering(TAKEN));
    let endpoint = format!("{}/traces", collector.url());
    let variables = [("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", endpoint.as_str()), ("OTEL_BSP_SCHEDULE_DELAY", "20")];
    let program = program(&origin, &variables);
    let authorization = format!("Authorization: Bearer {TOKEN}");
    get(program.data, "/api/org", &[&authorization, &format!("traceparent: 00-{TRACE}-00f067aa0ba902b7-00")]);
    get(program.data, "/api/org", &[&authorization]);
    wait_for("a span", || !spans(&collector).is_empty());
    let found = spans(&collector);
    assert_eq!(found.len(), 1, "the caller does not sample the first");
    assert!(found[0].0.get("parentSpanId").is_none());
    assert_eq!(collector.last().lines[0], "POST /traces HTTP/1.1");
}

#[test]
fn what_waits_is_sent_before_the_end() {
    let (origin, collector) = (Origin::answering(EXPIRED), Origin::answering(TAKEN));
    let endpoint = collector.url();
    // Longer than the test waits: only the end can send it.
    let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()), ("OTEL_BSP_SCHEDULE_DELAY", "3600000")];
    let mut program = program(&origin, &variables);
    for _ in 0..3 {
        get(program.data, "/api/org", &[&format!("Authorization: Bearer {TOKEN}")]);
    }
    program.signal("TERM");
    assert_eq!(program.wait(), Some(0));
    assert_eq!((spans(&collector).len(), collector.count()), (3, 1));
}

#[test]
fn a_collector_that_is_busy_is_asked_again_and_one_that_is_gone_hurts_nobody() {
    let origin = Origin::answering(EXPIRED);
    let count = Arc::new(AtomicUsize::new(0));
    let busy = Origin::new({
        let count = Arc::clone(&count);
        move |_, stream| {
            let first = count.fetch_add(1, SeqCst) == 0;
            let answer = if first { "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n" } else { TAKEN };
            stream.write_all(answer.as_bytes()).is_ok()
        }
    });
    let endpoint = busy.url();
    let patient =
        program(&origin, &[("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()), ("OTEL_BSP_SCHEDULE_DELAY", "20")]);
    get(patient.data, "/api/org", &[]);
    wait_for("the second attempt", || busy.count() == 2);
    let seen = busy.seen();
    assert_eq!(seen[0].body, seen[1].body);

    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let endpoint = format!("http://user:hunter2@{nobody}");
    let program =
        program(&origin, &[("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()), ("OTEL_BSP_SCHEDULE_DELAY", "20")]);
    for _ in 0..20 {
        assert_eq!(get(program.data, "/api/org", &[]).status, 401);
    }
    let lost = program.wait_for_line(|line| line["event"] == "spans_lost");
    assert!(lost["count"].to_string().trim_matches('"').parse::<u32>().unwrap() >= 1, "{lost}");
    assert!(!program.lines().join("\n").contains("hunter2"));
}

#[test]
fn a_collector_that_hangs_neither_delays_requests_nor_grows_the_queue() {
    let origin = Origin::answering(EXPIRED);
    // Accepts connections (the system does), and never answers.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", silent.local_addr().unwrap());
    let program = program(
        &origin,
        &[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "2000"),
            ("OTEL_BSP_SCHEDULE_DELAY", "1"),
        ],
    );
    let mut stream = crate::support::wire::connect(program.data);
    let mut pending = Vec::new();
    // More than wait in the queue and in a batch under way.
    for _ in 0..3_000 {
        stream.write_all(b"GET /api/org HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        assert!(crate::support::wire::read_answer(&mut stream, &mut pending, false).is_some());
    }
    program.wait_for_line(|line| line["event"] == "spans_dropped");
}

#[test]
fn what_cannot_be_done_is_told_by_check() {
    let output = Command::new(crate::support::binary())
        .args(["run", "--upstream", "http://127.0.0.1:1", "--listen", "nonsense"])
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", "https://user:hunter2@collector:4318")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("OTEL_EXPORTER_OTLP_ENDPOINT") && said.contains("https"), "{said}");
    assert!(!said.contains("hunter2"), "{said}");
}
