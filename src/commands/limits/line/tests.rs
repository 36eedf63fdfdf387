use proptest::prelude::*;

use super::*;

const JSON: &str = r#"{"timestamp":"2026-11-23T13:52:31.365Z","level":"info","event":"request_served","status":200,"request_id":"a","method":"GET","path":"/api/org","client":"10.0.0.7","user_agent":"x \"y\" event=request_refused","token_kind":"service_account","token_fingerprint":"1d387206b650","auth_received":"bearer","auth_sent":"bearer","changes":["scheme_case"],"duration_ms":15.250}"#;
const LOGFMT: &str = r#"timestamp=2026-11-23T13:52:31.365Z level=info event=request_served status=200 request_id=a method=GET path=/api/org client=10.0.0.7 user_agent="x \"y\" event=request_refused" token_kind=service_account token_fingerprint=1d387206b650 auth_received=bearer auth_sent=bearer changes=scheme_case duration_ms=15.250"#;
const PRETTY: &str = r#"2026-11-23T13:52:31.365Z info  request_served status=200 request_id=a method=GET path=/api/org client=10.0.0.7 user_agent="x \"y\" event=request_refused" token_kind=service_account token_fingerprint=1d387206b650 auth_received=bearer auth_sent=bearer changes=scheme_case duration_ms=15.250"#;
const COLOURED: &str = "\u{1b}[2m2026-11-23T13:52:31.365Z\u{1b}[0m \u{1b}[32minfo \u{1b}[0m request_served \u{1b}[2mpath=\u{1b}[0m/api/org \u{1b}[2mclient=\u{1b}[0m10.0.0.7 \u{1b}[2mtoken_kind=\u{1b}[0mservice_account \u{1b}[2mtoken_fingerprint=\u{1b}[0m1d387206b650 \u{1b}[2mduration_ms=\u{1b}[0m15.250";

fn request(line: &str) -> Request {
    match read(line.as_bytes()) {
        Some(Line::Request(request)) => request,
        other => panic!("{other:?} of {line}"),
    }
}

fn wanted() -> Request {
    Request {
        told: 1_795_441_951_365_000_000,
        duration: Duration::from_micros(15_250),
        caller: Caller::Token("1d387206b650".into()),
        name: None,
        kind: Some("service_account".into()),
        path: "/api/org".into(),
        is_refusal: false,
        is_demand: true,
        suppressed: 0,
    }
}

#[test]
fn the_three_formats_say_the_same() {
    for line in [JSON, LOGFMT, PRETTY, COLOURED] {
        assert_eq!(request(line), wanted(), "{line}");
    }
}

#[test]
fn collectors_write_before_it_and_around_it() {
    let docker =
        serde_json::json!({ "log": format!("{JSON}\n"), "stream": "stdout", "time": "2026-11-23T13:52:31.4Z" });
    assert_eq!(request(&docker.to_string()), wanted());
    for line in [JSON, LOGFMT, PRETTY] {
        for before in [
            "2026-11-23T13:52:31.999999999Z ",
            "2026-11-23T13:52:31.999999999Z stdout F ",
            "[pod/grafana-6c/token-proxy] ",
            "grafana-6c token-proxy ",
            "token-proxy-1  | ",
        ] {
            assert_eq!(request(&format!("{before}{line}")), wanted(), "{before}{line}");
        }
    }
}

#[test]
fn no_text_of_a_stranger_passes_for_a_line() {
    for line in [
        format!("10.0.0.1 - - \"GET / HTTP/1.1\" 200 \"{PRETTY}\""),
        format!("10.0.0.1 - - \"GET / HTTP/1.1\" 200 \"{JSON}\""),
        format!("logger=context path=\"/{LOGFMT}\""),
        format!("logger=context path=/ {LOGFMT}"),
        format!("logger=context user={JSON}"),
        serde_json::json!({ "event": "other", "timestamp": "2026-11-23T13:52:31.4Z", "path": JSON }).to_string(),
    ] {
        assert_eq!(read(line.as_bytes()), None, "{line}");
    }
}

#[test]
fn a_refusal_before_the_limits_is_no_demand() {
    let refused = |source: &str, reason: &str| {
        request(&format!(
            r#"{{"timestamp":"2026-11-23T13:52:31.365Z","event":"request_refused","source":"{source}","reason":"{reason}","client":"2001:db8::1:2:3:4","auth_received":"none","suppressed":99999999999}}"#
        ))
    };
    let limited = refused("proxy", "client_rate_limited");
    assert!(limited.is_refusal && limited.is_demand);
    assert_eq!(limited.suppressed, MOST_SUPPRESSED);
    assert_eq!(limited.caller, Caller::Address("2001:db8::".parse().unwrap()));
    assert!(refused("grafana", "token_expired").is_demand);
    assert!(!refused("proxy", "org_override_refused").is_demand);
    assert!(!refused("client", "head_malformed").is_demand);
}

#[test]
fn what_could_be_a_secret_is_not_kept() {
    let token = "glsa_yscW25imSKJIuav8zF37RZmnbiDvB05G_fcaaf58a";
    let line = JSON
        .replace("1d387206b650", token)
        .replace("\"token_kind\"", &format!("\"token_name\":\"ci \\u001b[31m{token}\",\"token_kind\""));
    let request = request(&line);
    assert_eq!(request.caller, Caller::Credential("bearer", "10.0.0.7".parse().unwrap()));
    let name = request.name.unwrap();
    assert!(!name.contains("yscW25im") && !name.contains('\u{1b}') && name.starts_with("ci "), "{name}");
}

#[test]
fn times_are_read_as_they_are_written() {
    use std::time::{SystemTime, UNIX_EPOCH};
    for millis in [0, 951_827_696_007, 1_798_761_599_050] {
        let at: SystemTime = UNIX_EPOCH + Duration::from_millis(millis);
        assert_eq!(nanoseconds(&crate::telemetry::timestamp(at)), Some(millis * 1_000_000));
    }
    assert_eq!(nanoseconds("1970-01-01T00:00:01Z"), Some(1_000_000_000));
    for text in [
        "",
        "Z",
        "2026-11-23",
        "2026-13-23T00:00:00Z",
        "2026-11-23T25:00:00Z",
        "+026-11-23T00:00:00Z",
        "2026-11-23T00:00:00.1234567890Z",
        "9999999-01-01T00:00:00Z",
        "1969-12-31T23:59:59Z",
    ] {
        assert_eq!(nanoseconds(text), None, "{text}");
    }
}

#[test]
fn a_start_is_known() {
    let line = r#"{"timestamp":"2026-11-23T13:52:31.365Z","level":"info","event":"listening","data":"0.0.0.0:3001"}"#;
    assert_eq!(read(line.as_bytes()), Some(Line::Start));
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), text in "[ =\"\\\\{}a-z0-9:TZ.-]{0,80}") {
        read(&bytes);
        for event in ["request_served", "request_refused", "listening"] {
            read(format!("{event}{text}").as_bytes());
            read(format!("{text}{event}").as_bytes());
            read(format!("2026-11-23T13:52:31.365Z info {event} {text}").as_bytes());
            read(format!("timestamp=2026-11-23T13:52:31.365Z {text} event={event} {text}").as_bytes());
        }
    }

    #[test]
    fn a_line_that_is_cut_or_torn_is_read_or_left(cut in 0..500_usize, at in 0..500_usize, with in any::<u8>()) {
        for line in [JSON, LOGFMT, PRETTY, COLOURED] {
            let mut bytes = line.as_bytes().to_vec();
            if let Some(byte) = bytes.get_mut(at) {
                *byte = with;
            }
            bytes.truncate(cut);
            if let Some(Line::Request(request)) = read(&bytes) {
                prop_assert!(request.duration <= LONGEST);
            }
        }
    }

    #[test]
    fn a_path_comes_back_whole(path in "/\\PC{0,40}") {
        let json = JSON.replace("\"/api/org\"", &serde_json::to_string(&path).unwrap());
        prop_assert_eq!(&request(&json).path, &path);
        let logfmt = LOGFMT.replace("/api/org", &serde_json::to_string(&path).unwrap());
        prop_assert_eq!(&request(&logfmt).path, &path);
    }
}
