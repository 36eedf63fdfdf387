//! What is served though it is odd, without what must not pass; and what is refused though it is well-formed.

use super::{Case, Gets, Sees};
use crate::support::TOKEN;

pub(super) fn cases() -> Vec<Case> {
    let tables: [fn(&mut Vec<Case>); 9] =
        [targets, methods, bodies, aliases, hops, upgrades, trailers, credentials, bounds];
    let mut cases = Vec::new();
    for table in tables {
        table(&mut cases);
    }
    cases
}

/// A request with a credential and these lines.
fn with_lines(first: &str, lines: &str) -> String {
    format!("{first} HTTP/1.1\r\nHost: g\r\nAuthorization: Bearer {TOKEN}\r\n{lines}\r\n")
}

fn credential() -> Sees {
    Sees::Field("authorization", vec![format!("Bearer {TOKEN}")])
}

fn targets(cases: &mut Vec<Case>) {
    for target in [
        "//",
        "//x",
        "/x//y",
        "/.",
        "/..",
        "/./x",
        "/../x",
        "/x/../y",
        "/%2e",
        "/%2E%2e/x",
        "/x/%2e%2e/y",
        "/%2f",
        "/x%2Fy",
        "/%5c",
        "/x%5Cy",
        "/;",
        "/x;y=z/w",
        "/x;",
        "/\\",
        "/x\\..\\y",
        "/x\\y?\\",
        "/%",
        "/%zz",
        "/%2",
        "/?",
        "/??",
        "/?a=b&a=c",
        "/?a;b",
        "/?%2e%2e",
        "/x?//../;\\",
        "/%0d%0a",
        "/%0aHost:%20h",
        "/a@b",
        "/:80",
        "/http://h/",
        "/x|y",
        "/{x}",
        "/[x]",
        "/^",
        "/'",
        "/!$&()*+,=~",
        "/ü",
        "/%C3%BC",
        "/x?q=ü",
        "/%e2%80%ae",
    ] {
        for method in ["GET", "POST", "DELETE"] {
            let bytes = with_lines(&format!("{method} {target}"), "");
            let sees = vec![Sees::Target(target.to_owned()), Sees::Method(method.to_owned()), credential()];
            cases.push(Case::served(format!("{method} {target}"), bytes, sees));
        }
    }
    for (target, sent) in
        [("http://g/x?y", "/x?y"), ("http://g?x", "/?x"), ("HTTP://G/x", "/x"), ("https://g/", "/"), ("http://g", "/")]
    {
        let bytes = with_lines(&format!("GET {target}"), "");
        cases.push(Case::served(format!("GET {target}"), bytes, vec![Sees::Target(sent.to_owned()), credential()]));
    }
}

fn methods(cases: &mut Vec<Case>) {
    for method in [
        "HEAD",
        "PUT",
        "PATCH",
        "DELETE",
        "OPTIONS",
        "PROPFIND",
        "M-SEARCH",
        "get",
        "X",
        "BREW",
        "!#$%&'*+-.^_`|~",
        "PRI",
        "QUERY",
    ] {
        let bytes = with_lines(&format!("{method} /x"), "");
        cases.push(Case::served(
            format!("method {method}"),
            bytes,
            vec![Sees::Method(method.to_owned()), credential()],
        ));
    }
    for line in ["CONNECT g:443", "CONNECT /x", "TRACE /", "TRACE /api/org", "OPTIONS *", "GET *"] {
        let gets = Gets::Refused(405, "method_refused");
        cases.push(Case::new(line, format!("{line} HTTP/1.1\r\nHost: g\r\n\r\n"), gets));
    }
}

fn bodies(cases: &mut Vec<Case>) {
    let smuggled = "GET /smuggled HTTP/1.1\r\nHost: g\r\n\r\n";
    for method in ["POST", "PUT", "PATCH", "DELETE", "GET", "OPTIONS", "X"] {
        for data in ["", "hello", smuggled, "0\r\n\r\n", "\r\n\r\n", "\0\n\r"] {
            let length = data.len();
            let mut forms = vec![
                format!("Content-Length: {length}\r\n\r\n{data}"),
                format!("content-length:{length}\r\n\r\n{data}"),
                format!("Content-Length:  {length} \t\r\n\r\n{data}"),
                format!("Content-Length: 00{length}\r\n\r\n{data}"),
            ];
            let chunk = if data.is_empty() { String::new() } else { format!("{length:X}\r\n{data}\r\n") };
            let padded = if data.is_empty() { String::new() } else { format!("000{length:x};a=\"b;c\"\r\n{data}\r\n") };
            forms.push(format!("Transfer-Encoding: chunked\r\n\r\n{chunk}0\r\n\r\n"));
            forms.push(format!("TRANSFER-ENCODING:\tCHUNKED \r\n\r\n{padded}00;x\r\n\r\n"));
            for (number, form) in forms.into_iter().enumerate() {
                let bytes = format!("{method} /x HTTP/1.1\r\nHost: g\r\nAuthorization: Bearer {TOKEN}\r\n{form}");
                let sees = vec![Sees::Body(data.as_bytes().to_vec()), Sees::Method(method.to_owned()), credential()];
                cases.push(Case::served(format!("{method} {data:?}, form {number}"), bytes, sees));
            }
        }
    }
}

/// Every name that other software reads as a protected one.
fn aliases(cases: &mut Vec<Case>) {
    for name in [
        "X-Grafana-Org-Id",
        "Authorization",
        "Content-Length",
        "Transfer-Encoding",
        "Remote-User",
        "X-WEBAUTH-USER",
        "X-WEBAUTH-GROUPS",
        "X-WebAuth-Anything",
        "X-Forwarded-For",
        "X-Forwarded-Host",
        "X-Forwarded-User",
        "X-Real-IP",
    ] {
        for separators in [["_", "_"], [".", "."], ["_", "-"], ["-", "_"], ["-", "."], [".", "_"]] {
            let mut alias = String::new();
            for (at, word) in name.split('-').enumerate() {
                if at > 0 {
                    alias.push_str(separators[at % 2]);
                }
                alias.push_str(word);
            }
            // A name of two words has one separator: some pairs come out as the name itself.
            if alias == name {
                continue;
            }
            for alias in [alias.clone(), alias.to_uppercase(), alias.to_lowercase()] {
                let bytes = with_lines("GET /x", &format!("{alias}: 7\r\n"));
                let sees = vec![credential(), Sees::Field("x-grafana-org-id", vec![])];
                cases.push(Case::served(format!("alias {alias}"), bytes, sees));
            }
        }
    }
    for name in ["X-WEBAUTH-USER", "x-webauth-role", "X-Webauth-", "Remote-User", "REMOTE-USER"] {
        let bytes = with_lines("GET /x", &format!("{name}: admin\r\n"));
        cases.push(Case::served(format!("identity {name}"), bytes, vec![credential()]));
    }
    for (lines, sent) in [("X-Grafana-Org-Id: 3\r\n", "3"), ("x-grafana-org-id: 3\r\nX-GRAFANA-ORG-ID: 3\r\n", "3")] {
        let bytes = with_lines("GET /x", lines);
        let sees = vec![credential(), Sees::Field("x-grafana-org-id", vec![sent.to_owned()])];
        cases.push(Case::served(format!("organisation {lines:?}"), bytes, sees));
    }
    let jwt = with_lines("GET /x", "X-JWT-Assertion: a.b.c\r\n");
    cases.push(Case::served("a JWT", jwt, vec![Sees::Field("x-jwt-assertion", vec!["a.b.c".into()])]));
}

fn hops(cases: &mut Vec<Case>) {
    for line in [
        "Keep-Alive: timeout=5",
        "Proxy-Connection: keep-alive",
        "Proxy-Authorization: Basic eDp5",
        "TE: gzip",
        "TE: trailers",
        "TE: trailers, gzip",
        "Connection: keep-alive",
        "Connection:",
        "Connection: ,",
        "Connection: keep-alive, X-Y",
    ] {
        let bytes = with_lines("GET /x", &format!("{line}\r\n"));
        cases.push(Case::served(line, bytes, vec![credential()]));
    }
    for nominated in [
        "X-Y",
        "x-y",
        "X-Y, X-Z",
        "X-Z,X-Y",
        " ,X-Y, ",
        "\tX-Y\t",
        "keep-alive, X-Y",
        "X-Y\r\nConnection: X-Z",
        "X-Z\r\nX-B: c\r\nconnection: X-Y",
    ] {
        let bytes = with_lines("GET /x", &format!("X-Y: secret\r\nConnection: {nominated}\r\n"));
        let sees = vec![credential(), Sees::Field("x-y", vec![]), Sees::Field("connection", vec![])];
        cases.push(Case::served(format!("nominated {nominated:?}"), bytes, sees));
    }
    for name in [
        "authorization",
        "Host",
        "Content-Length",
        "X-Grafana-Org-Id",
        "X-Forwarded-For",
        "X-Real-IP",
        "X-Request-Id",
        "Cookie",
    ] {
        for also in ["", ", X-Y", "\r\nConnection: keep-alive"] {
            let bytes = with_lines(
                "POST /x",
                &format!(
                    "X-Grafana-Org-Id: 3\r\nCookie: a=b\r\nX-Request-Id: an-id-of-theirs-1\r\nConnection: {name}{also}\r\nContent-Length: 5\r\n\r\nhello"
                ),
            );
            // The blank line is in the middle here.
            let bytes = bytes.strip_suffix("\r\n").unwrap().to_owned();
            let sees = vec![
                credential(),
                Sees::Field("host", vec!["g".into()]),
                Sees::Field("x-grafana-org-id", vec!["3".into()]),
                Sees::Field("cookie", vec!["a=b".into()]),
                Sees::Field("x-request-id", vec!["an-id-of-theirs-1".into()]),
                Sees::Body(b"hello".to_vec()),
            ];
            cases.push(Case::served(format!("nominating {name}{also:?} changes nothing"), bytes, sees));
        }
    }
}

fn upgrades(cases: &mut Vec<Case>) {
    for line in ["h2c", "H2C", "h2c, websocket", "HTTP/2.0", "TLS/1.0", "x"] {
        for connection in ["Upgrade", "Upgrade, HTTP2-Settings", "upgrade,http2-settings", "keep-alive, Upgrade"] {
            let lines =
                format!("Connection: {connection}\r\nUpgrade: {line}\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n");
            let none = |name| Sees::Field(name, vec![]);
            let sees = vec![credential(), none("upgrade"), none("http2-settings"), none("connection")];
            cases.push(Case::served(format!("{line} {connection}"), with_lines("GET /x", &lines), sees));
        }
    }
    // Not answered by 101: what follows is HTTP again.
    let lines = "Connection: Upgrade\r\nUpgrade: websocket\r\n";
    let sees = vec![credential(), Sees::Field("upgrade", vec!["websocket".into()])];
    cases.push(Case::served("websocket that stays HTTP", with_lines("GET /api/live/ws", lines), sees));
}

fn trailers(cases: &mut Vec<Case>) {
    for name in [
        "Authorization",
        "X-Grafana-Org-Id",
        "Host",
        "Content-Length",
        "Transfer-Encoding",
        "Connection",
        "Cookie",
        "X-Forwarded-For",
        "X-Real-IP",
        "X-WEBAUTH-USER",
        "Remote-User",
        "TE",
        "X_Grafana_Org_Id",
        "x.grafana.org.id",
        "X_Forwarded_For",
        "Proxy-Authorization",
        "Upgrade",
        "X-Request-Id",
        "X-Token-Proxy-Probe",
        "X_WEBAUTH_USER",
        "remote_user",
    ] {
        for (also, rest) in [("", vec![]), ("X-Sum: 1\r\n", vec!["x-sum"])] {
            let bytes = format!(
                "POST /x HTTP/1.1\r\nHost: g\r\nAuthorization: Bearer {TOKEN}\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n{also}{name}: 7\r\n\r\n"
            );
            let sees = vec![credential(), Sees::Body(b"hello".to_vec()), Sees::Trailers(rest)];
            cases.push(Case::served(format!("trailer {name} {also:?}"), bytes, sees));
        }
    }
}

fn credentials(cases: &mut Vec<Case>) {
    for (one, other) in [("Bearer a", "Bearer b"), ("Basic YTpi", "Bearer a"), ("Bearer a", "Basic YTpi")] {
        for between in ["", "X-A: b\r\n"] {
            let bytes = format!(
                "GET /x HTTP/1.1\r\nHost: g\r\nAuthorization: {one}\r\n{between}authorization: {other}\r\n\r\n"
            );
            cases.push(Case::new(format!("{one} and {other}"), bytes, Gets::Refused(400, "credential_conflict")));
        }
    }
    for other in [
        format!("Bearer {TOKEN}"),
        format!("bearer {TOKEN}"),
        format!("Bearer  {TOKEN}"),
        format!("Bearer \"{TOKEN}\""),
    ] {
        let bytes = with_lines("GET /x", &format!("Authorization: {other}\r\n"));
        cases.push(Case::served(format!("the same twice: {other}"), bytes, vec![credential()]));
        let bytes = format!("GET /x HTTP/1.1\r\nHost: g\r\nAuthorization: {other}\r\n\r\n");
        cases.push(Case::served(format!("repaired: {other}"), bytes, vec![credential()]));
    }
    let bytes = with_lines("GET /x", "X-Grafana-Org-Id: 3\r\nX-Grafana-Org-Id: 4\r\n");
    cases.push(Case::new("two organisations", bytes, Gets::Refused(403, "org_override_refused")));
}

fn bounds(cases: &mut Vec<Case>) {
    let lines = "X: y\r\n".repeat(98);
    cases.push(Case::served("100 lines", with_lines("GET /x", &lines), vec![credential()]));
    let target = format!("/{}", "x".repeat(8191));
    let bytes = with_lines(&format!("GET {target}"), "");
    cases.push(Case::served("a target of 8 192 bytes", bytes, vec![Sees::Target(target)]));
    let lines = format!("X: {}\r\n", "y".repeat(32_000));
    cases.push(Case::served("a head just below 32 KiB", with_lines("GET /x", &lines), vec![credential()]));
    let extension = "e".repeat(1024);
    let bytes =
        format!("POST /x HTTP/1.1\r\nHost: g\r\nTransfer-Encoding: chunked\r\n\r\n5;{extension}\r\nhello\r\n0\r\n\r\n");
    cases.push(Case::served("an extension of 1 KiB", bytes, vec![Sees::Body(b"hello".to_vec())]));
    let bytes = with_lines("GET /x", "");
    cases.push(Case::served("a blank line first", format!("\r\n{bytes}"), vec![credential()]));
    cases.push(Case::served(
        "HTTP/1.0 that stays",
        "GET /x HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
        vec![Sees::Target("/x".into())],
    ));
}
