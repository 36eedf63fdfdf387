//! Limits beside the one of each token: failures of an address, answers outstanding, costs, and limits that only count.

use std::io::Write as _;
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use crate::support::{Answer, Origin, Program, TOKEN, get, sound_token};

/// Knows one token, as Grafana 11 does.
fn grafana() -> Origin {
    Origin::new(|seen, stream| {
        let known = seen.header("authorization").is_none_or(|value| value.contains(TOKEN));
        let (status, body) = match known {
            true => ("200 OK", "{}"),
            false => {
                let body = "{\"message\":\"Invalid API key\",\"messageId\":\"api-key.invalid\",\"statusCode\":401,\"traceID\":\"\"}";
                ("401 Unauthorized", body)
            }
        };
        let answer = format!(
            "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(answer.as_bytes()).is_ok()
    })
}

fn invented(number: u32) -> String {
    format!("Authorization: Bearer {}", sound_token(number.into()))
}

fn known() -> String {
    format!("Authorization: Bearer {TOKEN}")
}

fn seen(answer: &Answer) -> (u16, Option<&str>) {
    (answer.status, answer.reason())
}

#[test]
fn an_address_that_sends_bad_tokens_is_refused_before_grafana_and_an_accepted_token_is_not() {
    let origin = grafana();
    let arguments = ["--limits-auth-failures-rate", "6/m", "--limits-auth-failures-burst", "5"];
    let program = Program::before(&origin.url(), &arguments);
    assert_eq!(get(program.data, "/api/org", &[&known()]).status, 200);
    for number in 0..5 {
        assert_eq!(get(program.data, "/api/org", &[&invented(number)]).status, 401);
    }
    for number in [5, 0, 6] {
        let refused = get(program.data, "/api/org", &[&invented(number)]);
        assert_eq!(seen(&refused), (429, Some("auth_failures_limited")), "{number}");
        assert_eq!(refused.header("ratelimit-policy"), Some("\"auth_failures\";q=5;w=50"));
        let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
        assert!((5..=30).contains(&wait), "{wait}");
        let line = program.refusal(refused.header("x-request-id").unwrap());
        assert_eq!(line["limit"], "auth_failures");
    }
    assert_eq!(origin.count(), 6, "a refused request reached Grafana");
    // Who was accepted, and who sends no token at all, are not the ones.
    assert_eq!(get(program.data, "/api/org", &[&known()]).status, 200);
    assert_eq!(get(program.data, "/login", &[]).status, 200);
    let refused = "grafana_token_proxy_ratelimit_decisions_total{policy=\"auth_failures\",decision=\"refused\"}";
    assert_eq!(program.metric(refused), Some(3.0));
}

#[test]
fn the_failures_of_one_address_are_not_those_of_another() {
    let origin = grafana();
    let arguments = [
        "--limits-auth-failures-rate",
        "1/h",
        "--limits-auth-failures-burst",
        "2",
        "--clients-trusted-proxies",
        "127.0.0.1",
    ];
    let program = Program::before(&origin.url(), &arguments);
    let from = |address: &str, number| {
        get(program.data, "/api/org", &[&invented(number), &format!("X-Forwarded-For: {address}")]).status
    };
    assert_eq!([from("2001:db8::1", 1), from("2001:db8::2", 2), from("2001:db8::3", 3)], [401, 401, 429], "one /64");
    assert_eq!([from("2001:db8:0:1::1", 4), from("192.0.2.1", 5)], [401, 401]);
}

#[test]
fn a_limit_in_shadow_mode_counts_and_writes_and_refuses_nothing() {
    let origin = Origin::ok();
    let program = Program::before(&origin.url(), &["--limits-mode", "shadow", "--rate", "1/h", "--burst", "2"]);
    let answers: Vec<Answer> = (0..5).map(|_| get(program.data, "/api/org", &[&known()])).collect();
    assert!(answers.iter().all(|answer| seen(answer) == (200, None)), "{answers:?}");
    assert!(answers.iter().all(|answer| answer.header("retry-after").is_none()));
    assert!(answers[4].header("ratelimit").unwrap().starts_with("\"token\";r=0;t="));
    assert_eq!(answers[4].header("ratelimit-policy"), Some("\"token\";q=2;w=7200"));
    let line = program.wait_for_line(|line| line["event"] == "request_would_be_refused");
    assert_eq!(
        (&line["reason"], &line["limit"], &line["level"]),
        (&"token_rate_limited".into(), &"token".into(), &"info".into())
    );
    assert!(line["retry_after_ms"].as_u64().unwrap() > 3_000_000);
    let decided = |decision: &str| {
        program.metric(&format!(
            "grafana_token_proxy_ratelimit_decisions_total{{policy=\"token\",decision=\"{decision}\"}}"
        ))
    };
    assert_eq!([decided("allowed"), decided("shadow"), decided("refused")], [Some(2.0), Some(3.0), Some(0.0)]);
    assert!(!program.metrics().contains("grafana_token_proxy_refusals_total{"), "nothing was refused");
}

#[test]
fn one_limit_may_be_in_shadow_mode_alone() {
    let origin = Origin::ok();
    let arguments = [
        "--limits-per-client-mode",
        "shadow",
        "--limits-per-client-burst",
        "1",
        "--limits-per-client-rate",
        "1/h",
        "--rate",
        "1/h",
        "--burst",
        "1",
    ];
    let program = Program::before(&origin.url(), &arguments);
    assert_eq!([(); 3].map(|()| get(program.data, "/login", &[]).status), [200; 3]);
    assert_eq!([(); 2].map(|()| get(program.data, "/api/org", &[&known()]).status), [200, 429]);
}

#[test]
fn a_dear_request_spends_more() {
    let origin = Origin::ok();
    let program = Program::before(
        &origin.url(),
        &["--rate", "1/h", "--burst", "10", "--limits-cost", "/render/=4,/api/ds/query=2"],
    );
    let left = |path: &str| {
        let answer = get(program.data, path, &[&known()]);
        let left = answer.header("ratelimit").unwrap();
        let left = left.strip_prefix("\"token\";r=").unwrap().split(';').next().unwrap().parse::<u32>().unwrap();
        (answer.status, left)
    };
    assert_eq!(left("/render/d/x"), (200, 6));
    assert_eq!(left("/api/ds/query?x=1"), (200, 4));
    assert_eq!(left("/api/org"), (200, 3));
    assert_eq!(left("/render/d/x"), (429, 0));
    assert_eq!(left("/api/org"), (200, 2), "a refusal spends nothing");
}

#[test]
fn no_spelling_of_a_dear_path_makes_it_cheaper() {
    let origin = Origin::ok();
    let arguments = ["--rate", "1/h", "--burst", "100", "--limits-cost", "/api/ds/query=5,/api/search=2"];
    let program = Program::before(&origin.url(), &arguments);
    let mut before = 100;
    for (path, cost) in [
        ("/api/ds/query", 5),
        ("/api/ds/quer%79", 5),
        ("/%61pi/ds/query?x", 5),
        ("/api/ds/quer%2579", 5),
        ("/api/ds%2fquery", 5),
        ("/api//ds/query", 5),
        ("/api/ds/query/", 5),
        ("/api/searc%68", 5),
        ("/api/search", 2),
        ("/api/health%7a", 5),
        ("/public/%61pp.js", 5),
        ("/api/datasources/name/My%20Data%3A1", 1),
    ] {
        let answer = get(program.data, path, &[&known()]);
        let left = answer.header("ratelimit").unwrap_or_else(|| panic!("{path}: not limited"));
        let left = left.strip_prefix("\"token\";r=").unwrap().split(';').next().unwrap().parse::<u32>().unwrap();
        assert_eq!((answer.status, before - left), (200, cost), "{path}");
        before = left;
    }
    assert_eq!(get(program.data, "/public/app%20new.js", &[&known()]).header("ratelimit"), None);
}

#[test]
fn so_many_answers_of_a_token_are_outstanding_and_no_more() {
    let gate = Arc::new((Mutex::new(false), Condvar::new()));
    let open = Arc::clone(&gate);
    let origin = Origin::new(move |seen, stream| {
        if seen.lines[0].contains("/slow") {
            // The head comes at once: an answer is outstanding until its body has ended.
            let begun = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{").is_ok();
            let (open, changed) = &*open;
            drop(changed.wait_while(open.lock().unwrap(), |open| !*open).unwrap());
            return begun && stream.write_all(b"}").is_ok();
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").is_ok()
    });
    let program = Program::before(&origin.url(), &["--limits-in-flight-per-token", "2"]);
    let data = program.data;
    let slow: Vec<_> = (0..2).map(|_| thread::spawn(move || get(data, "/slow", &[&known()]).status)).collect();
    while origin.count() < 2 {
        thread::sleep(Duration::from_millis(5));
    }
    let refused = get(data, "/api/org", &[&known()]);
    assert_eq!(seen(&refused), (429, Some("token_rate_limited")));
    assert_eq!(refused.header("ratelimit-policy"), Some("\"in_flight\";q=2;qu=\"concurrent-requests\""));
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(program.refusal(refused.header("x-request-id").unwrap())["limit"], "in_flight");
    assert_eq!(get(data, "/api/org", &[&invented(1)]).status, 200, "another one pays for it");
    *gate.0.lock().unwrap() = true;
    gate.1.notify_all();
    assert_eq!(slow.into_iter().map(|slow| slow.join().unwrap()).collect::<Vec<_>>(), [200, 200]);
    // The places are free once the last byte is on its way.
    let answer = (0..100).map(|_| get(data, "/api/org", &[&known()])).find(|answer| answer.status == 200);
    assert!(answer.is_some());
}
