//! `limits suggest`: the rate and the burst that would have refused nobody, from a log or from a running proxy.

mod bucket;
mod console;
mod found;
mod line;
mod order;
mod peak;
mod report;
mod tally;

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command, ValueHint};
use flate2::read::MultiGzDecoder;

use self::found::Found;
use self::tally::{Measure, Tallies};
use super::output::{self, Paint};
use super::{explain, watch};
use crate::config::values::rate;
use crate::domain::limit::Rate;
use crate::domain::path_rule::PathRules;

const AFTER: &str = "The log must hold what was served, not only what was refused: run with --log-requests all for a \
                     while, a day at best.\n  \
                     kubectl logs POD -c token-proxy | grafana-token-proxy limits suggest --from-log -\n\
                     needs: refuses none of what was seen, and one less would have refused some; with headroom: half as \
                     much again.\n\
                     Without --from-log a running proxy is asked.\n\
                     Exit codes: 0 done; 1 nothing to tell, or nothing answers; 2 wrong usage.";

/// The limits of a configuration that says nothing else.
const TOKEN: (Duration, u32) = (Duration::from_millis(10), 200);
const CLIENT: (Duration, u32) = (Duration::from_millis(20), 100);

/// gzip begins so (RFC 1952 §2.3.1).
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// The arguments.
pub fn command() -> Command {
    Command::new("limits")
        .about("Says which limits callers need")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(
            Command::new("suggest")
                .about("For each token the rate and burst that would have refused none of its requests")
                .after_help(AFTER)
                .arg(
                    Arg::new("from-log")
                        .long("from-log")
                        .value_name("FILE|-")
                        .value_hint(ValueHint::FilePath)
                        .value_parser(clap::value_parser!(PathBuf))
                        .help("Log of the proxy, in any of its formats, also gzip; -: standard input"),
                )
                .arg(watch::admin().help("Where a running proxy tells it: its admin listener"))
                .arg(
                    Arg::new("limit-rate")
                        .long("limit-rate")
                        .value_name("RATE")
                        .requires("limit-burst")
                        .help("Tell whom this limit would have refused, as 20/s"),
                )
                .arg(
                    Arg::new("limit-burst")
                        .long("limit-burst")
                        .value_name("NUMBER")
                        .requires("limit-rate")
                        .value_parser(clap::value_parser!(NonZeroU32))
                        .help("Its burst"),
                )
                .arg(
                    Arg::new("exempt")
                        .long("exempt")
                        .value_name("PATH")
                        .action(ArgAction::Append)
                        .value_delimiter(',')
                        .default_values(["/api/health", "/metrics", "/public/"])
                        .help("Paths in the log that no limit sees: limits.exempt"),
                )
                .arg(explain::output_format()),
        )
}

/// What the limits are.
pub fn limits(matches: &ArgMatches) -> ExitCode {
    match matches.subcommand() {
        Some(("suggest", matches)) => suggest(matches),
        _ => ExitCode::from(2),
    }
}

fn suggest(matches: &ArgMatches) -> ExitCode {
    let asked = match asked(matches) {
        Ok(asked) => asked,
        Err(code) => return code,
    };
    let found = match matches.get_one::<PathBuf>("from-log") {
        Some(_) if matches.value_source("admin") == Some(ValueSource::CommandLine) => {
            output::complain("--from-log and --admin exclude each other", "name the log, or the proxy");
            return ExitCode::from(2);
        }
        Some(log) => in_log(log, matches, asked),
        None => console::ask(matches, asked),
    };
    let found = match found {
        Ok(found) => found,
        Err(code) => return code,
    };
    let as_json = matches.get_one::<String>("output").is_some_and(|format| format == "json");
    output::print(&if as_json { report::json(&found) } else { report::text(&found, &Paint::of_stdout()) })
}

/// The limit that is asked about, if one is.
fn asked(matches: &ArgMatches) -> Result<Option<Rate>, ExitCode> {
    let (Some(text), Some(burst)) =
        (matches.get_one::<String>("limit-rate"), matches.get_one::<NonZeroU32>("limit-burst"))
    else {
        return Ok(None);
    };
    match rate::parse(text) {
        Ok(period) => Ok(Some(Rate { period, burst: *burst })),
        Err(flaw) => {
            output::complain(&format!("--limit-rate: `{text}` {}", flaw.why), &flaw.cure);
            Err(ExitCode::from(2))
        }
    }
}

fn built_in((period, burst): (Duration, u32)) -> Rate {
    Rate { period, burst: NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN) }
}

fn in_log(log: &Path, matches: &ArgMatches, asked: Option<Rate>) -> Result<Found, ExitCode> {
    let exempt: Vec<&String> = matches.get_many("exempt").into_iter().flatten().collect();
    let measure = Measure {
        token: asked.unwrap_or_else(|| built_in(TOKEN)),
        client: asked.unwrap_or_else(|| built_in(CLIENT)),
        exempt: PathRules::new(&exempt),
    };
    let mut tallies = Tallies::new(measure);
    let broken = open(log).and_then(|log| tallies.read(log)).err();
    let name = if log.as_os_str() == "-" { "standard input".to_owned() } else { log.display().to_string() };
    let (why, cure) = match (tallies.counts.served, tallies.counts.refused) {
        (0, 0) if let Some(error) = &broken => {
            (format!("{name} cannot be read: {error}"), "name a log of the proxy, or - for standard input")
        }
        (0, 0) => (
            format!("no line in {name} tells of a request"),
            "name the log of a proxy that runs with --log-requests all, in JSON, logfmt or pretty",
        ),
        (0, refused) => (
            format!(
                "the log holds refusals alone ({refused} lines): what was served is not in it, so nobody can tell \
                     what callers need"
            ),
            "run for a while with --log-requests all (log.requests: all), or ask the running proxy: --admin \
             http://127.0.0.1:9092",
        ),
        _ => {
            let mut found = Found::in_log(tallies);
            // A packed log that is still being written ends in the middle.
            found.notes.extend(broken.map(|error| format!("the log was read as far as it can be: {error}")));
            if !found.rows.is_empty() {
                return Ok(found);
            }
            (format!("no request in {name} was one that limits count"), "see --exempt, and take a log with more in it")
        }
    };
    output::complain(&why, cure);
    Err(ExitCode::FAILURE)
}

/// A log, unpacked where it is packed.
fn open(log: &Path) -> io::Result<Box<dyn BufRead>> {
    let source: Box<dyn Read> = if log.as_os_str() == "-" { Box::new(io::stdin()) } else { Box::new(File::open(log)?) };
    let mut source = BufReader::with_capacity(256 * 1024, source);
    if source.fill_buf()?.starts_with(&GZIP) {
        return Ok(Box::new(BufReader::with_capacity(256 * 1024, MultiGzDecoder::new(source))));
    }
    Ok(Box::new(source))
}
