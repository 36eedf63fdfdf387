//! A header line, then a target: under `pin` nothing but the pinned organisation passes.
#![no_main]

use grafana_token_proxy::domain::org::{OrgHeader, OrgMode, Settings, decide, is_alias, target_org};
use grafana_token_proxy::domain::path_rule::PathRules;
use libfuzzer_sys::fuzz_target;

const PINNED: u32 = 7;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (line, target) = text.split_once('\n').unwrap_or(("", text));
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    let _ = is_alias(line.as_bytes());
    let exempt = PathRules::new(&["/public/"]).matches_path(path);
    assert!(!exempt || !path.contains("..") || path.split('/').all(|segment| segment != ".."));
    for mode in [OrgMode::Fill, OrgMode::Off] {
        let _ = decide(&[line.as_bytes()], path, query, None, &Settings { default: Some(PINNED), mode, ..Settings::default() });
    }
    let pin = Settings { default: Some(PINNED), mode: OrgMode::Pin, ..Settings::default() };
    let Ok(decision) = decide(&[line.as_bytes()], path, query, None, &pin) else { return };
    assert_eq!((decision.header, decision.sent), (OrgHeader::Set(PINNED), Some(PINNED)));
    // Read independently of the code under test.
    let other = |org: &str| org.parse::<i64>().is_ok_and(|org| org != 0 && org != i64::from(PINNED));
    assert!(!other(line), "header");
    assert!(!query.and_then(target_org).is_some_and(|org| other(&org)), "targetOrgId");
    for pair in query.unwrap_or_default().split(['&', ';']) {
        assert!(!pair.strip_prefix("orgId=").is_some_and(other), "orgId");
    }
    let namespace = path.strip_prefix("/apis/g/v/namespaces/").map(|rest| rest.split('/').next().unwrap_or(rest));
    assert!(!namespace.and_then(|name| name.strip_prefix("org-")).is_some_and(other), "namespace");
    // Decoded as Grafana does, and as a proxy in front of it may once more.
    let once: Vec<u8> = percent_encoding::percent_decode_str(path).collect();
    let twice: Vec<u8> = percent_encoding::percent_decode(&once).collect();
    for reading in [once, twice].iter().filter_map(|bytes| std::str::from_utf8(bytes).ok()) {
        let segments: Vec<&str> = reading.trim_matches('/').split('/').collect();
        match segments[..] {
            ["profile", "switch-org", org, ..] | [_, "profile", "switch-org", org, ..] => assert!(!other(org), "switch"),
            ["apis", _, _, "watch", "namespaces", org, ..] | ["apis", _, _, "namespaces", org, ..] => {
                assert_eq!(org.strip_prefix("org-").and_then(|org| org.parse().ok()), Some(PINNED), "namespace");
            }
            ["apis", _, _, _, ..] => panic!("no namespace"),
            _ => {}
        }
    }
});
