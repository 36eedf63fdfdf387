use http::{HeaderMap, HeaderValue, StatusCode};

use super::paste::Paste;
use super::*;

fn report(mut told: Told, text: &str) -> Report {
    let mut paste = Paste::read(text.as_bytes());
    if let Some(request) = paste.request.take() {
        told.take_pasted(request);
    }
    let (status, whole_head) = (paste.status.unwrap(), !paste.headers.is_empty());
    judge(told, Seen { status, headers: paste.headers, whole_head, body: paste.body }, true)
}

fn reasons(report: &Report) -> Vec<&'static str> {
    report.outcome.candidates.iter().map(|candidate| candidate.reason.unwrap().code()).collect()
}

fn reason(report: &Report) -> Option<&'static str> {
    report.outcome.verdict.as_ref().map(|verdict| verdict.reason.code())
}

fn sent(form: &str) -> Told {
    Told { authorization: Some(form.to_owned()), ..Told::default() }
}

const GRAFANA: &str = "Cache-Control: no-store\r\nContent-Type: application/json; charset=UTF-8\r\n\
                       X-Content-Type-Options: nosniff\r\nX-Frame-Options: deny\r\n";

fn grafana(status: u16, body: &str) -> String {
    format!("HTTP/1.1 {status} X\r\n{GRAFANA}\r\n{body}")
}

#[test]
fn what_the_answer_says_needs_no_request() {
    for (status, body, expected) in [
        (401, r#"{"message":"Expired API key"}"#, "token_expired"),
        (401, r#"{"message":"Expired API key","messageId":"api-key.expired","statusCode":401}"#, "token_expired"),
        (401, r#"{"message":"Invalid API key","messageId":"api-key.invalid","statusCode":401}"#, "token_unknown"),
        (401, r#"{"message":"Invalid username or password","messageId":"password-auth.failed"}"#, "password_wrong"),
        (401, r#"{"messageId":"api-key.organization-mismatch","message":"x"}"#, "org_mismatch"),
        (
            403,
            r#"{"accessErrorId":"ACE1","message":"You'll need additional permissions. Permissions needed: users:read"}"#,
            "permission_missing",
        ),
        (403, r#"{"message":"Permission denied"}"#, "role_too_low"),
        (403, "origin not allowed", "origin_not_allowed"),
        (400, "{\"results\":{\"A\":{\"error\":\"x\",\"status\":401}}}", "datasource_unauthorized"),
    ] {
        let report = report(Told::default(), &grafana(status, body));
        assert_eq!(reason(&report), Some(expected), "{body}");
        assert!(report.outcome.agreed && report.outcome.candidates.is_empty(), "{body}: {report:?}");
    }
}

#[test]
fn thin_evidence_gets_the_general_reason_and_names_what_is_possible() {
    let report =
        report(Told::default(), &grafana(401, r#"{"message":"Unauthorized","messageId":"auth.unauthorized"}"#));
    assert_eq!(reason(&report), Some("unauthorized_unexplained"));
    assert!(!report.outcome.agreed);
    assert_eq!(reasons(&report), ["credential_missing", "credential_not_recognised"]);
    assert_eq!(report.missing.len(), 2, "{:?}", report.missing);
}

#[test]
fn what_is_told_of_the_request_makes_it_specific() {
    let answer = grafana(401, r#"{"message":"Unauthorized","messageId":"auth.unauthorized"}"#);
    for (form, expected) in [
        ("none", "credential_missing"),
        ("bearer", "credential_not_recognised"),
        ("bare_token", "credential_not_recognised"),
        ("session_cookie", "credential_not_recognised"),
        ("jwt", "token_wrong_kind"),
    ] {
        let report = report(sent(form), &answer);
        assert_eq!((reason(&report), report.outcome.agreed), (Some(expected), true), "{form}");
    }
}

#[test]
fn a_status_alone_says_next_to_nothing() {
    for (status, expected) in
        [(401, Some("unauthorized_unexplained")), (403, Some("forbidden_unexplained")), (429, None)]
    {
        let report = report(Told::default(), &format!("HTTP/1.1 {status} X\r\n\r\n"));
        assert_eq!(reason(&report), expected, "{status}");
        assert!(!report.outcome.agreed && report.explains(), "{status}");
        assert!(reasons(&report).iter().any(|code| code.starts_with("hop_")), "{status}: {:?}", reasons(&report));
    }
}

#[test]
fn what_is_no_refusal_is_none() {
    for text in ["HTTP/1.1 200 OK\r\n\r\n{}", "HTTP/1.1 304 Not Modified\r\nETag: x\r\n\r\n"] {
        assert!(!report(Told::default(), text).explains(), "{text}");
    }
    let missing = report(Told::default(), &grafana(404, r#"{"message":"Not found"}"#));
    assert!(!missing.explains(), "{missing:?}");
    let unless: Vec<_> = missing.outcome.unless.iter().map(|candidate| candidate.reason.unwrap().code()).collect();
    assert_eq!(unless, ["not_a_member", "endpoint_removed"]);
}

#[test]
fn hops_are_told_by_their_marks() {
    let text = "HTTP/1.1 401 Unauthorized\r\nServer: nginx/1.25\r\nWWW-Authenticate: Basic realm=\"x\"\r\n\
                Content-Type: text/html\r\n\r\n<html></html>";
    let report = report(Told::default(), text);
    assert_eq!(reason(&report), Some("hop_unauthorized"));
    assert!(report.outcome.verdict.as_ref().unwrap().detail.contains("nginx"), "{report:?}");
}

#[test]
fn redirects_of_pages_are_explained() {
    let to = |location: &str| report(Told::default(), &format!("HTTP/2 302 \r\n{GRAFANA}Location: {location}\r\n\r\n"));
    assert_eq!(reason(&to("/login")), Some("redirected_to_login"));
    assert_eq!(reason(&to("/")), Some("redirected_home"));
    let absolute = to("http://grafana.example/d/x");
    assert_eq!((reason(&absolute), reasons(&absolute)), (None, vec!["redirected_to_root_url"]));
}

#[test]
fn the_reason_that_the_proxy_named_stands() {
    let named = |reason: &str, body: &str| {
        report(Told::default(), &format!("HTTP/1.1 429 X\r\nX-Token-Proxy-Reason: {reason}\r\n\r\n{body}"))
    };
    let ours = named("token_rate_limited", r#"{"messageId":"token-proxy.token_rate_limited","detail":"200 in 2 s."}"#);
    assert_eq!(reason(&ours), Some("token_rate_limited"));
    assert!(ours.named_by_proxy && ours.outcome.agreed && ours.missing.is_empty());
    assert_eq!(ours.outcome.verdict.as_ref().unwrap().detail, "200 in 2 s.");
    assert_ne!(reason(&named("nonsense", "")), Some("nonsense"));
    let body = grafana(429, r#"{"messageId":"token-proxy.client_rate_limited","detail":"x."}"#);
    assert_eq!(reason(&report(Told::default(), &body)), Some("client_rate_limited"), "where a hop took the header");
}

#[test]
fn no_secret_of_an_answer_is_shown() {
    const TOKEN: &str = "glsa_yscW25imSKJIuav8zF37RZmnbiDvB05G_fcaaf58a";
    let text = format!(
        "> GET /api/org?auth_token={TOKEN} HTTP/1.1\r\n> Host: {TOKEN}\r\n> Origin: http://{TOKEN}\r\n\
         > Authorization: Bearer {TOKEN}\r\n> Cookie: grafana_session={TOKEN}\r\n> \r\n\
         < HTTP/1.1 403 X\r\n< Server: {TOKEN}\r\n< Set-Cookie: grafana_session={TOKEN}\r\n\
         < WWW-Authenticate: {TOKEN}\r\n< Location: http://u:hunter2pass@h/{TOKEN}\r\n< \r\n{{\"message\":\"Bearer {TOKEN}\"}}"
    );
    for code in ["401", "403", "429", "302", "400"] {
        let report = report(Told::default(), &text.replace("403", code));
        for shown in [report.json(), report.text(&Paint(false))] {
            for window in TOKEN.as_bytes().windows(8).chain(b"hunter2pass".windows(8)) {
                let piece = std::str::from_utf8(window).unwrap();
                assert!(!shown.contains(piece), "{code} shows {piece}: {shown}");
            }
        }
    }
}

#[test]
fn a_packed_body_is_unpacked() {
    use std::io::Write as _;
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(b"{\"message\":\"Expired API key\"}").unwrap();
    assert_eq!(decoded(packer.finish().unwrap()), b"{\"message\":\"Expired API key\"}");
    assert_eq!(decoded(b"plain".to_vec()), b"plain");
}

#[test]
fn headers_by_flags_are_no_whole_head() {
    let mut headers = HeaderMap::new();
    headers.insert("server", HeaderValue::from_static("nginx"));
    let seen =
        Seen { status: StatusCode::FORBIDDEN, headers, whole_head: false, body: b"{\"message\":\"x\"}".to_vec() };
    let report = judge(sent("bearer"), seen, true);
    assert_eq!(reason(&report), Some("forbidden_unexplained"), "one header does not show that others were missing");
    assert_eq!(reasons(&report), ["hop_forbidden", "datasource_forbidden"]);
}

/// The recorded exchanges with their answers as `curl -i` prints them.
fn recorded() -> impl Iterator<Item = (serde_json::Value, String)> {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    // All of them where they lie beside the sources, else a subset.
    let folders = [root.join("../shared/captures"), root.join("tests/captures")];
    let folder = folders.into_iter().find(|folder| folder.is_dir()).unwrap();
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files = files.filter(|path| path.extension().is_some_and(|end| end == "jsonl"));
    // A version without a file in `tests/captures` is one whose refusals are not explained yet.
    let files = files.filter(|path| root.join("tests/captures").join(path.file_name().unwrap()).is_file());
    let texts = files.map(|path| std::fs::read_to_string(path).unwrap());
    let lines = texts.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>());
    let values = lines.map(|line| serde_json::from_str::<serde_json::Value>(&line).unwrap());
    let values = values.filter(|line| line["request"]["raw_base64"].is_null() && line["response"]["body"].is_string());
    values.map(|line| {
        let head = head(&line["response"]["headers"]);
        let (status, body) = (&line["response"]["status"], line["response"]["body"].as_str().unwrap());
        let text = format!("HTTP/1.1 {status} X\r\n{head}\r\n{body}");
        (line, text)
    })
}

fn head(pairs: &serde_json::Value) -> String {
    let pairs = pairs.as_array().unwrap().iter();
    pairs.map(|pair| format!("{}: {}\r\n", pair[0].as_str().unwrap(), pair[1].as_str().unwrap())).collect()
}

#[test]
fn without_the_request_no_recorded_answer_gets_a_wrong_specific_reason() {
    let (mut seen, mut specific) = (0, 0);
    let mut wrong = std::collections::BTreeMap::new();
    for (line, answer) in recorded() {
        let report = report(Told::default(), &answer);
        let expected = line["expect"]["reason"].as_str();
        let found = reason(&report).filter(|_| report.outcome.agreed);
        let others = report.outcome.candidates.iter().chain(&report.outcome.unless);
        let named = reason(&report) == expected
            || others.into_iter().any(|candidate| candidate.reason.map(Reason::code) == expected);
        // Of an answer that is no refusal, it may be said that nothing is certain.
        if !named && (found.is_some() || expected.is_some()) {
            wrong.insert(format!("expected {expected:?}, found {found:?}"), format!("{}\n{answer}", line["id"]));
        }
        seen += 1;
        specific += usize::from(expected.is_some() && found == expected);
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(seen > 1000 && specific > 500, "{specific} of {seen}");
}

#[test]
fn with_the_request_each_recorded_answer_gets_its_reason() {
    for (line, answer) in recorded() {
        let request = &line["request"];
        let verbose: String = format!(
            "{} {} HTTP/1.1\r\n{}\r\n",
            request["method"].as_str().unwrap(),
            request["target"].as_str().unwrap(),
            head(&request["headers"])
        );
        let sent: String = verbose.split_inclusive('\n').map(|line| format!("> {line}")).collect();
        let (received, body) = answer.split_once("\r\n\r\n").unwrap();
        let received: String =
            format!("{received}\r\n\r\n").split_inclusive('\n').map(|line| format!("< {line}")).collect();
        let report = report(Told::default(), &format!("{sent}{received}{body}"));
        assert_eq!(reason(&report), line["expect"]["reason"].as_str(), "{}: {answer}", line["id"]);
    }
}
