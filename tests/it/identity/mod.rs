//! Whose request it is: what nobody may claim, that one credential has one budget in all its spellings, what makes a
//! credential count as accepted, and what strangers' credentials cost.

#[path = "../../identity/crc.rs"]
#[allow(dead_code)]
mod crc;
mod floods;
mod standin;

use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use self::standin::{Grafana, Settings};
use crate::support::peers::installed;
use crate::support::{Origin, Program, TOKEN, ask, get, sound_token};

fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}")
}

fn known(texts: &[&str]) -> Settings {
    Settings { known: texts.iter().map(|text| (*text).to_owned()).collect(), ..Settings::default() }
}

/// Asks until a condition holds, or fails.
fn until(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Narrow limits for what is not accepted, wide ones for the rest.
const NARROW: [&str; 4] = ["--limits-per-client-rate", "1/h", "--limits-per-client-burst", "5"];

#[test]
fn nobody_signs_in_by_a_configured_header_but_a_trusted_proxy_in_exactly_its_spelling() {
    let origin = Origin::ok();
    let configured = ["--clients-identity-headers", "X-Auth-Request-User,X-Email", "--http-h2c", "on"];
    let stranger = [&configured[..], &["--clients-trusted-proxies", "10.0.0.0/8"]].concat();
    let trusted = [&configured[..], &["--clients-trusted-proxies", "127.0.0.1/32"]].concat();
    let names = [
        "X-Auth-Request-User",
        "x-auth-request-user",
        "X_Auth_Request_User",
        "X.Auth.Request.User",
        "x-auth_request.USER",
        "X-Email",
        "X_Email",
    ];
    for (arguments, is_trusted) in [(stranger, false), (trusted, true)] {
        let program = Program::before(&origin.url(), &arguments);
        for name in names {
            let passes = is_trusted && !name.contains(['_', '.']);
            let arrived =
                || {
                    let seen = origin.last();
                    let admin = |line: &&String| line.contains("admin");
                    seen.lines.iter().find(admin).cloned().or_else(|| {
                        String::from_utf8_lossy(&seen.body).contains("admin").then(|| "a trailer".to_owned())
                    })
                };
            assert_eq!(get(program.data, "/api/org", &[&format!("{name}: admin")]).status, 200);
            assert_eq!(arrived().is_some(), passes, "{name} over HTTP/1, trusted: {is_trusted}: {:?}", arrived());
            let trailer = format!(
                "POST /api/org HTTP/1.1\r\nHost: g\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n{name}: \
                 admin\r\n\r\n"
            );
            assert_eq!(ask(program.data, trailer).unwrap().status, 200);
            assert_eq!(arrived(), None, "{name} as a trailer");
            let Some(curl) = installed("curl", "curl") else { continue };
            let url = format!("http://{}/api/org", program.data);
            let header = format!("{name}: admin");
            let curl =
                Command::new(curl).args(["-sS", "--http2-prior-knowledge", "-H", &header, &url]).output().unwrap();
            assert!(curl.status.success(), "{}", String::from_utf8_lossy(&curl.stderr));
            assert_eq!(arrived().is_some(), passes, "{name} over HTTP/2, trusted: {is_trusted}");
        }
    }
}

/// Spellings of one service account token, each of which Grafana accepts.
fn respelt(token: &str, count: u32) -> Vec<String> {
    let (_, compared) = token.split_once('_').unwrap();
    let (secret, _) = compared.split_once('_').unwrap();
    let crc = crc32fast::hash(&token.as_bytes()[..token.len() - 9]);
    let spellings = (0u32..).map(|start| crc::with_checksum(format!("x{start}").as_bytes(), secret.as_bytes(), crc));
    let fit = |token: &Vec<u8>| {
        token.iter().all(|byte| (0x21..0x7f).contains(byte)) && token.iter().filter(|byte| **byte == b'_').count() == 2
    };
    spellings.filter(fit).take(count as usize).map(|token| String::from_utf8(token).unwrap()).collect()
}

fn legacy_spellings() -> Vec<String> {
    [
        r#"{"k":"xBMkGDc6yOixLjPwyt75U5F1yu2Tph9x","n":"key-viewer","id":1}"#,
        r#"{"id":1,"n":"key-viewer","k":"xBMkGDc6yOixLjPwyt75U5F1yu2Tph9x"}"#,
        r#"{ "k" : "xBMkGDc6yOixLjPwyt75U5F1yu2Tph9x", "n":"key-viewer", "id":1, "more": [1, {"x": null}] }"#,
        r#"{"K":"xBMkGDc6yOixLjPwyt75U5F1yu2Tph9x","N":"key-viewer","ID":1}"#,
        r#"{"k":"another","k":"xBMkGDc6yOixLjPwyt75U5F1yu2Tph9x","n":"key-viewer","id":1}"#,
        r#"{"\u006b":"xBMkGDc6yOixLjPwyt75U5F1yu2Tph9x","n":"key\u002dviewer","id":1,"k":null}"#,
    ]
    .map(|json| STANDARD.encode(json))
    .into()
}

#[test]
fn one_token_has_one_budget_in_all_its_spellings() {
    let grafana = Grafana::new(Settings { anonymous: true, ..known(&["yscW25imSKJIuav8zF37RZmnbiDvB05G_fcaaf58a"]) });
    let mut service_account = respelt(TOKEN, 11);
    service_account.push(TOKEN.to_owned());
    let basic = |token: &String| format!("Authorization: Basic {}", STANDARD.encode(format!("api_key:{token}")));
    let jwt =
        |last: char| format!("{}.{}.c2lnbmF0dX{last}", URL_SAFE_NO_PAD.encode("{}"), URL_SAFE_NO_PAD.encode("{}"));
    for (what, lines) in [
        ("a service account token", service_account.iter().map(|token| bearer(token)).collect::<Vec<_>>()),
        ("the same as a password", service_account.iter().map(basic).collect()),
        ("an API key", legacy_spellings().iter().map(|token| bearer(token)).collect()),
        ("the same as a password", legacy_spellings().iter().map(basic).collect()),
        ("a JWT", ['I', 'J', 'K', 'L'].map(|last| bearer(&jwt(last))).into()),
    ] {
        for repair in ["on", "off"] {
            let arguments = ["--rate", "1/h", "--burst", "2", "--authorization-repair", repair];
            let program = Program::before(&grafana.origin.url(), &arguments);
            let statuses: Vec<u16> = lines.iter().map(|line| get(program.data, "/api/org", &[line]).status).collect();
            let passed = statuses.iter().filter(|status| **status != 429).count();
            assert_eq!(passed, 2, "{what}, repair {repair}: {statuses:?}");
        }
    }
}

#[test]
fn a_known_caller_is_known_in_every_spelling() {
    let grafana = Grafana::new(known(&["yscW25imSKJIuav8zF37RZmnbiDvB05G_fcaaf58a"]));
    let folder = tempfile::tempdir().unwrap();
    let keys = legacy_spellings();
    std::fs::write(folder.path().join("key"), &keys[0]).unwrap();
    std::fs::write(folder.path().join("token"), TOKEN).unwrap();
    let digest = |text: &str| {
        let output = Command::new("sh").args(["-c", &format!("printf %s '{text}' | sha256sum")]).output().unwrap();
        String::from_utf8(output.stdout).unwrap().split(' ').next().unwrap().to_owned()
    };
    let place = folder.path().display();
    let by_file = [format!("file: '{place}/token'"), format!("file: '{place}/key'")];
    let by_digest = [format!("sha256: {}", digest(TOKEN)), format!("sha256: {}", digest(&keys[0]))];
    for [token, key] in [by_file, by_digest] {
        let allow = "allow: [GET /api/health]";
        let text = format!("tokens:\n  - {{ name: a, {token}, {allow} }}\n  - {{ name: b, {key}, {allow} }}\n");
        let file = folder.path().join("gtp.yaml");
        std::fs::write(&file, text).unwrap();
        let program = Program::before(&grafana.origin.url(), &["--config", file.to_str().unwrap()]);
        for spelling in respelt(TOKEN, 5).into_iter().chain([TOKEN.to_owned()]).chain(keys.clone()) {
            let refused = get(program.data, "/api/org", &[&bearer(&spelling)]);
            assert_eq!((refused.status, refused.reason()), (403, Some("caller_not_allowed")), "{spelling}");
        }
    }
}

#[test]
fn a_credential_counts_as_accepted_only_where_nothing_else_could_have_signed_in() {
    for anonymous in [false, true] {
        let grafana =
            Grafana::new(Settings { anonymous, ..known(&["RZmnbiDvB05G_fcaaf58a", "good-session", "admin:right"]) });
        let program = Program::before(&grafana.origin.url(), &NARROW);
        let session = "Cookie: grafana_session=good-session";
        let basic = |pair: &str| format!("Authorization: Basic {}", STANDARD.encode(pair));
        // The session, and the real admin, are accepted: they have budgets of their own.
        let served = |lines: &[&str]| get(program.data, "/api/org", lines).status == 200;
        until("the session is not accepted", || (0..4).all(|_| served(&[session])));
        until("the user is not accepted", || (0..4).all(|_| served(&[&basic("admin:right")])));
        assert!((0..30).all(|_| served(&[session]) && served(&[&basic("ADMIN:right")])));
        // Invented ones beside a session that signs in, or the anonymous visitor, spend what their address has.
        let lines = |number: u64| match number % 3 {
            0 => bearer(&sound_token(number)),
            1 => basic(&format!("admin:wrong{number}")),
            _ => bearer(&format!("invented{number}")),
        };
        let passed = (0..60).filter(|number| served(&[&lines(*number), session])).count();
        assert!(passed <= 12, "{passed} of 60 invented credentials passed beside a session, anonymous: {anonymous}");
        let passed = (100..160).filter(|number| served(&[&lines(*number)])).count();
        assert!(passed <= 12, "{passed} of 60 invented credentials passed alone, anonymous: {anonymous}");
        // And nobody else pays for them.
        assert!((0..10).all(|_| served(&[session]) && served(&[&basic("admin:right")])), "anonymous: {anonymous}");
    }
}

#[test]
fn what_comes_beside_a_good_credential_of_any_kind_is_not_accepted_for_it() {
    let grafana = Grafana::new(known(&["good-session", ".Z29vZA", "admin:right"]));
    let jwt = |number: usize, signature: &str| {
        let payload = URL_SAFE_NO_PAD.encode(format!(r#"{{"sub":"{number}"}}"#));
        format!("{}.{payload}.{signature}", URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256"}"#))
    };
    type Lines<'a> = Box<dyn Fn(usize) -> Vec<String> + 'a>;
    let cases: [(&str, Lines<'_>); 4] = [
        (
            "a render key beside a session",
            Box::new(|number| vec![format!("Cookie: renderKey=invented{number}; grafana_session=good-session")]),
        ),
        (
            "a JWT before another",
            Box::new(|number| {
                vec![format!("X-Id-Token: {}", jwt(number, "YmFk")), format!("X-JWT-Assertion: {}", jwt(0, "Z29vZA"))]
            }),
        ),
        (
            "a JWT beside a session",
            Box::new(|number| {
                vec![format!("X-Id-Token: {}", jwt(number, "YmFk")), "Cookie: grafana_session=good-session".to_owned()]
            }),
        ),
        (
            "a token beside a session among other cookies",
            Box::new(|number| {
                vec![bearer(&sound_token(number as u64)), "Cookie: x=y; grafana_session=good-session".to_owned()]
            }),
        ),
    ];
    for (what, lines) in cases {
        let program = Program::before(&grafana.origin.url(), &NARROW);
        let passed = (0..60).filter(|number| {
            let lines = lines(*number);
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            get(program.data, "/api/org", &lines).status == 200
        });
        let passed = passed.count();
        assert!(passed <= 7, "{what}: {passed}");
    }
}

#[test]
fn a_token_that_always_comes_beside_a_cookie_is_asked_about_once() {
    let grafana = Grafana::new(known(&["RZmnbiDvB05G_fcaaf58a"]));
    let program =
        Program::before(&grafana.origin.url(), &["--limits-per-client-rate", "2/s", "--limits-per-client-burst", "5"]);
    let lines = [bearer(TOKEN), "Cookie: AWSALB=x".to_owned()];
    let ask = || get(program.data, "/api/org", &[&lines[0], &lines[1]]).status;
    until("it is not accepted", || (0..9).all(|_| ask() == 200));
    let about = |path: &str| {
        grafana.origin.questions().iter().filter(|seen| seen.lines[0].contains(&format!(" {path} "))).count()
    };
    assert_eq!((about("/api/user"), about("/api/org")), (1, 0));
    assert!(grafana.origin.questions().iter().all(|seen| seen.header("cookie").is_none()), "alone");
}

#[test]
fn a_page_of_a_proxy_in_between_accepts_nobody() {
    let page = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 15\r\n\r\n<html>Sign in</html>";
    let page = page.replace("15", "20");
    let program = Program::before(&Origin::answering(page).url(), &NARROW);
    let passed =
        (0..20).filter(|number| get(program.data, "/api/org", &[&bearer(&sound_token(*number % 2))]).status == 200);
    let passed = passed.count();
    // Five, and what those that come back when told may use beyond.
    assert!((5..=7).contains(&passed), "{passed}");
}

#[test]
fn users_who_sign_in_elsewhere_have_budgets_of_their_own() {
    let grafana = Grafana::new(known(&[]));
    let user_header = ["--clients-identity-headers", "X-WEBAUTH-USER", "--clients-trusted-proxies", "127.0.0.1/32"];
    let jwt = |subject: &str, number: usize| {
        let payload = format!(r#"{{"iss":"idp","sub":"{subject}","iat":{number}}}"#);
        format!("{}.{}.c2ln", URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256"}"#), URL_SAFE_NO_PAD.encode(payload))
    };
    let known_jwt = Grafana::new(known(&[".c2ln"]));
    let people = ["ada", "bob", "eve", "joe"];
    // (the stand-in, options, the request of a person, in its nth turn)
    type Ask<'a> = Box<dyn Fn(&Program, &str, usize) -> u16 + 'a>;
    let cases: [(&str, &Grafana, &[&str], Ask<'_>); 4] = [
        (
            "a header of a trusted proxy",
            &grafana,
            &user_header,
            Box::new(|program, who, _| get(program.data, "/api/org", &[&format!("X-WEBAUTH-USER: {who}")]).status),
        ),
        (
            "a JWT in a header",
            &known_jwt,
            &[],
            Box::new(|program, who, turn| {
                get(program.data, "/api/org", &[&format!("X-JWT-Assertion: {}", jwt(who, turn / 20))]).status
            }),
        ),
        (
            "a JWT in the query",
            &known_jwt,
            &[],
            Box::new(|program, who, turn| {
                get(program.data, &format!("/api/org?auth_token={}", jwt(who, turn / 20)), &[]).status
            }),
        ),
        (
            "a public dashboard",
            &grafana,
            &[],
            Box::new(|program, who, _| {
                get(program.data, &format!("/api/public/dashboards/open{who}/annotations"), &[]).status
            }),
        ),
    ];
    for (what, grafana, options, ask) in cases {
        let limits =
            ["--limits-per-client-rate", "1/h", "--limits-per-client-burst", "30", "--rate", "1/h", "--burst", "70"];
        let program = Program::before(&grafana.origin.url(), &[&limits[..], options].concat());
        for turn in 0..60 {
            for who in people {
                assert_eq!(ask(&program, who, turn), 200, "{what}: {who}, turn {turn}");
            }
        }
        // Each has one budget, whatever the JWT; the first request with a new one is not yet known to be of its subject.
        let passed = (60..90).filter(|turn| ask(&program, "ada", *turn) == 200).count();
        assert!(passed <= 16, "{what}: {passed}");
    }
}

#[test]
fn the_session_cookie_is_read_as_go_reads_it_and_may_have_another_name() {
    let grafana = Grafana::new(known(&["good"]));
    let arguments =
        [&NARROW[..], &["--rate", "1/h", "--burst", "4", "--clients-session-cookie", "my_session"]].concat();
    let program = Program::before(&grafana.origin.url(), &arguments);
    // One session, whatever stands around it and however it is spelt.
    let spellings =
        ["my_session=good", "a=b; my_session=\"good\"", "my_session=g%6fod", "my_session=ba\\d; my_session=good"];
    let statuses: Vec<_> = spellings
        .iter()
        .cycle()
        .take(12)
        .map(|cookie| get(program.data, "/api/health/x", &[&format!("Cookie: {cookie}")]).status)
        .collect();
    assert_eq!(statuses.iter().filter(|status| **status != 429).count(), 4, "{statuses:?}");
}

#[test]
fn grafana_counts_failed_logins_by_the_client_that_trusted_proxies_name() {
    let origin = Origin::ok();
    let program = Program::before(&origin.url(), &["--clients-trusted-proxies", "127.0.0.1/32"]);
    let real_ip = |lines: &[&str]| {
        get(program.data, "/login", lines);
        origin.last().all("x-real-ip")
    };
    let claimed = "X-Real-IP: 203.0.113.9";
    assert_eq!(real_ip(&["X-Forwarded-For: 198.51.100.7", claimed]), ["198.51.100.7"]);
    assert_eq!(real_ip(&["X-Forwarded-For: 1.1.1.1, 198.51.100.7", claimed]), ["198.51.100.7"]);
    assert_eq!(real_ip(&[claimed]), ["203.0.113.9"], "a trusted proxy that names the client so alone");
}
