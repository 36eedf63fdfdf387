//! Every spelling of a token reaches Grafana as one canonical header, or is refused with its reason.

use crate::support::{Origin, Program, TOKEN, ask, get};

/// What is sent, and the repairs that it needs.
fn spellings() -> Vec<(String, &'static str)> {
    let t = TOKEN;
    vec![
        (t.to_owned(), "bearer_added"),
        (format!("bearer {t}"), "scheme_case"),
        (format!("BEARER {t}"), "scheme_case"),
        (format!("Token {t}"), "scheme_replaced"),
        (format!("ApiKey {t}"), "scheme_replaced"),
        (format!("Api-Key {t}"), "scheme_replaced"),
        (format!("Bearer Bearer {t}"), "scheme_deduplicated"),
        (format!("Bearer  {t}"), "whitespace_trimmed"),
        (format!("Bearer\t{t}"), "whitespace_trimmed"),
        (format!("Bearer \u{a0}{t}"), "whitespace_trimmed"),
        (format!("\u{feff}Bearer {t}"), "whitespace_trimmed"),
        (format!("Bearer {t}\u{200b}"), "whitespace_trimmed"),
        (format!("Bearer {t}\\n"), "newline_trimmed"),
        (format!("Bearer {t}\\r\\n"), "newline_trimmed"),
        (format!("Bearer {t}%0A"), "newline_trimmed"),
        (format!("Bearer {t}%0d%0a"), "newline_trimmed"),
        (format!("Bearer \"{t}\""), "quotes_removed"),
        (format!("\"Bearer {t}\""), "quotes_removed"),
        (format!("Bearer '{t}'"), "quotes_removed"),
        (format!("Bearer: {t}"), "colon_removed"),
        (format!("Bearer {t}, Bearer {t}"), "duplicate_dropped"),
        (format!("Bearer {t}\r\nAuthorization: Bearer {t}"), "duplicate_dropped"),
        (basic(&format!("api_key:{t}")), "basic_api_key_to_bearer"),
        (format!("bearer: \"{t}\\n\""), "scheme_case,newline_trimmed,quotes_removed,colon_removed"),
    ]
}

fn basic(text: &str) -> String {
    use base64::Engine as _;
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(text))
}

fn saw(program: &Program, lines: &[&str]) -> String {
    let lines = [lines, &["X-Token-Proxy-Probe: p-1"]].concat();
    get(program.data, "/api/org", &lines).header("x-token-proxy-saw").unwrap().to_owned()
}

#[test]
fn every_spelling_becomes_one_canonical_header() {
    let origin = Origin::ok();
    let program = Program::before(&origin.url(), &[]);
    for (value, changes) in spellings() {
        let saw = saw(&program, &[&format!("Authorization: {value}")]);
        assert_eq!(origin.last().all("authorization"), [format!("Bearer {TOKEN}")], "{value}");
        assert!(saw.contains(&format!("changes={changes};")), "{value}: {saw}");
        assert!(saw.contains("auth_sent=bearer") && saw.contains("token_kind=service_account"), "{saw}");
        assert_eq!(origin.last().header("x-token-proxy-probe"), None);
    }
    for (_, change) in spellings() {
        let first = change.split(',').next().unwrap();
        let name = format!("grafana_token_proxy_authorization_changes_total{{change=\"{first}\"}}");
        assert!(program.metric(&name).unwrap() >= 1.0, "{name}");
    }
}

#[test]
fn all_spellings_are_one_caller() {
    let origin = Origin::ok();
    let program = Program::before(&origin.url(), &["--rate", "1/h", "--burst", "100"]);
    let fingerprint = |value: &str| {
        let saw = saw(&program, &[&format!("Authorization: {value}")]);
        saw.split("fingerprint=").nth(1).unwrap()[..12].to_owned()
    };
    let first = fingerprint(&format!("Bearer {TOKEN}"));
    let mut left = Vec::new();
    for (value, _) in spellings() {
        assert_eq!(fingerprint(&value), first, "{value}");
        let answer = get(program.data, "/x", &[&format!("Authorization: {value}")]);
        left.push(answer.header("ratelimit").unwrap().to_owned());
    }
    left.dedup();
    assert_eq!(left.len(), spellings().len(), "a spelling has a bucket of its own: {left:?}");
}

#[test]
fn observe_and_off_change_nothing() {
    for mode in ["observe", "off"] {
        let origin = Origin::ok();
        let program = Program::before(&origin.url(), &["--authorization-repair", mode]);
        for (value, change) in spellings().into_iter().filter(|(value, _)| value.is_ascii() && !value.contains('\r')) {
            let saw = saw(&program, &[&format!("Authorization: {value}")]);
            assert_eq!(origin.last().all("authorization"), [value], "{mode}");
            assert_eq!(saw.contains(&format!("changes={change}")), mode == "observe", "{mode}: {saw}");
        }
    }
}

#[test]
fn what_is_not_ours_to_judge_passes_byte_for_byte() {
    let origin = Origin::ok();
    let program = Program::before(&origin.url(), &[]);
    let jwt = "Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl";
    for value in [
        &basic("admin:admin"),
        "basic YTpi",
        jwt,
        "Negotiate YII",
        "Digest username=\"a\", realm=\"b\"",
        "Bearer glc_eyJvIjoiMSJ9",
        "glc_eyJvIjoiMSJ9",
        "AWS4-HMAC-SHA256 Credential=AKIA/20200101/x, Signature=00",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl",
    ] {
        get(program.data, "/x", &[&format!("Authorization: {value}")]);
        assert_eq!(origin.last().all("authorization"), [value]);
    }
}

#[test]
fn two_different_credentials_are_refused() {
    let origin = Origin::ok();
    let program = Program::before(&origin.url(), &[]);
    let one = format!("Authorization: Bearer {TOKEN}");
    for other in ["Authorization: Bearer nonsense", "Authorization: Basic YTpi"] {
        for lines in [[one.as_str(), other], [other, one.as_str()]] {
            let answer = get(program.data, "/x", &lines);
            assert_eq!((answer.status, answer.reason()), (400, Some("credential_conflict")), "{lines:?}");
        }
    }
    assert_eq!(origin.count(), 0);
    let observing = Program::before(&origin.url(), &["--authorization-repair", "observe"]);
    assert_eq!(get(observing.data, "/x", &[&one, "Authorization: Bearer nonsense"]).status, 200);
    assert_eq!(origin.last().all("authorization").len(), 2);
}

#[test]
fn a_credential_is_restored_from_the_header_that_carried_it() {
    let origin = Origin::ok();
    let program =
        Program::before(&origin.url(), &["--authorization-restore-from", "X-Original-Authorization,X-Grafana-Token"]);
    for line in [format!("X-Original-Authorization: Bearer {TOKEN}"), format!("X-Grafana-Token: {TOKEN}")] {
        let saw = saw(&program, &[&line]);
        let seen = origin.last();
        assert_eq!(seen.all("authorization"), [format!("Bearer {TOKEN}")], "{line}");
        assert_eq!((seen.header("x-original-authorization"), seen.header("x-grafana-token")), (None, None));
        assert!(saw.contains("restored"), "{saw}");
    }
    get(program.data, "/x", &["Authorization: Basic YTpi", &format!("X-Grafana-Token: {TOKEN}")]);
    assert_eq!(origin.last().all("authorization"), ["Basic YTpi"], "its own credential did not win");
    let distrusting = Program::before(
        &origin.url(),
        &["--authorization-restore-from", "X-Grafana-Token", "--clients-trusted-proxies", "10.0.0.0/8"],
    );
    get(distrusting.data, "/x", &[&format!("X-Grafana-Token: {TOKEN}")]);
    assert_eq!(origin.last().header("authorization"), None, "a stranger's carrier was believed");
}

#[test]
fn requests_without_a_credential_go_on_to_grafana() {
    let origin = Origin::ok();
    let program = Program::before(&origin.url(), &[]);
    assert_eq!(get(program.data, "/api/health", &[]).status, 200);
    assert_eq!(ask(program.data, "GET /x HTTP/1.1\r\nHost: g\r\nAuthorization:\r\n\r\n").unwrap().status, 200);
    assert_eq!(origin.count(), 2);
}
