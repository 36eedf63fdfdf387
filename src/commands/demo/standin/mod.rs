//! The stand-in for Grafana: an HTTP server on the loopback interface that answers as Grafana 11.0.0 does, to the tokens
//! of the demo. No part of the request path.

mod answer;
mod login;
mod routes;
#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::{Request, Response};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use super::keyring::Keyring;

/// Bytes of a request's body that are read and thrown away, at most.
const MAX_BODY: usize = 1024 * 1024;

/// How long accepting rests when the process has no descriptors left.
const REST: Duration = Duration::from_millis(50);

/// Starts the stand-in on a free port. It answers as long as the runtime runs.
pub(super) async fn start(keyring: Keyring) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    tokio::spawn(accept(listener, Arc::new(keyring)));
    Ok(address)
}

async fn accept(listener: TcpListener, keyring: Arc<Keyring>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(REST).await;
            continue;
        };
        let keyring = Arc::clone(&keyring);
        tokio::spawn(async move {
            let service = service_fn(move |request| serve(Arc::clone(&keyring), request));
            // Go spells names with capitals; whoever reads the bytes sees Grafana's.
            let mut builder = http1::Builder::new();
            let served = builder.title_case_headers(true).serve_connection(TokioIo::new(stream), service);
            // What ends a connection early is the proxy's business, and it says so.
            let _ = served.await;
        });
    }
}

async fn serve(keyring: Arc<Keyring>, request: Request<Incoming>) -> Result<Response<answer::Body>, Infallible> {
    let (parts, body) = request.into_parts();
    // Read to the end, so that the connection can be used again; what is too long ends it.
    let _ = Limited::new(body, MAX_BODY).collect().await;
    Ok(routes::answer(&keyring, &parts, &error_id()).into_response(SystemTime::now()))
}

/// Ten digits, as Grafana makes them up for each refusal.
fn error_id() -> String {
    let mut bytes = [0; 8];
    // Without randomness the id is dull, and nothing else is wrong.
    let _ = getrandom::fill(&mut bytes);
    format!("{:010}", u64::from_le_bytes(bytes) % 10_000_000_000)
}
