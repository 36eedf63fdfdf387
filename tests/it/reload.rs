//! The configuration is replaced while requests are served: by a signal, by a change of its file, by the console.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

use serde_json::Value;

use crate::support::wire::{connect, read_answer};
use crate::support::{Answer, Origin, Program, TOKEN, ask, get};

struct Scene {
    origin: Origin,
    program: Program,
    file: PathBuf,
    _folder: tempfile::TempDir,
}

/// A program that reads its configuration from a file.
fn scene(text: &str) -> Scene {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gtp.yaml");
    std::fs::write(&file, text).unwrap();
    let origin = Origin::ok();
    let program = start(&origin, &file);
    Scene { origin, program, file, _folder: folder }
}

fn start(origin: &Origin, file: &Path) -> Program {
    let mut command = Command::new(crate::support::binary());
    command.args(["run", "--config", file.to_str().unwrap(), "--upstream", &origin.url(), "--workers", "2"]);
    command.args(["--listen", "127.0.0.1:0", "--telemetry", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
    Program::start(command)
}

impl Scene {
    /// Writes the file and asks for a reload; what came of it.
    fn reload(&self, text: &str) -> Value {
        std::fs::write(&self.file, text).unwrap();
        self.post(&[])
    }

    fn post(&self, lines: &[&str]) -> Value {
        serde_json::from_str(&self.post_raw(lines).text()).unwrap()
    }

    fn post_raw(&self, lines: &[&str]) -> Answer {
        let admin = self.program.admin.unwrap();
        let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
        ask(admin, format!("POST /-/reload HTTP/1.1\r\nHost: {admin}\r\nContent-Length: 0\r\n{lines}\r\n")).unwrap()
    }

    /// The organisation that Grafana was told.
    fn organisation(&self) -> Option<String> {
        assert_eq!(get(self.program.data, "/api/org", &[]).status, 200);
        self.origin.last().header("x-grafana-org-id")
    }
}

#[test]
fn the_console_reloads_and_says_what_changed_and_what_takes_a_restart() {
    let scene = scene("org: { default: 1 }\n");
    assert_eq!(scene.organisation().as_deref(), Some("1"));
    let outcome = scene.reload("org: { default: 2 }\nlog: { level: error }\n");
    assert_eq!((&outcome["ok"], &outcome["by"]), (&true.into(), &"request".into()));
    assert_eq!(outcome["changed"], serde_json::json!(["org.default"]));
    assert_eq!(outcome["needs_restart"], serde_json::json!(["log.level"]));
    assert_eq!(scene.organisation().as_deref(), Some("2"));
    let line = scene.program.wait_for_line(|line| line["event"] == "config_reloaded");
    assert_eq!((&line["changed"], &line["needs_restart"]), (&"org.default".into(), &"log.level".into()));
    let told = get(scene.program.admin.unwrap(), "/api/config", &[]).text();
    let told: Value = serde_json::from_str(&told).unwrap();
    let row = told["config"].as_array().unwrap().iter().find(|row| row["key"] == "org.default").unwrap().clone();
    assert_eq!((&row["value"], &told["last_reload"]["ok"]), (&"2".into(), &true.into()));
    let metrics = scene.program.metrics();
    for wanted in [
        "config_reloads_total{result=\"success\"} 1",
        "config_last_reload_successful 1",
        &format!("config_hash_info{{hash=\"{}\"}} 1", told["hash"].as_str().unwrap()),
    ] {
        assert!(metrics.contains(wanted), "{wanted} is not in\n{metrics}");
    }
}

#[test]
fn a_signal_reloads_and_a_connection_that_is_open_gets_the_new() {
    let scene = scene("org: { default: 1 }\n");
    let mut stream = connect(scene.program.data);
    let mut ask = || {
        use std::io::Write as _;
        stream.write_all(b"GET / HTTP/1.1\r\nHost: g\r\n\r\n").unwrap();
        assert_eq!(read_answer(&mut stream, &mut Vec::new(), false).unwrap().status, 200);
        scene.origin.last().header("x-grafana-org-id")
    };
    assert_eq!(ask().as_deref(), Some("1"));
    std::fs::write(&scene.file, "org: { default: 3 }\n").unwrap();
    scene.program.signal("HUP");
    scene.program.wait_for_line(|line| line["event"] == "config_reloaded");
    assert_eq!(ask().as_deref(), Some("3"));
}

#[test]
fn a_file_that_changes_is_taken_however_it_is_replaced() {
    // As Kubernetes mounts a ConfigMap: a link to a link to a folder, which is swapped.
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    for number in ["1", "2"] {
        std::fs::create_dir(at(&format!("..{number}"))).unwrap();
        std::fs::write(at(&format!("..{number}")).join("gtp.yaml"), format!("org: {{ default: {number} }}\n")).unwrap();
    }
    std::os::unix::fs::symlink("..1", at("..data")).unwrap();
    std::os::unix::fs::symlink("..data/gtp.yaml", at("gtp.yaml")).unwrap();
    let origin = Origin::ok();
    let program = start(&origin, &at("gtp.yaml"));
    std::os::unix::fs::symlink("..2", at("..tmp")).unwrap();
    std::fs::rename(at("..tmp"), at("..data")).unwrap();
    let line = program.wait_for_line(|line| line["event"] == "config_reloaded");
    assert_eq!((&line["by"], &line["changed"]), (&"file".into(), &"org.default".into()));
    get(program.data, "/", &[]);
    assert_eq!(origin.last().header("x-grafana-org-id").as_deref(), Some("2"));
    // And as an editor does: in place.
    std::fs::write(at("..2").join("gtp.yaml"), "org: { default: oops }\n").unwrap();
    let line = program.wait_for_line(|line| line["event"] == "config_reload_failed");
    assert!(line["detail"].as_str().unwrap().contains("org.default"), "{line}");
    std::fs::write(at("..2").join("gtp.yaml"), "org: { default: 5 }\n").unwrap();
    program.wait_for_line(|line| {
        line["event"] == "config_reloaded" && line["hash"] != Value::Null && program_has(&origin, &program, "5")
    });
}

fn program_has(origin: &Origin, program: &Program, organisation: &str) -> bool {
    get(program.data, "/", &[]);
    origin.last().header("x-grafana-org-id").as_deref() == Some(organisation)
}

#[test]
fn a_mistake_changes_nothing_and_is_told_everywhere_but_no_secret_is() {
    let scene = scene("org: { default: 1 }\n");
    let outcome = scene.reload(&format!("org: {{ default: {TOKEN} }}\nlimits: {{ per_token: {{ rate: 1/s }} }}\n"));
    assert_eq!(outcome["ok"], false);
    assert!(outcome["mistakes"][0].as_str().unwrap().contains("gtp.yaml:1:"), "{outcome}");
    assert_eq!(scene.organisation().as_deref(), Some("1"));
    let admin = scene.program.admin.unwrap();
    let page = get(admin, "/", &[]).text();
    assert!(page.contains("The last reload failed") && page.contains("gtp.yaml:1:"), "{page}");
    let config = get(admin, "/api/config", &[]).text();
    let metrics = scene.program.metrics();
    assert!(metrics.contains("config_last_reload_successful 0") && metrics.contains("{result=\"failure\"} 1"));
    for text in [outcome.to_string(), page, config, metrics, scene.program.lines().concat()] {
        assert!(!TOKEN.as_bytes().windows(8).any(|piece| text.contains(std::str::from_utf8(piece).unwrap())), "{text}");
    }
    assert_eq!(scene.reload("org: { default: 1 }\n")["ok"], true);
    assert!(scene.program.metrics().contains("config_last_reload_successful 1"));
}

#[test]
fn buckets_of_a_limit_that_did_not_change_keep_what_is_left() {
    let scene = scene("limits: { per_token: { rate: 1/h, burst: 2 } }\n");
    let credential = format!("Authorization: Bearer {TOKEN}");
    let status = || get(scene.program.data, "/api/org", &[&credential]).status;
    assert_eq!((status(), status(), status()), (200, 200, 429));
    scene.reload("limits: { per_token: { rate: 1/h, burst: 2 }, per_client: { rate: 7/s } }\n");
    assert_eq!(status(), 429, "a reload gave the budget back");
    scene.reload("limits: { per_token: { rate: 1/h, burst: 3 } }\n");
    assert_eq!((status(), status()), (200, 429), "what was added, and no more");
}

#[test]
fn no_page_elsewhere_may_reload_and_get_changes_nothing() {
    let scene = scene("org: { default: 1 }\n");
    for line in ["Origin: http://evil.example", "Sec-Fetch-Site: cross-site"] {
        assert_eq!(scene.post_raw(&[line]).status, 403, "{line}");
    }
    let admin = scene.program.admin.unwrap();
    assert_eq!(get(admin, "/-/reload", &[]).status, 405);
    assert_eq!(ask(admin, "POST /-/reload HTTP/1.1\r\nHost: evil.example\r\n\r\n").unwrap().status, 403);
    assert!(scene.program.metrics().contains("config_reloads_total{result=\"success\"} 0"));
    assert_eq!(scene.post_raw(&[]).status, 200);
}

#[test]
fn reloads_under_load_lose_nothing_and_mix_nothing() {
    let scene = scene("org: { default: 1 }\nlimits: { per_client: { rate: 100000/s, burst: 100000 } }\n");
    let rounds: usize = std::env::var("GTP_ROUNDS").map_or(40, |rounds| rounds.parse().unwrap());
    let (done, served) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                use std::io::Write as _;
                let mut stream = connect(scene.program.data);
                while !done.load(Relaxed) {
                    stream.write_all(b"GET / HTTP/1.1\r\nHost: g\r\n\r\n").unwrap();
                    assert_eq!(read_answer(&mut stream, &mut Vec::new(), false).unwrap().status, 200);
                    served.fetch_add(1, Relaxed);
                }
            });
        }
        for round in 0..rounds {
            let bad = round % 4 == 3;
            let text = format!(
                "org: {{ default: {} }}\nclients: {{ trusted_proxies: [{}] }}\n\
                 limits: {{ per_client: {{ rate: 100000/s, burst: 100000 }} }}\n{}",
                round % 2 + 1,
                if round % 2 == 0 { "" } else { "127.0.0.0/8" },
                if bad { "nonsense: 1\n" } else { "" }
            );
            let before = served.load(Relaxed);
            assert_eq!(scene.reload(&text)["ok"], !bad);
            // Each configuration is there for a while.
            while served.load(Relaxed) < before + 10 {
                std::thread::yield_now();
            }
        }
        done.store(true, Relaxed);
    });
    println!("{} requests over {rounds} reloads", served.load(Relaxed));
    assert!(served.load(Relaxed) > rounds);
    assert!(
        scene.origin.seen().iter().all(|seen| matches!(seen.header("x-grafana-org-id").as_deref(), Some("1" | "2")))
    );
}
