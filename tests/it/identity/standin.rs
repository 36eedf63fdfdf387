//! A stand-in for Grafana's sign-in (12.4): it tries what a request carries in Grafana's own order, skips what fails, and
//! compares tokens as Grafana does.

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::support::Origin;
use crate::support::origin::Seen;

#[derive(Clone, Default)]
pub struct Settings {
    pub anonymous: bool,
    /// Any token, session, user or JWT whose text holds this is known.
    pub known: Vec<String>,
    /// What a request takes.
    pub takes: Duration,
}

/// The stand-in.
pub struct Grafana {
    pub origin: Origin,
    /// Requests of clients that reached it.
    pub reached: Arc<AtomicUsize>,
}

impl Grafana {
    pub fn new(settings: Settings) -> Self {
        let reached = Arc::<AtomicUsize>::default();
        let count = Arc::clone(&reached);
        let origin = Origin::serving_visitors(move |seen, stream| {
            thread::sleep(settings.takes);
            let caller = sign_in(seen, &settings);
            count.fetch_add(1, SeqCst);
            let path = seen.lines[0].split(' ').nth(1).unwrap().split('?').next().unwrap();
            let (status, body) = answer(path, caller.as_deref());
            let answer = format!(
                "HTTP/1.1 {status}\r\nCache-Control: no-store\r\nContent-Type: application/json; charset=UTF-8\r\n\
                 X-Content-Type-Options: nosniff\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
            stream.write_all(answer.as_bytes()).is_ok()
        });
        Self { origin, reached }
    }

    pub fn count(&self) -> usize {
        self.reached.load(SeqCst)
    }
}

fn answer(path: &str, caller: Option<&str>) -> (&'static str, &'static str) {
    const REFUSED: &str = "{\"extra\":null,\"message\":\"Unauthorized\",\"messageId\":\"auth.unauthorized\",\"statusCode\":401,\"traceID\":\"\"}\n";
    match (path, caller) {
        ("/api/health", _) => ("200 OK", "{\"database\":\"ok\"}"),
        (path, _) if path.starts_with("/api/public/dashboards/open") => ("200 OK", "{}"),
        (path, _) if path.starts_with("/api/public/") => ("404 Not Found", "{\"message\":\"not found\"}"),
        (_, None) => ("401 Unauthorized", REFUSED),
        ("/api/user", Some("anonymous")) => ("401 Unauthorized", "{\"message\":\"Unauthorized\"}"),
        ("/api/user", Some("token")) => ("403 Forbidden", "{\"message\":\"Endpoint only available for users\"}"),
        _ => ("200 OK", "{\"id\":1,\"name\":\"Main Org.\"}"),
    }
}

fn sign_in(seen: &Seen, settings: &Settings) -> Option<String> {
    let known = |text: &str| settings.known.iter().any(|known| text.contains(known));
    let jwt = seen.header("x-jwt-assertion").or_else(|| {
        let target = seen.lines[0].split(' ').nth(1)?;
        Some(target.split_once("auth_token=")?.1.split('&').next()?.to_owned())
    });
    if jwt.is_some_and(|jwt| known(&jwt)) {
        return Some("jwt".to_owned());
    }
    let authorization = seen.header("authorization").unwrap_or_default();
    if let Some(token) = authorization.strip_prefix("Bearer ") {
        // Grafana's hash is made of the secret and the checksum.
        let parts: Vec<&str> = token.split('_').collect();
        if token.starts_with("gl") && parts.len() == 3 && known(&parts[1..].join("_")) {
            return Some("token".to_owned());
        }
    }
    if let Some(pair) = authorization.strip_prefix("Basic ").and_then(|pair| STANDARD.decode(pair).ok())
        // Users are not told apart by case.
        && known(&String::from_utf8_lossy(&pair).to_lowercase())
    {
        return Some("user".to_owned());
    }
    if let Some(user) = seen.header("x-webauth-user").or_else(|| seen.header("x-auth-request-user")) {
        return Some(format!("named {user}"));
    }
    let cookies = seen.header("cookie").unwrap_or_default();
    if cookies.split("; ").any(|cookie| cookie.strip_prefix("grafana_session=").is_some_and(&known)) {
        return Some("session".to_owned());
    }
    settings.anonymous.then(|| "anonymous".to_owned())
}
