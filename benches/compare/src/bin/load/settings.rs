//! What the command line asks for.

use std::{error::Error, time::Duration};

use grafana_token_proxy_compare::{aim::Aim, request::Kind, wire::Opening};
use lexopt::prelude::*;

const USAGE: &str =
    "usage: load --target NAME,PORT[,PID[,TOKENS[,DISTINCT]]][,KEY=VALUE]… [--connections N] [--path PATH] [--status N]
            [--headers N] [--rounds N --slice-ms N | --requests N] [--settle-ms N] [--hold N] [--tls CERTIFICATE]
            [--http2] [--fresh] [--upgrade | --body BYTES]";

/// No answer for so long counts as lost.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// All that was asked for.
pub(crate) struct Settings {
    pub(crate) targets: Vec<Aim>,
    pub(crate) rounds: u32,
    pub(crate) slice: Duration,
    pub(crate) requests: Option<u64>,
    pub(crate) settle: Duration,
    pub(crate) hold: usize,
    pub(crate) opening: Opening,
    pub(crate) http2: bool,
    /// A connection for each request.
    pub(crate) fresh: bool,
    pub(crate) uploads: bool,
}

pub(crate) fn read() -> Result<Settings, Box<dyn Error>> {
    let mut settings = Settings {
        targets: Vec::new(),
        rounds: 1,
        slice: Duration::from_millis(250),
        requests: None,
        settle: Duration::ZERO,
        hold: 0,
        opening: Opening::default(),
        http2: false,
        fresh: false,
        uploads: false,
    };
    // What holds for all targets may be said after they are named.
    let (mut all, mut named) = (Aim::default(), Vec::new());
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("target") => named.push(arguments.value()?.string()?),
            Long(key @ ("connections" | "path" | "status" | "headers")) => {
                let key = key.to_owned();
                all.set(&key, &arguments.value()?.string()?)?;
            }
            Long("rounds") => settings.rounds = arguments.value()?.parse()?,
            Long("slice-ms") => settings.slice = Duration::from_millis(arguments.value()?.parse()?),
            Long("requests") => settings.requests = Some(arguments.value()?.parse()?),
            Long("settle-ms") => settings.settle = Duration::from_millis(arguments.value()?.parse()?),
            Long("hold") => settings.hold = arguments.value()?.parse()?,
            Long("tls") => settings.opening = Opening::trusting(&arguments.value()?.string()?)?,
            Long("http2") => settings.http2 = true,
            Long("fresh") => settings.fresh = true,
            Long("upgrade") => (all.kind, settings.fresh) = (Kind::Upgrade, true),
            Long("body") => (all.kind, settings.uploads) = (Kind::Post(arguments.value()?.parse()?), true),
            _ => return Err(format!("{}\n{USAGE}", argument.unexpected()).into()),
        }
    }
    for text in named {
        settings.targets.push(Aim::read(&text, &all).map_err(|error| format!("{text}: {error}\n{USAGE}"))?);
    }
    if settings.targets.is_empty() {
        return Err(USAGE.into());
    }
    if settings.http2 && (all.kind != Kind::Get || settings.targets.iter().any(|aim| aim.tokens > 1 || aim.headers > 0))
    {
        return Err("over HTTP/2 there are GETs with one token only".into());
    }
    Ok(settings)
}
