//! The reference of metrics is what a running program serves. `UPDATE_REFERENCE=1 cargo test --test docs` makes it anew.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;

use super::markdown::blocks;
use super::root;
use super::stage::Stage;

const BEGIN: &str = "<!-- metrics: made from a running program -->\n";
const END: &str = "<!-- end of metrics -->\n";
const PREFIX: &str = "grafana_token_proxy_";

/// A family of metrics.
#[derive(Debug, Default)]
struct Family {
    kind: String,
    help: String,
    labels: Vec<String>,
}

/// What the demo serves once it has shown everything.
fn served() -> String {
    let mut stage = Stage::set();
    stage.serve("grafana-token-proxy demo");
    let address = stage.turned("127.0.0.1:9091");
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

fn families(text: &str) -> Vec<(String, Family)> {
    let mut order = Vec::new();
    let mut families = BTreeMap::<String, Family>::new();
    for line in text.lines() {
        if let Some((name, help)) = line.strip_prefix("# HELP ").and_then(|rest| rest.split_once(' ')) {
            order.push(name.to_owned());
            families.entry(name.to_owned()).or_default().help = help.trim_end_matches('.').to_owned();
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            families.get_mut(name).unwrap().kind = kind.to_owned();
        } else if let Some((name, labels)) = line.split_once('{') {
            let Some(family) = families.get_mut(name) else { continue };
            let labels = labels.split_once('}').unwrap().0;
            for label in labels.split(',').filter_map(|label| label.split_once('=')).map(|(label, _)| label.to_owned())
            {
                if !family.labels.contains(&label) {
                    family.labels.push(label);
                }
            }
        }
    }
    order.into_iter().map(|name| (name.clone(), families.remove(&name).unwrap())).collect()
}

fn table(families: &[(String, Family)]) -> String {
    let mut text = "| metric | type | labels | what it counts or measures |\n|---|---|---|---|\n".to_owned();
    for (name, family) in families {
        let labels: Vec<String> = family.labels.iter().map(|label| format!("`{label}`")).collect();
        writeln!(text, "| `{name}` | {} | {} | {} |", family.kind, labels.join(" "), family.help).unwrap();
    }
    text
}

/// Prometheus itself reads them: each line of a block is a query.
#[test]
fn every_query_is_read_by_prometheus() {
    let text = fs::read_to_string(root().join("docs/metrics.md")).unwrap();
    let blocks = blocks("docs/metrics.md", &text);
    let queries: Vec<&str> =
        blocks.iter().filter(|block| block.language == "promql").flat_map(|b| b.text.lines()).collect();
    assert!(queries.len() >= 15, "{queries:?}");
    let mut rules = "groups:\n- name: docs\n  rules:\n".to_owned();
    for (number, query) in queries.iter().enumerate() {
        writeln!(rules, "  - {{ record: 'query_{number}', expr: '{}' }}", query.replace('\'', "''")).unwrap();
    }
    if !Stage::missing("promtool").is_empty() {
        println!("skipped: there is no promtool");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rules.yaml");
    fs::write(&file, rules).unwrap();
    let output = Command::new("promtool").args(["check", "rules"]).arg(&file).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_reference_of_metrics_is_what_is_served() {
    let families = families(&served());
    assert!(families.len() > 20, "{families:?}");
    let file = root().join("docs/metrics.md");
    let page = fs::read_to_string(&file).unwrap();
    let (before, rest) = page.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let wanted = format!("{before}{BEGIN}{}{END}{after}", table(&families));
    if std::env::var_os("UPDATE_REFERENCE").is_some() {
        fs::write(&file, &wanted).unwrap();
    }
    assert!(
        fs::read_to_string(&file).unwrap() == wanted,
        "docs/metrics.md is stale: UPDATE_REFERENCE=1 cargo test --test docs"
    );
    // What a query names is served, and each metric of ours has a query.
    let text = format!("{before}{after}");
    for word in text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|word| word.starts_with(PREFIX)) {
        let base = ["_bucket", "_sum", "_count"].iter().find_map(|end| word.strip_suffix(end)).unwrap_or(word);
        assert!(word == PREFIX || families.iter().any(|(name, _)| name == base), "{word} is not served");
    }
    for (name, _) in families.iter().filter(|(name, _)| name.starts_with(PREFIX)) {
        assert!(after.contains(name.as_str()), "docs/metrics.md has no query with {name}");
    }
}
