use std::net::SocketAddr;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use proptest::prelude::*;

use super::super::certificate::Certificate;
use super::super::credential::Credential;
use super::super::kubernetes::Service;
use super::super::observations::{Outcome, Socket, Stage, TlsFacts, TlsFault, Trouble, Way};
use super::super::reply::{Question, Reply};
use super::super::target::Target;
use super::super::verdict::Code;
use super::*;
use crate::domain::token::HashKey;

pub(super) const TOKEN: &str = "glsa_yscW25imSKJIuav8zF37RZmnbiDvB05G_fcaaf58a";
pub(super) const NONE_401: &str =
    r#"{"extra":null,"message":"Unauthorized","messageId":"auth.unauthorized","statusCode":401,"traceID":""}"#;
pub(super) const UNKNOWN_401: &str = r#"{"message":"Unauthorized","traceID":""}"#;
pub(super) const SAW: &str =
    "x-token-proxy-saw: probe=p; auth_received=bearer; token_kind=service_account; auth_sent=bearer; version=1";
pub(super) const SAW_NONE: &str = "x-token-proxy-saw: probe=p; auth_received=none; auth_sent=none; version=1";

/// An answer of Grafana's to a request with or without the token, with further header lines.
pub(super) fn answer(authorised: bool, status: u16, lines: &[&str], body: &str) -> Outcome {
    let mut sent = HeaderMap::new();
    if authorised {
        sent.insert(header::AUTHORIZATION, HeaderValue::try_from(format!("Bearer {TOKEN}")).unwrap());
    }
    let pair = |line: &str| {
        let (name, value) = line.split_once(": ").unwrap();
        (name.parse::<HeaderName>().unwrap(), value.parse::<HeaderValue>().unwrap())
    };
    let headers = lines.iter().map(|line| pair(line)).collect();
    let asked = Question { method: &Method::GET, path: "/api/org", headers: &sent, probe: "p" };
    let status = StatusCode::from_u16(status).unwrap();
    Ok(Reply::read(&asked, status, &headers, body.as_bytes(), std::time::SystemTime::UNIX_EPOCH))
}

/// One of Grafana's own, with its marks.
pub(super) fn grafana(authorised: bool, status: u16, more: &[&str], body: &str) -> Option<Outcome> {
    let marks = ["content-type: application/json; charset=UTF-8", "cache-control: no-store", "x-frame-options: deny"];
    Some(answer(authorised, status, &[&marks, more].concat(), body))
}

/// A way on which all is well; through a proxy where there is one.
pub(super) fn way(role: Role, saw: Option<&str>) -> Way {
    let mut way = Way::new(role, Target::parse("http://127.0.0.1:3000").unwrap());
    let saw: Vec<&str> = saw.into_iter().collect();
    let none: Vec<&str> = if saw.is_empty() { vec![] } else { vec![SAW_NONE] };
    way.address = Some(SocketAddr::from(([127, 0, 0, 1], 3000)));
    way.health = grafana(false, 200, &none, r#"{"database":"ok","version":"11.0.0"}"#);
    way.without = grafana(false, 401, &none, NONE_401);
    way.with = grafana(true, 200, &saw, r#"{"id":1,"name":"Main Org."}"#);
    way.permissions = grafana(true, 200, &saw, r#"{"orgs:read":[],"dashboards:read":["*"]}"#);
    way.cookie = grafana(false, 401, &none, UNKNOWN_401);
    way.socket = Some(Socket::Held(Duration::from_secs(3)));
    way.large_head = grafana(false, 200, &none, "{}");
    way.bodies = vec![(ORDINARY, answer(false, 401, &none, NONE_401))];
    way
}

pub(super) fn healthy() -> Observations {
    Observations {
        ways: vec![way(Role::Url, Some(SAW)), way(Role::Direct, None)],
        credential: Some(Credential::read(TOKEN.as_bytes(), &HashKey::from_bytes([7; 16]), 0).facts),
        org: None,
        needs: vec!["dashboards:read".to_owned()],
        services: Vec::new(),
        now: Duration::from_secs(1_000_000),
    }
}

fn concluded(change: impl FnOnce(&mut Observations)) -> Code {
    let mut seen = healthy();
    change(&mut seen);
    judge(&seen).code()
}

/// With another answer to the header on the public way.
fn with(outcome: Option<Outcome>) -> Code {
    concluded(|seen| seen.ways[0].with = outcome)
}

fn without_direct(outcome: Option<Outcome>) -> Code {
    concluded(|seen| {
        seen.ways[0].with = outcome;
        seen.ways.truncate(1);
    })
}

fn troubled(trouble: Trouble) -> Code {
    concluded(|seen| seen.ways[0].trouble = Some(trouble))
}

fn health(status: u16, lines: &[&str], body: &str) -> Code {
    concluded(|seen| seen.ways[0].health = Some(answer(false, status, lines, body)))
}

#[test]
fn a_healthy_chain_has_nothing_else_to_say() {
    let verdict = judge(&healthy());
    assert_eq!((verdict.code(), verdict.others.len()), (Code::Healthy, 0), "{verdict:?}");
}

#[test]
fn no_way_to_grafana_is_told_by_its_first_break() {
    for (trouble, code) in [
        (Trouble::NameUnknown("no".into()), Code::NameUnknown),
        (Trouble::TimedOut(Stage::Name), Code::NameUnknown),
        (Trouble::Refused, Code::NothingListens),
        (Trouble::Unreachable("no route".into()), Code::Unreachable),
        (Trouble::TimedOut(Stage::Connection), Code::Unreachable),
        (Trouble::TimedOut(Stage::Tls), Code::TlsFailed),
        (Trouble::TimedOut(Stage::Answer), Code::NoAnswer),
        (Trouble::Closed, Code::ConnectionClosed),
        (Trouble::NotHttp, Code::NotHttp),
        (Trouble::Tls(TlsFault::Missing), Code::TlsMissing),
        (Trouble::Tls(TlsFault::Expired), Code::TlsExpired),
        (Trouble::Tls(TlsFault::NotYetValid), Code::TlsNotYetValid),
        (Trouble::Tls(TlsFault::WrongName(vec!["a.example".into()])), Code::TlsWrongName),
        (Trouble::Tls(TlsFault::WrongName(vec![])), Code::TlsWrongName),
        (Trouble::Tls(TlsFault::UnknownIssuer), Code::TlsUnknownIssuer),
        (Trouble::Tls(TlsFault::Other("odd".into())), Code::TlsFailed),
    ] {
        assert_eq!(troubled(trouble.clone()), code, "{trouble:?}");
        assert_eq!(with(Some(Err(trouble.clone()))), code, "{trouble:?}, once the header is sent");
    }
}

#[test]
fn what_answers_instead_of_grafana_is_named() {
    let location = |to: &str| format!("location: {to}");
    for (status, lines, body, code) in [
        (301, vec![location("https://127.0.0.1:3000/api/health")], "", Code::RedirectedToHttps),
        (302, vec![location("http://elsewhere.example/api/org")], "", Code::RedirectedElsewhere),
        (302, vec![location("https://login.example/oauth2/start")], "", Code::HopRefuses),
        (301, vec![location("/grafana/api/health")], "", Code::RedirectedElsewhere),
        (401, vec!["www-authenticate: Basic realm=x".to_owned()], "<html>", Code::HopRefuses),
        (403, vec!["server: nginx".to_owned()], "<html>", Code::HopRefuses),
        (429, vec!["server: nginx".to_owned()], "<html>", Code::HopRefuses),
        (502, vec!["server: nginx".to_owned()], "<html>", Code::HopCannotReach),
        (502, vec!["x-token-proxy-reason: upstream_unreachable".to_owned()], "{}", Code::GrafanaUnreachable),
        (503, vec!["x-token-proxy-reason: overloaded".to_owned()], "{}", Code::ProxyRefuses),
        (503, vec![], r#"{"database":"failing"}"#, Code::GrafanaUnwell),
        (400, vec![], "Client sent an HTTP request to an HTTPS server.", Code::TlsWanted),
        (404, vec![], "not found", Code::NotGrafana),
        (401, vec!["cache-control: no-store".to_owned()], NONE_401, Code::NotGrafana),
        (200, vec![], "<html>welcome</html>", Code::NotGrafana),
    ] {
        // A hop that refuses everybody lets no token through either.
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let code_of = concluded(|seen| {
            seen.ways[0].health = Some(answer(false, status, &lines, body));
            seen.ways[0].with = None;
        });
        assert_eq!(code_of, code, "{status} {lines:?} {body}");
    }
    assert_eq!(health(401, &["www-authenticate: Bearer"], ""), Code::Healthy, "for who brings a credential passes");
}

#[test]
fn grafana_that_is_gone_is_told_before_the_hop_that_says_so() {
    let code = concluded(|seen| {
        seen.ways[0].health = Some(answer(false, 502, &["server: nginx"], ""));
        seen.ways[1].trouble = Some(Trouble::Refused);
    });
    assert_eq!(code, Code::NothingListens);
    assert_eq!(concluded(|seen| seen.ways[1].trouble = Some(Trouble::Refused)), Code::NothingListens);
}

#[test]
fn a_header_that_is_lost_is_lost_on_the_right_side() {
    let marks = "x-token-proxy-reason: credential_missing";
    assert_eq!(with(grafana(false, 401, &[SAW_NONE, marks], NONE_401)), Code::LostBeforeProxy);
    // Anonymous access hides it, and the proxy saw it.
    assert_eq!(with(grafana(false, 200, &[SAW_NONE], r#"{"id":1}"#)), Code::LostBeforeProxy);
    assert_eq!(with(grafana(true, 401, &[marks], NONE_401)), Code::LostBeforeProxy, "the probe is lost as well");
    let unseen = "x-token-proxy-reason: credential_not_recognised";
    assert_eq!(with(grafana(true, 401, &[unseen], NONE_401)), Code::LostAfterProxy, "the probe is lost as well");
    assert_eq!(with(grafana(true, 401, &[SAW, unseen], NONE_401)), Code::LostAfterProxy);
    assert_eq!(without_direct(grafana(true, 401, &[SAW], NONE_401)), Code::LostAfterProxy);
    assert_eq!(without_direct(grafana(true, 401, &[], NONE_401)), Code::LostOnTheWay);
}

#[test]
fn a_header_that_is_changed_is_changed_on_the_right_side() {
    let basic = "x-token-proxy-saw: probe=p; auth_received=basic; auth_sent=basic; version=1";
    let password = r#"{"message":"Invalid username or password","messageId":"password-auth.failed","statusCode":401}"#;
    assert_eq!(with(grafana(true, 401, &[basic], password)), Code::ChangedBeforeProxy);
    let cut = "x-token-proxy-reason: token_malformed";
    assert_eq!(with(grafana(true, 401, &[SAW, cut], UNKNOWN_401)), Code::ChangedBeforeProxy);
    let other = "x-token-proxy-saw: probe=p; auth_received=bearer; token_kind=jwt; auth_sent=bearer; version=1";
    assert_eq!(with(grafana(true, 401, &[other], UNKNOWN_401)), Code::ChangedBeforeProxy);
    for reason in ["newline_in_head", "credential_conflict", "head_malformed"] {
        let line = format!("x-token-proxy-reason: {reason}");
        assert_eq!(with(Some(answer(true, 400, &[&line], "{}"))), Code::ChangedBeforeProxy, "{reason}");
    }
    let mended = "x-token-proxy-saw: probe=p; auth_received=bearer; token_kind=service_account; changes=scheme_case; \
                  auth_sent=bearer; version=1";
    assert_eq!(with(grafana(true, 200, &[mended], r#"{"id":1}"#)), Code::RepairedByProxy);
    assert_eq!(with(grafana(true, 401, &[SAW], password)), Code::ChangedAfterProxy);
    assert_eq!(with(grafana(true, 401, &[SAW], UNKNOWN_401)), Code::ChangedAfterProxy, "for --direct takes it");
    assert_eq!(without_direct(grafana(true, 401, &[], password)), Code::ChangedOnTheWay);
    assert_eq!(with(grafana(true, 401, &[], UNKNOWN_401)), Code::ChangedOnTheWay);
}

#[test]
fn a_header_that_arrives_is_refused_for_a_reason() {
    let verdict = |body: &str, direct: bool| {
        let mut seen = healthy();
        seen.ways[0].with = grafana(true, 401, &[SAW], body);
        seen.ways[1].with = grafana(true, 401, &[], body);
        seen.ways.truncate(1 + usize::from(direct));
        let finding = judge(&seen).finding.unwrap();
        (finding.code, finding.reason)
    };
    for (body, reason) in [
        (UNKNOWN_401, Reason::TokenUnknown),
        (r#"{"message":"Expired API key"}"#, Reason::TokenExpired),
        (r#"{"message":"Token is revoked","messageId":"api-key.revoked"}"#, Reason::TokenRevoked),
        (
            r#"{"message":"API key does not belong to the requested organization","messageId":"api-key.organization-mismatch"}"#,
            Reason::OrgMismatch,
        ),
    ] {
        for direct in [false, true] {
            assert_eq!(verdict(body, direct), (Code::GrafanaRefuses, Some(reason)), "{body}");
        }
    }
}

#[test]
fn hops_and_proxy_that_refuse_are_told_apart() {
    let hop = |lines: &[&str]| with(Some(answer(true, 403, lines, "<html>no</html>")));
    assert_eq!(hop(&["server: nginx"]), Code::HopRefuses);
    assert_eq!(hop(&["server: nginx", SAW]), Code::HopRefuses);
    let place = |lines: &[&str]| {
        let mut seen = healthy();
        seen.ways[0].with = Some(answer(true, 403, lines, "<html>no</html>"));
        judge(&seen).finding.unwrap().detail
    };
    assert!(place(&["server: nginx"]).contains("before the proxy (`nginx`)"));
    assert!(place(&["server: nginx", SAW]).contains("behind the proxy"));
    for reason in ["token_rate_limited", "caller_not_allowed", "org_override_refused"] {
        let line = format!("x-token-proxy-reason: {reason}");
        assert_eq!(with(Some(answer(true, 429, &[&line], "{}"))), Code::ProxyRefuses, "{reason}");
    }
    let gone = "x-token-proxy-reason: upstream_timeout";
    assert_eq!(with(Some(answer(true, 504, &[gone], "{}"))), Code::GrafanaUnreachable);
    assert_eq!(with(Some(answer(true, 504, &["server: nginx"], ""))), Code::HopCannotReach);
    assert_eq!(with(Some(answer(true, 418, &[], ""))), Code::NotGrafana);
}

#[test]
fn a_token_is_judged_before_its_journey_and_its_rights_after() {
    let key = HashKey::from_bytes([7; 16]);
    assert_eq!(
        concluded(|seen| {
            seen.credential = Some(Credential::read(&TOKEN.as_bytes()[..30], &key, 0).facts);
            seen.ways[0].with = None;
        }),
        Code::TokenUnusable
    );
    assert_eq!(concluded(|seen| seen.org = Some(2)), Code::WrongOrganisation);
    assert_eq!(concluded(|seen| seen.org = Some(1)), Code::Healthy);
    assert_eq!(concluded(|seen| seen.needs.push("folders:write".into())), Code::PermissionMissing);
    let open = |way: &mut Way| way.without = grafana(false, 200, &[SAW_NONE], "{}");
    assert_eq!(concluded(|seen| seen.ways.iter_mut().for_each(open)), Code::AnonymousAccess);
    assert_eq!(concluded(|seen| open(&mut seen.ways[0])), Code::SignedInByHop);
    assert_eq!(
        concluded(|seen| {
            seen.credential = None;
            for way in &mut seen.ways {
                (way.with, way.permissions, way.socket) = (None, None, None);
            }
        }),
        Code::Healthy,
        "without a token the way itself is judged"
    );
}

#[test]
fn limits_name_whose_they_are() {
    let detail = |change: &dyn Fn(&mut Way)| {
        let mut seen = healthy();
        change(&mut seen.ways[0]);
        let finding = judge(&seen).finding.unwrap();
        (finding.code, finding.detail)
    };
    let (code, text) = detail(&|way| way.large_head = Some(answer(false, 431, &[], "")));
    assert!(code == Code::LargeHeaderRefused && text.starts_with("a hop before the proxy"), "{text}");
    let (code, text) = detail(&|way| {
        way.large_head = Some(answer(false, 431, &["x-token-proxy-reason: head_too_large"], "{}"));
    });
    assert!(code == Code::LargeHeaderRefused && text.starts_with("the proxy itself"), "{text}");
    let (code, text) = detail(&|way| way.large_head = Some(answer(false, 400, &["server: nginx", SAW_NONE], "")));
    assert!(code == Code::LargeHeaderRefused && text.starts_with("a hop behind the proxy (`nginx`)"), "{text}");
    assert_eq!(detail(&|way| way.large_head = Some(Err(Trouble::Closed))).0, Code::LargeHeaderRefused);
    let (code, text) = detail(&|way| way.bodies = vec![(ORDINARY, answer(false, 413, &["server: nginx"], ""))]);
    assert!(
        code == Code::LargeBodyRefused && text.contains("before the proxy (`nginx`) answers 413 to 64 KiB"),
        "{text}"
    );
    assert_eq!(detail(&|way| way.bodies.push((1 << 20, answer(false, 413, &[], "")))).0, Code::LargeBodyLimited);
    assert_eq!(concluded(|seen| seen.ways[0].bodies.push((1 << 20, Err(Trouble::Closed)))), Code::Healthy);
    assert_eq!(detail(&|way| way.without = Some(answer(false, 429, &["server: envoy"], ""))).0, Code::RateLimited);
    let (code, text) = detail(&|way| way.socket = Some(Socket::Cut(Duration::from_secs(1))));
    assert!(code == Code::UpgradeCut && text.contains("1.0 s") && text.contains("by a hop"), "{text}");
    let (code, text) =
        detail(&|way| way.socket = Some(Socket::Refused(Box::new(answer(true, 400, &[SAW], "Bad Request")))));
    assert!(code == Code::UpgradeRefused && text.contains("behind the proxy answers 400"), "{text}");
    assert_eq!(
        detail(&|way| way.socket = Some(Socket::Refused(Box::new(Err(Trouble::Closed))))).0,
        Code::UpgradeRefused
    );
    let limited = ["x-token-proxy-reason: token_rate_limited"];
    assert_eq!(
        detail(&|way| way.socket = Some(Socket::Refused(Box::new(answer(true, 429, &limited, ""))))).0,
        Code::RateLimited
    );
    assert_eq!(
        concluded(|seen| seen.ways[0].socket = Some(Socket::Refused(Box::new(answer(true, 404, &[], ""))))),
        Code::Healthy
    );
    assert_eq!(detail(&|way| way.cookie = grafana(false, 401, &[SAW_NONE], NONE_401)).0, Code::CookieDropped);
}

#[test]
fn what_works_and_is_odd_is_a_warning() {
    assert_eq!(concluded(|seen| seen.ways[0] = way(Role::Url, None)), Code::ProxyNotSeen, "nothing else is wrong");
    let mut seen = healthy();
    seen.ways[0] = way(Role::Url, None);
    seen.services = Service::all(&[
        ("GRAFANA_SERVICE_HOST".to_owned(), "127.0.0.1".to_owned()),
        ("GRAFANA_SERVICE_PORT".to_owned(), "3000".to_owned()),
    ]);
    assert!(judge(&seen).finding.unwrap().next.contains("the Service `grafana`"));
    assert_eq!(
        concluded(|seen| {
            let date = ["date: Thu, 01 Jan 1970 01:00:00 GMT"];
            seen.ways[0].health = Some(answer(false, 200, &date, r#"{"database":"ok"}"#));
        }),
        Code::ClockSkewed
    );
    assert_eq!(
        concluded(|seen| seen.ways[0].address = Some(SocketAddr::from(([93, 184, 216, 34], 80)))),
        Code::TokenInClear
    );
    for private in [[10, 0, 0, 1], [192, 168, 1, 1], [100, 64, 0, 1], [169, 254, 1, 1]] {
        assert_eq!(concluded(|seen| seen.ways[0].address = Some(SocketAddr::from((private, 80)))), Code::Healthy);
    }
    let certificate = |days: u64| {
        let not_after = Duration::from_secs(1_000_000 + days * 86_400);
        let certificate = Certificate { subject: "a".into(), issuer: "b".into(), not_after };
        let tls = TlsFacts { version: "TLS 1.3".into(), protocol: None, certificate: Some(certificate), chain: 2 };
        concluded(|seen| seen.ways[0].tls = Some(tls))
    };
    assert_eq!((certificate(13), certificate(14)), (Code::TlsExpiresSoon, Code::Healthy));
}

#[test]
fn a_failure_wins_over_a_warning_and_the_rest_is_told_once() {
    let mut seen = healthy();
    seen.ways[0].without = grafana(false, 200, &[SAW_NONE], "{}");
    seen.ways[0].bodies = vec![(ORDINARY, answer(false, 413, &[], ""))];
    let verdict = judge(&seen);
    assert_eq!(verdict.code(), Code::LargeBodyRefused);
    assert_eq!(verdict.others.iter().map(|other| other.code).collect::<Vec<_>>(), [Code::SignedInByHop]);
}

proptest! {
    /// Whatever answers come, there is one verdict, it holds nothing of the token, and a failure is never called healthy.
    #[test]
    fn any_answer_has_a_verdict(
        status in 200u16..600,
        saw in prop::option::of("[a-z_]{0,12}"),
        reason in prop::option::of(prop::sample::select(Reason::ALL)),
        body in prop::sample::select(vec!["", "{}", NONE_401, UNKNOWN_401, "<html>", "text"]),
    ) {
        let mut lines = Vec::new();
        lines.extend(saw.map(|form| format!("x-token-proxy-saw: probe=p; auth_received={form}; auth_sent={form}")));
        lines.extend(reason.map(|reason| format!("x-token-proxy-reason: {reason}")));
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let mut seen = healthy();
        seen.ways[0].with = Some(answer(true, status, &lines, body));
        let verdict = judge(&seen);
        prop_assert!(status == 200 || verdict.code() != Code::Healthy);
        let shown = format!("{verdict:?}");
        prop_assert!(!shown.contains("yscW25im"));
    }
}
