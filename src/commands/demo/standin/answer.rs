//! The ways in which Grafana 11.0.0 writes an answer: each with the fields, and their order, of the recordings.

use std::time::SystemTime;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};

/// What every answer of Grafana's own carries, and tells it from a hop's.
const SECURITY: [(&str, &str); 3] =
    [("X-Content-Type-Options", "nosniff"), ("X-Frame-Options", "deny"), ("X-Xss-Protection", "1; mode=block")];

/// Stand where the moment and the length of the answer are filled in.
const DATE: (&str, &str) = ("Date", "");
const LENGTH: (&str, &str) = ("Content-Length", "");

/// The type of what middleware refuses; handlers say it without the charset.
const MIDDLEWARE: &str = "application/json; charset=UTF-8";

/// An answer, its fields in the order of the wire.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The fields.
    pub fields: Vec<(&'static str, String)>,
    /// The body.
    pub body: String,
}

/// The body as hyper sends it.
pub(super) type Body = UnsyncBoxBody<Bytes, std::convert::Infallible>;

impl Answer {
    fn new(status: StatusCode, fields: &[&[(&'static str, &str)]], body: impl Into<String>) -> Self {
        let fields = fields.concat().into_iter().map(|(name, value)| (name, value.to_owned())).collect();
        Self { status, fields, body: body.into() }
    }

    fn own(status: StatusCode, content_type: &str, body: impl Into<String>) -> Self {
        let fields = [("Cache-Control", "no-store"), ("Content-Type", content_type)];
        Self::new(status, &[&fields, &SECURITY, &[DATE, LENGTH]], body)
    }

    /// JSON of a middleware (`ctx.JSON`): refused before any handler ran.
    pub(super) fn middleware(status: StatusCode, json: &str) -> Self {
        Self::own(status, MIDDLEWARE, format!("{json}\n"))
    }

    /// JSON of a handler (`response.JSON`).
    pub(super) fn handler(status: StatusCode, json: impl Into<String>) -> Self {
        Self::own(status, "application/json", json)
    }

    /// `/api/health`, the one handler that says its charset.
    pub(super) fn health(json: &str) -> Self {
        Self::own(StatusCode::OK, MIDDLEWARE, json)
    }

    /// `/healthz`.
    pub(super) fn plain(text: &str) -> Self {
        let content_type = [DATE, LENGTH, ("Content-Type", "text/plain; charset=utf-8")];
        Self::new(StatusCode::OK, &[&[("Cache-Control", "no-store")], &SECURITY, &content_type], text)
    }

    /// A page or the metrics: of no length that is known beforehand.
    pub(super) fn streamed(content_type: &str, text: impl Into<String>) -> Self {
        let fields = [("Cache-Control", "no-store"), ("Content-Type", content_type)];
        Self::new(StatusCode::OK, &[&fields, &SECURITY, &[DATE]], text)
    }

    /// The way to another page; `return_to` is where a login leads back to.
    pub(super) fn redirect(to: &str, return_to: Option<String>) -> Self {
        let first = [("Cache-Control", "no-store"), ("Content-Type", "text/html; charset=utf-8"), ("Location", to)];
        let cookie =
            return_to.map(|target| format!("redirect_to={target}; Path=/; HttpOnly; SameSite=Lax")).unwrap_or_default();
        let cookie = [("Set-Cookie", cookie.as_str())];
        let cookie = if cookie.iter().any(|(_, value)| value.is_empty()) { &[] } else { cookie.as_slice() };
        let body = format!("<a href=\"{to}\">Found</a>.\n\n");
        Self::new(StatusCode::FOUND, &[&first, cookie, &SECURITY, &[DATE, LENGTH]], body)
    }

    /// What a datasource answered, passed on.
    pub(super) fn of_datasource(status: StatusCode, content_type: &str, retry_after: Option<&str>, body: &str) -> Self {
        let first = [LENGTH, ("Content-Security-Policy", "sandbox"), ("Content-Type", content_type), DATE];
        let retry = [("Retry-After", retry_after.unwrap_or_default())];
        let retry = if retry_after.is_some() { retry.as_slice() } else { &[] };
        Self::new(status, &[&first, retry, &[("Via", "1.1 grafana")], &SECURITY], body)
    }

    /// What Grafana makes of a datasource's 401: a 400 that hides who refused whom.
    pub(super) fn datasource_login_failed() -> Self {
        let first = [("Content-Security-Policy", "sandbox"), ("Via", "0.0 grafana")];
        let last = [DATE, LENGTH, ("Content-Type", "text/plain; charset=utf-8")];
        Self::new(StatusCode::BAD_REQUEST, &[&first, &SECURITY, &last], "Authentication to data source failed")
    }

    /// The datasource proxy sends no `Cache-Control`, not even with Grafana's own refusals.
    pub(super) fn without_cache_control(mut self) -> Self {
        self.fields.retain(|(name, _)| *name != "Cache-Control");
        self
    }

    /// The answer as it is sent. What has a length says it; the rest goes in chunks.
    pub(super) fn into_response(self, now: SystemTime) -> Response<Body> {
        let mut response = Response::new(());
        *response.status_mut() = self.status;
        let mut has_length = false;
        for (name, value) in self.fields {
            let value = match name {
                "Date" => httpdate::fmt_http_date(now),
                "Content-Length" => {
                    has_length = true;
                    self.body.len().to_string()
                }
                _ => value,
            };
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
                response.headers_mut().append(name, value);
            }
        }
        let whole = Full::new(Bytes::from(self.body));
        // A body that tells no size makes hyper send chunks.
        response.map(|()| if has_length { whole.boxed_unsync() } else { whole.map_frame(|frame| frame).boxed_unsync() })
    }
}
