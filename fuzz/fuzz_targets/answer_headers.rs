//! The fields of an answer, a line each: what was meant for one hop or is ours to say never goes on, what a client needs
//! always does, and cleaning again changes nothing.
#![no_main]

use grafana_token_proxy::domain::fields::Fields;
use grafana_token_proxy::proxy::headers;
use http::{HeaderMap, HeaderName, HeaderValue, Version, header};
use libfuzzer_sys::fuzz_target;

fn read(data: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in data.split(|byte| *byte == b'\n').take(50) {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let name = HeaderName::from_bytes(&line[..colon]);
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(line[colon + 1..].trim_ascii())) {
            headers.append(name, value);
        }
    }
    headers
}

fn clean_answer(came: &HeaderMap, version: Version) -> HeaderMap {
    let mut fields = Fields::from(came);
    headers::clean_answer(&mut fields, version);
    fields.to_map()
}

fuzz_target!(|data: &[u8]| {
    let came = read(data);
    for version in [Version::HTTP_10, Version::HTTP_11] {
        let cleaned = clean_answer(&came, version);
        for name in
            ["connection", "upgrade", "transfer-encoding", "keep-alive", "proxy-connection", "proxy-authenticate"]
        {
            assert!(!cleaned.contains_key(name), "{name}");
        }
        assert!(!cleaned.keys().any(|name| name.as_str().starts_with("x-token-proxy-") || name == "x-request-id"));
        if version == Version::HTTP_11 && came.contains_key(header::TRANSFER_ENCODING) {
            assert!(!cleaned.contains_key(header::CONTENT_LENGTH));
        }
        // Nothing is made up, and of a field all lines go on, in their order, or none.
        for name in cleaned.keys() {
            assert!(cleaned.get_all(name).iter().eq(came.get_all(name)), "{name}");
        }
        assert!(cleaned.get_all(header::SET_COOKIE).iter().eq(came.get_all(header::SET_COOKIE)));
        // Read independently of the code under test: what no `Connection` line names goes on.
        let named = |name: &HeaderName| {
            let lines = came.get_all(header::CONNECTION);
            let mut options = lines.iter().flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
            options.any(|option| option.trim_ascii().eq_ignore_ascii_case(name.as_str().as_bytes()))
        };
        for name in [header::CONTENT_TYPE, header::WWW_AUTHENTICATE, header::LOCATION, header::CACHE_CONTROL] {
            assert_eq!(cleaned.contains_key(&name), came.contains_key(&name) && !named(&name), "{name}");
        }
        assert_eq!(clean_answer(&cleaned, version), cleaned);
    }
});
