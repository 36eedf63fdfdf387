//! What becomes of an Ingress, and of the ConfigMap of ingress-nginx: annotations, and the snippets in them.

use std::sync::Arc;

use super::context::Context;
use super::directives::walk;
use super::draft::{Draft, Verdict};
use super::nginx::{self, Directive};
use super::table::ANNOTATIONS;
use super::values::{duration, size};
use crate::config::origin::Origin;
use crate::config::yaml::{self, Content, Entry, Node};

const PREFIX: &str = "nginx.ingress.kubernetes.io/";

/// Why a file cannot be read.
#[derive(Debug)]
pub(super) struct Unreadable {
    pub(super) line: usize,
    pub(super) column: usize,
    pub(super) what: String,
}

/// Whether a text is Kubernetes' rather than nginx's.
pub(super) fn is_manifest(text: &str) -> bool {
    let begins =
        |line: &str, word: &str| line.strip_prefix(word).is_some_and(|rest| rest.trim_start().starts_with(':'));
    let mut lines = text.lines().map(|line| line.trim_start_matches('\u{feff}'));
    lines.any(|line| begins(line, "apiVersion") || begins(line, "kind") || begins(line, "metadata"))
}

/// Each document of a stream, with the lines before it.
fn documents(text: &str) -> Vec<(usize, String)> {
    let mut found = vec![(0, String::new())];
    for (number, line) in text.lines().enumerate() {
        if line == "---" || line.starts_with("--- ") {
            found.push((number + 1, String::new()));
            continue;
        }
        if let Some((_, document)) = found.last_mut() {
            document.push_str(line);
            document.push('\n');
        }
    }
    found
}

/// Reads every document of a file.
pub(super) fn read(name: &str, text: &str, draft: &mut Draft) -> Result<usize, Unreadable> {
    let name: Arc<str> = name.into();
    let mut seen = 0;
    for (before, document) in documents(text) {
        let (root, mistakes) = yaml::parse(&name, &document);
        if let Some(mistake) = mistakes.first() {
            let (line, column) = match mistake.origin {
                Origin::File { line, column, .. } => (line, column),
                _ => (1, 1),
            };
            return Err(Unreadable { line: line + before, column, what: mistake.summary() });
        }
        let Some(root) = root else { continue };
        let lines: Vec<&str> = document.lines().collect();
        seen += resource(&root, before, &lines, draft)?;
    }
    Ok(seen)
}

fn member<'n>(node: &'n Node, name: &str) -> Option<&'n Node> {
    match &node.content {
        Content::Map(entries) => entries.iter().find(|entry| entry.key == name).map(|entry| &entry.value),
        _ => None,
    }
}

fn text(node: &Node) -> Option<&str> {
    match &node.content {
        Content::Text(text) => Some(text),
        _ => None,
    }
}

fn entries(node: Option<&Node>) -> &[Entry] {
    match node.map(|node| &node.content) {
        Some(Content::Map(entries)) => entries,
        _ => &[],
    }
}

fn resource(root: &Node, before: usize, lines: &[&str], draft: &mut Draft) -> Result<usize, Unreadable> {
    if let Some(Content::List(items)) = member(root, "items").map(|items| &items.content) {
        return items.iter().map(|item| resource(item, before, lines, draft)).sum();
    }
    let kind = member(root, "kind").and_then(text).unwrap_or_default();
    match kind {
        "Ingress" => ingress(root, before, lines, draft)?,
        "ConfigMap" => {
            for entry in entries(member(root, "data")) {
                let verdict = global(entry, entry.at.0 + before, draft);
                tell(entry, before, draft, verdict);
            }
        }
        _ => return Ok(0),
    }
    Ok(1)
}

fn ingress(root: &Node, before: usize, lines: &[&str], draft: &mut Draft) -> Result<(), Unreadable> {
    let mut context = Context::of_ingress();
    if let Some(Content::List(rules)) =
        member(root, "spec").and_then(|spec| member(spec, "rules")).map(|rules| &rules.content)
    {
        context.hosts =
            rules.iter().filter_map(|rule| member(rule, "host").and_then(text).map(str::to_owned)).collect();
    }
    let annotations = member(root, "metadata").and_then(|metadata| member(metadata, "annotations"));
    for entry in entries(annotations) {
        let Some(name) = entry.key.strip_prefix(PREFIX) else {
            tell(entry, before, draft, Verdict::not_needed("it is not for nginx"));
            continue;
        };
        let line = entry.at.0 + before;
        if name.ends_with("-snippet") {
            tell(entry, before, draft, Verdict::not_needed("each line of it is looked at"));
            // A block begins below its sign.
            let is_block = lines
                .get(entry.at.0.saturating_sub(1))
                .is_some_and(|line| line.contains(": |") || line.contains(": >"));
            let directives = snippet(&entry.value, line + usize::from(is_block), entry.value.at.1)?;
            walk(&directives, draft, &mut context.clone());
            continue;
        }
        let verdict = annotation(name, &entry.value, line, draft);
        tell(entry, before, draft, verdict);
    }
    Ok(())
}

fn snippet(node: &Node, first: usize, column: usize) -> Result<Vec<Directive>, Unreadable> {
    let written = text(node).unwrap_or_default();
    nginx::parse(written, first).map_err(|mistake| Unreadable {
        line: mistake.line,
        column: mistake.column.max(column),
        what: format!("the snippet is not nginx's notation: {}", mistake.what),
    })
}

fn tell(entry: &Entry, before: usize, draft: &mut Draft, verdict: Verdict) {
    let name = entry.key.strip_prefix(PREFIX).unwrap_or(&entry.key);
    let value = text(&entry.value).unwrap_or_default();
    let is_long = value.contains('\n') || name.ends_with("-snippet");
    let source = if is_long { format!("{name}: |") } else { format!("{name}: {value}") };
    draft.tell(entry.at.0 + before, &source, verdict);
}

fn limit(draft: &mut Draft, rate: String, burst: u64, line: usize) -> Verdict {
    let verdict = draft.keep("limits.per_client", &format!("{{ rate: {rate}, burst: {burst} }}"), line);
    if verdict.key.is_none() {
        return verdict;
    }
    Verdict {
        why: "it counts by address; what you want is mostly `limits.per_token`, which is on by itself".into(),
        ..verdict
    }
}

fn annotation(name: &str, value: &Node, line: usize, draft: &mut Draft) -> Verdict {
    let value = text(value).unwrap_or_default().trim();
    let number = value.parse::<u64>().ok().filter(|number| *number > 0);
    let kept = |draft: &mut Draft, key, value: Option<String>| match value {
        Some(value) => draft.keep(key, &value, line),
        None => Verdict::cannot(format!("its value is none that can be read; see `{key}`")),
    };
    match name {
        // ingress-nginx multiplies by limit-burst-multiplier, five by default.
        "limit-rps" => number.map_or_else(Verdict::unknown, |number| {
            limit(draft, format!("{number}/s"), number.saturating_mul(5), line)
        }),
        "limit-rpm" => number.map_or_else(Verdict::unknown, |number| {
            limit(draft, format!("{number}/m"), number.saturating_mul(5), line)
        }),
        "limit-burst-multiplier" => {
            Verdict::not_needed("the burst stands beside the rate; five times the rate was written")
        }
        "limit-connections" => {
            Verdict::cannot("answers outstanding at once are counted for each token: `limits.in_flight_per_token`")
        }
        "limit-whitelist" | "limit-allowlist" => Verdict::cannot(
            "known callers have limits of their own (`tokens[].limit`), paths are freed by `limits.exempt`",
        ),
        "proxy-body-size" if value == "0" => {
            Verdict::not_needed("bodies are not limited unless `http.max_body` says so")
        }
        "proxy-body-size" => kept(draft, "http.max_body", size(value)),
        "proxy-connect-timeout" => kept(draft, "upstream.connect_timeout", duration(value)),
        "proxy-read-timeout" => kept(draft, "upstream.response_timeout", duration(value)),
        "backend-protocol" => match value {
            "HTTP" => Verdict::not_needed("Grafana is spoken to in HTTP/1.1"),
            "HTTPS" => Verdict::cannot("write https:// into `upstream.url`, and the authority into `upstream.ca_file`"),
            _ => Verdict::cannot("Grafana speaks HTTP/1.1"),
        },
        "proxy-ssl-name" => draft.keep("upstream.server_name", value, line),
        "proxy-ssl-verify" if value == "off" => {
            Verdict::cannot("certificates are always verified: give the authority in `upstream.ca_file`")
        }
        "proxy-ssl-verify" => Verdict::not_needed("certificates are always verified"),
        "proxy-ssl-secret" => Verdict::cannot(
            "mount the Secret, and name its files in `upstream.client_cert_file`, `client_key_file`, `ca_file`",
        ),
        "auth-tls-secret" => {
            Verdict::cannot("client certificates end where TLS ends; at the proxy: `tls.client_ca_file`")
        }
        "upstream-vhost" => {
            Verdict::cannot("`Host` passes as it came; let Grafana know its name by `[server] domain` and `root_url`")
        }
        "enable-access-log" => draft.keep("log.requests", if value == "false" { "refused" } else { "all" }, line),
        "custom-headers" | "configuration-from" => {
            Verdict::cannot("the headers stand in another file: run this command on what it holds")
        }
        _ => ANNOTATIONS
            .iter()
            .find(|(known, ..)| *known == name)
            .map_or_else(Verdict::unknown, |(_, fate, why)| Verdict { fate: *fate, key: None, why: (*why).to_owned() }),
    }
}

/// The ConfigMap of the controller.
fn global(entry: &Entry, line: usize, draft: &mut Draft) -> Verdict {
    let value = text(&entry.value).unwrap_or_default().trim();
    match entry.key.as_str() {
        "proxy-real-ip-cidr" => {
            let mut verdict = Verdict::unknown();
            for network in value.split(',').map(str::trim).filter(|network| !network.is_empty()) {
                verdict = draft.listed("clients.trusted_proxies", network, line);
            }
            verdict
        }
        "use-proxy-protocol" if value == "true" => draft.keep("clients.proxy_protocol", "on", line),
        "use-forwarded-headers" | "compute-full-forwarded-for" | "forwarded-for-header" | "enable-real-ip" => {
            Verdict::not_needed(
                "forwarding headers are believed from `clients.trusted_proxies`: name the networks of your hops",
            )
        }
        "limit-req-status-code" => Verdict::not_needed("a limit answers 429 with `Retry-After`"),
        "large-client-header-buffers" => {
            let mut words = value.split_whitespace();
            let number: u64 = words.next().and_then(|number| number.parse().ok()).unwrap_or(1);
            match words.next().and_then(super::values::bytes) {
                Some(one) => draft.keep("http.max_head", &super::values::readable(one.saturating_mul(number)), line),
                None => Verdict::cannot("its value is none that can be read; see `http.max_head`"),
            }
        }
        "keep-alive" => match duration(value) {
            Some(value) => draft.keep("http.idle_timeout", &value, line),
            None => Verdict::cannot("its value is none that can be read; see `http.idle_timeout`"),
        },
        "allow-snippet-annotations" | "annotations-risk-level" => Verdict::not_needed("there are no snippets"),
        "ssl-protocols" | "ssl-ciphers" | "hsts" | "use-http2" | "use-gzip" | "server-tokens" => {
            Verdict::not_needed("TLS 1.2 and 1.3, HTTP/2 where TLS is; answers pass as Grafana wrote them")
        }
        name => annotation(name, &entry.value, line, draft),
    }
}
