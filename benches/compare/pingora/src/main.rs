//! A peer of the comparison: a reverse proxy on pingora that does for each request what grafana-token-proxy does.
//!
//! Equal work: the missing `Bearer ` is added, the credential is counted by a limit that never refuses, the organisation
//! and the forwarding headers are set. Less work than ours: no checksum of tokens, no repair but one, no request id, no
//! explanation of a refusal, no metrics; and the limit is a count–min sketch, which estimates where ours is exact. As
//! ours does and nginx does not, pingora removes the headers that `Connection` nominates.
//!
//! Where pingora has a choice, it gets the one that serves it best, so that the comparison flatters nobody else.

use std::{
    env,
    error::Error,
    net::{Ipv4Addr, SocketAddr},
    process::ExitCode,
    time::Duration,
};

use async_trait::async_trait;
use http::header::{AUTHORIZATION, HOST, HeaderValue};
use pingora::{
    apps::HttpServerOptions,
    http::{RequestHeader, ResponseHeader},
    listeners::tls::TlsSettings,
    modules::http::HttpModules,
    proxy::{ProxyHttp, ProxyServiceBuilder, Session},
    server::{
        RunArgs, Server, ShutdownSignal, ShutdownSignalWatch, UnixShutdownSignalWatch, configuration::ServerConf,
    },
    upstreams::peer::HttpPeer,
};
use pingora_limits::rate::Rate;

/// The allocator of our proxy: with the one of glibc, pingora would pay for an allocator and not for itself.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const USAGE: &str = "usage: pingora PORT UPSTREAM_PORT [TLS_PORT CERT KEY]";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let (port, upstream, tls) = match arguments.as_slice() {
        [port, upstream] => (port, upstream, None),
        [port, upstream, tls_port, certificate, key] => (port, upstream, Some((tls_port, certificate, key))),
        _ => return Err(USAGE.into()),
    };
    let upstream = address(upstream)?;

    let mut server = Server::new_with_opt_and_conf(None, configuration());
    server.bootstrap();
    // Both versions on the cleartext port: the first bytes of a connection tell which one it speaks.
    let mut options = HttpServerOptions::default();
    options.h2c = true;
    // Requests for each credential in a window of so many seconds: counted and compared as any limit, and never reached
    // unless a measurement wants refusals.
    let variable = |name, usual: u64| env::var(name).map_or(Ok(usual), |value| value.parse());
    let limit = isize::try_from(variable("LIMIT", 1_000_000)?)?;
    let proxy = Proxy { upstream, limit, rate: Rate::new(Duration::from_secs(variable("WINDOW", 1)?)) };
    let mut service = ProxyServiceBuilder::new(&server.configuration, proxy).server_options(options).build();
    service.add_tcp(&address(port)?.to_string());
    if let Some((port, certificate, key)) = tls {
        let mut settings = TlsSettings::intermediate(certificate, key)?;
        settings.enable_h2();
        service.add_tls_with_settings(&address(port)?.to_string(), None, settings);
    }
    server.add_service(service);
    server.run(RunArgs { shutdown_signal: Box::new(AtOnce) });
    Ok(())
}

/// All listen and connect on this machine only.
fn address(port: &str) -> Result<SocketAddr, Box<dyn Error>> {
    Ok((Ipv4Addr::LOCALHOST, port.parse().map_err(|_| USAGE)?).into())
}

/// One worker, as all that are compared, without the machinery that moves tasks between workers: it has nothing to move.
fn configuration() -> ServerConf {
    ServerConf {
        threads: 1,
        work_stealing: false,
        // More than the load has connections, so that none to the upstream is ever closed for want of a place.
        upstream_keepalive_pool_size: 4_096,
        ..ServerConf::default()
    }
}

/// Ends at once for every signal. Left to itself, pingora drains for minutes after SIGTERM, and looks for a successor to
/// hand its sockets to after SIGQUIT.
struct AtOnce;

#[async_trait]
impl ShutdownSignalWatch for AtOnce {
    async fn recv(&self) -> ShutdownSignal {
        UnixShutdownSignalWatch.recv().await;
        ShutdownSignal::FastShutdown
    }
}

struct Proxy {
    upstream: SocketAddr,
    limit: isize,
    rate: Rate,
}

#[async_trait]
impl ProxyHttp for Proxy {
    type CTX = ();

    fn new_ctx(&self) -> Self::CTX {}

    /// Nothing: by default a module for compression stands in the path of every answer, switched off.
    fn init_downstream_modules(&self, _modules: &mut HttpModules) {}

    /// The repair comes before the count, so that a token is one caller with and without its prefix.
    async fn request_filter(&self, session: &mut Session, _ctx: &mut Self::CTX) -> pingora::Result<bool> {
        let request = session.req_header_mut();
        if let Some(repaired) = request.headers.get(AUTHORIZATION).and_then(repaired) {
            request.insert_header("Authorization", repaired)?;
        }
        let Some(credential) = request.headers.get(AUTHORIZATION) else { return Ok(false) };
        if self.rate.observe(&credential.as_bytes(), 1) > self.limit {
            // Not `respond_error`, which ends the connection: the others keep it.
            let mut answer = ResponseHeader::build(429, Some(1))?;
            answer.insert_header("Content-Length", "0")?;
            session.write_response_header(Box::new(answer), true).await?;
            return Ok(true);
        }
        Ok(false)
    }

    async fn upstream_peer(&self, _session: &mut Session, _ctx: &mut Self::CTX) -> pingora::Result<Box<HttpPeer>> {
        Ok(Box::new(HttpPeer::new(self.upstream, false, String::new())))
    }

    async fn upstream_request_filter(
        &self,
        session: &mut Session,
        request: &mut RequestHeader,
        _ctx: &mut Self::CTX,
    ) -> pingora::Result<()> {
        request.insert_header("X-Grafana-Org-Id", HeaderValue::from_static("1"))?;
        if let Some(client) = session.client_addr().and_then(|address| address.as_inet()) {
            let client = client.ip().to_string();
            request.insert_header("X-Real-IP", client.as_str())?;
            request.insert_header("X-Forwarded-For", client)?;
        }
        // Pingora has already made a Host of the authority of HTTP/2.
        if let Some(host) = request.headers.get(HOST).cloned() {
            request.insert_header("X-Forwarded-Host", host)?;
        }
        let tls = session.digest().is_some_and(|digest| digest.ssl_digest.is_some());
        request.insert_header("X-Forwarded-Proto", HeaderValue::from_static(if tls { "https" } else { "http" }))?;
        Ok(())
    }
}

/// A token of Grafana's without `Bearer `, with it; None if nothing is missing.
fn repaired(credential: &HeaderValue) -> Option<Vec<u8>> {
    let token = credential.as_bytes();
    (token.starts_with(b"glsa_") || token.starts_with(b"eyJrIjoi")).then(|| [b"Bearer ", token].concat())
}
