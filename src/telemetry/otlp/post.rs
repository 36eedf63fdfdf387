//! One request to the collector: OTLP over HTTP/1.1, JSON.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

use super::settings::Settings;

/// How much of the collector's answer is read.
const MAX_ANSWER: usize = 64 * 1024;

/// Where to.
#[derive(Debug)]
pub(super) struct Target {
    host: String,
    port: u16,
    path: Uri,
    headers: HeaderMap,
}

/// Why spans were not taken.
#[derive(Debug)]
pub(super) struct Failure {
    /// What happened: never what was sent, nor the address, which may hold a password.
    pub(super) detail: String,
    /// Another attempt may help.
    pub(super) passing: bool,
}

impl Target {
    pub(super) fn new(settings: &Settings) -> Self {
        let url = &settings.url;
        let host = url.host().unwrap_or("localhost");
        let port = url.port_u16().unwrap_or(80);
        let path = url.path_and_query().and_then(|path| path.as_str().parse().ok()).unwrap_or(Uri::from_static("/"));
        let mut headers: HeaderMap = settings.headers.iter().cloned().collect();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let agent = concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION"));
        headers.insert(header::USER_AGENT, HeaderValue::from_static(agent));
        if let Ok(authority) = HeaderValue::try_from(format!("{host}:{port}")) {
            headers.insert(header::HOST, authority);
        }
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        Self { host, port, path, headers }
    }
}

/// Sends a body and reads the answer.
pub(super) async fn post(target: &Target, body: Bytes) -> Result<(), Failure> {
    let passing = |what: &'static str| {
        move |error: &dyn std::fmt::Display| Failure { detail: format!("{what}: {error}"), passing: true }
    };
    let stream = TcpStream::connect((target.host.as_str(), target.port))
        .await
        .map_err(|error| passing("no connection to the collector")(&error))?;
    // A connection for each batch: one every few seconds, and none that a load balancer has forgotten.
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|error| passing("the connection broke")(&error))?;
    tokio::spawn(async move { drop(connection.await) });
    let mut request = Request::new(Full::new(body));
    (*request.method_mut(), *request.uri_mut()) = (Method::POST, target.path.clone());
    *request.headers_mut() = target.headers.clone();
    let answer = sender.send_request(request).await.map_err(|error| passing("the connection broke")(&error))?;
    let status = answer.status();
    let body = Limited::new(answer.into_body(), MAX_ANSWER).collect().await.map(|body| body.to_bytes());
    judge(status, &body.unwrap_or_default())
}

/// OTLP, "Retryable Response Codes" and "Partial Success".
fn judge(status: StatusCode, body: &[u8]) -> Result<(), Failure> {
    if !status.is_success() {
        let passing = matches!(status.as_u16(), 429 | 502 | 503 | 504);
        return Err(Failure { detail: format!("the collector answered {}", status.as_u16()), passing });
    }
    let answer: Value = serde_json::from_slice(body).unwrap_or_default();
    // 64 bits are a string in protobuf's JSON; collectors write both.
    let rejected = match answer.pointer("/partialSuccess/rejectedSpans") {
        Some(Value::String(text)) => text.parse().unwrap_or(0),
        Some(number) => number.as_u64().unwrap_or(0),
        None => 0,
    };
    if rejected > 0 {
        return Err(Failure { detail: format!("the collector rejected {rejected} of them"), passing: false });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_pass_is_tried_again() {
        for (status, passing) in [(400, false), (401, false), (404, false), (429, true), (500, false), (503, true)] {
            let failure = judge(StatusCode::from_u16(status).unwrap(), b"").unwrap_err();
            assert_eq!(failure.passing, passing, "{status}");
            assert!(failure.detail.contains(&status.to_string()));
        }
    }

    #[test]
    fn a_partial_success_is_a_loss() {
        for body in ["", "{}", "{\"partialSuccess\":{}}", "{\"partialSuccess\":{\"rejectedSpans\":\"0\"}}", "no json"] {
            assert!(judge(StatusCode::OK, body.as_bytes()).is_ok(), "{body}");
        }
        for body in ["{\"partialSuccess\":{\"rejectedSpans\":\"2\"}}", "{\"partialSuccess\":{\"rejectedSpans\":2}}"] {
            assert!(judge(StatusCode::OK, body.as_bytes()).unwrap_err().detail.contains("rejected 2"), "{body}");
        }
    }
}
