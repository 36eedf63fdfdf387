//! Known callers: names, limits, organisations, what they may do, and tokens that are kept for them.

use std::path::PathBuf;
use std::process::Command;

use crate::support::{Origin, Program, TOKEN, get};

const OTHER: &str = "glsa_iNValIdinValiDinvalidinvalidinva_5b582697";

/// A program with a configuration file, and files beside it.
struct Scene {
    origin: Origin,
    program: Program,
    folder: tempfile::TempDir,
}

impl Scene {
    /// `tokens` is the configuration; `{}` stands for the folder of the files.
    fn new(files: &[(&str, &str)], configuration: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, content) in files {
            std::fs::write(folder.path().join(name), content).unwrap();
        }
        let origin = Origin::ok();
        let file = write(&folder, configuration);
        let program = Program::before(&origin.url(), &["--config", file.to_str().unwrap()]);
        Self { origin, program, folder }
    }

    fn status(&self, token: &str, path: &str) -> u16 {
        get(self.program.data, path, &[&format!("Authorization: Bearer {token}")]).status
    }

    fn reload(&self, configuration: &str) {
        write(&self.folder, configuration);
        self.program.signal("HUP");
        self.program.wait_for_line(|line| line["event"] == "config_reloaded");
    }
}

fn write(folder: &tempfile::TempDir, configuration: &str) -> PathBuf {
    let file = folder.path().join("gtp.yaml");
    std::fs::write(&file, configuration.replace("{}", folder.path().to_str().unwrap())).unwrap();
    file
}

#[test]
fn a_caller_has_its_own_limit_and_its_name_in_log_and_metrics() {
    let digest = Command::new("sh").args(["-c", &format!("printf %s {OTHER} | sha256sum")]).output().unwrap().stdout;
    let digest = String::from_utf8(digest).unwrap();
    let configuration = format!(
        "limits: {{ per_token: {{ rate: 1/h, burst: 5 }} }}\ntokens:\n  - name: ci-bot\n    file: '{{}}/token'\n    limit: {{ burst: 2 \
         }}\n  - name: reports\n    sha256: {}\n",
        digest.split(' ').next().unwrap()
    );
    // As a Secret is mounted: with its newline.
    let scene = Scene::new(&[("token", &format!("{TOKEN}\n"))], &configuration);
    assert_eq!([(); 3].map(|()| scene.status(TOKEN, "/api/org")), [200, 200, 429]);
    // Every spelling of the token is the same caller.
    let refused = get(scene.program.data, "/api/org", &[&format!("Authorization: token {TOKEN}")]);
    assert_eq!((refused.status, refused.header("ratelimit-policy")), (429, Some("\"token\";q=2;w=7200")));
    let line = scene.program.refusal(refused.header("x-request-id").unwrap());
    assert_eq!(line["token_name"], "ci-bot");
    assert!(line["hint"].as_str().unwrap().contains("`limit` of `ci-bot`"), "{line}");
    assert_eq!([(); 6].map(|()| scene.status(OTHER, "/api/org")), [200, 200, 200, 200, 200, 429]);
    for (metric, count) in [
        ("grafana_token_proxy_http_requests_total{method=\"GET\",code=\"200\",token=\"ci-bot\"}", 2.0),
        ("grafana_token_proxy_http_requests_total{method=\"GET\",code=\"200\",token=\"reports\"}", 5.0),
        (
            "grafana_token_proxy_refusals_total{reason=\"token_rate_limited\",source=\"proxy\",code=\"429\",token=\"ci-bot\"}",
            2.0,
        ),
    ] {
        assert_eq!(scene.program.metric(metric), Some(count), "{metric}");
    }
    let tokens = get(scene.program.admin.unwrap(), "/api/tokens", &[]).text();
    let tokens: serde_json::Value = serde_json::from_str(&tokens).unwrap();
    let bot = tokens["tokens"].as_array().unwrap().iter().find(|token| token["name"] == "ci-bot").unwrap();
    assert_eq!((&bot["limit"]["remaining"], &bot["limit"]["burst"]), (&0.into(), &2.into()));
}

#[test]
fn a_reload_of_one_caller_keeps_the_level_of_the_others() {
    let configuration =
        "limits: { per_token: { rate: 1/h, burst: 4 } }\ntokens: [{ name: a, file: '{}/a', limit: { burst: 2 } }]";
    let scene = Scene::new(&[("a", TOKEN)], configuration);
    assert_eq!([(); 3].map(|()| scene.status(TOKEN, "/api/org")), [200, 200, 429]);
    assert_eq!([(); 3].map(|()| scene.status(OTHER, "/api/org")), [200; 3]);
    scene.reload(&configuration.replace("burst: 2", "burst: 3"));
    assert_eq!([(); 2].map(|()| scene.status(TOKEN, "/api/org")), [200, 429], "one more than before");
    assert_eq!([(); 2].map(|()| scene.status(OTHER, "/api/org")), [200, 429], "what was left");
}

#[test]
fn a_caller_reaches_its_organisation_and_no_more_than_it_may() {
    let configuration = "org: { default: 1 }\ntokens:\n  - { name: bot, file: '{}/bot', org: 7, allow: [GET /api/dashboards/, '* \
                         /api/annotations'] }\n";
    let scene = Scene::new(&[("bot", TOKEN)], configuration);
    assert_eq!(scene.status(TOKEN, "/api/dashboards/uid/x"), 200);
    assert_eq!(scene.origin.last().header("x-grafana-org-id").as_deref(), Some("7"));
    assert_eq!(scene.status(OTHER, "/api/org"), 200);
    assert_eq!(scene.origin.last().header("x-grafana-org-id").as_deref(), Some("1"));
    for path in
        ["/api/org", "/api/dashboards", "/api/dashboards/../org", "/api/dashboards/%2e%2e/org", "/api/annotations/1"]
    {
        let refused = get(scene.program.data, path, &[&format!("Authorization: Bearer {TOKEN}")]);
        assert_eq!((refused.status, refused.reason()), (403, Some("caller_not_allowed")), "{path}");
        let line = scene.program.refusal(refused.header("x-request-id").unwrap());
        assert_eq!((&line["token_name"], &line["source"]), (&"bot".into(), &"proxy".into()));
    }
    assert_eq!(scene.origin.count(), 2, "a refused request reached Grafana");
}

#[test]
fn the_token_that_is_kept_for_a_caller_replaces_its_own_and_rotates() {
    let (first, second) =
        ("glsa_Obg7mzxhfuYzSWPc5VVJE9PjpYbqVBRF_1b2e1a5e", "glsa_yscW25imSKJIuav8zF37RZmnbiDvB05G_fcaaf58b");
    let configuration = "tokens: [{ name: bot, file: '{}/own', send_file: '{}/sent' }]";
    let scene = Scene::new(&[("own", OTHER), ("sent", first)], configuration);
    let sent = || {
        // Behind a damaged spelling, too.
        let answer = get(scene.program.data, "/api/org", &[&format!("Authorization: bearer  {OTHER}")]);
        assert_eq!(answer.status, 200);
        scene.origin.last().all("authorization")
    };
    assert_eq!(sent(), [format!("Bearer {first}")]);
    std::fs::write(scene.folder.path().join("sent"), format!("{second}\n")).unwrap();
    scene.program.wait_for_line(|line| line["event"] == "config_reloaded" && line["by"] == "file");
    assert_eq!(sent(), [format!("Bearer {second}")]);
    assert!(scene.origin.seen().iter().all(|seen| !format!("{:?}", seen.all("authorization")).contains("iNVal")));
    assert_eq!(scene.status(TOKEN, "/api/org"), 200);
    assert_eq!(scene.origin.last().all("authorization"), [format!("Bearer {TOKEN}")], "others send their own");
}
