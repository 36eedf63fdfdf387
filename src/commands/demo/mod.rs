//! `demo`: the proxy in front of a stand-in for Grafana, shown at work by requests through its own socket.

mod client;
mod journal;
mod keyring;
mod narrate;
mod outcome;
mod print;
mod samples;
mod standin;
#[cfg(test)]
mod tests;
mod tour;

use std::io::{self, IsTerminal as _};
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::signal::unix::{Signal, SignalKind, signal};

use self::journal::Journal;
use self::keyring::Keyring;
use self::narrate::{Manner, Narrator};
use self::outcome::Route;
use self::samples::Samples;
use self::tour::Step;
use super::output::{self, Paint};
use super::run::{in_force, serve_operators, start_log, until_told};
use crate::app::{App, StartError};
use crate::config::Config;
use crate::config::effective::Effective;
use crate::domain::limit::Rate;
use crate::server::Endpoint;
use crate::telemetry::{Level, LogFormat, LogSettings, RequestLines};
use crate::upstream::Url;

/// The limit that a product starts with, which a tour cannot reach by a handful of requests.
const DEFAULT_LIMIT: (Duration, u32) = (Duration::from_millis(10), 200);

/// The limit that it can: five in a second, ten at once.
const SMALL_LIMIT: (Duration, u32) = (Duration::from_millis(200), 10);

/// Where Grafana is unless somebody says otherwise.
const DEFAULT_UPSTREAM: &str = "http://127.0.0.1:3000";

/// Where telemetry is served unless somebody says otherwise: a proxy beside the demo may be there already.
const DEFAULT_TELEMETRY: u16 = 9091;

/// Where the console is unless somebody says otherwise.
const DEFAULT_ADMIN: u16 = 9092;

/// Shows the product at work; ends after the examples if `once`. Fails if one of them did not come out as it must.
pub fn demo(effective: Effective, once: bool) -> ExitCode {
    match show(effective, once) {
        Ok(code) => code,
        Err(error) => {
            output::complain(&error.to_string(), error.cure());
            ExitCode::FAILURE
        }
    }
}

fn show(mut effective: Effective, once: bool) -> Result<ExitCode, StartError> {
    let mut keyring = Keyring::default();
    let steps = tour::steps(&mut keyring)?;
    let tokens = if once { Vec::new() } else { tour::samples(&mut keyring)? };
    let manner = manner(effective.config.log.format);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    let standin = runtime.block_on(standin::start(keyring))?;
    let remarks = settle(&mut effective.config, standin);
    let journal = Journal::new();
    let (log, guard) = start_log(&effective.config, Box::new(journal.clone()), false)?;
    let app = App::start(&effective.config, log)?;
    let mut stage = Stage { effective, app, journal, standin };
    let code = runtime.block_on(async {
        let places = stage.serve_operators()?;
        let route = stage.route()?;
        stage.introduce(&route, &remarks);
        let kept = tour_through(&route, &steps).await;
        let outcome = if kept { ExitCode::SUCCESS } else { ExitCode::FAILURE };
        if once {
            stage.app.drain().await;
            return Ok(outcome);
        }
        // Before the files: whatever ends the demo from here on takes them away.
        let signals = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let samples = Samples::write(&std::env::temp_dir(), &tokens)?;
        output::print(&samples.invitation(route.proxy, places, route.burst.get()));
        let narrator = Narrator::new(Box::new(io::stderr()), manner, Paint::of_stderr());
        let ended = stage.keep_serving(narrator, signals).await;
        Ok(if kept { ended } else { outcome })
    });
    drop(guard);
    // Told twice, nothing is waited for.
    runtime.shutdown_background();
    code
}

/// Everything that runs.
struct Stage {
    effective: Effective,
    app: App,
    journal: Journal,
    standin: SocketAddr,
}

impl Stage {
    /// The way through it.
    fn route(&self) -> Result<Route, StartError> {
        let Some(listening) = self.app.listening.iter().find_map(Endpoint::address) else {
            return Err(io::Error::other("the demo needs an address to listen on, as --listen 127.0.0.1:3001").into());
        };
        let burst = self.effective.config.limits.per_token.rate.burst;
        Ok(Route { proxy: reachable(listening), standin: self.standin, journal: self.journal.clone(), burst })
    }

    /// Says what runs where.
    fn introduce(&self, route: &Route, remarks: &[String]) {
        let mut text = format!(
            "The proxy listens on http://{}, and a stand-in for Grafana 11.0.0 is behind it.\n\
             Each token may send {} requests at once, and then one each {} ms.\n",
            route.proxy,
            route.burst,
            self.effective.config.limits.per_token.rate.period.as_millis()
        );
        remarks.iter().for_each(|remark| text.push_str(&format!("{remark}\n")));
        output::print(&text);
    }

    /// Serves what operators look at, and says where.
    fn serve_operators(&mut self) -> Result<Places, StartError> {
        let place = |listener: &Option<(_, SocketAddr)>| listener.as_ref().map(|(_, address)| reachable(*address));
        let places = Places { telemetry: place(&self.app.telemetry), admin: place(&self.app.admin) };
        let current = Arc::new(ArcSwap::from_pointee(in_force(&self.app, &self.effective)));
        // Nobody takes what is asked for there: what the demo serves by is its own.
        drop(serve_operators(&mut self.app, &current)?);
        Ok(places)
    }

    /// Serves until told to stop.
    async fn keep_serving(self, narrator: Narrator, (terminate, interrupt): (Signal, Signal)) -> ExitCode {
        self.journal.narrate(narrator);
        output::print("\nServing until Ctrl-C. What becomes of your requests is told here:\n\n");
        until_told(self.app, terminate, interrupt).await
    }
}

/// Where operators look.
#[derive(Clone, Copy, Debug)]
struct Places {
    telemetry: Option<SocketAddr>,
    admin: Option<SocketAddr>,
}

/// Takes every step, shows what came of it, and says whether all of it is as it must be.
async fn tour_through(route: &Route, steps: &[Step]) -> bool {
    let paint = Paint::of_stdout();
    let mut wrong = Vec::new();
    for (number, step) in (1..).zip(steps) {
        match route.take(step).await {
            Ok(outcome) => {
                let faults = outcome.faults(&step.expected);
                output::print(&print::step(number, step, &outcome, &faults, route.proxy, &paint));
                wrong.extend(faults.into_iter().map(|fault| format!("{number}, {}: {fault}", step.title)));
            }
            Err(error) => wrong.push(format!("{number}, {}: {error}", step.title)),
        }
    }
    if wrong.is_empty() {
        output::print(&format!("\nAll {} came out as they must.\n\n", steps.len()));
    } else {
        output::print("\n");
        let cure = "run it without other settings; if it stays, report it with this output";
        wrong.iter().for_each(|fault| output::complain(&format!("example {fault}"), cure));
    }
    wrong.is_empty()
}

/// Puts the stand-in behind the proxy, and makes the rest fit for a tour. Says what is not as somebody may expect.
fn settle(config: &mut Config, standin: SocketAddr) -> Vec<String> {
    let mut remarks = Vec::new();
    if config.upstream.url.to_string() != DEFAULT_UPSTREAM {
        remarks.push(format!("{} is not asked: the demo brings its own Grafana.", config.upstream.url));
    }
    config.upstream.url = Url::Host { encrypted: false, host: standin.ip().to_string(), port: Some(standin.port()) };
    if config.server.tls.take().is_some() {
        remarks.push("TLS is left out: the demo shows plain HTTP.".to_owned());
    }
    if config.limits.per_token.rate == rate(DEFAULT_LIMIT) {
        config.limits.per_token.rate = rate(SMALL_LIMIT);
    }
    // Whoever tries something out wants to see all of it.
    config.log = LogSettings { format: LogFormat::Json, level: Level::Info, requests: RequestLines::All };
    let own = [
        (&mut config.admin.telemetry, DEFAULT_TELEMETRY, "telemetry"),
        (&mut config.admin.console, DEFAULT_ADMIN, "admin"),
    ];
    for (listener, default, flag) in own {
        if let Some(address) = listener.filter(|address| address.port() == default)
            && std::net::TcpListener::bind(address).is_err()
        {
            remarks.push(format!("{address} is taken, so that listener is left out. --{flag} chooses another place."));
            *listener = None;
        }
    }
    remarks
}

fn rate((period, burst): (Duration, u32)) -> Rate {
    Rate { period, burst: NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN) }
}

/// JSON where somebody asks for it, or no terminal is there to read words on.
fn manner(format: LogFormat) -> Manner {
    match format {
        LogFormat::Json => Manner::Json,
        LogFormat::Auto if !io::stderr().is_terminal() => Manner::Json,
        LogFormat::Auto | LogFormat::Pretty | LogFormat::Logfmt => Manner::Words,
    }
}

/// Where a client of this machine finds what listens on every address.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(if address.is_ipv4() { [127, 0, 0, 1].into() } else { std::net::Ipv6Addr::LOCALHOST.into() });
    }
    address
}
