//! What becomes of each directive of an nginx configuration.

use super::context::{Context, is_host};
use super::draft::{Draft, Fate, Verdict};
use super::header;
use super::nginx::Directive;
use super::table::SIMPLE;
use super::values::{duration, size};

/// Walks a file: what is defined first, then each line.
pub(super) fn walk(directives: &[Directive], draft: &mut Draft, context: &mut Context) {
    context.define(directives);
    lines(directives, draft, context);
}

fn lines(directives: &[Directive], draft: &mut Draft, context: &mut Context) {
    for directive in directives {
        let verdict = judge(directive, draft, context);
        draft.tell(directive.line, &shown(directive), verdict);
        let Some(block) = &directive.block else { continue };
        // What stands in these is a part of them.
        if matches!(directive.name(), "map" | "geo" | "split_clients" | "types" | "upstream") {
            continue;
        }
        let mut inner = context.clone();
        inner.conditional |= directive.name() == "if";
        if directive.name() == "server" {
            let names = block.iter().filter(|inside| inside.name() == "server_name");
            inner.hosts = names.flat_map(|names| names.arguments().to_vec()).filter(|name| is_host(name)).collect();
        }
        lines(block, draft, &mut inner);
    }
}

/// A directive as it may be shown: values that may be secrets are left out, whatever they look like.
pub(super) fn shown(directive: &Directive) -> String {
    let is_secret = |name: &str| {
        let name = name.to_ascii_lowercase();
        ["auth", "key", "token", "secret", "password", "cookie"].iter().any(|word| name.contains(word))
    };
    let carries =
        matches!(directive.name(), "set" | "proxy_set_header" | "more_set_input_headers" | "add_header" | "map");
    let mut words = directive.words.clone();
    if carries && is_secret(directive.argument(0)) {
        for word in words.iter_mut().skip(if directive.name() == "more_set_input_headers" { 1 } else { 2 }) {
            // A variable alone is none.
            if !word.is_empty() && !word.trim_start_matches("Bearer ").trim_start_matches("Basic ").starts_with('$') {
                *word = "…".to_owned();
            }
        }
    }
    let words: Vec<String> =
        words.into_iter().map(|word| if word.is_empty() { "\"\"".to_owned() } else { word }).collect();
    format!("{}{}", words.join(" "), if directive.block.is_some() { " { … }" } else { ";" })
}

fn judge(directive: &Directive, draft: &mut Draft, context: &Context) -> Verdict {
    let first = directive.argument(0);
    let line = directive.line;
    if context.conditional && directive.block.is_none() {
        return Verdict::cannot("it holds only where the `if` around it does; the proxy has no conditions");
    }
    match directive.name() {
        "http" | "events" | "server" | "stream" => Verdict::not_needed("what stands in it is looked at"),
        "location" => Verdict::not_needed("all paths are passed on; what stands in it is looked at, and holds for all"),
        "map" | "geo" => map(directive),
        "upstream" => upstream(directive),
        "if" => Verdict::cannot(
            "the proxy has no conditions: Grafana decides who lacks a credential, and the refusal is explained",
        ),
        "server_name" => Verdict::not_needed("all names are served; `org.by_host` tells them apart"),
        "set" => Verdict::not_needed("a variable; where it is used, that is told there"),
        "return" | "rewrite" => {
            Verdict::cannot("paths pass as they came, and redirects belong where TLS ends, at the gateway")
        }
        "proxy_pass" => proxy_pass(first, line, draft, context),
        "listen" => listen(directive, draft, context),
        "proxy_set_header" | "more_set_input_headers" => header::judge(directive, draft, context),
        "more_clear_input_headers" => header::cleared(directive.arguments()),
        "proxy_pass_request_headers" if first == "off" => header::stripped(),
        "proxy_pass_request_headers" => Verdict::not_needed("headers pass"),
        "limit_req_zone" => limit_zone(directive, draft, context),
        "limit_req" => limit(directive, context),
        "limit_req_dry_run" if first == "on" => draft.keep("limits.mode", "shadow", line),
        "limit_conn" => Verdict::cannot(
            "answers outstanding at once are counted for each token (`limits.in_flight_per_token`), connections for all (`http.max_connections`)",
        ),
        "client_max_body_size" if first == "0" => {
            Verdict::not_needed("bodies are not limited unless `http.max_body` says so")
        }
        "client_max_body_size" => measured(draft, "http.max_body", size(first), line),
        "client_header_timeout" => measured(draft, "http.head_timeout", duration(first), line),
        "client_body_timeout" => measured(draft, "http.body_timeout", duration(first), line),
        "keepalive_timeout" => measured(draft, "http.idle_timeout", duration(first), line),
        "proxy_connect_timeout" => measured(draft, "upstream.connect_timeout", duration(first), line),
        "proxy_read_timeout" => measured(draft, "upstream.response_timeout", duration(first), line),
        "large_client_header_buffers" => {
            let number: u64 = first.parse().unwrap_or(1);
            let all = super::values::bytes(directive.argument(1))
                .map(|one| super::values::readable(one.saturating_mul(number)));
            measured(draft, "http.max_head", all, line)
        }
        "worker_processes" => draft.keep("workers", first, line),
        "set_real_ip_from" if first == "unix:" => Verdict::not_needed("whoever comes over a Unix socket is trusted"),
        "set_real_ip_from" => draft.listed("clients.trusted_proxies", first, line),
        "ssl_certificate" => draft.keep("tls.cert_file", first, line),
        "ssl_certificate_key" => draft.keep("tls.key_file", first, line),
        "ssl_client_certificate" => draft.keep("tls.client_ca_file", first, line),
        "ssl_verify_client" => match first {
            "on" => draft.keep("tls.client_auth", "required", line),
            "off" => Verdict::not_needed("clients need no certificate"),
            _ => draft.keep("tls.client_auth", "optional", line),
        },
        "proxy_ssl_trusted_certificate" => draft.keep("upstream.ca_file", first, line),
        "proxy_ssl_certificate" => draft.keep("upstream.client_cert_file", first, line),
        "proxy_ssl_certificate_key" => draft.keep("upstream.client_key_file", first, line),
        "proxy_ssl_name" => draft.keep("upstream.server_name", first, line),
        "proxy_ssl_verify" if first == "off" => {
            Verdict::cannot("certificates are always verified: give the authority in `upstream.ca_file`")
        }
        "proxy_ssl_verify" => Verdict::not_needed("certificates are always verified"),
        "access_log" if first == "off" => draft.keep("log.requests", "refused", line),
        "access_log" => {
            draft.set("log.format", "json", line);
            draft.keep("log.requests", "all", line)
        }
        "error_log" => {
            let level = match directive.arguments().last().map(String::as_str) {
                Some("debug") => "debug",
                Some("info" | "notice") => "info",
                Some("warn") => "warn",
                _ => "error",
            };
            draft.keep("log.level", level, line)
        }
        name => simple(name),
    }
}

fn simple(name: &str) -> Verdict {
    let found = SIMPLE.iter().find(|(known, ..)| *known == name);
    found.map_or_else(Verdict::unknown, |(_, fate, why)| Verdict { fate: *fate, key: None, why: (*why).to_owned() })
}

fn measured(draft: &mut Draft, key: &'static str, value: Option<String>, line: usize) -> Verdict {
    match value {
        Some(value) => draft.keep(key, &value, line),
        None => Verdict::cannot(format!("its value is none that can be read; see `{key}`")),
    }
}

fn map(directive: &Directive) -> Verdict {
    let variable = directive.argument(1);
    if variable.contains("upgrade") {
        return Verdict::not_needed("WebSockets pass");
    }
    Verdict::not_needed("a table; where its variable is used, that is told there")
}

fn upstream(directive: &Directive) -> Verdict {
    let servers = directive.block.iter().flatten().filter(|inside| inside.name() == "server").count();
    if servers > 1 {
        return Verdict::cannot(format!(
            "it has {servers} servers, and the proxy has one Grafana: the first is used where it is passed on to; put a Service in front of all"
        ));
    }
    Verdict::not_needed("its server is used where it is passed on to")
}

fn proxy_pass(target: &str, line: usize, draft: &mut Draft, context: &Context) -> Verdict {
    let Some((scheme, rest)) = target.split_once("://") else {
        return Verdict::cannot("it names no URL that can be read");
    };
    if let Some(socket) = rest.strip_prefix("unix:") {
        let path = socket.split(':').next().unwrap_or(socket);
        return draft.keep("upstream.url", &format!("unix:{path}"), line);
    }
    let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
    let is_plain = |c: char| c.is_ascii_alphanumeric() || ".-_:[]$".contains(c);
    if !authority.chars().all(is_plain) {
        return Verdict::cannot("it names no URL that can be read");
    }
    if authority.contains('$') {
        return Verdict::cannot(
            "where it leads depends on the request, and there is one Grafana: name it in `upstream.url`",
        );
    }
    let authority = context.upstreams.get(authority).map_or(authority, String::as_str);
    if let Some(socket) = authority.strip_prefix("unix:") {
        return draft.keep("upstream.url", &format!("unix:{socket}"), line);
    }
    let verdict = draft.keep("upstream.url", &format!("{scheme}://{authority}"), line);
    match path {
        "" | "/" => verdict,
        _ if verdict.fate == Fate::Taken => Verdict::taken(
            "upstream.url",
            format!(
                "without `{path}`: paths pass as they came; `[server] root_url` and `serve_from_sub_path` say where Grafana is"
            ),
        ),
        _ => verdict,
    }
}

fn listen(directive: &Directive, draft: &mut Draft, context: &Context) -> Verdict {
    if context.is_ingress {
        return Verdict::not_needed("the Service leads to the proxy");
    }
    let has = |word: &str| directive.arguments().iter().any(|argument| argument == word);
    if has("proxy_protocol") {
        draft.set("clients.proxy_protocol", "on", directive.line);
    }
    let place = directive.argument(0);
    let address = match place {
        place if place.starts_with("unix:") => place.to_owned(),
        place if place.bytes().all(|byte| byte.is_ascii_digit()) => format!("0.0.0.0:{place}"),
        place if place.starts_with("*:") => place.replacen('*', "0.0.0.0", 1),
        place if place.contains(':') => place.to_owned(),
        place => format!("{place}:80"),
    };
    // A name is no address; nginx resolves it.
    if !address.starts_with("unix:") && address.parse::<std::net::SocketAddr>().is_err() {
        return Verdict::cannot("it is no address: write one under `listen`");
    }
    // `[::]` serves IPv4 as well.
    if let Some(port) = address.strip_prefix("[::]:") {
        draft.replace("listen", &format!("0.0.0.0:{port}"), &address);
    } else if let Some(port) = address.strip_prefix("0.0.0.0:")
        && draft.holds("listen", &format!("[::]:{port}"))
    {
        return Verdict::not_needed("`[::]` serves IPv4 as well");
    }
    draft.listed("listen", &address, directive.line)
}

fn limit_zone(directive: &Directive, draft: &mut Draft, context: &Context) -> Verdict {
    let zone = directive.arguments().iter().find_map(|argument| argument.strip_prefix("zone="));
    let name = zone.and_then(|zone| zone.split(':').next()).unwrap_or_default();
    let Some((key, rate)) = context.zones.get(name) else {
        return Verdict::cannot("the proxy limits tokens, users, sessions and addresses, nothing else");
    };
    let Some(burst) = context.bursts.get(name) else {
        return Verdict::not_needed("no `limit_req` in this file uses it");
    };
    draft.keep(key, &format!("{{ rate: {rate}, burst: {burst} }}"), directive.line)
}

fn limit(directive: &Directive, context: &Context) -> Verdict {
    let zone = directive.arguments().iter().find_map(|argument| argument.strip_prefix("zone=")).unwrap_or_default();
    let Some((key, _)) = context.zones.get(zone) else {
        return Verdict::cannot(
            "its zone is not in this file, or counts by something that the proxy does not limit: see `limits`",
        );
    };
    let waits = !directive.arguments().iter().any(|argument| argument == "nodelay");
    let why = match waits {
        true => {
            "for all paths; what is beyond the burst is refused at once with `Retry-After`, and nobody is made to wait"
        }
        false => "for all paths; `limits.exempt` names those without a limit",
    };
    Verdict::taken(key, why)
}
