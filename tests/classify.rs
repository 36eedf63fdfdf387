//! Replays recorded exchanges with real Grafana servers through the pure classifier: each must get the reason that
//! request and answer allow, and a body that is cut, laid out anew or changed must never get a wrong one.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    clippy::string_slice,
    reason = "a test fails by panicking"
)]
use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use proptest::prelude::*;
use serde_json::Value;

use grafana_token_proxy::domain::classify::{Answer, Look, Verdict, classify, look};
use grafana_token_proxy::domain::credential::{Repair, judge};
use grafana_token_proxy::domain::fields::Fields;
use grafana_token_proxy::domain::head::{AuthFacts, Head, OrgFacts, RequestFacts, SignInFacts};
use grafana_token_proxy::domain::org::{self, OrgMode};
use grafana_token_proxy::domain::reason::{Reason, Source};

/// Where the recordings are: all of them where the environment or the neighbouring folder has them, else a subset.
fn captures() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = [
        std::env::var_os("GTP_CAPTURES").map(PathBuf::from),
        Some(root.join("../shared/captures")),
        Some(root.join("tests/captures")),
    ];
    let folder = folders.into_iter().flatten().find(|folder| folder.is_dir()).expect("a folder of recordings");
    let entries = std::fs::read_dir(folder).expect("readable").map(|entry| entry.expect("an entry").path());
    let mut files: Vec<_> = entries.filter(|path| path.extension().is_some_and(|end| end == "jsonl")).collect();
    // A version without a file in `tests/captures` is one whose refusals are not explained yet.
    files.retain(|path| root.join("tests/captures").join(path.file_name().unwrap_or_default()).is_file());
    files.sort();
    assert!(!files.is_empty(), "no recordings");
    files
}

struct Exchange {
    version: String,
    config: String,
    id: String,
    request: RequestFacts,
    status: StatusCode,
    headers: Fields,
    body: Vec<u8>,
    expected: Option<Reason>,
    permission: Option<String>,
}

impl Exchange {
    fn classify(&self) -> Option<Verdict> {
        self.classify_with(&self.body)
    }

    fn classify_with(&self, body: &[u8]) -> Option<Verdict> {
        let seen = match look(&self.request, self.status, &self.headers) {
            Look::AtBody => body,
            Look::AtHead | Look::Away => &[],
        };
        let seen = seen.get(..65_536).unwrap_or(seen);
        classify(&self.request, &Answer { status: self.status, headers: &self.headers, body: seen })
    }
}

fn lines() -> impl Iterator<Item = Value> {
    captures().into_iter().flat_map(|path| {
        let text = std::fs::read_to_string(path).expect("text");
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        lines.collect::<Vec<_>>()
    })
}

/// All exchanges but those whose request is bytes that no library sends: the guard in front of the parser explains
/// those, and the classifier never sees them as a request.
fn exchanges() -> Vec<Exchange> {
    lines().filter(|line| line["request"].get("raw_base64").is_none()).map(|line| exchange(&line)).collect()
}

fn exchange(line: &Value) -> Exchange {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (request, response) = (&line["request"], &line["response"]);
    let headers = Fields::from(&headers(&response["headers"]));
    let body = match response.get("body_base64").and_then(Value::as_str) {
        Some(encoded) => STANDARD.decode(encoded).expect("base64"),
        None => text(&response["body"]).into_bytes(),
    };
    Exchange {
        version: text(&line["grafana"]),
        config: text(&line["config"]),
        id: text(&line["id"]),
        request: facts(request),
        status: StatusCode::from_u16(response["status"].as_u64().expect("a status") as u16).expect("a status"),
        body: if headers.get("content-encoding") == Some(b"gzip") { unpack(&body) } else { body },
        headers,
        expected: line["expect"]["reason"].as_str().map(|code| Reason::parse(code).expect(code)),
        permission: line["expect"].get("permission").and_then(Value::as_str).map(str::to_owned),
    }
}

fn unpack(packed: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    flate2::read::GzDecoder::new(packed).read_to_end(&mut body).expect("gzip");
    body
}

fn headers(pairs: &Value) -> HeaderMap {
    let mut map = HeaderMap::new();
    for pair in pairs.as_array().into_iter().flatten() {
        let name = HeaderName::from_bytes(pair[0].as_str().expect("a name").as_bytes()).expect("a name");
        // Go's server and every parser trim outer blanks.
        let value = pair[1].as_str().expect("a value").trim_matches([' ', '\t']);
        map.append(name, HeaderValue::from_bytes(value.as_bytes()).expect("a value"));
    }
    map
}

/// The facts as the proxy has them with `repair: off`: what was received is what was sent.
fn facts(request: &Value) -> RequestFacts {
    let headers = headers(&request["headers"]);
    let method = Method::from_bytes(request["method"].as_str().expect("a method").as_bytes()).expect("a method");
    let uri: Uri = request["target"].as_str().expect("a target").parse().expect("a target");
    let fields = Fields::from(&headers);
    let head = Head::collect(&fields, &[]);
    let auth = auth(&head.authorization);
    let settings = org::Settings { mode: OrgMode::Off, ..org::Settings::default() };
    let found = org::decide(&head.organisation, uri.path(), uri.query(), None, &settings).expect("nothing is refused");
    let named = head.organisation.first().map(|value| String::from_utf8_lossy(value).into_owned());
    let named = named.or_else(|| uri.query().and_then(org::target_org));
    let org = OrgFacts { received: named.map(Into::into), sent: found.sent, by: found.by };
    RequestFacts::gather(&method, &uri, &head, SignInFacts::as_received(&head, &uri), auth, org)
}

/// Reads the first `Authorization` line as Grafana does.
fn auth(values: &[&[u8]]) -> AuthFacts {
    let found = judge(values, &[], Repair::Off);
    AuthFacts::from(&found)
}

#[test]
fn every_recorded_exchange_gets_its_reason_and_permission() {
    let mut counts = BTreeMap::<String, usize>::new();
    let mut mismatches = Vec::new();
    for exchange in exchanges() {
        *counts.entry(exchange.version.clone()).or_default() += 1;
        let verdict = exchange.classify();
        let found = verdict.as_ref().map(|verdict| verdict.reason);
        let permission = verdict.as_ref().and_then(|verdict| verdict.permission.clone());
        if found != exchange.expected || permission != exchange.permission {
            mismatches.push(format!(
                "{} {} {}: {} {} → expected {:?} {:?}, found {found:?} {permission:?}\n    {}",
                exchange.version,
                exchange.config,
                exchange.id,
                exchange.status.as_u16(),
                exchange.request.uri,
                exchange.expected,
                exchange.permission,
                String::from_utf8_lossy(&exchange.body).chars().take(160).collect::<String>(),
            ));
        }
    }
    let total: usize = counts.values().sum();
    println!("{total} exchanges: {counts:?}");
    let shown = mismatches.iter().take(20).cloned().collect::<Vec<_>>().join("\n");
    assert!(mismatches.is_empty(), "{} of {total} differ:\n{shown}", mismatches.len());
}

/// What Go's server refuses never becomes a request for the classifier where the proxy's guard reads the head first; what
/// still gets through (a guard that is laxer than Go) is explained from the answer alone.
#[test]
fn an_answer_of_gos_server_to_a_broken_head_is_explained() {
    let mut seen = 0;
    for line in lines().filter(|line| line["request"].get("raw_base64").is_some()) {
        let status = StatusCode::from_u16(line["response"]["status"].as_u64().expect("a status") as u16).expect("one");
        let headers = Fields::from(&headers(&line["response"]["headers"]));
        let body = line["response"]["body"].as_str().unwrap_or_default().as_bytes();
        let found = classify(&RequestFacts::default(), &Answer { status, headers: &headers, body });
        let refused = line["expect"]["reason"].is_string();
        assert_eq!(found.map(|verdict| verdict.reason), refused.then_some(Reason::HeadMalformed), "{}", line["id"]);
        seen += 1;
    }
    assert!(seen > 0, "no raw requests");
}

#[test]
fn every_verdict_speaks_and_keeps_secrets() {
    for exchange in exchanges() {
        let Some(verdict) = exchange.classify() else { continue };
        let usual = verdict.reason.statuses().contains(&exchange.status.as_u16());
        assert!(usual, "{}: {} is no usual status of {}", exchange.id, exchange.status, verdict.reason);
        let (detail, hint) = (&verdict.detail, &verdict.hint);
        assert!(detail.len() > 15 && hint.len() > 15, "{}: {detail} / {hint}", exchange.id);
        assert!(detail.ends_with('.') && hint.ends_with('.'), "{}: {detail} / {hint}", exchange.id);
        assert!(!hint.trim_end_matches('.').contains(". "), "one sentence: {hint}");
        for text in [detail, hint] {
            assert!(!text.contains("glsa_") || text.contains("`glsa_…`"), "{}: {text}", exchange.id);
            assert!(!text.contains("eyJ"), "{}: {text}", exchange.id);
        }
    }
}

/// Reasons that claim no more than the status and the request show.
fn is_general(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::UnauthorizedUnexplained
            | Reason::ForbiddenUnexplained
            | Reason::CredentialMissing
            | Reason::CredentialNotRecognised
            | Reason::TokenMalformed
            | Reason::TokenWrongKind
    )
}

fn never_misleads(exchange: &Exchange, body: &[u8], what: &str) {
    let found = exchange.classify_with(body).map(|verdict| verdict.reason);
    let right = match found {
        None => !matches!(exchange.status.as_u16(), 401 | 403 | 429),
        Some(reason) => Some(reason) == exchange.expected || is_general(reason),
    };
    assert!(
        right,
        "{} {} {}, {what}: expected {:?}, found {found:?} from {}",
        exchange.version,
        exchange.config,
        exchange.id,
        exchange.expected,
        String::from_utf8_lossy(body)
    );
}

/// One exchange for each (status, reason, shape of the body): enough for the changes that follow.
fn varieties() -> Vec<Exchange> {
    let mut seen = std::collections::HashSet::new();
    let kept = |exchange: &Exchange| {
        let shape: String =
            String::from_utf8_lossy(&exchange.body).chars().filter(|c| !c.is_ascii_digit()).take(120).collect();
        (
            exchange.status.as_u16(),
            exchange.expected,
            shape,
            exchange.request.auth.sent,
            exchange.request.session_cookie,
        )
    };
    exchanges().into_iter().filter(|exchange| exchange.expected.is_some() && seen.insert(kept(exchange))).collect()
}

#[test]
fn a_body_cut_at_any_byte_never_misleads() {
    for exchange in varieties() {
        for cut in 0..exchange.body.len().min(700) {
            never_misleads(&exchange, &exchange.body[..cut], "cut");
        }
    }
}

#[test]
fn a_body_laid_out_anew_or_ordered_otherwise_means_the_same() {
    for exchange in varieties() {
        let Ok(Value::Object(members)) = serde_json::from_slice::<Value>(&exchange.body) else { continue };
        let indented = serde_json::to_vec_pretty(&members).expect("JSON");
        let reversed: serde_json::Map<_, _> = members.into_iter().rev().collect();
        let reversed = serde_json::to_vec(&reversed).expect("JSON");
        for body in [indented, reversed] {
            let found = exchange.classify_with(&body).map(|verdict| verdict.reason);
            assert_eq!(found, exchange.expected, "{} {}", exchange.version, exchange.id);
        }
    }
}

/// What the exchange is about, as far as the reason depends on it: each must be named to whoever reads the line.
fn concrete(exchange: &Exchange, verdict: &Verdict) -> Vec<String> {
    let request = &exchange.request;
    let mut wanted = Vec::new();
    let permission = exchange.permission.as_deref().filter(|permission| !permission.is_empty());
    wanted.extend(permission.map(str::to_owned));
    if let Some(org) = request.org.sent
        && verdict.reason.source() == Source::Grafana
    {
        wanted.push(format!("organisation {org} "));
    }
    // A reason that lies in the credential is the same for every call.
    let about_the_call = matches!(
        verdict.reason,
        Reason::RoleTooLow
            | Reason::FolderDenied
            | Reason::UsersOnly
            | Reason::QuotaReached
            | Reason::FeatureDisabled
            | Reason::ReadOnly
            | Reason::DatasourceDenied
            | Reason::DatasourcePolicy
            | Reason::DatasourceUnauthorized
            | Reason::DatasourceForbidden
            | Reason::DatasourceRateLimited
            | Reason::RedirectedHome
            | Reason::EndpointRemoved
            | Reason::ApiserverRateLimited
    );
    if about_the_call || (verdict.reason == Reason::PermissionMissing && permission.is_none()) {
        let start: Vec<&str> = request.uri.path().split('/').take(3).collect();
        wanted.push(format!("`{} {}", request.method, start.join("/")));
    }
    wanted
}

#[test]
fn the_hint_or_detail_names_what_the_exchange_is_about() {
    let (mut named, mut missing) = (0, BTreeMap::new());
    for exchange in exchanges() {
        let Some(verdict) = exchange.classify() else { continue };
        let text = format!("{} {}", verdict.hint, verdict.detail);
        let lower = text.to_lowercase();
        for wanted in concrete(&exchange, &verdict) {
            if lower.contains(&wanted.to_lowercase()) {
                named += 1;
            } else {
                missing.insert(verdict.reason, format!("{}: no {wanted} in {text}", exchange.id));
            }
        }
        let id = String::from_utf8_lossy(&exchange.body);
        if let Some((_, id)) = id.split_once("\"accessErrorId\":\"").filter(|_| verdict.permission.is_some()) {
            assert!(text.contains(&format!("`{}`", id.split('"').next().unwrap())), "{}: {text}", exchange.id);
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
    assert!(named > 300, "{named}");
}

#[test]
fn a_body_that_is_still_packed_never_misleads() {
    use std::io::Write as _;
    for exchange in varieties() {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packer.write_all(&exchange.body).expect("packed");
        let packed = packer.finish().expect("packed");
        never_misleads(&exchange, &packed, "packed");
        let unpacked = exchange.classify_with(&unpack(&packed)).map(|verdict| verdict.reason);
        assert_eq!(unpacked, exchange.expected, "{}", exchange.id);
    }
}

#[test]
fn a_message_in_another_language_never_misleads() {
    for exchange in varieties() {
        let Ok(Value::Object(members)) = serde_json::from_slice::<Value>(&exchange.body) else { continue };
        for text in ["Nicht berechtigt", "無効なAPIキー", "Недостаточно прав", "مرفوض", "", " "]
        {
            let mut members = members.clone();
            if let Some(message) = members.get_mut("message") {
                *message = Value::from(text);
            }
            let body = serde_json::to_vec(&members).expect("JSON");
            never_misleads(&exchange, &body, text);
            // The name of an error, and of a refusal of the access control, stands whatever the language.
            let named = members.contains_key("messageId") && exchange.status == StatusCode::UNAUTHORIZED;
            if named {
                let found = exchange.classify_with(&body).map(|verdict| verdict.reason);
                assert_eq!(found, exchange.expected, "{} in `{text}`", exchange.id);
            }
        }
    }
}

/// An answer to a request, both made up.
fn made_up(target: &str, sent: &[(&str, &str)], status: u16, answered: &[(&str, &str)], body: &str) -> Verdict {
    let pairs =
        |pairs: &[(&str, &str)]| Value::from(pairs.iter().map(|(n, v)| Value::from(vec![*n, *v])).collect::<Vec<_>>());
    let request = serde_json::json!({ "method": "GET", "target": target, "headers": pairs(sent) });
    let headers = Fields::from(&headers(&pairs(answered)));
    let status = StatusCode::from_u16(status).expect("a status");
    classify(&facts(&request), &Answer { status, headers: &headers, body: body.as_bytes() }).expect("a refusal")
}

const TOKEN: &str = "Bearer glsa_yscW25imSKJIuav8zF37RZmnbiDvB05G_fcaaf58a";

const GRAFANA: &[(&str, &str)] =
    &[("Cache-Control", "no-store"), ("Content-Type", "application/json; charset=UTF-8"), ("X-Frame-Options", "deny")];

#[test]
fn a_hop_is_told_with_what_gave_it_away() {
    let token = [("Authorization", TOKEN)];
    for (status, headers, body, reason, evidence) in [
        (
            401,
            &[("WWW-Authenticate", "Basic realm=\"x\""), ("Server", "nginx")][..],
            "<html>",
            Reason::HopUnauthorized,
            "`WWW-Authenticate: Basic`",
        ),
        (
            401,
            &[("WWW-Authenticate", "Key")],
            r#"{"message":"Invalid API key"}"#,
            Reason::HopUnauthorized,
            "WWW-Authenticate",
        ),
        (401, &[("Content-Type", "text/plain")], "Jwt is missing", Reason::HopUnauthorized, "the body says `Jwt`"),
        (
            401,
            &[("X-Content-Type-Options", "nosniff")],
            "Invalid IAP credentials: empty token",
            Reason::HopUnauthorized,
            "Invalid IAP credentials",
        ),
        (403, &[("Server", "istio-envoy")], "RBAC: access denied", Reason::HopForbidden, "`Server: istio-envoy`"),
        (
            403,
            &[("Server", "cloudflare"), ("Content-Type", "text/html")],
            "<!DOCTYPE html>",
            Reason::HopForbidden,
            "cloudflare",
        ),
        (
            403,
            &[("x-amzn-ErrorType", "ForbiddenException")],
            r#"{"message":"Forbidden"}"#,
            Reason::HopForbidden,
            "`x-amzn-errortype`",
        ),
        (
            429,
            &[("Server", "envoy"), ("x-envoy-ratelimited", "true")],
            "local_rate_limited",
            Reason::HopRateLimited,
            "local_rate_limited",
        ),
        (
            429,
            &[("Server", "kong/3.4")],
            r#"{"message":"API rate limit exceeded"}"#,
            Reason::HopRateLimited,
            "API rate limit exceeded",
        ),
    ] {
        let verdict = made_up("/api/org", &token, status, headers, body);
        assert_eq!(verdict.reason, reason, "{body}");
        let detail = verdict.detail.to_ascii_lowercase();
        assert!(detail.contains(&evidence.to_ascii_lowercase()), "{detail}");
    }
}

#[test]
fn where_a_credential_stands_in_vain_is_told() {
    let body = r#"{"message":"Unauthorized","messageId":"auth.unauthorized","statusCode":401,"traceID":""}"#;
    for (target, headers, words) in [
        ("/api/org", &[("X-API-Key", "x")][..], "x-api-key"),
        ("/api/org", &[("Proxy-Authorization", "Basic x")], "Proxy-Authorization"),
        ("/api/org?api_key=x", &[], "`api_key` in the query"),
        ("/api/org?Token=x", &[], "`token` in the query"),
    ] {
        let verdict = made_up(target, headers, 401, GRAFANA, body);
        assert_eq!(verdict.reason, Reason::CredentialMissing);
        assert!(verdict.detail.contains(words) && verdict.hint.contains("Authorization: Bearer"), "{verdict:?}");
    }
    let wrong = r#"{"message":"Invalid username or password","messageId":"password-auth.failed","statusCode":401}"#;
    let value = format!("Basic {}", STANDARD.encode(format!("admin:{}", TOKEN.trim_start_matches("Bearer "))));
    let verdict = made_up("/api/org", &[("Authorization", &value)], 401, GRAFANA, wrong);
    assert!(verdict.reason == Reason::PasswordWrong && verdict.detail.contains("is a token"), "{verdict:?}");
    assert!(verdict.hint.contains("Bearer"), "{verdict:?}");
}

#[test]
fn what_is_not_understood_is_quoted() {
    for (status, body, words) in [
        (401, r#"{"message":"Nicht berechtigt","traceID":""}"#, "its words are `Nicht berechtigt`"),
        (401, r#"{"message":"x","messageId":"auth.new-in-14","statusCode":401}"#, "`auth.new-in-14`, is not known"),
        (403, r#"{"message":"Zugriff verweigert"}"#, "Grafana says `Zugriff verweigert`"),
    ] {
        let verdict = made_up("/api/org", &[("Authorization", TOKEN)], status, GRAFANA, body);
        assert!(is_general(verdict.reason) && verdict.detail.contains(words), "{verdict:?}");
    }
}

#[test]
fn the_organisation_that_was_asked_for_is_told_with_who_chose_it() {
    let headers = [("Authorization", TOKEN), ("X-Grafana-Org-Id", "7")];
    let verdict = made_up("/api/org", &headers, 401, GRAFANA, r#"{"message":"Unauthorized","traceID":""}"#);
    assert_eq!(verdict.reason, Reason::TokenUnknown);
    assert!(verdict.detail.contains("Organisation 7 (named by the client) was asked for."), "{verdict:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_unknown_message_id_or_message_never_misleads(word in "[a-z]{3,9}[.][a-z-]{3,12}", text in "[A-Z][a-z ]{5,30}") {
        for exchange in varieties() {
            let Ok(Value::Object(mut members)) = serde_json::from_slice::<Value>(&exchange.body) else { continue };
            if members.contains_key("messageId") {
                members.insert("messageId".to_owned(), Value::from(word.clone()));
                never_misleads(&exchange, &serde_json::to_vec(&members).expect("JSON"), "unknown messageId");
            }
            if members.contains_key("message") && !members.contains_key("messageId") {
                members.insert("message".to_owned(), Value::from(text.clone()));
                never_misleads(&exchange, &serde_json::to_vec(&members).expect("JSON"), "changed message");
            }
        }
    }

    #[test]
    fn no_answer_panics_and_every_refusal_has_a_reason(
        status in proptest::sample::select(vec![401u16, 403, 407, 429, 400, 404, 500, 302, 410]),
        body in proptest::collection::vec(any::<u8>(), 0..120),
        path in "/[a-z/]{0,20}",
    ) {
        let uri: Uri = path.parse().expect("a path");
        let request = RequestFacts { uri, ..RequestFacts::default() };
        let headers = Fields::default();
        let answer = Answer { status: StatusCode::from_u16(status).expect("a status"), headers: &headers, body: &body };
        let verdict = classify(&request, &answer);
        prop_assert!(verdict.is_some() || !matches!(status, 401 | 403 | 407 | 429));
    }
}
