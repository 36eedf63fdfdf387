use proptest::prelude::*;

use super::*;

fn settings(mode: OrgMode, default: impl Into<Option<u32>>) -> Settings {
    Settings { default: default.into(), mode, ..Settings::default() }
}

fn asked(lines: &[&str], target: &str, settings: &Settings) -> Result<OrgDecision, OrgRefusal> {
    let lines: Vec<&[u8]> = lines.iter().map(|line| line.as_bytes()).collect();
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    };
    decide(&lines, path, query, None, settings)
}

fn granted(header: OrgHeader, sent: impl Into<Option<u32>>, by: OrgBy) -> Result<OrgDecision, OrgRefusal> {
    Ok(OrgDecision { header, sent: sent.into(), by })
}

use self::{OrgBy as By, OrgHeader as H};

#[test]
fn fill_sets_ours_only_where_the_client_names_none() {
    let fill = settings(OrgMode::Fill, 2);
    for (lines, target, expected) in [
        (&[][..], "/api/org", granted(H::Set(2), 2, By::Default)),
        (&["3"], "/api/org", granted(H::Keep, 3, By::Client)),
        (&[" +3"], "/api/org", granted(H::Keep, 3, By::Client)),
        (&["-1"], "/api/org", granted(H::Keep, None, By::Client)),
        (&["99999999999"], "/api/org", granted(H::Keep, None, By::Client)),
        (&["3", "3"], "/api/org", granted(H::Set(3), 3, By::Client)),
        (&["3", "+3"], "/api/org", granted(H::Set(3), 3, By::Client)),
        (&[], "/api/org?targetOrgId=4", granted(H::Keep, 4, By::Client)),
        (&["3"], "/api/org?targetOrgId=4", granted(H::Keep, 4, By::Client)),
        (&["3"], "/api/org?targetOrgId=x", granted(H::Keep, 3, By::Client)),
        (&[], "/api/org?targetOrgId=0", granted(H::Set(2), 2, By::Default)),
        (&[], "/d/x?orgId=4", granted(H::Keep, 4, By::Client)),
        (&[], "/d/x?orgId=0", granted(H::Set(2), 2, By::Default)),
    ] {
        assert_eq!(asked(lines, target, &fill), expected, "{lines:?} {target}");
    }
    for ignored in ["abc", "0", "", "2.0", "1,2", "99999999999999999999"] {
        assert_eq!(asked(&[ignored], "/", &fill), granted(H::Set(2), 2, By::Default), "{ignored}");
        assert_eq!(asked(&[ignored, ignored], "/", &fill), granted(H::Set(2), 2, By::Default), "{ignored}");
    }
}

#[test]
fn fill_without_a_default_leaves_the_client_alone() {
    let fill = settings(OrgMode::Fill, None);
    assert_eq!(asked(&[], "/", &fill), granted(H::Keep, None, By::None));
    assert_eq!(asked(&["abc"], "/", &fill), granted(H::Keep, None, By::None));
    assert_eq!(asked(&["abc", "abc"], "/", &fill), granted(H::Remove, None, By::None));
    assert_eq!(asked(&["3"], "/", &fill), granted(H::Keep, 3, By::Client));
}

#[test]
fn two_different_headers_are_refused() {
    for mode in [OrgMode::Fill, OrgMode::Pin] {
        for lines in [["3", "4"], ["2", "abc"], ["abc", "2"], ["abc", "xyz"], ["", "2"]] {
            let refused = asked(&lines, "/", &settings(mode, 2));
            assert_eq!(refused, Err(OrgRefusal::Other(TWO_HEADERS)), "{mode:?} {lines:?}");
        }
    }
    assert!(asked(&["-1", "-1"], "/", &settings(OrgMode::Fill, 2)).is_err());
}

#[test]
fn pin_refuses_every_way_to_another_organisation() {
    let pin = settings(OrgMode::Pin, 2);
    for (lines, target) in [
        (&["3"][..], "/api/org"),
        (&["-1"], "/api/org"),
        (&["3", "3"], "/api/org"),
        (&[], "/api/org?targetOrgId=3"),
        (&["2"], "/api/org?targetOrgId=2&targetOrgId=3"),
        (&[], "/api/org?a=b;target%4FrgId=3"),
        (&[], "/public/x?orgId=3"),
        (&[], "/apis/g/v1/namespaces/org-3/x"),
        (&[], "/apis/g/v1/namespaces/default/x"),
        (&[], "/x/../apis/g/v1/namespaces/org-2/x"),
        (&[], "/apis/g/v1/dashboards"),
        (&[], "/profile/switch-org/3"),
    ] {
        let refused = asked(lines, target, &pin);
        assert!(refused.is_err(), "{lines:?} {target}");
    }
    for (lines, target) in [
        (&[][..], "/api/org"),
        (&["2"], "/api/org"),
        (&["2", "2"], "/api/org"),
        (&["abc"], "/api/org"),
        (&["0"], "/api/org"),
        (&[], "/api/org?orgId=2&targetOrgId=2"),
        (&[], "/api/org?orgId=abc"),
        (&[], "/apis/g/v1/namespaces/org-2/x"),
        (&[], "/apis/g/v1"),
        (&[], "/profile/switch-org/2"),
    ] {
        assert_eq!(asked(lines, target, &pin), granted(H::Set(2), 2, By::Default), "{lines:?} {target}");
    }
}

#[test]
fn pin_without_an_organisation_drops_the_header_and_refuses_the_rest() {
    let pin = settings(OrgMode::Pin, None);
    for lines in [&[][..], &["3"], &["abc"], &["3", "3"]] {
        assert_eq!(asked(lines, "/api/org", &pin), granted(H::Remove, None, By::None), "{lines:?}");
    }
    for target in [
        "/?targetOrgId=1",
        "/?orgId=1",
        "/apis/g/v1/namespaces/default/x",
        "/apis/g/v1/dashboards",
        "/profile/switch-org/1",
    ] {
        assert!(asked(&[], target, &pin).is_err(), "{target}");
    }
}

#[test]
fn off_touches_nothing() {
    let off = settings(OrgMode::Off, 2);
    assert_eq!(asked(&[], "/", &off), granted(H::Keep, None, By::None));
    assert_eq!(asked(&["3", "4"], "/?orgId=9", &off), granted(H::Keep, None, By::None));
    assert_eq!(asked(&["3"], "/?orgId=9", &off), granted(H::Keep, 3, By::Client));
    assert_eq!(asked(&[], "/?targetOrgId=9", &off), granted(H::Keep, 9, By::Client));
}

#[test]
fn a_request_to_an_unknown_host_lacks_an_organisation_only_where_hosts_choose_it() {
    let by_host = vec![("a.example.com".to_owned(), 2)];
    let pin = Settings { by_host, ..settings(OrgMode::Pin, None) };
    let found = |closer, settings: &Settings| decide(&[], "/api/org", None, closer, settings).unwrap();
    assert!(pin.lacks_organisation(&found(None, &pin)));
    assert!(!pin.lacks_organisation(&found(Some((2, By::Host)), &pin)));
    assert!(!pin.lacks_organisation(&found(Some((3, By::Token)), &pin)));
    for other in [
        Settings { default: Some(1), ..pin.clone() },
        Settings { mode: OrgMode::Fill, ..pin.clone() },
        Settings { mode: OrgMode::Off, ..pin.clone() },
        settings(OrgMode::Pin, None),
    ] {
        assert!(!other.lacks_organisation(&found(None, &other)), "{other:?}");
    }
}

proptest! {
    /// The promise of `pin`, whatever a stranger sends: Grafana is told ours, and reads nothing else anywhere.
    #[test]
    fn under_pin_nothing_but_ours_reaches_grafana(
        lines in prop::collection::vec("[0-9+ -]{0,3}", 0..3), query in "([&;]?(targetOrgId|orgId|a)=[0-3]?){0,3}",
    ) {
        let lines: Vec<&[u8]> = lines.iter().map(|line| line.as_bytes()).collect();
        if let Ok(decision) = decide(&lines, "/api/org", Some(&query), None, &settings(OrgMode::Pin, 2)) {
            prop_assert_eq!(decision, OrgDecision { header: H::Set(2), sent: Some(2), by: By::Default });
            for pair in query.split(['&', ';']) {
                prop_assert!(!matches!(pair.split_once('='), Some(("targetOrgId" | "orgId", "1" | "3"))), "{}", query);
            }
        }
    }

    /// Read apart from the code under test: as Grafana reads a path that passed, or a proxy in front of it that decodes, too.
    #[test]
    fn under_pin_no_reading_of_a_path_reaches_another_organisation(
        before in "(/x|/api|/grafana|//|/\\.\\.){0,2}", way in "/?(apis/[g.]{1,3}/v|profile|api/orgs|api)", after in
        "(/|%2f|%252F|/\\.|/\\.\\.|/namespaces|/watch|/switch%2dorg|/switch-org|/org-2|/o%2572g-3|/user|/using|/%32|/3|/x|;|%3b){0,5}",
    ) {
        let path = format!("{before}{way}{after}");
        if path.starts_with('/') && decide(&[], &path, None, None, &settings(OrgMode::Pin, 2)).is_ok() {
            let mut reading = path.clone();
            for _ in 0..3 {
                let decoded = percent_encoding::percent_decode_str(&reading).decode_utf8_lossy().into_owned();
                reading = decoded;
                let mut segments: Vec<&str> = Vec::new();
                for segment in reading.split('/').map(|segment| segment.split(';').next().unwrap_or_default()) {
                    match segment {
                        "" | "." => {}
                        ".." => drop(segments.pop()),
                        segment => segments.push(segment),
                    }
                }
                let (segments, is_ours) = (&segments[..], |org: &str| org == "2" || org == "org-2");
                let segments = segments.strip_prefix(&["grafana"]).or(segments.strip_prefix(&["x"])).unwrap_or(segments);
                prop_assert!(match segments {
                    ["apis", _, _, "watch", "namespaces", org, ..] | ["apis", _, _, "namespaces", org, ..] => is_ours(org),
                    ["apis", _, _, _, ..] => false,
                    ["profile", "switch-org", org, ..] | ["api", "orgs", org, ..] | ["api", "user", "using", org, ..] =>
                        is_ours(org),
                    _ => true,
                }, "{} {:?}", path, segments);
            }
        }
    }

    #[test]
    fn any_request_is_decided(lines: Vec<Vec<u8>>, path: String, query: Option<String>, org: Option<u32>) {
        let lines: Vec<&[u8]> = lines.iter().map(Vec::as_slice).collect();
        for mode in [OrgMode::Fill, OrgMode::Pin, OrgMode::Off] {
            if let Ok(decision) = decide(&lines, &path, query.as_deref(), None, &settings(mode, org)) {
                // At most one line goes on, unless nothing may be touched.
                prop_assert!(mode == OrgMode::Off || lines.len() < 2 || decision.header != H::Keep);
            }
        }
    }
}
