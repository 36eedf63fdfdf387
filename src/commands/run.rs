//! `run`: serves until told to stop.

use std::fs::File;
use std::io::{self, IsTerminal as _};
use std::net::SocketAddr;
use std::os::fd::AsFd as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwap;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::Receiver;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use super::harden::harden;
use super::output::complain;
use super::reload::Reloader;
use crate::admin::{Asked, Console, Current, InForce, Reload};
use crate::app::{App, StartError};
use crate::config::effective::Effective;
use crate::config::environment::forbids_colour;
use crate::config::reload::{self, Watched};
use crate::config::{Config, print};
use crate::telemetry::ring::Ring;
use crate::telemetry::{Events, Log, LogGuard};

/// Serves until told to stop. `load` reads the configuration anew, when one of the watched files changed for example.
pub fn run(effective: Effective, watched: Watched, load: &dyn Fn() -> Effective) -> ExitCode {
    let out = io::stdout();
    let terminal = out.is_terminal();
    let started = start_log(&effective.config, unbuffered(out), terminal);
    let outcome = started.and_then(|(log, guard)| serve(effective, watched, load, log).map(|code| (code, guard)));
    match outcome {
        Ok((code, guard)) => {
            drop(guard);
            code
        }
        Err(error) => {
            complain(&error.to_string(), error.cure());
            ExitCode::FAILURE
        }
    }
}

/// Lines come whole: the buffer of the standard output would only look for their ends once more.
fn unbuffered(out: io::Stdout) -> Box<dyn io::Write + Send> {
    match out.as_fd().try_clone_to_owned() {
        Ok(own) => Box::new(File::from(own)),
        Err(_) => Box::new(out),
    }
}

/// What is in force from the start.
pub(super) fn in_force(app: &App, effective: &Effective) -> InForce {
    let hash = reload::hash(effective);
    app.recorder().metrics().configured(&hash, effective.config.certificate_ends());
    InForce {
        limits: Arc::clone(app.limits()),
        callers: effective.config.names(),
        config: print::rows(effective),
        upstream: effective.config.upstream.url.to_string(),
        hash,
        since: SystemTime::now(),
        attempt: None,
    }
}

/// Serves what operators look at. Returns where reloads are asked for.
pub(super) fn serve_operators(app: &mut App, current: &Current) -> io::Result<Receiver<Asked>> {
    if let Some((listener, _)) = app.telemetry.take() {
        tokio::spawn(app.health().serve(TcpListener::from_std(listener)?));
    }
    let (reload, asked) = Reload::channel();
    let console = Console::new(app.recorder().clone(), Arc::clone(current), reload);
    if let (Some((listener, _)), Some(console)) = (app.admin.take(), console) {
        tokio::spawn(console.serve(TcpListener::from_std(listener)?));
    }
    Ok(asked)
}

/// Starts the log on `out`, and sends the program's own events there.
pub(super) fn start_log(
    config: &Config,
    out: Box<dyn io::Write + Send>,
    terminal: bool,
) -> Result<(Log, LogGuard), StartError> {
    let ring = config.admin.console.map(|_| Ring::default());
    let (log, guard) = Log::start(config.log, out, terminal, terminal && !forbids_colour(), ring)?;
    // Whoever embeds the program may have set a subscriber of its own; then events go there.
    let _ = tracing_subscriber::registry().with(Events::new(log.clone())).try_init();
    // The message of a panic may hold what a stranger sent; its place does not.
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(event = "panicked", at = %place, "a request failed in the proxy itself");
    }));
    Ok((log, guard))
}

fn serve(
    effective: Effective,
    watched: Watched,
    load: &dyn Fn() -> Effective,
    log: Log,
) -> Result<ExitCode, StartError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    let (terminate, interrupt, hangup) = {
        let _inside = runtime.enter();
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?, signal(SignalKind::hangup())?)
    };
    harden();
    let config = &effective.config;
    let mut app = App::start(config, log)?;
    let addresses: Vec<String> = app.listening.iter().map(ToString::to_string).collect();
    let place = |listener: &Option<(_, SocketAddr)>| match listener {
        Some((_, address)) => address.to_string(),
        None => "off".to_owned(),
    };
    let upstream = config.upstream.url.to_string();
    tracing::info!(
        event = "listening",
        data = addresses.join(","),
        telemetry = place(&app.telemetry),
        admin = place(&app.admin),
        upstream,
        version = env!("CARGO_PKG_VERSION")
    );
    let code = runtime.block_on(async move {
        let current = Arc::new(ArcSwap::from_pointee(in_force(&app, &effective)));
        let asked = serve_operators(&mut app, &current)?;
        let mut reloader = Reloader::new(app, (effective, watched), load, current);
        let mut ends = (terminate, interrupt);
        tokio::select! {
            () = reloader.watch(hangup, asked) => {}
            () = told(&mut ends.0, &mut ends.1) => {}
        }
        Ok(drain(reloader.into_app(), ends.0, ends.1).await)
    });
    // Told twice, nothing is waited for: not the workers either.
    runtime.shutdown_background();
    code
}

/// Waits for a signal, then drains.
pub(super) async fn until_told(app: App, mut terminate: Signal, mut interrupt: Signal) -> ExitCode {
    told(&mut terminate, &mut interrupt).await;
    drain(app, terminate, interrupt).await
}

/// Drains; a second signal ends at once.
async fn drain(app: App, mut terminate: Signal, mut interrupt: Signal) -> ExitCode {
    tracing::info!(event = "draining", "running answers finish, no new connections are taken");
    tokio::select! {
        () = app.drain() => {
            tracing::info!(event = "drained", "nothing is left to do");
            ExitCode::SUCCESS
        }
        () = told(&mut terminate, &mut interrupt) => {
            tracing::warn!(event = "ended", "told twice: ending at once");
            ExitCode::FAILURE
        }
    }
}

async fn told(terminate: &mut Signal, interrupt: &mut Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

#[cfg(test)]
mod tests;
