//! Each caller has its own budget, and the refusal says how long to wait.

use std::thread;
use std::time::Duration;

use crate::support::{Origin, Program, TOKEN, get};

const OTHER: &str = "glsa_iNValIdinValiDinvalidinvalidinva_5b582697";

fn with(token: &str) -> String {
    format!("Authorization: Bearer {token}")
}

#[test]
fn a_token_beyond_its_budget_is_refused_and_others_are_not() {
    let origin = Origin::ok();
    let program = Program::before(&origin.url(), &["--rate", "1/h", "--burst", "3"]);
    for left in ["2", "1", "0"] {
        let answer = get(program.data, "/api/org", &[&with(TOKEN)]);
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("ratelimit-policy"), Some("\"token\";q=3;w=10800"));
        assert!(
            answer.header("ratelimit").unwrap().starts_with(&format!("\"token\";r={left};t=")),
            "{:?}",
            answer.headers
        );
    }
    let refused = get(program.data, "/api/org", &[&with(TOKEN)]);
    assert_eq!((refused.status, refused.reason()), (429, Some("token_rate_limited")));
    let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((3590..=3600).contains(&wait), "{wait}");
    assert_eq!(
        refused.header("proxy-status"),
        Some("grafana-token-proxy; error=http_request_denied; details=\"token_rate_limited\"")
    );
    let body: serde_json::Value = serde_json::from_slice(&refused.body).unwrap();
    assert_eq!(
        (&body["statusCode"], &body["status"], &body["messageId"]),
        (&429.into(), &429.into(), &"token-proxy.token_rate_limited".into())
    );
    assert!(body["message"].is_string() && body["type"].as_str().unwrap().ends_with("#token-rate-limited"));
    let line = program.refusal(refused.header("x-request-id").unwrap());
    assert_eq!((&line["limit"], &line["source"]), (&"token".into(), &"proxy".into()));
    assert!(line["retry_after_ms"].as_u64().unwrap() > 3_500_000);
    assert_eq!(get(program.data, "/api/org", &[&with(OTHER)]).status, 200);
    assert_eq!(origin.count(), 4, "a refused request reached Grafana");
    assert_eq!(
        program.metric("grafana_token_proxy_ratelimit_decisions_total{policy=\"token\",decision=\"refused\"}"),
        Some(1.0)
    );
}

#[test]
fn a_retry_after_the_time_given_succeeds() {
    let origin = Origin::ok();
    let program = Program::before(&origin.url(), &["--rate", "2/s", "--burst", "1"]);
    assert_eq!(get(program.data, "/x", &[&with(TOKEN)]).status, 200);
    let refused = get(program.data, "/x", &[&with(TOKEN)]);
    assert_eq!(refused.status, 429);
    thread::sleep(Duration::from_secs(refused.header("retry-after").unwrap().parse().unwrap()));
    assert_eq!(get(program.data, "/x", &[&with(TOKEN)]).status, 200);
}

#[test]
fn callers_without_a_credential_share_the_budget_of_their_address() {
    let origin = Origin::ok();
    let program = Program::before(
        &origin.url(),
        &[
            "--limits-per-client-rate",
            "1/h",
            "--limits-per-client-burst",
            "2",
            "--clients-trusted-proxies",
            "127.0.0.1/32",
        ],
    );
    let from = |address: &str| get(program.data, "/login", &[&format!("X-Forwarded-For: {address}")]);
    assert_eq!((from("1.1.1.1").status, from("1.1.1.1").status), (200, 200));
    let refused = from("1.1.1.1");
    assert_eq!((refused.status, refused.reason()), (429, Some("client_rate_limited")));
    assert_eq!(from("2.2.2.2").status, 200);
    assert_eq!(
        (from("2001:db8::1").status, from("2001:db8::2").status, from("2001:db8::3").status),
        (200, 200, 429),
        "a /64 is one client"
    );
    assert_eq!(from("2001:db8:0:1::1").status, 200);
    assert_eq!(
        get(program.data, "/x", &["X-Forwarded-For: 1.1.1.1", &with(TOKEN)]).status,
        200,
        "a token has its own budget"
    );
    assert_eq!(
        get(program.data, "/x", &["X-Forwarded-For: 1.1.1.1", "Cookie: grafana_session=a"]).status,
        200,
        "a session is a credential"
    );
    assert_eq!(get(program.data, "/x", &["X-Forwarded-For: 1.1.1.1", "Cookie: theme=dark"]).status, 429);
}

#[test]
fn exempt_paths_are_never_limited_and_disguises_are_not_exempt() {
    let origin = Origin::ok();
    let program =
        Program::before(&origin.url(), &["--limits-per-client-rate", "1/h", "--limits-per-client-burst", "1"]);
    assert_eq!(get(program.data, "/x", &[]).status, 200);
    for path in ["/api/health", "/metrics", "/public/build/app.js", "/api/health?x=/../y"] {
        let answer = get(program.data, path, &[]);
        assert_eq!((answer.status, answer.header("ratelimit")), (200, None), "{path}");
    }
    for path in [
        "/api/health/",
        "/api/healthy",
        "/public/../api/org",
        "/public/%2e%2e/api/org",
        "//public/x",
        "/public/%2Fx",
        "/public/;/x",
        "/public/\\x",
        "/public",
    ] {
        assert_eq!(get(program.data, path, &[]).status, 429, "{path}");
    }
}
