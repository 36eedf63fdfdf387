//! What becomes of headers that a configuration sets, above all of `Authorization`.

use super::context::{Context, is_host};
use super::draft::{Draft, Verdict};
use super::nginx::Directive;

/// Headers in which Grafana or others believe blindly (`[auth.proxy] header_name`).
const IDENTITY: [&str; 7] = [
    "x-webauth-user",
    "x-webauth-email",
    "x-webauth-name",
    "x-webauth-groups",
    "x-webauth-role",
    "remote-user",
    "x-forwarded-user",
];

/// `proxy_set_header NAME VALUE`, and `more_set_input_headers "NAME: VALUE"`.
pub(super) fn judge(directive: &Directive, draft: &mut Draft, context: &Context) -> Verdict {
    let first = directive.argument(0);
    let (name, value) = match directive.name() {
        "more_set_input_headers" => match first.split_once(':') {
            Some((name, value)) => (name.trim(), value.trim()),
            None => return Verdict::unknown(),
        },
        _ => (first, directive.argument(1)),
    };
    let lower = name.to_ascii_lowercase();
    match lower.as_str() {
        "authorization" => authorization(value, directive.line, draft, context),
        "x-grafana-org-id" => organisation(value, directive.line, draft, context),
        "host" => Verdict::not_needed("`Host` passes as it came, which Grafana's checks of the origin need"),
        "upgrade" | "connection" => Verdict::not_needed("WebSockets pass, and connections to Grafana are kept"),
        "x-real-ip" | "forwarded" => {
            Verdict::not_needed("written by itself, believed from `clients.trusted_proxies` alone")
        }
        "x-request-id" | "x-correlation-id" => {
            Verdict::not_needed("each request has an `X-Request-Id`, the client's where it is sane")
        }
        "accept-encoding" => Verdict::not_needed("answers are passed on as they come"),
        "cookie" if value.is_empty() => {
            Verdict::cannot("no header of the caller is taken away; without cookies browsers cannot stay signed in")
        }
        "origin" | "referer" => Verdict::cannot(
            "`Origin` passes as it came; let Grafana accept it: `[security] csrf_trusted_origins`, `[server] root_url`",
        ),
        _ if IDENTITY.contains(&lower.as_str()) => {
            let verdict = draft.listed("clients.identity_headers", name, directive.line);
            Verdict {
                why: "from `clients.trusted_proxies` alone; the proxy sets none itself, so keep the hop that knows the user in front".into(),
                ..verdict
            }
        }
        _ if lower.starts_with("x-forwarded-") || lower == "x-original-forwarded-for" => {
            Verdict::not_needed("written by itself, believed from `clients.trusted_proxies` alone")
        }
        _ => Verdict::cannot("the proxy sets no other headers; what callers send passes"),
    }
}

/// Takes every credential away.
pub(super) fn stripped() -> Verdict {
    Verdict::cannot(
        "it takes every credential away, which is why tokens fail behind it; to carry one around such a hop, let it keep a copy in another \
         header and name that in `authorization.restore_from`",
    )
}

/// `more_clear_input_headers`.
pub(super) fn cleared(names: &[String]) -> Verdict {
    let has = |wanted: &[&str]| names.iter().any(|name| wanted.contains(&name.to_ascii_lowercase().as_str()));
    if has(&["authorization", "cookie"]) {
        return stripped();
    }
    if names.iter().all(|name| IDENTITY.contains(&name.to_ascii_lowercase().as_str())) {
        return Verdict::not_needed(
            "headers in which Grafana believes are dropped, unless `clients.identity_headers` lets trusted hops send them",
        );
    }
    Verdict::cannot("no header of the caller is taken away, but those in which Grafana believes blindly")
}

fn authorization(value: &str, line: usize, draft: &mut Draft, context: &Context) -> Verdict {
    let value = value.trim();
    if value.is_empty() {
        return stripped();
    }
    let (scheme, inner) = match value.split_once(' ') {
        Some((scheme, inner)) => (scheme, inner.trim()),
        None => ("", value),
    };
    let Some(variable) = inner.strip_prefix('$').map(|name| name.trim_matches(['{', '}'])) else {
        return secret(inner);
    };
    if variable == "http_authorization" {
        let why = if scheme.is_empty() {
            "it passes, and is repaired"
        } else {
            "`authorization.repair` adds what is missing"
        };
        return Verdict::not_needed(why);
    }
    if let Some(header) = variable.strip_prefix("http_") {
        let name = spelled(header);
        let verdict = draft.listed("authorization.restore_from", &name, line);
        let why =
            "where a request has no `Authorization` of its own; restrict who may send it by `clients.trusted_proxies`";
        return Verdict { why: why.into(), ..verdict };
    }
    if let Some(literal) = context.variables.get(&format!("${variable}")) {
        return secret(literal);
    }
    if let Some(map) = context.maps.get(&format!("${variable}")) {
        let source = map.argument(0);
        let signs = ["glsa_", "glc_", "eyJ"];
        let is_literal = |value: &String| signs.iter().any(|sign| value.contains(sign));
        // A pattern on the left names the kind of a token; on the right stands what is sent.
        let literal = map.block.iter().flatten().any(|row| row.arguments().iter().any(is_literal));
        return match source {
            _ if literal => secret(""),
            "$http_authorization" => Verdict::not_needed("`authorization.repair` adds what is missing"),
            _ => Verdict::cannot(
                "which credential is sent depends on the request: name the callers under `tokens`, with `send_file` for what Grafana gets",
            ),
        };
    }
    Verdict::cannot(
        "it comes from a variable that is set elsewhere: callers whose credential is exchanged are `tokens[]` with `send_file`",
    )
}

fn secret(_: &str) -> Verdict {
    Verdict::cannot(
        "a credential stands in this file, and whoever reads it has it: create a new one, put it into a file of its own, name the callers under \
         `tokens` (`file` for what they send, `send_file` for what Grafana gets), and delete the old one",
    )
}

/// `x_api_key` → `X-Api-Key`.
fn spelled(variable: &str) -> String {
    let words = variable.split('_').map(|word| {
        let mut letters = word.chars();
        letters.next().map(|first| first.to_ascii_uppercase().to_string() + letters.as_str()).unwrap_or_default()
    });
    words.collect::<Vec<_>>().join("-")
}

fn organisation(value: &str, line: usize, draft: &mut Draft, context: &Context) -> Verdict {
    let pin = "nginx overwrote what callers asked for; `org.mode: pin` refuses it, and says so";
    if value.parse::<u32>().is_ok_and(|number| number > 0) {
        draft.set("org.mode", "pin", line);
        if context.hosts.is_empty() {
            let verdict = draft.keep("org.default", value, line);
            return if verdict.key.is_some() { Verdict { why: pin.into(), ..verdict } } else { verdict };
        }
        for host in &context.hosts {
            draft.host(host, value, line);
        }
        return Verdict::taken("org.by_host", pin);
    }
    let Some(map) = value.starts_with('$').then(|| context.maps.get(value)).flatten() else {
        if value == "$http_x_grafana_org_id" {
            return Verdict::not_needed("it passes; `org.mode` says whether it counts");
        }
        return Verdict::cannot(
            "which organisation depends on a variable that is set elsewhere: see `org.by_host`, `tokens[].org`, `org.learn`",
        );
    };
    if !matches!(map.argument(0), "$host" | "$http_host" | "$server_name" | "$ssl_server_name") {
        return Verdict::cannot(
            "which organisation depends on something else than the host: see `tokens[].org` and `org.learn`",
        );
    }
    draft.set("org.mode", "pin", line);
    let mut left = 0;
    for row in map.block.iter().flatten() {
        let (name, organisation) = (row.name(), row.argument(0));
        match (name, organisation.parse::<u32>()) {
            ("default", Ok(_)) => drop(draft.set("org.default", organisation, row.line)),
            (name, Ok(_)) if is_host(name) => draft.host(name, organisation, row.line),
            _ => left += 1,
        }
    }
    if left > 0 {
        return Verdict::taken(
            "org.by_host",
            format!("but for {left} rows of the map that are patterns: write each name"),
        );
    }
    Verdict::taken("org.by_host", pin)
}
