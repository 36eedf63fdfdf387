//! Rules and dashboard of `deploy/monitoring`, asked of a real Prometheus that scrapes proxies which have seen everything.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::browser::Browser;
use crate::support::certificates::Authority;
use crate::support::peers::Peer;
use crate::support::{Origin, Program, TOKEN, ask, get};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/monitoring")
}

/// Grafana, a datasource and a hop, as the path wants it.
fn origin() -> Origin {
    let grafana = "Cache-Control: no-store\r\nContent-Type: application/json; charset=UTF-8\r\nX-Content-Type-Options: \
                   nosniff\r\nX-Frame-Options: deny\r\nX-Xss-Protection: 1; mode=block\r\n";
    let refusal = move |status: &str, id: &str, message: &str| {
        let code = &status[..3];
        let body = format!(
            "{{\"extra\":null,\"message\":\"{message}\",\"messageId\":\"{id}\",\"statusCode\":{code},\"traceID\":\"\"}}"
        );
        format!("HTTP/1.1 {status}\r\n{grafana}Content-Length: {}\r\n\r\n{body}", body.len())
    };
    Origin::new(move |seen, stream| {
        let path = seen.lines[0].split(' ').nth(1).unwrap();
        let answer = match path {
            "/api/expired" => refusal("401 Unauthorized", "api-key.expired", "Expired API key"),
            "/api/unknown" => refusal("401 Unauthorized", "api-key.invalid", "Invalid API key"),
            "/api/lost" => refusal("401 Unauthorized", "auth.unauthorized", "Unauthorized"),
            "/api/hop" => {
                "HTTP/1.1 401 Unauthorized\r\nServer: nginx\r\nWWW-Authenticate: Basic realm=\"x\"\r\nContent-Type: \
                           text/html\r\nContent-Length: 13\r\n\r\n<html></html>"
                    .to_owned()
            }
            "/api/live/ws" => {
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n".to_owned()
            }
            _ => format!("HTTP/1.1 200 OK\r\n{grafana}Content-Length: 2\r\n\r\n{{}}"),
        };
        stream.write_all(answer.as_bytes()).is_ok()
    })
}

/// Proxies that have seen everything that a query speaks of, kept alive.
struct Stage {
    programs: Vec<Program>,
    _files: (Authority, Origin, tempfile::TempDir),
    _held: Vec<TcpStream>,
}

impl Stage {
    fn new() -> Self {
        let (origin, authority, folder) = (origin(), Authority::new(), tempfile::tempdir().unwrap());
        let own = folder.path().join("ci-bot");
        std::fs::write(&own, TOKEN).unwrap();
        let configuration = folder.path().join("proxy.yaml");
        let text = format!("tokens:\n  - name: ci-bot\n    file: {}\n", own.display());
        std::fs::write(&configuration, text).unwrap();
        let config = ["--config", configuration.to_str().unwrap()];
        let pair = authority.issue("server", &["localhost"]);
        let limited = ["--rate", "5/s", "--burst", "5"];
        let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let shared = {
            let mut command = std::process::Command::new(crate::support::binary());
            command.args(["run", "--upstream", &origin.url(), "--listen", "127.0.0.1:0", "--telemetry", "127.0.0.1:0"]);
            command.args([
                "--admin",
                "127.0.0.1:0",
                "--log-format",
                "json",
                "--limits-shared",
                &format!("redis://{nobody}"),
            ]);
            Program::start_with(command, &[("GTP_FINGERPRINT_KEY", "00112233445566778899aabbccddeeff")])
        };
        let programs = vec![
            Program::before(&origin.url(), &config),
            Program::before(&origin.url(), &pair.arguments("--tls-cert-file", "--tls-key-file")),
            Program::before(&origin.url(), &limited),
            Program::before(&origin.url(), &[&limited[..], &["--limits-mode", "shadow"]].concat()),
            Program::before(&format!("http://{nobody}"), &["--http-max-connections", "1", "--workers", "1"]),
            shared,
        ];
        let mut stage = Self { programs, _files: (authority, origin, folder), _held: Vec::new() };
        let socket = stage.programs[0].data;
        let mut held = TcpStream::connect(socket).unwrap();
        let upgrade = format!("Authorization: Bearer {TOKEN}\r\nConnection: Upgrade\r\nUpgrade: websocket");
        write!(held, "GET /api/live/ws HTTP/1.1\r\nHost: g\r\n{upgrade}\r\n\r\n").unwrap();
        stage._held = vec![held];
        stage
    }

    /// Some of everything.
    fn traffic(&self) {
        let bearer = format!("Authorization: Bearer {TOKEN}");
        let bare = format!("Authorization: {TOKEN}%0A");
        let [plain, _, limited, shadow, alone, shared] = &self.programs[..] else { unreachable!() };
        for path in ["/api/search", "/api/search", "/api/expired", "/api/unknown", "/api/lost", "/api/hop"] {
            get(plain.data, path, &[&bearer]);
        }
        get(plain.data, "/api/search", &[&bare]);
        get(plain.data, "/api/lost", &[]);
        for program in [limited, shadow] {
            (0..8).for_each(|_| drop(get(program.data, "/api/search", &[&bearer])));
        }
        get(shared.data, "/api/search", &[&bearer]);
        // The second connection is one too many.
        let first = TcpStream::connect(alone.data).unwrap();
        let _ = ask(alone.data, "GET / HTTP/1.1\r\nHost: g\r\n\r\n");
        drop(first);
        let _ = ask(alone.data, format!("GET /api/search HTTP/1.1\r\nHost: g\r\n{bearer}\r\n\r\n"));
        let reload =
            ask(plain.admin.unwrap(), "POST /-/reload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n");
        assert_eq!(reload.map(|answer| answer.status), Some(200));
    }

    fn targets(&self) -> Vec<String> {
        self.programs.iter().map(|program| format!("'{}'", program.telemetry)).collect()
    }
}

/// Each query of rules and dashboard, with where it stands.
fn queries() -> Vec<(String, String)> {
    let rules = std::fs::read_to_string(folder().join("rules.yaml")).unwrap();
    let dashboard = std::fs::read_to_string(folder().join("dashboard.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&dashboard).unwrap();
    let mut queries = Vec::new();
    let mut name = String::new();
    let mut lines = rules.lines().peekable();
    while let Some(line) = lines.next() {
        let line = line.trim_start_matches([' ', '-']);
        if let Some(own) = line.strip_prefix("record: ").or_else(|| line.strip_prefix("alert: ")) {
            name = own.to_owned();
        } else if let Some(expression) = line.strip_prefix("expr: ") {
            let mut text = expression.trim_start_matches('|').to_owned();
            while expression == "|" && lines.peek().is_some_and(|next| next.starts_with("          ")) {
                text.push_str(lines.next().unwrap());
            }
            queries.push((name.clone(), text));
        }
    }
    for panel in dashboard["panels"].as_array().unwrap() {
        let targets = panel["targets"].as_array().into_iter().flatten();
        for target in targets.filter(|target| target["datasource"]["type"] == "prometheus") {
            queries.push((format!("panel {}", panel["title"]), target["expr"].as_str().unwrap().to_owned()));
        }
    }
    queries
}

/// The series that a query reads, each with its labels.
fn selectors(query: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let is_name = |c: char| c.is_ascii_alphanumeric() || "_:".contains(c);
    let mut rest = query;
    while let Some(at) = rest.find(is_name) {
        let end = rest[at..].find(|c| !is_name(c)).map_or(rest.len(), |length| at + length);
        let name = &rest[at..end];
        let mut after = end;
        if name.contains("grafana_token_proxy_") || name.starts_with("process_") || name == "up" {
            if rest[end..].starts_with('{') {
                after = end + rest[end..].find('}').unwrap() + 1;
            }
            found.insert(rest[at..after].to_owned());
        } else if rest[end..].starts_with(['"', '=', '~']) || name == "by" || name == "on" {
            // Labels: their values are no series.
            after = rest[end..].find(['"', ')']).map_or(end, |length| end + length + 1);
        }
        rest = &rest[after..];
    }
    found
}

fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

fn filled(query: &str) -> String {
    [("$__rate_interval", "30s"), ("$__range", "5m"), ("$job", ".+"), ("$instance", ".+"), ("[5m]", "[30s]")]
        .iter()
        .fold(query.to_owned(), |text, (name, value)| text.replace(name, value))
}

/// What Prometheus answers: how many series.
fn count(prometheus: SocketAddr, query: &str) -> usize {
    let answer = get(prometheus, &format!("/api/v1/query?query={}", encoded(query)), &[]);
    let body: Value = serde_json::from_str(&answer.text()).unwrap();
    assert_eq!(body["status"], "success", "{query}: {body}");
    body["data"]["result"].as_array().unwrap().len()
}

/// Where `GTP_PICTURES` names a folder: the dashboard after some minutes of all that, to be looked at.
fn picture(stage: &Stage, prometheus: &Peer) {
    let Some(folder) = std::env::var_os("GTP_PICTURES").map(PathBuf::from) else { return };
    let began = Instant::now();
    let mut turn = 0_u64;
    while began.elapsed() < Duration::from_secs(240) {
        // What people send is most of it, in waves; each refusal comes now and then.
        let bearer = format!("Authorization: Bearer {TOKEN}");
        for _ in 0..(20 + (turn % 40).abs_diff(20)) {
            get(stage.programs[0].data, "/api/search", &[&bearer]);
        }
        if turn.is_multiple_of(3) {
            stage.traffic();
        }
        turn += 1;
        std::thread::sleep(Duration::from_millis(250));
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/monitoring/picture.py");
    let page = folder.join("dashboard.html");
    let done = std::process::Command::new("python3").arg(script).args([&prometheus.url, "180"]).arg(&page).status();
    assert!(done.unwrap().success());
    let Some(browser) = Browser::start(1376, 2050, true) else { return };
    browser.open(&format!("file://{}", page.display()));
    browser.picture("dashboard");
}

#[test]
fn every_query_of_rules_and_dashboard_finds_what_it_speaks_of() {
    let stage = Stage::new();
    let Some(prometheus) = Peer::prometheus(&stage.targets(), &folder().join("rules.yaml")) else { return };
    let address: SocketAddr = prometheus.url.trim_start_matches("http://").parse().unwrap();
    let queries = queries();
    let mut wanted: BTreeSet<(String, String)> = BTreeSet::new();
    for (place, query) in &queries {
        let filled = filled(query);
        let read = selectors(&filled);
        assert!(!read.is_empty(), "{place} reads nothing: {query}");
        wanted.extend(read.into_iter().map(|selector| (place.clone(), selector)));
        // An alert that is silent has no result; a panel always has one.
        if place.starts_with("panel ") {
            wanted.insert((place.clone(), filled));
        }
    }
    let total = wanted.len();
    let deadline = Instant::now() + Duration::from_secs(60);
    while !wanted.is_empty() {
        stage.traffic();
        wanted.retain(|(_, query)| count(address, query) == 0);
        assert!(Instant::now() < deadline, "{} of {total} find nothing: {wanted:#?}", wanted.len());
    }
    picture(&stage, &prometheus);
    println!("{} queries, {total} parts of them, find what they speak of", queries.len());
    assert!(queries.len() >= 50, "{}", queries.len());
}

#[test]
fn every_alert_leads_to_its_section() {
    let rules = std::fs::read_to_string(folder().join("rules.yaml")).unwrap();
    let page = std::fs::read_to_string(folder().join("../../docs/monitoring.md")).unwrap();
    let alerts: Vec<&str> = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    let leads: Vec<&str> =
        rules.lines().filter_map(|line| line.split_once("docs/monitoring.md#").map(|(_, end)| end)).collect();
    assert!(alerts.len() >= 10 && alerts.len() == leads.len(), "{alerts:?}");
    for (alert, lead) in alerts.iter().zip(leads) {
        assert_eq!(lead, alert.to_ascii_lowercase());
        assert!(page.contains(&format!("\n### {alert}\n")), "docs/monitoring.md says nothing of {alert}");
    }
    let sections = page.lines().filter(|line| line.starts_with("### ")).count();
    assert_eq!(sections, alerts.len(), "a section of an alert that is no more");
}
