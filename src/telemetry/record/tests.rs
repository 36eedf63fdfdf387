//! The line of a refusal, whole.

use std::time::UNIX_EPOCH;

use http::{HeaderValue, Method, StatusCode};
use proptest::prelude::*;

use super::*;
use crate::domain::credential::{Change, Changes};
use crate::domain::head::{AuthFacts, OrgFacts};
use crate::domain::org::OrgBy;
use crate::domain::token::{HashKey, TokenFacts};
use crate::telemetry::format::write_line;
use crate::telemetry::{LogFormat, ServedLine};

const TOKEN: &str = "glsa_yscW25imSKJIuav8zF37RZmnbiDvB05G_fcaaf58a";

/// A refusal in which every key has a value.
fn full() -> Refusal {
    let mut changes = Changes::default();
    changes.insert(Change::SchemeCase);
    changes.insert(Change::NewlineTrimmed);
    Refusal {
        at: UNIX_EPOCH + Duration::from_millis(1_714_979_289_012),
        status: 403,
        reason: Reason::PermissionMissing,
        detail: "Grafana wants a permission: \"dashboards:read\".".into(),
        hint: format!("Give the role of ci-bot `dashboards:read`, not {TOKEN}."),
        permission: Some("dashboards:read".into()),
        facts: RequestFacts {
            method: Method::GET,
            uri: format!("/api/dashboards/uid/a=b?auth_token={TOKEN}").parse().unwrap(),
            user_agent: Some(bytes::Bytes::from_static(b"curl \"8\"\\ \xff\t=")),
            forwarded_for: Some("192.0.2.7, 10.0.0.1".into()),
            auth: AuthFacts {
                received: AuthForm::Bearer,
                sent: AuthForm::Bearer,
                token: Some(TokenFacts::of(TOKEN.as_bytes())),
                changes,
                ..AuthFacts::default()
            },
            org: OrgFacts { received: Some("7".into()), sent: Some(2), by: OrgBy::Default },
            ..RequestFacts::default()
        },
        request_id: "req-1".into(),
        trace_id: Some("4bf92f3577b34da6a3ce929d0e0e4736".into()),
        client: Some("2001:db8::1".parse().unwrap()),
        token_name: Some("ci-bot".into()),
        fingerprint: Some(HashKey::from_bytes([1; 16]).hash(1, b"a").fingerprint()),
        limit: Some("token"),
        retry_after: Some(Duration::from_nanos(1_500_001)),
        shadow: false,
        duration: Duration::from_micros(12_345),
        upstream: Some(Duration::from_millis(11)),
    }
}

fn write(told: &impl Tell, format: LogFormat) -> String {
    let mut out = String::new();
    write_line(&mut out, format, false, told);
    out
}

fn keys(json: &str) -> Vec<String> {
    serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(json).unwrap().keys().cloned().collect()
}

const FORMATS: [(&str, LogFormat); 3] =
    [("json", LogFormat::Json), ("logfmt", LogFormat::Logfmt), ("pretty", LogFormat::Pretty)];

#[test]
fn a_refusal_looks_like_this() {
    for (name, format) in FORMATS {
        insta::assert_snapshot!(format!("refusal_{name}"), write(&RefusalLine(&full(), 3), format));
    }
}

#[test]
fn the_keys_are_those_of_the_contract_in_its_order() {
    let contract = "timestamp level event status source reason detail hint doc request_id trace_id method path client \
        forwarded_for user_agent token_name token_kind token_fingerprint auth_received auth_sent changes org_received \
        org_sent org_by permission limit retry_after_ms duration_ms upstream_ms suppressed";
    assert_eq!(
        keys(&write(&RefusalLine(&full(), 1), LogFormat::Json)),
        contract.split_whitespace().collect::<Vec<_>>()
    );
}

#[test]
fn a_key_without_a_value_is_left_out() {
    let refusal = Refusal::unread(Reason::HeadMalformed, 400, "No Host.".into(), String::new());
    let expected = "timestamp level event status source reason detail doc duration_ms";
    assert_eq!(keys(&write(&RefusalLine(&refusal, 0), LogFormat::Json)), expected.split(' ').collect::<Vec<_>>());
}

#[test]
fn a_served_request_has_the_same_keys_without_a_reason() {
    let refusal = full();
    let served = ServedLine {
        at: refusal.at,
        facts: &refusal.facts,
        status: StatusCode::OK,
        request_id: &HeaderValue::from_static("req-1"),
        own_id: false,
        client: refusal.client.unwrap(),
        token_name: Some("reports"),
        fingerprint: refusal.fingerprint,
        duration: refusal.duration,
        upstream: refusal.upstream,
    };
    let expected = "timestamp level event status request_id method path client forwarded_for user_agent token_name \
        token_kind token_fingerprint auth_received auth_sent changes org_received org_sent org_by duration_ms upstream_ms";
    assert_eq!(keys(&write(&served, LogFormat::Json)), expected.split_whitespace().collect::<Vec<_>>());
}

#[test]
fn no_format_tells_a_token() {
    let mut refusal = full();
    let header = || Some(TOKEN.into());
    refusal.facts.method = Method::from_bytes(TOKEN.as_bytes()).unwrap();
    refusal.facts.uri = format!("/x/{TOKEN}").parse().unwrap();
    (refusal.facts.user_agent, refusal.facts.forwarded_for) = (header(), header());
    refusal.facts.org.received = TOKEN.get(..32).map(Into::into);
    (refusal.request_id, refusal.detail) = (TOKEN.into(), format!("Saw {TOKEN}."));
    refusal.permission = Some(TOKEN.into());
    for (name, format) in FORMATS {
        let line = write(&RefusalLine(&refusal, 0), format);
        for piece in TOKEN.as_bytes().windows(8) {
            let piece = std::str::from_utf8(piece).unwrap();
            assert!(!line.contains(piece), "{name}: {piece} in {line}");
        }
    }
}

#[test]
fn a_long_text_is_cut_between_characters_after_its_secrets_are_gone() {
    let cut = |text: &str, most| match shown(text.as_bytes(), most) {
        Field::Text(text) => text.into_owned(),
        other => panic!("{other:?}"),
    };
    assert_eq!(cut("ééé", 3), "é…");
    assert_eq!(cut(TOKEN, 30), "[redacted]");
    assert_eq!(cut("caf\u{e9}", 5), "café");
}

#[test]
fn a_session_counts_as_a_credential() {
    let mut refusal = Refusal::unread(Reason::SessionExpired, 401, String::new(), String::new());
    assert_eq!(refusal.token_label(), "none");
    refusal.facts.session_cookie = true;
    assert_eq!(refusal.token_label(), "other");
    refusal.token_name = Some("ci-bot".into());
    assert_eq!(refusal.token_label(), "ci-bot");
}

proptest! {
    #[test]
    fn whatever_a_header_holds_is_told_on_one_line(bytes in prop::collection::vec(any::<u8>(), 1..700)) {
        let mut refusal = full();
        refusal.facts.user_agent = Some(bytes.into());
        for (name, format) in FORMATS {
            let line = write(&RefusalLine(&refusal, 0), format);
            prop_assert!(line.lines().count() == 1 && line.len() < 5_000, "{}: {:?}", name, line);
        }
        let json: serde_json::Value = serde_json::from_str(&write(&RefusalLine(&refusal, 0), LogFormat::Json)).unwrap();
        prop_assert!(json["user_agent"].is_string());
    }
}

#[test]
fn addresses_are_written_as_everywhere() {
    for text in ["0.0.0.0", "10.20.3.4", "255.255.255.255", "::1", "2001:db8::ffff"] {
        let mut refusal = full();
        refusal.client = Some(text.parse().unwrap());
        let line: serde_json::Value = serde_json::from_str(&write(&RefusalLine(&refusal, 0), LogFormat::Json)).unwrap();
        assert_eq!(line["client"], text);
    }
}
