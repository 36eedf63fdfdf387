//! `demo`: serves in front of a built-in stand-in for Grafana.

use std::process::ExitCode;

use crate::config::Config;

/// Shows the product at work; ends after the examples if `once`.
pub fn demo(config: Config, once: bool) -> ExitCode {
    let _ = (config, once);
    super::output::complain("demo is not built yet", "use another command");
    ExitCode::FAILURE
}
