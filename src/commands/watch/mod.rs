//! `watch`: refusals as they happen, from the console of a running proxy.

mod events;
mod show;
pub(super) mod source;

use std::io::{self, IsTerminal as _, Write as _};
use std::os::fd::AsFd as _;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Arg, ArgMatches, Command, ValueHint};
use http::Uri;
use tokio::io::Interest;
use tokio::net::unix::pipe;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

use self::events::Event;
use self::show::Show;
use self::source::{Failure, Source};
use super::output::{self, Paint};

/// Before another attempt.
const PAUSE: Duration = Duration::from_secs(1);

const AFTER: &str = "On a terminal in columns, in a pipe as JSON lines:\n  \
                     grafana-token-proxy watch --source grafana | jq -r '.reason + \" \" + .path'\n\
                     In Kubernetes: kubectl port-forward POD 9092, then watch.\n\
                     Exit codes: 0 told to stop; 1 nothing answers; 2 wrong usage.";

/// The filters, which the console knows under the same names.
const FILTERS: [(&str, &str, &str); 5] = [
    ("reason", "REASON", "Only this reason, as token_expired"),
    ("status", "STATUS", "Only this status"),
    ("source", "SOURCE", "Only what was refused by proxy, grafana, datasource, hop or client"),
    ("token", "TOKEN", "Only the token with this name or fingerprint"),
    ("path", "GLOB", "Only this path; * stands for anything"),
];

/// The arguments.
pub fn command() -> Command {
    let filter = |(name, value, help)| Arg::new(name).long(name).value_name(value).help(help);
    Command::new("watch")
        .about("Follows the refusals of a running proxy, as they happen")
        .after_help(AFTER)
        .arg(admin().help("Where the console is: the admin listener of the proxy"))
        .args(FILTERS.map(filter))
        .arg(
            Arg::new("last")
                .long("last")
                .value_name("NUMBER")
                .value_parser(clap::value_parser!(u64))
                .default_value("10")
                .help("How many of those before to begin with"),
        )
}

/// `--admin URL`.
pub(super) fn admin() -> Arg {
    Arg::new("admin")
        .long("admin")
        .value_name("URL")
        .value_hint(ValueHint::Url)
        .env("GTP_ADMIN")
        .default_value("http://127.0.0.1:9092")
}

/// Follows until told to stop.
pub fn watch(matches: &ArgMatches) -> ExitCode {
    let source = match console(matches, filter(matches)) {
        Ok(source) => source,
        Err(code) => return code,
    };
    let last = matches.get_one("last").copied().unwrap_or_default();
    let show = Show { terminal: io::stdout().is_terminal(), paint: Paint::of_stdout(), width: width() };
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(code) => return code,
    };
    runtime.block_on(async {
        let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
        else {
            return ExitCode::FAILURE;
        };
        tokio::select! {
            code = follow(&source, &show, last) => code,
            _ = terminate.recv() => ExitCode::SUCCESS,
            _ = interrupt.recv() => ExitCode::SUCCESS,
            () = unread() => ExitCode::SUCCESS,
        }
    })
}

/// The console that is meant, or what is wrong with it.
pub(super) fn console(matches: &ArgMatches, filter: String) -> Result<Source, ExitCode> {
    let url = matches.get_one::<String>("admin").map_or("", String::as_str);
    if url == "off" {
        output::complain("the console is off", "name the one of a running proxy: --admin http://127.0.0.1:9092");
        return Err(ExitCode::from(2));
    }
    source(url, filter).ok_or_else(|| {
        output::complain(&format!("`{url}` is no console"), "name it as http://127.0.0.1:9092");
        ExitCode::from(2)
    })
}

/// Where the console is asked.
pub(super) fn runtime() -> Result<Runtime, ExitCode> {
    tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build().map_err(|error| {
        output::complain(&error.to_string(), "look at what the system says");
        ExitCode::FAILURE
    })
}

/// The console and what is wanted of it. An address alone will do.
fn source(url: &str, filter: String) -> Option<Source> {
    let url = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
    let url: Uri = url.parse().ok()?;
    if url.scheme_str() != Some("http") {
        return None;
    }
    Some(Source { host: url.host()?.to_owned(), port: url.port_u16().unwrap_or(9092), filter })
}

fn filter(matches: &ArgMatches) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    for (name, ..) in FILTERS {
        if let Some(value) = matches.get_one::<String>(name) {
            query.append_pair(name, value);
        }
    }
    query.finish()
}

fn width() -> usize {
    terminal_size::terminal_size().map_or(100, |(terminal_size::Width(width), _)| width.into())
}

/// Shows what was, then what comes; connects anew where the connection is lost.
async fn follow(source: &Source, show: &Show, count: u64) -> ExitCode {
    let answer = match source.refusals(count).await {
        Ok(answer) => answer,
        Err(failure) => return failure.explain(source),
    };
    if !answer.refusals.iter().rev().all(|record| write(&show.refusal(record))) {
        return ExitCode::SUCCESS;
    }
    let mut last = answer.cursor;
    let mut lost = false;
    loop {
        let after = last.clone();
        let mut on_event = |event: Event| {
            if std::mem::take(&mut lost) {
                output::write_error("following again\n");
            }
            if let Some(id) = event.id {
                last = id;
            }
            match event.name.as_str() {
                "refusal" => return write(&show.refusal(&event.data)),
                "gap" => output::write_error(&format!("{} are kept no more\n", member(&event.data, "missed"))),
                "restart" => {
                    let since = member(&event.data, "since");
                    output::write_error(&format!(
                        "the proxy was started anew at {since}; what it kept before is gone\n"
                    ));
                }
                _ => {}
            }
            true
        };
        match source.follow(&after, &mut on_event).await {
            // The reader of our output is gone.
            Ok(()) => return ExitCode::SUCCESS,
            Err(failure) => {
                if let Failure::Refused(_) = failure {
                    return failure.explain(source);
                }
                if !std::mem::replace(&mut lost, true) {
                    output::write_error(&format!("{failure}; trying again each second\n"));
                }
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Waits until whoever reads our output is gone, where the system can tell: of a pipe, not of a file.
async fn unread() {
    let out = io::stdout().as_fd().try_clone_to_owned();
    // Unchecked: a check would make the pipe one that does not block, for everybody who writes into it.
    if let Ok(out) = out.and_then(pipe::Sender::from_owned_fd_unchecked)
        && out.ready(Interest::ERROR).await.is_ok()
    {
        return;
    }
    std::future::pending().await
}

/// A member of what an event says, as text that a terminal may get.
fn member(data: &str, name: &str) -> String {
    let told: serde_json::Value = serde_json::from_str(data).unwrap_or_default();
    show::shown(told.get(name))
}

/// Whether somebody still reads.
fn write(text: &str) -> bool {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_ok()
}
