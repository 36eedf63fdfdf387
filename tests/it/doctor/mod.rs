//! The doctor names the hop that is at fault, and the cause: real sockets, the real program, hops as people
//! misconfigure them. And it finds nothing wrong where nothing is.

mod chain;
mod ends;
mod identity;
mod nginx;
mod peers;
mod realm;

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use self::chain::{Case, Grafana, run_all};
use crate::support::TOKEN;
use crate::support::hops::{Manners, header};

fn some(value: impl Into<String>) -> Option<String> {
    Some(value.into())
}

/// Each damage that a hop does to `Authorization`.
fn strips() -> Manners {
    Manners::authorization(|_| None)
}

fn replaces() -> Manners {
    Manners::authorization(|_| some(format!("Basic {}", STANDARD.encode("viewer:secret"))))
}

fn renames() -> Manners {
    Manners::editing(|lines| {
        let at = lines.iter().position(|line| line.to_ascii_lowercase().starts_with("authorization:"))?;
        lines[at] = format!("X-Upstream-{}", lines[at]);
        None
    })
}

fn cuts() -> Manners {
    Manners::authorization(|value| some(value.chars().take(40).collect::<String>()))
}

fn drops(name: &'static str) -> Manners {
    Manners::editing(move |lines| {
        let start = format!("{name}:");
        lines.retain(|line| !line.to_ascii_lowercase().starts_with(&start));
        None
    })
}

#[test]
fn healthy_chains_are_healthy() {
    run_all(vec![
        Case::new("the proxy alone", "healthy", ""),
        Case::new("a good hop in front", "healthy", "").front(Manners::good()),
        Case::new("a good hop behind", "healthy", "").back(Manners::good()),
        Case::new("good hops around", "healthy", "").front(Manners::good()).back(Manners::good()).without_direct(),
        Case::new("no token", "healthy", "").without_token(),
        Case::new("all that is wanted", "healthy", "").arguments(&[
            "--org",
            "1",
            "--needs",
            "dashboards:read,orgs:read",
        ]),
        Case::new("a whole line in the file", "healthy", "").token(&format!("Authorization: bearer {TOKEN}\r\n")),
        Case::new("a hop that carries it around", "healthy", "")
            .front(Manners::editing(|lines| {
                let at = lines.iter().position(|line| line.to_ascii_lowercase().starts_with("authorization:"))?;
                let value = lines[at].split_once(':').unwrap().1.trim().to_owned();
                lines.push(format!("X-Original-Authorization: {value}"));
                None
            }))
            .proxy(&["--authorization-restore-from", "X-Original-Authorization"]),
    ]);
}

#[test]
fn what_happens_before_the_proxy_is_told_as_such() {
    let before = "reached the proxy";
    run_all(vec![
        Case::new("stripped", "lost_before_proxy", before).front(strips()),
        Case::new("stripped, without --direct", "lost_before_proxy", before).front(strips()).without_direct(),
        Case::new("stripped, and anonymous access hides it", "lost_before_proxy", before)
            .front(strips())
            .grafana(Grafana { anonymous: true, ..Grafana::default() }),
        Case::new("renamed", "lost_before_proxy", before).front(renames()),
        Case::new("replaced by Basic", "changed_before_proxy", "`basic` reached the proxy").front(replaces()),
        Case::new("cut", "changed_before_proxy", "token_malformed").front(cuts()),
        Case::new("another added", "changed_before_proxy", "credential_conflict").front(Manners::editing(|lines| {
            lines.push(format!("Authorization: Basic {}", STANDARD.encode("viewer:secret")));
            None
        })),
        Case::new("lower case", "repaired_by_proxy", "scheme_case")
            .front(Manners::authorization(|value| some(value.replace("Bearer", "bearer")))),
        Case::new("a literal newline", "repaired_by_proxy", "newline_trimmed")
            .front(Manners::authorization(|value| some(format!("{value}%0A")))),
        Case::new("a real newline", "changed_before_proxy", "newline_in_head")
            .front(Manners::authorization(|value| some(format!("{value}\n")))),
        Case::new("doubled", "repaired_by_proxy", "duplicate_dropped")
            .front(Manners::authorization(|value| some(format!("{value}, {value}")))),
        Case::new("the scheme taken off", "repaired_by_proxy", "bearer_added")
            .front(Manners::authorization(|value| some(value.replace("Bearer ", "")))),
        Case::new("lower case, and the proxy may not mend it", "lost_after_proxy", "credential_not_recognised")
            .front(Manners::authorization(|value| some(value.replace("Bearer", "bearer"))))
            .proxy(&["--authorization-repair", "off"]),
    ]);
}

#[test]
fn what_happens_behind_the_proxy_is_told_as_such() {
    run_all(vec![
        Case::new("stripped behind", "lost_after_proxy", "credential_not_recognised").back(strips()),
        Case::new("stripped behind, without --direct", "lost_after_proxy", "").back(strips()).without_direct(),
        Case::new("renamed behind", "lost_after_proxy", "").back(renames()),
        Case::new("lower case behind", "lost_after_proxy", "")
            .back(Manners::authorization(|value| some(value.replace("Bearer", "bearer")))),
        Case::new("replaced by Basic behind", "changed_after_proxy", "a user and a password").back(replaces()),
        Case::new("replaced by Basic behind, without --direct", "changed_after_proxy", "a user")
            .back(replaces())
            .without_direct(),
        Case::new("cut behind", "changed_after_proxy", "--direct").back(cuts()),
        Case::new("no proxy, stripped", "lost_on_the_way", "").front(strips()).without_proxy(),
        Case::new("no proxy, stripped, no --direct", "lost_on_the_way", "")
            .front(strips())
            .without_proxy()
            .without_direct(),
        Case::new("no proxy, replaced", "changed_on_the_way", "a user").front(replaces()).without_proxy(),
        Case::new("no proxy, cut", "changed_on_the_way", "--direct").front(cuts()).without_proxy(),
        Case::new("no proxy, all well", "proxy_not_seen", "past the proxy").front(Manners::good()).without_proxy(),
        Case::new("a hop hides our headers", "proxy_not_seen", "takes its headers off").front(Manners {
            retouch: Arc::new(|lines| lines.retain(|line| !line.to_ascii_lowercase().starts_with("x-token-proxy"))),
            ..Manners::good()
        }),
    ]);
}

#[test]
fn what_grafana_refuses_is_told_with_its_reason() {
    let recorded = |version: &str, id: &str| Grafana::recorded(version, id);
    run_all(vec![
        Case::new("expired, 11", "grafana_refuses", "token_expired").grafana(recorded("11.0.0", "key_expired.api_org")),
        Case::new("expired, 7.3", "grafana_refuses", "token_expired")
            .grafana(recorded("7.3.10", "key_expired.api_org")),
        Case::new("revoked, 10.0", "grafana_refuses", "token_revoked")
            .grafana(recorded("10.0.1", "token_revoked.api_org")),
        Case::new("unknown, 11", "grafana_refuses", "token_unknown").grafana(recorded("11.0.0", "key_unknown.api_org")),
        Case::new("unknown, 9.3: a 500", "grafana_refuses", "token_unknown")
            .grafana(recorded("9.3.2", "key_unknown.api_org")),
        Case::new("disabled, 10.4", "grafana_refuses", "service_account_disabled")
            .grafana(recorded("10.4.3", "token_sa_disabled.api_org")),
        Case::new("another organisation, 11", "grafana_refuses", "org_mismatch")
            .grafana(recorded("11.0.0", "org.key1.conflict_h1_q2"))
            .arguments(&["--org", "2"]),
        Case::new("another organisation, before 10.4", "wrong_organisation", "is wanted, and the token landed in 1")
            .arguments(&["--org", "2"]),
        Case::new("lacks a permission", "permission_missing", "lacks folders:write")
            .arguments(&["--needs", "dashboards:read,folders:write"]),
        Case::new("cut in the file", "token_unusable", "token_malformed").token(&TOKEN[..40]),
        Case::new("of Grafana Cloud", "token_unusable", "token_wrong_kind").token("glc_eyJvIjoiMSIsIm4iOiJ4In0="),
        Case::new("nothing in the file", "token_unusable", "credential_missing").token("\n"),
        Case::new("two lines in the file", "token_unusable", "newline_in_head").token("first\nsecond\n"),
        Case::new("anonymous access", "anonymous_access", "200 without a credential")
            .grafana(Grafana { anonymous: true, ..Grafana::default() }),
    ]);
}

const HOP_401: &str = "HTTP/1.1 401 Unauthorized\r\nServer: nginx\r\nWWW-Authenticate: Basic realm=\"private\"\r\nContent-Type: \
                       text/html\r\nContent-Length: 21\r\nConnection: close\r\n\r\n<html>401 nginx</html";
const HOP_403: &str = "HTTP/1.1 403 Forbidden\r\nServer: awselb/2.0\r\nContent-Type: text/html\r\nContent-Length: 13\r\nConnection: \
                       close\r\n\r\n<html></html>";
const HOP_429: &str = "HTTP/1.1 429 Too Many Requests\r\nServer: envoy\r\nRetry-After: 7\r\nContent-Type: text/plain\r\nContent-Length: \
                       18\r\nConnection: close\r\n\r\nlocal_rate_limited";

#[test]
fn refusals_of_hops_and_of_the_proxy_are_told_apart() {
    let authorised = |lines: &[String]| header(lines, "authorization").is_some();
    run_all(vec![
        Case::new("a hop wants a password", "hop_refuses", "hop_unauthorized").front(Manners::refusing(|_| true, HOP_401)),
        Case::new("a hop in front refuses tokens", "hop_refuses", "before the proxy (`nginx`)")
            .front(Manners::refusing(authorised, HOP_401)),
        Case::new("a hop behind refuses tokens", "hop_refuses", "behind the proxy (`nginx`)")
            .back(Manners::refusing(authorised, HOP_401)),
        Case::new("a hop forbids", "hop_refuses", "before the proxy (`awselb/2.0`)")
            .front(Manners::refusing(authorised, HOP_403)),
        Case::new("a hop limits", "hop_refuses", "hop_rate_limited").front(Manners::refusing(authorised, HOP_429)),
        Case::new("a hop wants any credential, and passes ours", "healthy", "")
            .front(Manners::refusing(move |lines| lines[0].contains("/api/health HTTP") && !authorised(lines) && lines[0].starts_with("GET") && header(lines, "x-doctor-padding").is_none(), HOP_401)),
        Case::new("oauth2-proxy", "hop_refuses", "hop_unauthorized").front(Manners::refusing(
            |_| true,
            "HTTP/1.1 302 Found\r\nLocation: https://login.example.com/oauth2/start?rd=%2F\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        )),
        Case::new("the proxy pins another organisation", "proxy_refuses", "org_override_refused")
            .proxy(&["--org", "1", "--org-mode", "pin"])
            .arguments(&["--org", "2"]),
        Case::new("the proxy limits who sends none", "rate_limited", "client_rate_limited")
            .proxy(&["--limits-per-client-rate", "1/m", "--limits-per-client-burst", "1", "--limits-exempt", "/nothing"])
            .arguments(&[]),
    ]);
}

#[test]
fn limits_on_the_way_are_told_with_their_hop() {
    let too_large = "HTTP/1.1 431 Request Header Fields Too Large\r\nServer: nginx\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    let body =
        "HTTP/1.1 413 Request Entity Too Large\r\nServer: nginx\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    let head = |lines: &[String]| lines.iter().map(String::len).sum::<usize>() > 4096;
    let longer = |most: usize| {
        move |lines: &[String]| {
            header(lines, "content-length").is_some_and(|value| value.parse::<usize>().unwrap() > most)
        }
    };
    let impatient = || Manners { patience: Duration::from_millis(100), ..Manners::good() };
    run_all(vec![
        Case::new("4 KiB of header in front", "large_header_refused", "before the proxy (`nginx`) answers 431")
            .front(Manners::refusing(head, too_large)),
        Case::new("4 KiB of header behind", "large_header_refused", "behind the proxy (`nginx`) answers 431")
            .back(Manners::refusing(head, too_large)),
        Case::new("4 KiB of header in the proxy", "large_header_refused", "proxy itself answers 431")
            .front(Manners::editing(|lines| {
                lines.push(format!("X-Trace: {}", "x".repeat(3000)));
                None
            }))
            .proxy(&["--http-max-head", "8KiB"]),
        Case::new("1 KiB of body in front", "large_body_refused", "before the proxy (`nginx`) answers 413 to 64 KiB")
            .front(Manners::refusing(longer(1024), body)),
        Case::new("1 KiB of body behind", "large_body_refused", "behind the proxy (`nginx`) answers 413")
            .back(Manners::refusing(longer(1024), body)),
        Case::new("1 KiB of body in the proxy", "large_body_refused", "proxy itself answers 413")
            .proxy(&["--http-max-body", "1KiB"]),
        Case::new("1 MiB of body, as nginx has it", "large_body_limited", "413 to 1536 KiB")
            .front(Manners::refusing(longer(1024 * 1024), body)),
        Case::new("no upgrade in front", "upgrade_refused", "Upgrade").front(drops("upgrade")),
        Case::new("no upgrade behind", "upgrade_refused", "behind the proxy answers 400").back(drops("upgrade")),
        Case::new("impatient in front", "upgrade_cut", "by a hop").front(impatient()),
        Case::new("impatient behind", "upgrade_cut", "by a hop").back(impatient()),
        Case::new("cookies dropped", "cookie_dropped", "session cookie").front(drops("cookie")),
        Case::new("cookies dropped, no proxy", "cookie_dropped", "session cookie")
            .front(drops("cookie"))
            .without_proxy(),
        Case::new("a wrong clock", "clock_skewed", "behind").front(Manners {
            retouch: Arc::new(|lines| {
                lines.retain(|line| !line.to_ascii_lowercase().starts_with("date:"));
                lines.push("Date: Mon, 23 Nov 2020 10:00:00 GMT".to_owned());
            }),
            ..Manners::good()
        }),
    ]);
}
