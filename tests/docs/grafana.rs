//! A stand-in for Grafana: the few routes that the pages ask for, answered as Grafana 11.0.0 does.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread;

/// The token that it accepts: sound, and good for nothing else.
pub(crate) const TOKEN: &str = "glsa_yscW25imSKJIuav8zF37RZmnbiDvB05G_fcaaf58a";

const UNAUTHORIZED: &str =
    r#"{"extra":null,"message":"Unauthorized","messageId":"auth.unauthorized","statusCode":401,"traceID":""}"#;
const ORGANISATION: &str = r#"{"id":1,"name":"Main Org.","address":{}}"#;
const HEALTH: &str = "{\n  \"commit\": \"83b9528bce\",\n  \"database\": \"ok\",\n  \"version\": \"11.0.0\"\n}";

/// Serves from now on, until the test's process ends.
pub(crate) fn serve(listener: TcpListener) {
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || converse(&stream));
        }
    });
}

fn converse(stream: &TcpStream) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head).ok()? == 0 {
                return None;
            }
        }
        let header = |name: &str| {
            let mut lines = head.lines().filter_map(|line| line.split_once(": "));
            lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned())
        };
        let length = header("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
        std::io::copy(&mut reader.by_ref().take(length), &mut std::io::sink()).ok()?;
        let path = head.split(' ').nth(1)?.split('?').next()?.to_owned();
        let known = header("authorization").is_some_and(|value| value == format!("Bearer {TOKEN}"));
        let cookie = header("cookie").is_some();
        let mut to = stream;
        if known && path == "/api/live/ws" && header("upgrade").is_some() {
            to.write_all(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: xXqCCzuVLWjjzuJDcWhQQu6X8Vg=\r\n\r\n").ok()?;
            // Silent until the other side has had enough.
            std::io::copy(&mut reader, &mut std::io::sink()).ok()?;
            return None;
        }
        let (status, body) = match path.as_str() {
            "/api/health" => ("200 OK", HEALTH),
            _ if cookie && !known => (
                "401 Unauthorized",
                r#"{"extra":null,"message":"Unauthorized","messageId":"session.token.rotate","statusCode":401,"traceID":""}"#,
            ),
            _ if !known => ("401 Unauthorized", UNAUTHORIZED),
            "/api/org" => ("200 OK", ORGANISATION),
            "/api/search" => ("200 OK", "[]"),
            "/api/access-control/user/permissions" => {
                ("200 OK", r#"{"dashboards:read":["dashboards:*"],"folders:read":["folders:*"]}"#)
            }
            _ => ("404 Not Found", r#"{"message":"Not found"}"#),
        };
        let kind = "Content-Type: application/json; charset=UTF-8\r\nCache-Control: no-store";
        let marks = "X-Content-Type-Options: nosniff\r\nX-Frame-Options: deny\r\nX-Xss-Protection: 1; mode=block";
        write!(to, "HTTP/1.1 {status}\r\n{kind}\r\n{marks}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).ok()?;
    }
}
