//! The console, asked over HTTP.

use std::process::ExitCode;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

use super::super::output;
use super::events::{Event, Events};

/// For connecting, and again for the head of the answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// A console speaks every fifteen seconds.
const SILENCE: Duration = Duration::from_secs(50);

/// Where the console is, and which refusals are wanted.
#[derive(Debug)]
pub(in super::super) struct Source {
    pub host: String,
    pub port: u16,
    /// A query, without the question mark.
    pub filter: String,
}

/// Why nothing more comes.
#[derive(Debug, thiserror::Error)]
pub(in super::super) enum Failure {
    /// No connection, or it broke.
    #[error("the connection is lost ({0})")]
    Lost(String),
    /// The console says no.
    #[error("{0}")]
    Refused(String),
}

/// What `/api/refusals` says.
#[derive(Debug)]
pub(super) struct Refusals {
    /// Records, newest first.
    pub refusals: Vec<String>,
    /// The place behind the newest of all.
    pub cursor: String,
}

impl Failure {
    fn lost(error: impl std::fmt::Display) -> Self {
        Self::Lost(error.to_string())
    }

    /// Complains, and says how to end.
    pub(in super::super) fn explain(&self, source: &Source) -> ExitCode {
        let place = source.place();
        match self {
            Self::Lost(error) => {
                let cure = "start the proxy, or say where its console is: --admin http://127.0.0.1:9092 (in Kubernetes: \
                            kubectl port-forward POD 9092)";
                output::complain(&format!("no console answers at {place}: {error}"), cure);
                ExitCode::FAILURE
            }
            Self::Refused(why) => {
                output::complain(
                    &format!("the console at {place} says: {why}"),
                    "see grafana-token-proxy watch --help",
                );
                ExitCode::from(2)
            }
        }
    }
}

impl Source {
    /// Where it is.
    pub(in super::super) fn place(&self) -> String {
        format!("http://{}:{}", self.host, self.port)
    }

    /// What it says there, which is JSON.
    pub(in super::super) async fn read(&self, path: &str) -> Result<Value, Failure> {
        let answer = self.ask(path).await?;
        let body = tokio::time::timeout(PATIENCE, answer.into_body().collect()).await.map_err(Failure::lost)?;
        serde_json::from_slice(&body.map_err(Failure::lost)?.to_bytes()).map_err(Failure::lost)
    }

    async fn ask(&self, path: &str) -> Result<Response<Incoming>, Failure> {
        let host = self.host.trim_start_matches('[').trim_end_matches(']');
        let stream = tokio::time::timeout(PATIENCE, TcpStream::connect((host, self.port)));
        let stream = stream.await.map_err(Failure::lost)?.map_err(Failure::lost)?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(Failure::lost)?;
        tokio::spawn(connection);
        let mut request = Request::new(Empty::<Bytes>::new());
        *request.uri_mut() = path.parse().map_err(Failure::lost)?;
        let authority = HeaderValue::try_from(format!("{}:{}", self.host, self.port)).map_err(Failure::lost)?;
        request.headers_mut().insert(header::HOST, authority);
        let answer = tokio::time::timeout(PATIENCE, sender.send_request(request));
        let answer = answer.await.map_err(Failure::lost)?.map_err(Failure::lost)?;
        if answer.status() == StatusCode::OK {
            return Ok(answer);
        }
        let status = answer.status();
        let body = answer.into_body().collect().await.map_err(Failure::lost)?.to_bytes();
        let said: Value = serde_json::from_slice(&body).unwrap_or_default();
        match said.get("error").and_then(Value::as_str) {
            // It may have room again.
            Some(_) if status == StatusCode::SERVICE_UNAVAILABLE => Err(Failure::Lost(format!("it answers {status}"))),
            Some(why) => Err(Failure::Refused(why.to_owned())),
            None => Err(Failure::Lost(format!("it answers {status}, which a console does not"))),
        }
    }

    /// The last `count` that fit.
    pub(super) async fn refusals(&self, count: u64) -> Result<Refusals, Failure> {
        let said = self.read(&format!("/api/refusals?limit={count}&{}", self.filter)).await?;
        let Some(cursor) = said.get("cursor").and_then(Value::as_str) else {
            return Err(Failure::Lost("what answers is no console".into()));
        };
        let records = said.get("refusals").and_then(Value::as_array).into_iter().flatten();
        Ok(Refusals { refusals: records.map(Value::to_string).collect(), cursor: cursor.to_owned() })
    }

    /// Follows what comes after the event of this id. Ends well only where `on_event` has had enough.
    pub(super) async fn follow(&self, last: &str, on_event: &mut impl FnMut(Event) -> bool) -> Result<(), Failure> {
        let answer = self.ask(&format!("/api/refusals/stream?last={last}&{}", self.filter)).await?;
        let mut body = answer.into_body();
        let mut events = Events::default();
        loop {
            let frame = tokio::time::timeout(SILENCE, body.frame()).await.map_err(|_| Failure::lost("it is silent"))?;
            let Some(frame) = frame else { return Err(Failure::lost("it was closed")) };
            let Ok(data) = frame.map_err(Failure::lost)?.into_data() else { continue };
            if !events.take(&data, on_event) {
                return Ok(());
            }
        }
    }
}
