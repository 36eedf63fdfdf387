//! Arguments → command → exit code.

use std::process::ExitCode;

/// Requests allocate and free many small pieces of the same sizes, on the same thread.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    grafana_token_proxy::commands::execute(std::env::args_os(), std::env::vars_os())
}
