//! `X-Forwarded-For` lines, separated by newlines, from a trusted hop: the walk ends at an address that a trusted hop
//! named, and what a stranger writes further left changes nothing.
#![no_main]

use std::net::IpAddr;

use grafana_token_proxy::domain::client::{Settings, bucket_bytes, identify};
use http::HeaderValue;
use libfuzzer_sys::fuzz_target;

const HOP: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));

fuzz_target!(|data: &[u8]| {
    let values: Vec<HeaderValue> =
        data.split(|byte| *byte == b'\n').filter_map(|line| HeaderValue::from_bytes(line).ok()).collect();
    let lines: Vec<&[u8]> = values.iter().map(HeaderValue::as_bytes).collect();
    let settings = Settings { trusted_proxies: "10.0.0.0/8".parse().into_iter().collect(), ..Settings::default() };
    let client = identify(HOP, &lines, &settings);
    let _ = bucket_bytes(client);
    assert_eq!(identify(HOP, &lines, &Settings::default()), HOP);
    if !settings.trusts(client) {
        let forged = [&[b"10.1.1.1, 192.0.2.1".as_slice()], lines.as_slice()].concat();
        assert_eq!(identify(HOP, &forged, &settings), client);
    }
});
