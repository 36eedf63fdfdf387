//! Arguments → command → exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    grafana_token_proxy::commands::execute(std::env::args_os(), std::env::vars_os())
}
