//! Real proxies as hops, with the lines that people really write; and gateways by what they are known to answer.

use super::chain::{Case, Grafana, Said, consult, run_all};
use crate::support::hops::{Manners, header};
use crate::support::peers::Peer;
use crate::support::{Origin, Program, TOKEN};

/// A chain whose real hop stands in front of the proxy (its configuration, `TARGET` being what it passes on to), the
/// verdict, and what that holds.
pub type Row<'a> = (&'a str, &'a str, &'a str);

/// Asks about each chain, with the hop in front of the proxy or behind it; `false`: it is not installed.
pub fn check_all(rows: &[Row<'_>], is_in_front: bool, start: impl Fn(&str) -> Option<Peer>) -> bool {
    let mut wrong = Vec::new();
    for (text, code, holds) in rows {
        let grafana = Grafana::default().start();
        let Some(said) = consult_with(text, &grafana, is_in_front, &start) else { return false };
        wrong.extend(said.check(text, code, holds).err());
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    true
}

fn consult_with(text: &str, grafana: &Origin, is_in_front: bool, start: impl Fn(&str) -> Option<Peer>) -> Option<Said> {
    if is_in_front {
        let program = Program::before(&grafana.url(), &[]);
        let peer = start(&text.replace("TARGET", &program.data.to_string()))?;
        return Some(consult(&peer.url, Some(grafana.address), Some(TOKEN), &[]));
    }
    let peer = start(&text.replace("TARGET", &grafana.address.to_string()))?;
    let program = Program::before(&peer.url, &[]);
    Some(consult(&format!("http://{}", program.data), Some(grafana.address), Some(TOKEN), &[]))
}

#[test]
fn a_real_haproxy_is_named_with_what_is_wrong_with_it() {
    let before = [
        ("server grafana TARGET", "healthy", ""),
        ("http-request del-header Authorization; server grafana TARGET", "lost_before_proxy", "reached the proxy"),
        (
            "http-request set-header Authorization Basic\\ dmlld2VyOnNlY3JldA==; server grafana TARGET",
            "changed_before_proxy",
            "`basic` reached the proxy",
        ),
        (
            "http-request deny deny_status 403 if { hdr(Authorization) -m found }; server grafana TARGET",
            "hop_refuses",
            "before the proxy",
        ),
        (
            "http-request auth realm private if !{ hdr(Authorization) -m beg Basic }; server grafana TARGET",
            "hop_refuses",
            "hop_unauthorized",
        ),
        ("http-request del-header Upgrade; server grafana TARGET", "upgrade_refused", "Upgrade"),
        ("timeout tunnel 100ms; server grafana TARGET", "upgrade_cut", "by a hop"),
        ("http-request redirect scheme https; server grafana TARGET", "redirected_to_https", "https://127.0.0.1"),
        ("server grafana 127.0.0.1:1", "hop_cannot_reach", ""),
    ];
    let behind = [
        ("server grafana TARGET", "healthy", ""),
        ("http-request del-header Authorization; server grafana TARGET", "lost_after_proxy", ""),
    ];
    let _ = check_all(&before, true, Peer::haproxy) && check_all(&behind, false, Peer::haproxy);
}

#[test]
fn a_real_apache_is_named_with_what_is_wrong_with_it() {
    const PASS: &str = "ProxyPass / http://TARGET/ upgrade=websocket";
    let before = [
        (PASS.to_owned(), "healthy", ""),
        (format!("RequestHeader unset Authorization early\n{PASS}"), "lost_before_proxy", "reached the proxy"),
        (
            format!(
                "<Location />\nAuthType Basic\nAuthName private\nAuthUserFile USERS\nRequire valid-user\n</Location>\n{PASS}"
            ),
            "hop_refuses",
            "hop_unauthorized",
        ),
        ("ProxyPass / http://TARGET/".to_owned(), "upgrade_refused", "Upgrade"),
        (format!("LimitRequestFieldSize 4096\n{PASS}"), "large_header_refused", "before the proxy (`Apache"),
        (
            format!("RewriteEngine On\nRewriteRule ^(.*)$ https://127.0.0.1$1 [R=301,L]\n{PASS}"),
            "redirected_to_https",
            "https://127.0.0.1/",
        ),
    ];
    let before: Vec<Row<'_>> = before.iter().map(|(text, code, holds)| (text.as_str(), *code, *holds)).collect();
    let behind = [("RequestHeader unset Authorization early\nProxyPass / http://TARGET/", "lost_after_proxy", "")];
    let _ = check_all(&before, true, Peer::apache) && check_all(&behind, false, Peer::apache);
}

/// A gateway that is a CGI program: Apache keeps `Authorization` from such unless it is told to pass it.
#[test]
fn the_header_that_apache_keeps_from_programs_is_missed() {
    if crate::support::peers::installed("curl", "curl").is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().to_str().unwrap().to_owned();
    let open = || std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&place, open()).unwrap();
    let gateway = |target: &str| {
        let script = format!(
            "#!/bin/sh\ncurl -sS -o body.$$ -D head.$$ -X \"$REQUEST_METHOD\" ${{HTTP_AUTHORIZATION:+-H \"Authorization: \
             $HTTP_AUTHORIZATION\"}} ${{HTTP_X_TOKEN_PROXY_PROBE:+-H \"X-Token-Proxy-Probe: $HTTP_X_TOKEN_PROXY_PROBE\"}} \
             \"http://{target}$PATH_INFO\"\nsed -n '1s/^HTTP[^ ]* /Status: /p; 2,$p' head.$$ | grep -vi '^transfer-encoding\\|^connection'\n\
             cat body.$$; rm body.$$ head.$$\n"
        )
        // Apache's user may write nowhere else.
        .replace("body.$$", "/tmp/gtp-body.$$")
        .replace("head.$$", "/tmp/gtp-head.$$");
        let file = folder.path().join("gateway");
        std::fs::write(&file, script).unwrap();
        std::fs::set_permissions(&file, open()).unwrap();
    };
    let rows = [("", "lost_before_proxy", "reached the proxy"), ("CGIPassAuth On", "upgrade_refused", "")];
    for (line, code, holds) in rows {
        let grafana = Grafana::default().start();
        let text = format!(
            "ScriptAlias / {place}/gateway/\n<Directory {place}>\nOptions +ExecCGI\nRequire all granted\n{line}\n</Directory>"
        );
        let start = |text: &str| Peer::apache(text);
        let program = Program::before(&grafana.url(), &[]);
        gateway(&program.data.to_string());
        let Some(peer) = start(&text) else { return };
        let said = consult(&peer.url, Some(grafana.address), Some(TOKEN), &[]);
        said.check(&text, code, holds).unwrap();
    }
}

/// oauth2-proxy's page for those who are not signed in, and what it says to programs; Google's Identity-Aware Proxy in
/// both manners.
const SIGN_IN: &str = "HTTP/1.1 403 Forbidden\r\nCache-Control: no-cache, no-store, must-revalidate, max-age=0\r\nExpires: Thu, 01 Jan \
                       1970 00:00:00 UTC\r\nX-Accel-Expires: 0\r\nSet-Cookie: _oauth2_proxy=; Path=/; Max-Age=0; HttpOnly; \
                       Secure\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: 48\r\nConnection: \
                       close\r\n\r\n<!DOCTYPE html><html><title>Sign In</title></html";
const PROGRAMS: &str = "HTTP/1.1 401 Unauthorized\r\nCache-Control: no-cache, no-store, must-revalidate, max-age=0\r\nExpires: Thu, 01 \
                        Jan 1970 00:00:00 UTC\r\nX-Accel-Expires: 0\r\nContent-Type: application/json\r\nContent-Length: \
                        2\r\nConnection: close\r\n\r\n{}";
const IAP_401: &str = "HTTP/1.1 401 Unauthorized\r\nX-Goog-IAP-Generated-Response: true\r\nContent-Type: text/html; \
                       charset=utf-8\r\nContent-Length: 36\r\nConnection: close\r\n\r\nInvalid IAP credentials: empty token";
const IAP_302: &str = "HTTP/1.1 302 Found\r\nX-Goog-IAP-Generated-Response: true\r\nLocation: \
                       https://accounts.google.com/o/oauth2/v2/auth?client_id=1.apps.googleusercontent.com\r\nContent-Length: \
                       0\r\nConnection: close\r\n\r\n";

#[test]
fn gateways_that_sign_people_in_are_found_in_front_of_tokens() {
    // They often let the health check pass.
    let all = |_: &[String]| true;
    let but_health = |lines: &[String]| !lines[0].contains("/api/health");
    let with_token = |lines: &[String]| header(lines, "authorization").is_some();
    run_all(vec![
        Case::new("oauth2-proxy's page", "hop_refuses", "hop_forbidden").front(Manners::refusing(all, SIGN_IN)),
        Case::new("oauth2-proxy's page, not for health", "hop_refuses", "hop_forbidden")
            .front(Manners::refusing(but_health, SIGN_IN)),
        Case::new("oauth2-proxy to programs", "hop_refuses", "hop_unauthorized")
            .front(Manners::refusing(but_health, PROGRAMS)),
        Case::new("IAP to programs", "hop_refuses", "hop_unauthorized").front(Manners::refusing(all, IAP_401)),
        Case::new("IAP to programs with a token", "hop_refuses", "hop_unauthorized")
            .front(Manners::refusing(with_token, IAP_401)),
        Case::new("IAP to browsers", "hop_refuses", "").front(Manners::refusing(all, IAP_302)),
        Case::new("IAP to browsers, not for health", "hop_refuses", "").front(Manners::refusing(but_health, IAP_302)),
        Case::new("IAP behind the proxy", "hop_refuses", "hop_unauthorized")
            .back(Manners::refusing(but_health, IAP_401)),
    ]);
}
