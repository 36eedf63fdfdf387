use std::path::PathBuf;

use proptest::prelude::*;

use super::draft::Fate;
use super::examples::EXAMPLES;
use super::table::{ANNOTATIONS, SIMPLE};
use super::{Draft, as_json, as_yaml, judged, nginx};
use crate::config::effective::load_text;
use crate::config::file::SourceFile;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn sample(name: &str) -> (String, Draft) {
    let text = std::fs::read_to_string(root().join("tests/migrate").join(name)).unwrap();
    let draft = judged(name, &text).unwrap();
    (text, draft)
}

/// What our own reader says of a configuration, but for files that are not here.
fn mistakes(yaml: &str) -> Vec<String> {
    let effective = load_text(&SourceFile { name: "migrated.yaml".into(), text: yaml.to_owned() });
    let found = effective.errors().map(|mistake| mistake.summary());
    found.filter(|mistake| !mistake.contains("cannot be read")).collect()
}

fn directives(block: &[nginx::Directive]) -> usize {
    let inside = |one: &nginx::Directive| match one.name() {
        "map" | "upstream" => 0,
        _ => one.block.as_deref().map_or(0, directives),
    };
    block.iter().map(|one| 1 + inside(one)).sum()
}

#[test]
fn each_example_of_the_table_comes_out_as_it_says() {
    for (source, fate, told) in EXAMPLES {
        let around = format!("limit_req zone=x burst=1; limit_req zone=y;\n{source}");
        let draft = judged("example", &around).unwrap();
        let line = draft.lines.iter().find(|line| line.number == 2).unwrap();
        assert_eq!(line.verdict.fate, *fate, "{source}: {}", line.verdict.why);
        if *fate == Fate::Taken {
            assert_eq!(line.verdict.key, Some(*told), "{source}");
        }
    }
}

#[test]
fn the_table_names_everything_once_and_in_order() {
    for table in [SIMPLE, ANNOTATIONS] {
        for pair in table.windows(2) {
            let is_list = pair[0].0.starts_with("whitelist") || pair[1].0.starts_with("allowlist");
            assert!(pair[0].0 < pair[1].0 || is_list, "{} stands before {}", pair[0].0, pair[1].0);
        }
    }
}

/// Each sample: settings that must come out, and how many lines have which fate.
const SAMPLES: [(&str, &[&str], [usize; 4]); 12] = [
    ("vhost.conf", &["listen: [0.0.0.0:80]", "url: http://localhost:3000"], [3, 13, 0, 0]),
    ("secret.conf", &["listen: [127.0.0.1:8080]", "url: http://grafana.internal:3000"], [3, 4, 7, 0]),
    (
        "limits.conf",
        &[
            "per_token: { rate: 20/s, burst: 41 }",
            "per_client: { rate: 300/m, burst: 100 }",
            "url: http://127.0.0.1:3000",
        ],
        [6, 5, 3, 0],
    ),
    (
        "tls.conf",
        &[
            "listen: [\"[::]:443\"]",
            "proxy_protocol: on",
            "client_auth: optional",
            "trusted_proxies: [192.0.2.0/24]",
            "max_head: 64KiB",
            "max_body: 25MiB",
            "head_timeout: 5s",
            "response_timeout: 5m",
            "server_name: grafana.internal",
            "level: warn",
            "requests: all",
        ],
        [20, 15, 0, 0],
    ),
    (
        "organisations.conf",
        &["by_host: { team-a.example.com: 2, team-b.example.com: 3 }", "default: 1", "mode: pin"],
        [3, 3, 0, 0],
    ),
    (
        "hosts.conf",
        &["by_host: { team-a.example.com: 2, team-b.example.com: 3, www.team-a.example.com: 2 }"],
        [6, 6, 0, 0],
    ),
    ("missing-prefix.conf", &["url: unix:/run/grafana.sock", "identity_headers: [X-Forwarded-User]"], [3, 5, 0, 0]),
    ("conditions.conf", &["url: http://127.0.0.1:3000", "requests: refused"], [3, 5, 9, 1]),
    ("snippet.conf", &["restore_from: [X-Grafana-Token]"], [1, 3, 0, 0]),
    (
        "ingress.yaml",
        &[
            "max_body: 50MiB",
            "response_timeout: 300s",
            "per_client: { rate: 10/s, burst: 50 }",
            "by_host: { grafana.example.com: 2 }",
        ],
        [4, 8, 1, 1],
    ),
    ("ingress-auth.yaml", &["identity_headers: [X-WEBAUTH-USER]"], [1, 1, 7, 0]),
    (
        "controller.yaml",
        &[
            "trusted_proxies: [10.0.0.0/8, 192.168.0.0/16]",
            "proxy_protocol: on",
            "max_head: 128KiB",
            "idle_timeout: 75s",
        ],
        [6, 5, 0, 0],
    ),
];

#[test]
fn samples_become_configurations_that_pass_with_each_line_accounted_for() {
    let mut wrong = Vec::new();
    for (name, settings, counts) in SAMPLES {
        let (text, draft) = sample(name);
        let yaml = as_yaml(name, &draft);
        wrong.extend(mistakes(&yaml).into_iter().map(|mistake| format!("{name}: {mistake}\n{yaml}")));
        let missing: Vec<_> = settings.iter().filter(|setting| !yaml.contains(*setting)).collect();
        let counted = Fate::ALL.map(|fate| draft.count(fate));
        if !missing.is_empty() || counted != counts {
            wrong.push(format!("{name}: {missing:?} are missing, {counted:?}\n{yaml}"));
        }
        if name.ends_with(".conf") {
            let parsed = nginx::parse(&text, 1).unwrap();
            assert_eq!(draft.lines.len(), directives(&parsed), "{name}: each directive once");
        }
        for secret in ["hunter2", "yscW25im", "correct-horse", "dmlld2Vy"] {
            assert!(!yaml.contains(secret) && !as_json(&draft).contains(secret), "{name} shows {secret}");
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn every_line_of_a_snippet_is_where_it_stands_in_the_manifest() {
    let (text, draft) = sample("ingress.yaml");
    let line = draft.lines.iter().find(|line| line.source.starts_with("proxy_set_header X-Grafana-Org-Id")).unwrap();
    assert!(text.lines().nth(line.number - 1).unwrap().contains("X-Grafana-Org-Id 2;"), "{}", line.number);
}

#[test]
fn what_cannot_be_read_is_told_with_its_place() {
    for (text, place) in [
        ("server {\n  listen 80\n}\n", "x:3:"),
        ("kind: Ingress\nmetadata: {annotations: {\"nginx.ingress.kubernetes.io/server-snippet\": \"a {\"}}\n", "x:2:"),
        ("kind: Ingress\nmetadata: [\n", "x:"),
        ("kind: Service\n", "holds no Ingress"),
        ("", "holds nothing"),
    ] {
        let (told, cure) = judged("x", text).unwrap_err();
        assert!(told.contains(place) && !cure.is_empty(), "{text}: {told}");
    }
}

/// The mapping in the guide is this table.
#[test]
fn the_guide_holds_the_table() {
    const BEGIN: &str = "<!-- table of migrate: made by UPDATE_REFERENCE=1 cargo test --lib migrate -->\n";
    const END: &str = "<!-- end of table -->";
    let ours = |fate: &Fate, why: &str| match fate {
        Fate::Taken => format!("`{why}`"),
        Fate::NotNeeded => format!("not needed: {why}"),
        _ => format!("**no**: {why}"),
    };
    let row = |source: &str, fate: &Fate, why: &str| format!("| `{source}` | {} |\n", ours(fate, why));
    let mut table = "| nginx | here |\n|---|---|\n".to_owned();
    table.extend(EXAMPLES.iter().map(|(source, fate, why)| row(&source.replace('|', "\\|"), fate, why)));
    table.extend(SIMPLE.iter().map(|(source, fate, why)| row(source, fate, why)));
    table.push_str("\n| annotation of an Ingress (`nginx.ingress.kubernetes.io/…`) | here |\n|---|---|\n");
    for (source, key) in [
        ("configuration-snippet, server-snippet, auth-snippet", "each line as above"),
        ("limit-rps, limit-rpm", "`limits.per_client`"),
        ("proxy-body-size", "`http.max_body`"),
        ("proxy-connect-timeout", "`upstream.connect_timeout`"),
        ("proxy-read-timeout", "`upstream.response_timeout`"),
        ("proxy-ssl-name", "`upstream.server_name`"),
        ("enable-access-log", "`log.requests`"),
        ("proxy-real-ip-cidr (ConfigMap)", "`clients.trusted_proxies`"),
        ("use-proxy-protocol (ConfigMap)", "`clients.proxy_protocol`"),
        ("large-client-header-buffers (ConfigMap)", "`http.max_head`"),
        ("keep-alive (ConfigMap)", "`http.idle_timeout`"),
    ] {
        table.push_str(&format!("| {source} | {key} |\n"));
    }
    table.extend(ANNOTATIONS.iter().map(|(source, fate, why)| row(source, fate, why)));
    let file = root().join("docs/from-nginx.md");
    let text = std::fs::read_to_string(&file).unwrap();
    let (before, rest) = text.split_once(BEGIN).unwrap();
    let (written, after) = rest.split_once(END).unwrap();
    if option_env!("UPDATE_REFERENCE").is_some() {
        std::fs::write(&file, format!("{before}{BEGIN}{table}{END}{after}")).unwrap();
        return;
    }
    assert!(written == table, "docs/from-nginx.md is stale: UPDATE_REFERENCE=1 cargo test --lib migrate");
}

proptest! {
    #[test]
    fn no_text_panics_and_what_comes_out_is_read(text in "[a-z_$ {};\"'0-9/:.\n-]{0,200}") {
        if let Ok(draft) = judged("x", &text) {
            let _ = (as_yaml("x", &draft), as_json(&draft));
        }
    }

    #[test]
    fn each_directive_stands_once(
        rows in prop::collection::vec((0..EXAMPLES.len(), "[a-z0-9.]{1,8}"), 1..12)
    ) {
        let text: String = rows.iter().map(|(at, word)| format!("{}\nserver_{word} x;\n", EXAMPLES[*at].0)).collect();
        let draft = judged("x", &text).unwrap();
        prop_assert_eq!(draft.lines.len(), directives(&nginx::parse(&text, 1).unwrap()));
        let wrong = mistakes(&as_yaml("x", &draft));
        // What two lines say may not go together; what one says must be readable.
        let is_syntax = |mistake: &String| mistake.contains("is not a") || mistake.contains("unknown key");
        prop_assert!(!wrong.iter().any(is_syntax), "{:?}", wrong);
    }
}
