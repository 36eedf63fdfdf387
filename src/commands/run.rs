//! `run`: serves.

use std::process::ExitCode;

use crate::config::Config;

/// Serves until told to stop.
pub fn run(config: Config) -> ExitCode {
    let _ = config;
    super::output::complain("run is not built yet", "use another command");
    ExitCode::FAILURE
}
