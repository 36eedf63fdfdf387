//! `inspect`: what a token or a whole header value is, said offline and without showing it.

mod contents;
pub(super) mod findings;
mod report;
#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::io::{self, IsTerminal as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::{Arg, ArgMatches, Command, ValueHint};

use self::findings::Findings;
use super::output::{self, Paint};
use super::{explain, secret_input};
use crate::config::environment::{Environment, FINGERPRINT_KEY};
use crate::domain::token::{HashKey, TokenKind, kind_of};

const AFTER: &str = "From a variable: printenv GRAFANA_TOKEN | grafana-token-proxy inspect\n\
                     GTP_FINGERPRINT_KEY, set as for run, makes the fingerprint the one of its log.\n\
                     Exit codes: 0 usable; 1 not usable; 2 wrong usage.";

/// The arguments.
pub fn command() -> Command {
    Command::new("inspect")
        .about("Says offline what a token or header value is and what is wrong with it; never shows it")
        .after_help(AFTER)
        .arg(
            Arg::new("file")
                .value_name("FILE|-")
                .value_hint(ValueHint::FilePath)
                .value_parser(clap::value_parser!(PathBuf))
                .default_value("-")
                .hide_default_value(true)
                .help("File with a token, or a whole value or line of Authorization; -, the default: standard input"),
        )
        .arg(explain::output_format())
}

/// The key of fingerprints, and whether somebody chose it.
pub(super) struct Key {
    pub(super) key: HashKey,
    is_random: bool,
}

impl Key {
    pub(super) fn of(environment: &Environment) -> Result<Self, getrandom::Error> {
        if let Some(secret) = environment.get(FINGERPRINT_KEY) {
            return Ok(Self { key: HashKey::derive(secret.as_bytes()), is_random: false });
        }
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes)?;
        Ok(Self { key: HashKey::from_bytes(bytes), is_random: true })
    }
}

/// Judges what is read: 0 where it is usable, 1 where not.
pub fn inspect(matches: &ArgMatches, variables: impl IntoIterator<Item = (OsString, OsString)>) -> ExitCode {
    let Some(file) = matches.get_one::<PathBuf>("file") else { return ExitCode::from(2) };
    if kind_of(file.as_os_str().as_encoded_bytes()) != TokenKind::Unknown {
        let cure = "pipe it in, or name a file; and replace it, if others could read along";
        output::complain("a token stands on the command line, where every user of this machine can read it", cure);
        return ExitCode::from(2);
    }
    if file.as_os_str() == "-" && io::stdin().is_terminal() {
        output::write_error("Paste the token or the header's value, and end with Ctrl-D on a line of its own.\n");
    }
    let text = match secret_input::read(file) {
        Ok(text) => text,
        Err(error) => {
            let cure = "name a file that can be read, or pipe the token in";
            output::complain(&format!("{} cannot be read: {error}", file.display()), cure);
            return ExitCode::from(2);
        }
    };
    let key = match Key::of(&Environment::new(variables)) {
        Ok(key) => key,
        Err(error) => {
            output::complain(&format!("the system gives no random bytes: {error}"), "set GTP_FINGERPRINT_KEY");
            return ExitCode::from(2);
        }
    };
    let findings = Findings::of(&text, &key.key, now());
    let as_json = matches.get_one::<String>("output").is_some_and(|format| format == "json");
    let printed = output::print(&match as_json {
        true => report::json(&findings, key.is_random),
        false => report::text(&findings, key.is_random, &Paint::of_stdout()),
    });
    if findings.is_usable() { printed } else { ExitCode::FAILURE }
}

/// Seconds since 1970.
pub(super) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
