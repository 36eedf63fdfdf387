//! The organisation that Grafana sees is the one that the configuration allows.

use crate::support::origin::Seen;
use crate::support::{Origin, Program, TOKEN, get};

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
        ("/api/orgs/3/users", ""),
        ("/api/user/using/3", ""),
        ("/api/users/7/using/3", ""),
        ("/api//orgs/2", ""),
        ("/profile/switch-org/3", ""),
        ("/grafana/%70rofile/switch-or%67/3", ""),
        ("/grafanaprofile/switch-org/3", ""),
        ("/profile//switch-org/2", ""),
        ("/profile/switch%252dorg/2", ""),
        ("/grafanaapi/orgs/3", ""),
        ("/apis/dashboard.grafana.app/v1/dashboards", ""),
        ("/%61pis/dashboard.grafana.app/v1/dashboards?watch=true", ""),
        ("/grafana/apis/dashboard.grafana.app/v1/namespaces", ""),
        ("/apis/dashboard.grafana.app/v1/watch/dashboards", ""),
        ("/apis/dashboard.grafana.app/v1/watch/namespaces/org-3/dashboards", ""),
        ("/grafanaapis/dashboard.grafana.app/v1/dashboards", ""),
        ("//apis/dashboard.grafana.app/v1/dashboards", ""),
        ("/apis/dashboard.grafana.app/v1/namespaces/org-2/..%252f..%252forg-3/dashboards", ""),
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
        ("/apis/dashboard.grafana.app/v1/watch/namespaces/org-2/dashboards", "X-Other: 1"),
        ("/apis/dashboard.grafana.app/v1/", "X-Other: 1"),
        ("/profile/switch-org/2", "X-Other: 1"),
        ("/api/datasources/proxy/1/apis/apps/v1/deployments", "X-Other: 1"),
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

#[test]
fn each_host_may_have_an_organisation_of_its_own() {
    let origin = Origin::ok();
    let arguments = ["--org-by-host", "team-a.example.com=2,[::1]=3", "--org", "1"];
    for (mode, own) in [("fill", "5"), ("pin", "2")] {
        let program = Program::before(&origin.url(), &[&arguments[..], &["--org-mode", mode]].concat());
        let sent = |host: &str, lines: &str| {
            let request = format!("GET /api/org HTTP/1.1\r\nHost: {host}\r\n{lines}\r\n");
            let answer = crate::support::ask(program.data, request).unwrap();
            (answer.status == 200).then(|| origin.last().header("x-grafana-org-id").unwrap())
        };
        for (host, organisation) in [
            ("team-a.example.com", "2"),
            ("TEAM-A.example.com:3001", "2"),
            ("[::1]:3001", "3"),
            ("other.example.com", "1"),
            ("team-a.example.com.evil", "1"),
        ] {
            assert_eq!(sent(host, "").as_deref(), Some(organisation), "{host}, {mode}");
        }
        let named = sent("team-a.example.com", &format!("X-Grafana-Org-Id: {own}\r\n"));
        assert_eq!(named.as_deref(), Some(own), "{mode}");
        if mode == "pin" {
            assert_eq!(sent("team-a.example.com", "X-Grafana-Org-Id: 1\r\n"), None, "another host's");
        }
    }
}

#[test]
fn under_pin_a_host_without_an_organisation_reaches_none() {
    let origin = Origin::ok();
    let by_host = ["--org-by-host", "team-a.example.com=2"];
    let ask = |program: &Program, host: &str, path: &str| {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n");
        crate::support::ask(program.data, request).unwrap()
    };
    let program = Program::before(&origin.url(), &[&by_host[..], &["--org-mode", "pin"]].concat());
    for host in ["other.example.com", "127.0.0.1:3001", "team-a.example.com.evil", "ateam-a.example.com"] {
        let refused = ask(&program, host, "/api/org");
        assert_eq!((refused.status, refused.reason()), (403, Some("org_override_refused")), "{host}");
        let line = program.refusal(refused.header("x-request-id").unwrap());
        assert!(line["detail"].as_str().unwrap().contains("`Host` names no organisation of `org.by_host`"), "{line}");
        // A health check knows the address and no name; static files are the same for all.
        for path in ["/api/health", "/public/build/app.js"] {
            assert_eq!(ask(&program, host, path).status, 200, "{host} {path}");
            assert_eq!(sent(&origin), Vec::<String>::new(), "{host} {path}");
        }
        assert_eq!(ask(&program, host, "/public/%2e%2e/api/org").status, 403, "{host}");
    }
    assert_eq!(ask(&program, "team-a.example.com", "/api/org").status, 200);
    assert_eq!(sent(&origin), ["2"]);
    // Where something else gives an organisation, or nothing is pinned, the host need not.
    for more in [&["--org", "1", "--org-mode", "pin"][..], &["--org-mode", "fill"]] {
        let program = Program::before(&origin.url(), &[&by_host[..], more].concat());
        assert_eq!(ask(&program, "other.example.com", "/api/org").status, 200, "{more:?}");
    }
}

#[test]
fn the_organisation_of_an_accepted_token_is_asked_for_once_and_filled_in() {
    let origin = Origin::new(|seen, stream| {
        let (status, body) = match seen.header("x-grafana-org-id").as_deref() {
            // As Grafana 11 answers a token of another organisation.
            Some(other) if other != "3" => (
                "401 Unauthorized",
                "{\"message\":\"Unauthorized\",\"messageId\":\"api-key.organization-mismatch\",\"statusCode\":401,\"traceID\":\"\"}",
            ),
            _ if seen.lines[0].contains("/api/org ") => ("200 OK", "{\"id\":3,\"name\":\"Three\"}"),
            _ => ("200 OK", "{}"),
        };
        let head =
            format!("HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", body.len());
        std::io::Write::write_all(stream, format!("{head}{body}").as_bytes()).is_ok()
    });
    let program = Program::before(&origin.url(), &["--org-learn", "on"]);
    let bearer = format!("authorization: bearer {TOKEN}");
    let asks = |seen: &Seen| seen.lines[0] == "GET /grafana/api/org HTTP/1.1" && seen.header("authorization").is_some();
    let asked = || origin.questions().iter().filter(|seen| asks(seen)).count();
    let search = || get(program.data, "/grafana/api/search", &[&bearer]).status;
    assert_eq!(search(), 200);
    while asked() == 0 {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let question = origin.questions().into_iter().find(asks).unwrap();
    assert_eq!(question.header("authorization"), Some(format!("Bearer {TOKEN}")), "as Grafana accepted it");
    // The answer is on its way back.
    while origin.last().header("x-grafana-org-id").is_none() {
        assert_eq!(search(), 200);
    }
    assert_eq!(origin.last().header("x-grafana-org-id").as_deref(), Some("3"));
    assert_eq!((search(), search(), asked()), (200, 200, 1));
    let refused = get(program.data, "/grafana/api/search", &[&bearer, "X-Grafana-Org-Id: 1"]);
    assert_eq!(refused.reason(), Some("org_mismatch"));
    let line = program.refusal(refused.header("x-request-id").unwrap());
    let detail = line["detail"].as_str().unwrap();
    assert!(detail.contains("belongs to organisation 3; the request asked for 1, set by the client"), "{line}");
    // Nobody else's is asked for, nor where it is off.
    assert_eq!(get(program.data, "/grafana/api/search", &[]).status, 200);
    assert_eq!(asked(), 1);
}

#[test]
fn many_first_requests_ask_for_the_organisation_once() {
    // The answer to the question waits until all have been served, so that each of them could have asked.
    let served = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let (count, order) = (std::sync::Arc::clone(&served), std::sync::atomic::Ordering::SeqCst);
    let origin = Origin::new(move |seen, stream| {
        let body = if seen.lines[0].contains(" /api/org ") {
            while count.load(order) < 64 {
                std::thread::yield_now();
            }
            "{\"id\":3,\"name\":\"Three\"}"
        } else {
            "{}"
        };
        let head =
            format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", body.len());
        std::io::Write::write_all(stream, format!("{head}{body}").as_bytes()).is_ok()
    });
    let program = Program::before(&origin.url(), &["--org-learn", "on"]);
    let bearer = format!("Authorization: Bearer {TOKEN}");
    let together = std::sync::Barrier::new(64);
    std::thread::scope(|scope| {
        for _ in 0..64 {
            scope.spawn(|| {
                together.wait();
                assert_eq!(get(program.data, "/api/search", &[&bearer]).status, 200);
                served.fetch_add(1, order);
            });
        }
    });
    while origin.last().header("x-grafana-org-id").is_none() {
        assert_eq!(get(program.data, "/api/search", &[&bearer]).status, 200);
    }
    let learns = |seen: &&Seen| seen.lines[0].contains(" /api/org ") && seen.header("authorization").is_some();
    let questions = origin.questions().iter().filter(learns).count();
    assert_eq!(questions, 1);
}
