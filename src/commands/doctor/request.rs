//! One request on a connection of its own: nothing of one probe can leak into the next, and no redirect is followed.

use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncReadExt as _;
use tokio::time::timeout;

use super::dial::Dialling;
use super::observations::{Outcome, Socket, Stage, Trouble};
use super::reply::{Question, Reply};
use super::target::Target;
use crate::stream::Stream;

/// How much of a response is read: the permissions of an administrator are long.
const MOST: usize = 1024 * 1024;

/// What to send.
pub(super) struct Probe {
    pub(super) method: Method,
    /// Without the sub-path.
    pub(super) path: &'static str,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Probe {
    pub(super) fn get(path: &'static str) -> Self {
        Self { method: Method::GET, path, headers: HeaderMap::new(), body: Bytes::new() }
    }

    pub(super) fn with(mut self, name: HeaderName, value: Option<HeaderValue>) -> Self {
        if let Some(value) = value {
            self.headers.append(name, value);
        }
        self
    }
}

/// The place where requests go, found once.
pub(super) struct Line<'a> {
    pub(super) dialling: &'a Dialling,
    pub(super) target: &'a Target,
    pub(super) address: SocketAddr,
}

impl Line<'_> {
    /// Sends, and reads the answer.
    pub(super) async fn ask(&self, probe: Probe, id: &str) -> Outcome {
        let (asked, response) = self.send(probe, id).await?;
        self.read(&asked, id, response).await
    }

    /// Asks for a WebSocket, and holds it for a while without a word.
    pub(super) async fn upgrade(&self, probe: Probe, id: &str, hold: Duration) -> Socket {
        let (asked, mut response) = match self.send(probe, id).await {
            Ok(sent) => sent,
            Err(trouble) => return Socket::Refused(Box::new(Err(trouble))),
        };
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            return Socket::Refused(Box::new(self.read(&asked, id, response).await));
        }
        let begun = Instant::now();
        let Ok(upgraded) = hyper::upgrade::on(&mut response).await else { return Socket::Cut(begun.elapsed()) };
        let mut upgraded = TokioIo::new(upgraded);
        let silence = async {
            let mut piece = [0; 1024];
            // Grafana may greet or ping: only the end counts.
            while upgraded.read(&mut piece).await.is_ok_and(|count| count > 0) {}
        };
        match timeout(hold, silence).await {
            Err(_) => Socket::Held(hold),
            Ok(()) => Socket::Cut(begun.elapsed()),
        }
    }

    async fn send(&self, probe: Probe, id: &str) -> Result<(Asked, Response<Incoming>), Trouble> {
        let (stream, _) = self.dialling.connect(&[self.address]).await?;
        let stream = match self.target.encrypted {
            true => self.dialling.encrypt(stream, self.target, &[b"http/1.1"]).await.0?,
            false => Stream::Tcp(stream),
        };
        let (request, asked) = self.build(probe, id)?;
        let answer = async {
            let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
            tokio::spawn(connection.with_upgrades());
            sender.send_request(request).await
        };
        match timeout(self.dialling.patience, answer).await {
            Err(_) => Err(Trouble::TimedOut(Stage::Answer)),
            Ok(Err(error)) if error.is_parse() => Err(Trouble::NotHttp),
            Ok(Err(_)) => Err(Trouble::Closed),
            Ok(Ok(response)) => Ok((asked, response)),
        }
    }

    fn build(&self, probe: Probe, id: &str) -> Result<(Request<Full<Bytes>>, Asked), Trouble> {
        let Probe { method, path, headers, body } = probe;
        let asked = Asked { method: method.clone(), path, headers: headers.clone() };
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        let broken = |_| Trouble::Unreachable("the URL cannot be asked for".to_owned());
        *request.uri_mut() = format!("{}{path}", self.target.base).parse().map_err(broken)?;
        let text = |text: &str| HeaderValue::try_from(text).ok();
        for (name, value) in [
            (header::HOST, text(&self.target.authority())),
            (header::USER_AGENT, text(concat!("grafana-token-proxy-doctor/", env!("CARGO_PKG_VERSION")))),
            (header::ACCEPT, text("application/json")),
            (HeaderName::from_static("x-token-proxy-probe"), text(id)),
        ] {
            if let Some(value) = value {
                request.headers_mut().insert(name, value);
            }
        }
        request.headers_mut().extend(headers);
        Ok((request, asked))
    }

    async fn read(&self, asked: &Asked, id: &str, response: Response<Incoming>) -> Outcome {
        let (head, mut body) = response.into_parts();
        let now = SystemTime::now();
        let mut bytes = Vec::new();
        let all = async {
            // An endless body or a broken one: the head has said what matters.
            while let Some(Ok(frame)) = body.frame().await
                && bytes.len() < MOST
            {
                bytes.extend_from_slice(frame.data_ref().map_or(&[][..], |data| data));
            }
        };
        let _ = timeout(self.dialling.patience, all).await;
        bytes.truncate(MOST);
        let asked = Question { method: &asked.method, path: asked.path, headers: &asked.headers, probe: id };
        Ok(Reply::read(&asked, head.status, &head.headers, &bytes, now))
    }
}

/// What of a request is needed to read its answer.
struct Asked {
    method: Method,
    path: &'static str,
    headers: HeaderMap,
}
