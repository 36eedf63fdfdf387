//! The organisation that Grafana sees is the one that the configuration allows.

use crate::support::{Origin, Program, get};

fn sent(origin: &Origin) -> Vec<String> {
    origin.last().all("x-grafana-org-id")
}

#[test]
fn fill_sets_the_default_only_where_the_client_names_none() {
    let origin = Origin::ok();
    let program = Program::before(&origin.url(), &["--org", "2"]);
    for (lines, expected) in [
        (vec![], vec!["2"]),
        (vec!["X-Grafana-Org-Id: 3"], vec!["3"]),
        (vec!["X-Grafana-Org-Id: 3", "X-Grafana-Org-Id: 3"], vec!["3"]),
        (vec!["X-Grafana-Org-Id: abc"], vec!["2"]),
        (vec!["X_Grafana_Org_Id: 3"], vec!["2"]),
    ] {
        assert_eq!(get(program.data, "/api/org", &lines).status, 200);
        assert_eq!(sent(&origin), expected, "{lines:?}");
        assert_eq!(origin.last().header("x_grafana_org_id"), None);
    }
    for target in ["/api/org?targetOrgId=4", "/d/x?orgId=4"] {
        get(program.data, target, &[]);
        assert_eq!(
            sent(&origin),
            Vec::<String>::new(),
            "the query named one, and the default was set beside it: {target}"
        );
    }
    let answer = get(program.data, "/api/org", &["X-Grafana-Org-Id: 3", "X-Grafana-Org-Id: 4"]);
    assert_eq!((answer.status, answer.reason()), (403, Some("org_override_refused")));
}

#[test]
fn pin_lets_no_other_organisation_through() {
    let origin = Origin::ok();
    let program = Program::before(&origin.url(), &["--org", "2", "--org-mode", "pin"]);
    for (path, line) in [
        ("/api/org", "X-Grafana-Org-Id: 3"),
        ("/api/org?targetOrgId=3", ""),
        ("/api/org?targetOrgId=2&targetOrgId=3", ""),
        ("/api/org?a=b;target%4FrgId=3", ""),
        ("/api/org?orgId=3", ""),
        ("/d/x?orgId=%33", ""),
        ("/apis/dashboard.grafana.app/v1/namespaces/org-3/dashboards", ""),
        ("/apis/dashboard.grafana.app/v1/namespaces/default/dashboards", ""),
        ("/x/../apis/dashboard.grafana.app/v1/namespaces/org-2/dashboards", ""),
        ("/apis//dashboard.grafana.app/v1/namespaces/org-2/dashboards", ""),
        ("/apis/dashboard.grafana.app/v1/namespaces%2forg-2/dashboards", ""),
    ] {
        let lines: Vec<&str> = Some(line).filter(|line| !line.is_empty()).into_iter().collect();
        let answer = get(program.data, path, &lines);
        assert_eq!((answer.status, answer.reason()), (403, Some("org_override_refused")), "{path} {line}");
    }
    assert_eq!(origin.count(), 0);
    for (path, line) in [
        ("/api/org", "X-Grafana-Org-Id: 2"),
        ("/api/org?orgId=2", "X-Other: 1"),
        ("/api/org?targetOrgId=2", "X_Grafana_Org_Id: 3"),
        ("/apis/dashboard.grafana.app/v1/namespaces/org-2/dashboards", "X-Other: 1"),
    ] {
        assert_eq!(get(program.data, path, &[line]).status, 200, "{path} {line}");
        assert_eq!(sent(&origin), ["2"], "{path} {line}");
    }
}

#[test]
fn off_touches_nothing() {
    let origin = Origin::ok();
    let program = Program::before(&origin.url(), &["--org", "2", "--org-mode", "off"]);
    get(program.data, "/api/org", &[]);
    assert_eq!(sent(&origin), Vec::<String>::new());
    get(program.data, "/api/org?orgId=9", &["X-Grafana-Org-Id: 3"]);
    assert_eq!(sent(&origin), ["3"]);
}
