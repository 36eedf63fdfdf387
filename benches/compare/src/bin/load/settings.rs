//! What the command line asks for.

use std::{
    error::Error,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use grafana_token_proxy_compare::{
    request::{self, Kind},
    wire::Opening,
};
use lexopt::prelude::*;

const USAGE: &str =
    "usage: load --target NAME,PORT[,PID[,TOKENS[,DISTINCT]]]… [--connections N] [--path PATH] [--status N]
            [--rounds N --slice-ms N | --requests N] [--hold N] [--tls CERTIFICATE] [--http2] [--fresh]
            [--upgrade | --body BYTES]";

/// No answer for so long counts as lost.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// A proxy under test.
pub(crate) struct Target {
    pub(crate) name: String,
    pub(crate) address: SocketAddr,
    pub(crate) process: Option<u32>,
    pub(crate) tokens: Vec<String>,
}

/// All that was asked for.
pub(crate) struct Settings {
    pub(crate) targets: Vec<Target>,
    pub(crate) connections: usize,
    pub(crate) path: String,
    pub(crate) status: u16,
    pub(crate) rounds: u32,
    pub(crate) slice: Duration,
    pub(crate) requests: Option<u64>,
    pub(crate) hold: usize,
    pub(crate) opening: Opening,
    pub(crate) http2: bool,
    /// A connection for each request.
    pub(crate) fresh: bool,
    pub(crate) kind: Kind,
}

pub(crate) fn read() -> Result<Settings, Box<dyn Error>> {
    let mut settings = Settings {
        targets: Vec::new(),
        connections: 64,
        path: "/api/dashboards/uid/cIBgcSjkk".to_owned(),
        status: 200,
        rounds: 1,
        slice: Duration::from_millis(250),
        requests: None,
        hold: 0,
        opening: Opening::default(),
        http2: false,
        fresh: false,
        kind: Kind::Get,
    };
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("target") => settings.targets.push(target(&arguments.value()?.string()?)?),
            Long("connections") => settings.connections = arguments.value()?.parse()?,
            Long("path") => settings.path = arguments.value()?.string()?,
            Long("status") => settings.status = arguments.value()?.parse()?,
            Long("rounds") => settings.rounds = arguments.value()?.parse()?,
            Long("slice-ms") => settings.slice = Duration::from_millis(arguments.value()?.parse()?),
            Long("requests") => settings.requests = Some(arguments.value()?.parse()?),
            Long("hold") => settings.hold = arguments.value()?.parse()?,
            Long("tls") => settings.opening = Opening::trusting(&arguments.value()?.string()?)?,
            Long("http2") => settings.http2 = true,
            Long("fresh") => settings.fresh = true,
            Long("upgrade") => (settings.kind, settings.fresh) = (Kind::Upgrade, true),
            Long("body") => settings.kind = Kind::Post(arguments.value()?.parse()?),
            _ => return Err(format!("{}\n{USAGE}", argument.unexpected()).into()),
        }
    }
    if settings.targets.is_empty() || settings.connections == 0 {
        return Err(USAGE.into());
    }
    if settings.http2 && (settings.kind != Kind::Get || settings.targets.iter().any(|target| target.tokens.len() > 1)) {
        return Err("over HTTP/2 there are GETs with one token only".into());
    }
    Ok(settings)
}

fn target(text: &str) -> Result<Target, Box<dyn Error>> {
    let mut parts = text.split(',');
    let name = parts.next().unwrap_or_default().to_owned();
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, parts.next().ok_or(USAGE)?.parse()?));
    let process = parts.next().map(str::parse).transpose()?;
    let tokens: u64 = parts.next().map_or(Ok(1), str::parse)?;
    let distinct = parts.next().map_or(Ok(tokens), str::parse)?.max(1);
    let tokens = (0..tokens.max(1)).map(|number| request::token(number % distinct)).collect();
    Ok(Target { name, address, process, tokens })
}
