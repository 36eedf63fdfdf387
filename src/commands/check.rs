//! `check`: every mistake of a configuration at once.

use std::process::ExitCode;

use clap::{Arg, Command, ValueHint};

use super::output;
use crate::config::arguments::CHECKED_FILE;
use crate::config::effective::Effective;
use crate::config::masking::mask_tokens;

/// The arguments.
pub fn command() -> Command {
    Command::new("check").about("Validates the configuration: every mistake at once, with its place and its cure").arg(
        Arg::new(CHECKED_FILE)
            .value_name("FILE")
            .value_hint(ValueHint::FilePath)
            .value_parser(clap::value_parser!(std::path::PathBuf))
            .conflicts_with("config")
            .help("File to check; without it, what run would read"),
    )
}

/// 0 where the configuration would be taken, 1 where not; 2 where only the command line is wrong.
pub fn check(effective: &Effective) -> ExitCode {
    output::report(&effective.mistakes);
    let what = effective.file.as_ref().map_or_else(|| "configuration".to_owned(), |file| file.display().to_string());
    let what = mask_tokens(&what);
    let (errors, warnings) = (effective.errors().count(), effective.warnings().count());
    if errors == 0 {
        let suffix = if warnings == 0 { String::new() } else { format!(", {}", counted(warnings, "warning")) };
        return output::print(&format!("{what}: ok{suffix}\n"));
    }
    let suffix = if warnings == 0 { String::new() } else { format!(" and {}", counted(warnings, "warning")) };
    output::write_error(&format!("{what}: {}{suffix}\n", counted(errors, "error")));
    ExitCode::from(if effective.is_wrong_usage() { 2 } else { 1 })
}

fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}
