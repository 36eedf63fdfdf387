//! `config`: what is in force, and who set it.

use std::process::ExitCode;

use clap::{Arg, ArgAction, Command};

use super::output;
use crate::config::effective::Effective;
use crate::config::print;

/// The arguments.
pub fn command() -> Command {
    Command::new("config").about("Prints the effective configuration").arg(
        Arg::new("origin")
            .long("origin")
            .action(ArgAction::SetTrue)
            .help("Add who set each value: flag, environment, file or default"),
    )
}

/// Prints the configuration; where it is faulty, the mistakes instead.
pub fn config(effective: &Effective, origin: bool) -> ExitCode {
    output::report(&effective.mistakes);
    if effective.errors().next().is_some() {
        return ExitCode::from(if effective.is_wrong_usage() { 2 } else { 1 });
    }
    output::print(&print::print(effective, origin))
}
