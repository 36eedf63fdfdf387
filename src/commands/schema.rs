//! `schema`: the JSON Schema of the configuration.

use std::process::ExitCode;

use super::output;

/// Prints it.
pub fn schema() -> ExitCode {
    output::print(&format!("{:#}\n", crate::config::schema::schema()))
}
