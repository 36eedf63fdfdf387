//! Any answer: explaining it never panics, and every 401, 403 and 429 gets a reason.
#![no_main]

use grafana_token_proxy::domain::classify::{Answer, classify, look};
use grafana_token_proxy::domain::fields::Fields;
use grafana_token_proxy::domain::head::RequestFacts;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use libfuzzer_sys::fuzz_target;

const STATUSES: [u16; 12] = [200, 207, 301, 302, 400, 401, 403, 404, 407, 410, 429, 500];
const TYPES: [&str; 4] =
    ["application/json; charset=UTF-8", "application/json", "text/plain; charset=utf-8", "text/html"];

fuzz_target!(|data: &[u8]| {
    let Some((choice, body)) = data.split_first() else { return };
    let status = StatusCode::from_u16(STATUSES[usize::from(*choice) % STATUSES.len()]).unwrap();
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(TYPES[usize::from(choice >> 4) % TYPES.len()]));
    if choice & 8 != 0 {
        headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    let headers = Fields::from(&headers);
    let facts = RequestFacts::default();
    let _ = look(&facts, status, &headers);
    let verdict = classify(&facts, &Answer { status, headers: &headers, body });
    if matches!(status.as_u16(), 401 | 403 | 429) {
        assert!(verdict.is_some());
    }
});
