//! Any head that passes: what Grafana is sent is one head to a strict parser, with one credential and one organisation, and
//! with none of the fields that are not the client's to bring.
#![no_main]

use grafana_token_proxy::domain::credential::{Repair, Settings as Authorization};
use grafana_token_proxy::domain::decide::{Asked, Policy, decide};
use grafana_token_proxy::domain::fields::Fields;
use grafana_token_proxy::domain::head::{Head, RequestParts};
use grafana_token_proxy::domain::org::{OrgMode, Settings as Organisation};
use grafana_token_proxy::domain::path_rule::PathRules;
use grafana_token_proxy::domain::token::HashKey;
use grafana_token_proxy::proxy::headers::{Stamp, write_request};
use http::{HeaderName, HeaderValue, Request};
use libfuzzer_sys::fuzz_target;

const CLIENT: [u8; 4] = [192, 0, 2, 7];

fuzz_target!(|data: &[u8]| {
    let Some((choice, data)) = data.split_first() else { return };
    let mut lines = data.split(|byte| *byte == b'\n');
    let target = lines.next().and_then(|target| std::str::from_utf8(target).ok()).unwrap_or("/");
    let Ok(mut request) = Request::builder().uri(target).body(()) else { return };
    for line in lines {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        // As the parser of a request hands fields over: names are words, blanks around values are gone.
        let word = line[..colon].iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_.!#$%&'*+^`|~".contains(byte));
        let name = HeaderName::from_bytes(&line[..colon]).ok().filter(|_| word);
        let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii()).ok();
        if let (Some(name), Some(value)) = (name, value) {
            request.headers_mut().append(name, value);
        }
    }
    let repair = if choice & 1 == 0 { Repair::On } else { Repair::Off };
    let mode = [OrgMode::Fill, OrgMode::Pin, OrgMode::Off][usize::from(choice >> 1) % 3];
    let policy = Policy {
        authorization: Authorization { repair, ..Authorization::default() },
        org: Organisation { default: Some(3), mode, ..Organisation::default() },
        clients: Default::default(),
        callers: Default::default(),
        exempt: PathRules::new::<&str>(&[]),
        costs: Default::default(),
        hash_key: HashKey::from_bytes([7; 16]),
    };
    let (http::request::Parts { method, uri, headers, .. }, ()) = request.into_parts();
    let parts = RequestParts { method, uri, fields: Fields::from(&headers) };
    let head = Head::collect(&parts.fields, &[]);
    let asked = Asked { method: &parts.method, uri: &parts.uri, head: &head, peer: CLIENT.into() };
    let found = decide(asked, &policy, |_| None);
    if found.refusal.is_some() {
        return;
    }
    let (peer, authority) = (HeaderValue::from_static("192.0.2.7"), HeaderValue::from_static("grafana:3000"));
    let stamp = Stamp {
        request_id: None,
        peer: &peer,
        client: CLIENT.into(),
        scheme: "http",
        authority: &authority,
        chunked: choice & 8 != 0,
    };
    let out = write_request(&parts, &head, &found, &policy, stamp);
    let mut fields = [httparse::EMPTY_HEADER; 2048];
    let mut parsed = httparse::Request::new(&mut fields);
    assert_eq!(parsed.parse(&out), Ok(httparse::Status::Complete(out.len())), "{:?}", String::from_utf8_lossy(&out));
    assert!(parsed.path.is_some_and(|path| path.starts_with('/') || path == "*"));
    let all = |name: &str| parsed.headers.iter().filter(|field| field.name.eq_ignore_ascii_case(name)).count();
    if repair == Repair::On {
        assert!(all("authorization") <= 1);
    }
    assert!(mode == OrgMode::Off || all("x-grafana-org-id") <= 1);
    assert_eq!((all("x-forwarded-for"), all("x-real-ip"), all("forwarded")), (1, 1, 0));
    assert!(all("transfer-encoding") == usize::from(choice & 8 != 0) && all("connection") <= 1 && all("te") <= 1);
    for field in parsed.headers.iter() {
        let name = field.name.to_ascii_lowercase().replace(['_', '.'], "-");
        assert!(
            !name.starts_with("x-webauth-") && name != "remote-user" && !name.starts_with("x-token-proxy-"),
            "{name}"
        );
        assert!(field.name.eq_ignore_ascii_case("x-grafana-org-id") || name != "x-grafana-org-id", "{}", field.name);
        // Disguises of these mean nothing to anybody.
        assert!(
            !matches!(
                &*field.name.to_ascii_lowercase(),
                "keep-alive" | "proxy-connection" | "http2-settings" | "proxy-authorization"
            ),
            "{name}"
        );
    }
});
