//! The console: the page and its API. Nothing but a reload changes anything, and nobody else's page can read it.

use std::sync::Arc;
use std::time::SystemTime;

use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use hyper::body::Incoming;
use serde_json::json;
use tokio::net::TcpListener;

use super::filter::{Query, Wrong};
use super::host;
use super::page::{self, View};
use super::rows::{PolicyRow, TokenRow};
use super::serve::{Answer, Reply, answer, serve};
use super::state::{Current, Reload};
use super::stream::{self, Readers};
use crate::domain::limit::Policy;
use crate::telemetry::memory::Moment;
use crate::telemetry::ring::{Ring, Told};
use crate::telemetry::{Recorder, timestamp};

/// Connections at once, at most: a browser has several, a stream one of its own.
const MAX_CONCURRENT: usize = 64;

/// What the page shows at most.
const ON_PAGE: usize = 200;

/// What the API tells of tokens unless it is asked for more.
const TOKENS: usize = 100;

/// No script, style or picture but ours; nobody may put the page into a frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
                      base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

const HTML: &str = "text/html; charset=utf-8";
const JSON: &str = "application/json";

/// What the console shows.
#[derive(Clone, Debug)]
pub struct Console {
    /// Where refusals and tokens are remembered.
    recorder: Recorder,
    ring: Ring,
    current: Current,
    readers: Readers,
    reload: Reload,
}

impl Console {
    /// A console over what is remembered and in force. `None` where refusals are not kept.
    pub fn new(recorder: Recorder, current: Current, reload: Reload) -> Option<Self> {
        let ring = recorder.ring()?.clone();
        Some(Self { recorder, ring, current, readers: Readers::default(), reload })
    }

    /// Answers until the runtime ends.
    pub async fn serve(self, listener: TcpListener) {
        serve(listener, MAX_CONCURRENT, move |request| match self.answer(request) {
            Reply::Now(answer) => Reply::Now(protected(answer)),
            Reply::Later(answer) => Reply::Later(Box::pin(async move { protected(answer.await) })),
        })
        .await;
    }

    fn answer(&self, request: &Request<Incoming>) -> Reply {
        let (uri, headers) = (request.uri(), request.headers());
        if !host::is_own(uri, headers) {
            let why = "the console answers only when it is asked by an address or as localhost, so that no page elsewhere can \
                       read it by a name of its own (DNS rebinding)";
            let hint = "open http://127.0.0.1:<port>/, if need be over `kubectl port-forward`";
            return refuse(StatusCode::FORBIDDEN, why, hint).into();
        }
        if uri.path() == "/-/reload" {
            return self.reload(request.method(), headers);
        }
        self.look(request.method(), uri, headers).into()
    }

    /// Loads the configuration anew, and says what came of it.
    fn reload(&self, method: &Method, headers: &HeaderMap) -> Reply {
        if method != Method::POST {
            return not_allowed("POST", "a reload changes something").into();
        }
        if !host::is_own_page(headers) {
            let why = "a page elsewhere asks for a reload";
            return refuse(StatusCode::FORBIDDEN, why, "ask with curl, or from the console's own page").into();
        }
        let reload = self.reload.clone();
        Reply::Later(Box::pin(async move {
            match reload.ask().await {
                Some(attempt) => {
                    let status = if attempt.ok { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
                    answer(status, JSON, format!("{}\n", json!(attempt)))
                }
                None => refuse(
                    StatusCode::CONFLICT,
                    "there is no reload now",
                    "one is under way: ask again in a second; the demo takes none",
                ),
            }
        }))
    }

    /// What only looks.
    fn look(&self, method: &Method, uri: &Uri, headers: &HeaderMap) -> Answer {
        if !matches!(*method, Method::GET | Method::HEAD) {
            return not_allowed("GET, HEAD", "nothing is changed here");
        }
        let query = uri.query().unwrap_or_default();
        let parsed = Query::parse(query);
        match (uri.path(), parsed) {
            ("/", parsed) => self.page(query, parsed),
            ("/page.css", _) => asset("text/css; charset=utf-8", page::STYLE, headers),
            ("/page.js", _) => asset("text/javascript; charset=utf-8", page::SCRIPT, headers),
            ("/api/config", _) => self.config(),
            ("/api/refusals" | "/api/refusals/stream" | "/api/tokens", Err(Wrong(why))) => {
                refuse(StatusCode::BAD_REQUEST, &why, "see docs/admin-api.md")
            }
            ("/api/refusals", Ok(query)) => self.refusals(&query),
            ("/api/refusals/stream", Ok(query)) => self.stream(query, headers),
            ("/api/tokens", Ok(query)) => self.tokens(query.limit),
            _ => refuse(
                StatusCode::NOT_FOUND,
                "nothing is here",
                "there are /, /api/refusals, /api/refusals/stream, /api/tokens, /api/config and POST /-/reload",
            ),
        }
    }

    fn page(&self, query: &str, parsed: Result<Query, Wrong>) -> Answer {
        let snapshot = self.ring.snapshot(usize::MAX);
        let (filter, wrong) = match parsed {
            Ok(query) => (query.filter, None),
            Err(Wrong(why)) => (Default::default(), Some(why)),
        };
        let refusals: Vec<Arc<Told>> =
            snapshot.refusals.iter().filter(|told| filter.fits(told)).take(ON_PAGE).cloned().collect();
        let asked: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes())
            .map(|(name, value)| (name.into_owned(), value.into_owned()))
            .collect();
        let html = page::render(&View {
            refusals: &refusals,
            kept: snapshot.refusals.len(),
            last: self.ring.cursor(snapshot.last),
            minutes: &snapshot.minutes,
            tokens: &self.token_rows(TOKENS),
            policies: &self.policy_rows(),
            in_force: &self.current.load(),
            asked: &asked,
            wrong: wrong.as_deref(),
            began: self.ring.began(),
            now: SystemTime::now(),
        });
        answer(StatusCode::OK, HTML, html)
    }

    fn refusals(&self, query: &Query) -> Answer {
        let snapshot = self.ring.snapshot(usize::MAX);
        let after = query.last.and_then(|last| self.ring.after(last, snapshot.last)).unwrap_or_default();
        let fitting =
            snapshot.refusals.iter().filter(|told| told.sequence > after).filter(|told| query.filter.fits(told));
        let records: Vec<&str> = fitting.take(query.limit.unwrap_or(usize::MAX)).map(|told| &*told.json).collect();
        let minutes = snapshot.minutes.iter().map(|minute| {
            let counts: serde_json::Map<_, _> =
                minute.counts.iter().map(|(reason, count)| (reason.code().to_owned(), (*count).into())).collect();
            json!({ "start": timestamp(minute.start), "counts": counts })
        });
        let rest = json!({
            "last": snapshot.last,
            "cursor": self.ring.cursor(snapshot.last).to_string(),
            "kept": snapshot.refusals.len(),
            "since": timestamp(self.ring.began()),
            "minutes": minutes.collect::<Vec<_>>(),
        });
        // The records are JSON already.
        let rest = rest.to_string();
        let rest = rest.strip_prefix('{').unwrap_or_default();
        answer(StatusCode::OK, JSON, format!("{{\"refusals\":[{}],{rest}\n", records.join(",")))
    }

    fn stream(&self, query: Query, headers: &HeaderMap) -> Answer {
        let seen = headers.get("last-event-id").and_then(|value| value.to_str().ok()?.parse().ok());
        match stream::follow(&self.ring, &self.readers, query.filter, seen.or(query.last)) {
            Some(body) => {
                let mut response = Response::new(body);
                let headers = response.headers_mut();
                headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
                headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
                response
            }
            None => {
                let mut answer = refuse(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "sixteen others follow already",
                    "close one, or ask /api/refusals",
                );
                answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
                answer
            }
        }
    }

    fn policy_rows(&self) -> Vec<PolicyRow> {
        let (in_force, metrics) = (self.current.load(), self.recorder.metrics());
        Policy::ALL.map(|policy| PolicyRow::of(policy, &in_force.limits, metrics)).into()
    }

    fn token_rows(&self, most: usize) -> Vec<TokenRow> {
        let states = self.recorder.memory().tokens().snapshot(Moment::now(), most);
        let in_force = self.current.load();
        states.iter().map(|state| TokenRow::of(state, &in_force.limits, &in_force.callers)).collect()
    }

    fn tokens(&self, limit: Option<usize>) -> Answer {
        let in_force = self.current.load();
        let value = |key: &str| in_force.config.iter().find(|row| row.key == key).map(|row| row.value.clone());
        let limit_of_all = json!({
            "rate": value("limits.per_token.rate"),
            "burst": value("limits.per_token.burst").and_then(|burst| burst.parse::<u32>().ok()),
        });
        let rows = self.token_rows(limit.unwrap_or(TOKENS));
        let limits = json!({
            "per_token": limit_of_all,
            "policies": self.policy_rows(),
            "tracked": in_force.limits.tracked(),
        });
        told(&json!({ "tokens": rows, "limits": limits }))
    }

    fn config(&self) -> Answer {
        let in_force = self.current.load();
        told(&json!({
            "version": env!("CARGO_PKG_VERSION"),
            "hash": in_force.hash,
            "since": timestamp(in_force.since),
            "last_reload": in_force.attempt,
            "config": in_force.config,
        }))
    }
}

fn told(value: &serde_json::Value) -> Answer {
    answer(StatusCode::OK, JSON, format!("{value}\n"))
}

fn refuse(status: StatusCode, why: &str, hint: &str) -> Answer {
    answer(status, JSON, format!("{}\n", json!({ "error": why, "hint": hint })))
}

fn not_allowed(allowed: &'static str, why: &str) -> Answer {
    let mut answer = refuse(StatusCode::METHOD_NOT_ALLOWED, why, &format!("use {allowed}"));
    answer.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allowed));
    answer
}

/// A file of ours: kept by browsers, and asked for anew each time, for it may change with the version.
fn asset(content_type: &'static str, text: &'static str, headers: &HeaderMap) -> Answer {
    let tag = format!("\"{:08x}\"", crc32fast::hash(text.as_bytes()));
    let known = headers.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes());
    let mut response = answer(
        if known { StatusCode::NOT_MODIFIED } else { StatusCode::OK },
        content_type,
        if known { "" } else { text },
    );
    let headers = response.headers_mut();
    if let Ok(tag) = HeaderValue::try_from(tag) {
        headers.insert(header::ETAG, tag);
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

fn protected(mut answer: Answer) -> Answer {
    let headers = answer.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    answer
}
