//! `Authorization` lines, separated by newlines: what is sent is one legal line, and judging it again changes nothing.
#![no_main]

use grafana_token_proxy::domain::credential::{Outward, Repair, judge};
use http::HeaderValue;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let lines: Vec<&[u8]> =
        data.split(|byte| *byte == b'\n').filter(|line| HeaderValue::from_bytes(line).is_ok()).collect();
    let on = judge(&lines, &[], Repair::On);
    for repair in [Repair::Observe, Repair::Off] {
        let other = judge(&lines, &[], repair);
        assert!(matches!(other.outward, Outward::AsReceived | Outward::Absent));
        assert_eq!(other.identity, on.identity);
    }
    let sent: &[u8] = match (&on.outward, lines.as_slice()) {
        (Outward::Replace(value), _) => value,
        (Outward::AsReceived, [line]) => line,
        (Outward::Absent, []) | (Outward::Conflict, _) => return,
        (outward, _) => panic!("{outward:?} of {} lines", lines.len()),
    };
    assert!(HeaderValue::from_bytes(sent).is_ok());
    let again = judge(&[sent], &[], Repair::On);
    assert_eq!(again.outward, Outward::AsReceived);
    assert!(again.changes.is_empty());
    assert_eq!(again.identity, on.identity);
    assert_eq!((again.sent, again.spelling, again.token), (on.sent, on.spelling, on.token));
    // A header lost and carried by another is the same credential.
    if on.identity.is_some() {
        assert_eq!(judge(&[], &[sent], Repair::On).identity, on.identity);
    }
});
