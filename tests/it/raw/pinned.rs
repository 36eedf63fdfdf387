//! Where the organisation is pinned, no spelling of a target names another.

use crate::recorder::{Client, Recorder};
use crate::support::{Program, frames};

/// A word as it is, with one of its letters percent-encoded, each in turn, and with all of them.
fn spellings(word: &str) -> Vec<String> {
    let mut spellings = vec![word.to_owned(), word.bytes().map(|byte| format!("%{byte:02x}")).collect()];
    for (at, byte) in word.bytes().enumerate() {
        let (before, after) = (&word[..at], &word[at + 1..]);
        spellings.push(format!("{before}%{byte:02X}{after}"));
        spellings.push(format!("{before}%{byte:02x}{after}"));
    }
    spellings
}

fn targets() -> Vec<String> {
    let mut targets = Vec::new();
    for name in ["targetOrgId", "orgId"].into_iter().flat_map(spellings) {
        for value in ["3", "%33", "03", "2&orgId=3", "2&targetOrgId=3", "2;orgId=3", "4294967298"] {
            let places = ["/api/org?", "/d/x?a=b&", "/?a=b;", "/api/org?&&", "/x?y?&"];
            targets.extend(places.map(|before| format!("{before}{name}={value}")));
        }
    }
    for word in spellings("namespaces") {
        // `default` is the first organisation; what is none at all is not ours, either.
        let others = ["default", "org-1", "ORG-3", "org-2x", "org-", "org-2%00", "*"].map(str::to_owned);
        for org in spellings("org-3").into_iter().chain(others) {
            for group in ["/apis/dashboard.grafana.app/v1", "/%61pis/g/v1", "/grafana/apis/g/v1"] {
                targets.push(format!("{group}/{word}/{org}/dashboards"));
            }
        }
    }
    for word in spellings("apis") {
        // Nothing here names a namespace, and the rest names another.
        let rests =
            ["dashboards", "namespaces", "namespaces/", "watch/dashboards", "watch/namespaces/org-3/x", "x/y/z/"];
        for before in ["", "/grafana", "/one/two/three"] {
            targets.extend(rests.map(|rest| format!("{before}/{word}/dashboard.grafana.app/v1/{rest}")));
        }
        targets.push(format!("/grafana{word}/dashboard.grafana.app/v1/dashboards"));
    }
    for (word, rest) in
        [("switch-org", "/profile/WORD/ORG"), ("using", "/api/user/WORD/ORG"), ("orgs", "/api/WORD/ORG")]
    {
        for word in spellings(word) {
            for org in ["3", "%33", "03", "+3", "2x", "-2", "99999999999999999999"] {
                let rest = rest.replace("WORD", &word).replace("ORG", org);
                // Behind Grafana's sub-path a slash may be missing.
                let glued = format!("/grafana{}", rest.trim_start_matches('/'));
                targets.extend([format!("/grafana{rest}"), format!("{rest}/"), glued, rest]);
            }
        }
    }
    // Even the pinned one may not be reached by a path that others read as another.
    let disguises = ["//", "/./", "/x/../", "%2f", "%252F", "%5c", "/%2e/", ";a=b/", "%253b/"];
    for disguise in disguises {
        for path in ["/profile/switch-org/2", "/api/orgs/2/users", "/api/user/using/2", "/apis/g/v1/namespaces/org-2/x"]
        {
            let parts: Vec<&str> = path.split('/').skip(1).collect();
            let between = |at: usize| format!("/{}{disguise}{}", parts[..at].join("/"), parts[at..].join("/"));
            targets.extend((1..parts.len()).map(between));
        }
    }
    targets
}

#[test]
fn a_pinned_organisation_has_no_other_way_in() {
    let recorder = Recorder::start();
    let program = Program::before(&recorder.url(), &["--org", "2", "--org-mode", "pin"]);
    let targets = targets();
    let mut passed = Vec::new();
    for (source, target) in (1..).zip(&targets) {
        let mut client = Client::from(source, program.data);
        client.send(format!("GET {target} HTTP/1.1\r\nHost: g\r\n\r\n").as_bytes());
        let heard = client.hear(false).unwrap_or_else(|| panic!("{target}: closed"));
        let expected = if target.contains("%00") { (400, "head_malformed") } else { (403, "org_override_refused") };
        if (heard.status, heard.reason().unwrap_or_default()) != expected {
            passed.push(target.as_str());
        }
    }
    println!("raw HTTP/1, organisation pinned: {} targets refused", targets.len() - passed.len());
    assert_eq!(passed, [] as [&str; 0]);
    assert_eq!(recorder.records().len(), 0);
    // The pinned one itself is served, and stands alone.
    for (source, target) in (10_000..).zip(["/api/org?orgId=2", "/apis/g/v1/namespaces/org-2/x", "/x?torgId=3"]) {
        let mut client = Client::from(source, program.data);
        client.send(format!("GET {target} HTTP/1.1\r\nHost: g\r\nX_Grafana_Org_Id: 3\r\n\r\n").as_bytes());
        let index = client.hear(false).and_then(|heard| heard.recorded()).expect("not served");
        assert_eq!(recorder.reading(index).all("x-grafana-org-id"), [b"2"], "{target}");
    }
}

/// What is damaged may end the stream instead.
fn is_kept_out(answer: &frames::Answer, target: &str) -> bool {
    let is_damaged = target.contains("%00") && (answer.status == 400 || answer.reset.is_some());
    is_damaged || (answer.status == 403 && answer.header("x-token-proxy-reason") == Some("org_override_refused"))
}

#[test]
fn nor_has_it_over_http2() {
    let recorder = Recorder::start();
    let arguments = ["--org", "2", "--org-mode", "pin", "--http-h2c", "on", "--limits-per-client-rate", "100000/s"];
    let program = Program::before(&recorder.url(), &arguments);
    let base = frames::headers("/api/org");
    let targets = targets();
    let mut passed: Vec<&String> = Vec::new();
    // A client that opens no window is told 64 KiB at most.
    for part in targets.chunks(50) {
        let mut client = frames::Client::connect(program.data);
        passed.extend(part.iter().filter(|target| !is_kept_out(&client.ask(&frames::headers(target)), target)));
    }
    assert_eq!(passed, [] as [&str; 0]);
    let mut client = frames::Client::connect(program.data);
    for fields in [&[("x-grafana-org-id", "3")][..], &[("x-grafana-org-id", "2"), ("x-grafana-org-id", "3")]] {
        assert_eq!(client.ask(&[&base[..], fields].concat()).status, 403, "{fields:?}");
    }
    assert_eq!(recorder.records().len(), 0);
    let answer = client.ask(&[&base[..], &[("x_grafana_org_id", "3")]].concat());
    assert_eq!((answer.status, recorder.reading(0).all("x-grafana-org-id")), (200, vec![&b"2"[..]]));
}
