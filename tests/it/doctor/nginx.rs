//! A real nginx as hop, with the lines that people really write.

use super::peers::check_all;
use crate::support::peers::Peer;

/// What a good configuration says.
const GOOD: &str = "proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade; \
                    proxy_set_header Host $http_host;";

/// What nginx says in `server` (`TARGET` is what it passes on to, `GOOD` the lines above; bodies of 10 MiB pass unless it
/// says something else, or begins with `NARROW`), the verdict, and what that holds.
const FRONT: [(&str, &str, &str); 14] = [
    ("location / { proxy_pass http://TARGET; GOOD }", "healthy", ""),
    (
        "location / { proxy_pass http://TARGET; GOOD proxy_set_header Authorization \"\"; }",
        "lost_before_proxy",
        "reached the proxy",
    ),
    ("location / { proxy_pass http://TARGET; GOOD proxy_pass_request_headers off; }", "lost_before_proxy", "none came"),
    (
        "location / { proxy_pass http://TARGET; GOOD proxy_set_header Authorization \"Basic dmlld2VyOnNlY3JldA==\"; }",
        "changed_before_proxy",
        "`basic` reached the proxy",
    ),
    (
        "location / { proxy_pass http://TARGET; GOOD auth_basic Restricted; auth_basic_user_file USERS; }",
        "hop_refuses",
        "hop_unauthorized",
    ),
    (
        "location / { proxy_pass http://TARGET; GOOD if ($http_authorization) { return 403; } }",
        "hop_refuses",
        "before the proxy (`nginx",
    ),
    ("location / { proxy_pass http://TARGET; }", "upgrade_refused", "Upgrade"),
    ("location / { proxy_pass http://TARGET; GOOD proxy_read_timeout 100ms; }", "upgrade_cut", "by a hop"),
    (
        "large_client_header_buffers 2 4k; location / { proxy_pass http://TARGET; GOOD }",
        "large_header_refused",
        "before the proxy (`nginx",
    ),
    (
        // What nginx lets pass by itself is 1 MiB.
        "NARROW location / { proxy_pass http://TARGET; GOOD }",
        "large_body_limited",
        "1536 KiB",
    ),
    ("location / { proxy_pass http://TARGET; GOOD proxy_set_header Cookie \"\"; }", "cookie_dropped", "session cookie"),
    ("location / { proxy_pass http://TARGET/wrong/; GOOD }", "not_grafana", "a hop changes the path"),
    ("return 301 https://$host$request_uri;", "redirected_to_https", "https://127.0.0.1/"),
    ("location / { proxy_pass http://127.0.0.1:1; GOOD }", "hop_cannot_reach", "`nginx"),
];

const BEHIND: [(&str, &str, &str); 6] = [
    ("location / { proxy_pass http://TARGET; GOOD }", "healthy", ""),
    ("location / { proxy_pass http://TARGET; GOOD proxy_set_header Authorization \"\"; }", "lost_after_proxy", ""),
    (
        "location / { proxy_pass http://TARGET; GOOD proxy_set_header Authorization \"Basic dmlld2VyOnNlY3JldA==\"; }",
        "changed_after_proxy",
        "a user and a password",
    ),
    (
        "location /api/org { proxy_pass http://TARGET; auth_basic Restricted; auth_basic_user_file USERS; } \
         location / { proxy_pass http://TARGET; GOOD }",
        "hop_refuses",
        "behind the proxy",
    ),
    ("location / { proxy_pass http://TARGET; }", "upgrade_refused", "behind the proxy"),
    (
        "location / { proxy_pass http://TARGET; GOOD client_max_body_size 1k; }",
        "large_body_refused",
        "behind the proxy",
    ),
];

#[test]
fn a_real_nginx_is_named_with_what_is_wrong_with_it() {
    let start = |text: &str| {
        let is_own = text.contains("client_max_body_size") || text.starts_with("NARROW");
        let size = if is_own { "" } else { "client_max_body_size 10m;" };
        Peer::nginx(&format!("{size} {}", text.trim_start_matches("NARROW").replace("GOOD", GOOD)))
    };
    let _ = check_all(&FRONT, true, start) && check_all(&BEHIND, false, start);
}
