use proptest::prelude::*;

use super::*;

fn outcome(mode: OrgMode, default: Option<u32>, lines: &[&str], target: &str) -> Result<OrgDecision, OrgRefusal> {
    let lines: Vec<&[u8]> = lines.iter().map(|line| line.as_bytes()).collect();
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    decide(&lines, path, query, &Settings { default, mode })
}

#[test]
fn fill_speaks_only_where_the_client_is_silent() {
    let fill = |lines: &[&str], target: &str| {
        let found = outcome(OrgMode::Fill, Some(2), lines, target).unwrap();
        (found.header, found.sent, found.by)
    };
    let ours = (OrgHeader::Set(2), Some(2), OrgBy::Default);
    assert_eq!(fill(&[], "/x"), ours);
    assert_eq!(fill(&["3"], "/x"), (OrgHeader::Keep, Some(3), OrgBy::Client));
    assert_eq!(fill(&["+3"], "/x"), (OrgHeader::Keep, Some(3), OrgBy::Client));
    assert_eq!(fill(&["-1"], "/x"), (OrgHeader::Keep, None, OrgBy::Client));
    assert_eq!(fill(&["3", "3"], "/x"), (OrgHeader::Set(3), Some(3), OrgBy::Client));
    for ignored in ["abc", "0", "", "2.0", "1,2", "99999999999999999999"] {
        assert_eq!(fill(&[ignored], "/x"), ours, "{ignored}");
    }
    for target in ["/x?targetOrgId=4", "/x?a=b&target%4FrgId=4", "/x?targetOrgId=%34"] {
        assert_eq!(fill(&[], target), (OrgHeader::Keep, Some(4), OrgBy::Client), "{target}");
    }
    assert_eq!(fill(&[], "/x?targetOrgId=abc"), ours);
    assert_eq!(fill(&["3"], "/x?targetOrgId=4").1, Some(4), "Grafana lets the query win");
    assert!(outcome(OrgMode::Fill, None, &["3", "4"], "/x").is_err());
    let nothing = outcome(OrgMode::Fill, None, &[], "/x").unwrap();
    assert_eq!((nothing.header, nothing.by), (OrgHeader::Keep, OrgBy::None));
}

#[test]
fn pin_closes_every_way_in() {
    for (lines, target, way) in [
        (vec!["3"], "/x", HEADER),
        (vec!["-1"], "/x", HEADER),
        (vec![], "/x?targetOrgId=3", TARGET),
        (vec![], "/x?targetOrgId=2&targetOrgId=3", TARGET),
        (vec![], "/x?a;targetOrgId=3", TARGET),
        (vec![], "/x?%74argetOrgId=3", TARGET),
        (vec![], "/x?orgId=%33", SWITCH),
        (vec![], "/x?orgId=+3", SWITCH),
        (vec![], "/d/a?orgId=junk", SWITCH),
        (vec![], "/apis/g/v1/namespaces/org-3/x", NAMESPACE),
        (vec![], "/apis/g/v1/namespaces/default/x", NAMESPACE),
        (vec![], "/apis/g/v1/namespaces/stacks-7/x", NAMESPACE),
        (vec![], "/grafana/apis/g/v1/namespaces/org-3", NAMESPACE),
        (vec![], "/apis//g/v1/namespaces/org-2/x", DISGUISE),
        (vec![], "/a/../apis/g/v1/namespaces/org-2/x", DISGUISE),
        (vec![], "/apis/g/v1/namespaces%2Forg-3/x", DISGUISE),
        (vec![], "/apis/g/v1/namespaces/org%2d3/x", DISGUISE),
        (vec![], "/apis/g/v1/namespaces\\org-3", DISGUISE),
    ] {
        assert_eq!(outcome(OrgMode::Pin, Some(2), &lines, target), Err(OrgRefusal { way }), "{lines:?} {target}");
    }
    let ours = Ok(OrgDecision { header: OrgHeader::Set(2), sent: Some(2), by: OrgBy::Default });
    for (lines, target) in [
        (vec![], "/x"),
        (vec!["2"], "/x?orgId=2&targetOrgId=2"),
        (vec!["abc"], "/x?orgId="),
        (vec![], "/apis/g/v1/namespaces/org-2/x"),
        (vec![], "/apis/g/v1/namespaces"),
        (vec![], "/api/namespaces/org-3"),
    ] {
        assert_eq!(outcome(OrgMode::Pin, Some(2), &lines, target), ours, "{lines:?} {target}");
    }
    assert_eq!(outcome(OrgMode::Pin, None, &[], "/x").unwrap().header, OrgHeader::Remove);
    assert!(outcome(OrgMode::Pin, None, &["1"], "/x").is_err());
    assert!(outcome(OrgMode::Pin, Some(1), &[], "/apis/g/v1/namespaces/default/x").is_ok());
}

#[test]
fn disguised_names_are_known() {
    for name in [
        "x_grafana_org_id",
        "x.grafana.org.id",
        "x-grafana_org-id",
        "x_webauth_user",
        "x.webauth.role",
        "remote_user",
        "x_forwarded_for",
        "x_real_ip",
    ] {
        assert!(is_alias(name), "{name}");
    }
    for name in ["x-grafana-org-id", "authorization", "x_custom", "x-b3.traceid", "x-webauth-user"] {
        assert!(!is_alias(name), "{name}");
    }
}

proptest! {
    #[test]
    fn under_pin_grafana_is_told_ours_or_nothing(lines in prop::collection::vec("\\PC{0,8}|[0-9+-]{0,4}", 0..3), path in "/[a-z/.%;\\\\]{0,30}", query in "[a-zA-Z0-9%=&;+]{0,40}") {
        let lines: Vec<&[u8]> = lines.iter().map(|line| line.as_bytes()).collect();
        let settings = Settings { default: Some(2), mode: OrgMode::Pin };
        if let Ok(decision) = decide(&lines, &path, Some(&query), &settings) {
            prop_assert_eq!(decision.header, OrgHeader::Set(2));
        }
        let _ = decide(&lines, &path, Some(&query), &Settings { default: None, mode: OrgMode::Fill });
    }
}
