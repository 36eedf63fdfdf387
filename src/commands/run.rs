//! `run`: serves until told to stop.

use std::io::{self, IsTerminal as _};
use std::net::SocketAddr;
use std::process::ExitCode;

use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use super::output::complain;
use crate::app::{App, StartError};
use crate::config::effective::Effective;
use crate::config::environment::forbids_colour;
use crate::config::{Config, print, values};
use crate::telemetry::ring::Ring;
use crate::telemetry::{Events, Log, LogGuard};

/// Serves until told to stop.
pub fn run(effective: &Effective) -> ExitCode {
    let out = io::stdout();
    let terminal = out.is_terminal();
    let started = start_log(&effective.config, Box::new(out), terminal);
    let outcome = started.and_then(|(log, guard)| serve(effective, log).map(|code| (code, guard)));
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

/// Serves what operators look at, and says where the console is.
pub(super) fn serve_operators(app: &mut App, effective: &Effective) -> io::Result<()> {
    if let Some((listener, _)) = app.telemetry.take() {
        tokio::spawn(app.health().serve(TcpListener::from_std(listener)?));
    }
    let url = values::url::print(&effective.config.upstream.url);
    if let (Some((listener, _)), Some(console)) = (app.admin.take(), app.console(print::rows(effective), &url)) {
        tokio::spawn(console.serve(TcpListener::from_std(listener)?));
    }
    Ok(())
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

fn serve(effective: &Effective, log: Log) -> Result<ExitCode, StartError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    let (terminate, interrupt) = {
        let _inside = runtime.enter();
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?)
    };
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
        serve_operators(&mut app, effective)?;
        Ok(until_told(app, terminate, interrupt).await)
    });
    // Told twice, nothing is waited for: not the workers either.
    runtime.shutdown_background();
    code
}

/// Waits for a signal, then drains; a second one ends at once.
pub(super) async fn until_told(app: App, mut terminate: Signal, mut interrupt: Signal) -> ExitCode {
    told(&mut terminate, &mut interrupt).await;
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
