//! A token, a JWT, JSON of an API key, or `Cookie` lines: respelling what is read changes nothing.
#![no_main]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use grafana_token_proxy::domain::identity::{Canonical, Cookie, canonical, cookie, jwt};
use libfuzzer_sys::fuzz_target;

/// The same key as Grafana would write it. `None`: a part of it is no text.
fn written_by_grafana(key: &[u8]) -> Option<String> {
    let (organisation, rest) = key.split_first_chunk::<8>()?;
    let (length, rest) = rest.split_first_chunk::<8>()?;
    let (name, secret) = rest.split_at(usize::try_from(u64::from_be_bytes(*length)).unwrap());
    let (name, secret) = (std::str::from_utf8(name).ok()?, std::str::from_utf8(secret).ok()?);
    let json = serde_json::json!({"k": secret, "n": name, "id": i64::from_be_bytes(*organisation)});
    Some(STANDARD.encode(json.to_string()))
}

fn check(token: &[u8]) {
    let form = canonical(token);
    match &form {
        Canonical::Prefixed(_) => assert!(token.starts_with(b"gl")),
        Canonical::LegacyKey(key) => {
            if let Some(written) = written_by_grafana(key.bytes()) {
                assert_eq!(canonical(written.as_bytes()), form);
            }
            let middle = token.len() / 2;
            assert_eq!(canonical(&[&token[..middle], b"\r\n", &token[middle..]].concat()), form);
        }
        Canonical::Jwt(jwt) => {
            assert_eq!(canonical(&[b"= ", token, b"\n="].concat()), form);
            let _ = jwt::subject(jwt.payload());
        }
        Canonical::Verbatim(bytes) => assert_eq!(*bytes, token),
    }
}

fuzz_target!(|data: &[u8]| {
    check(data);
    check(STANDARD.encode(data).as_bytes());
    let _ = (jwt::parts(data), jwt::subject(data));
    let lines: Vec<&[u8]> = data.split(|byte| *byte == b'\n').collect();
    if let Some(Cookie::Read(value)) = cookie(&lines, b"s") {
        let escaped: String = value.iter().map(|byte| format!("%{byte:02X}")).collect();
        let line = format!("s=\"{escaped}\"");
        assert_eq!(cookie(&[line.as_bytes()], b"s"), Some(Cookie::Read(value)));
    }
});
