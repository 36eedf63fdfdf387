//! Standard output and standard error of the commands. A closed pipe is no reason to panic.

use std::io::{self, IsTerminal, Write as _};
use std::process::ExitCode;

use anstyle::{AnsiColor, Style};

use crate::config::environment::forbids_colour;
use crate::config::masking::mask;
use crate::config::mistake::{Mistake, Severity};

/// Writes to standard output.
pub fn print(text: &str) -> ExitCode {
    let mut output = io::stdout().lock();
    match output.write_all(text.as_bytes()).and_then(|()| output.flush()) {
        // `| head` has what it wanted.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => ExitCode::FAILURE,
        _ => ExitCode::SUCCESS,
    }
}

/// Writes to standard error.
pub fn write_error(text: &str) {
    // There is no third place to complain to.
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

/// Says what is wrong and how to mend it, without secrets.
pub fn complain(why: &str, cure: &str) {
    let paint = Paint::of_stderr();
    write_error(&format!("{} {}\n    cure: {}\n", paint.severity(Severity::Error), mask(why), mask(cure)));
}

/// Writes every mistake.
pub fn report(mistakes: &[Mistake]) {
    let paint = Paint::of_stderr();
    for mistake in mistakes {
        write_error(&format!(
            "{} {} {}\n    cure: {}\n",
            paint.bold(&format!("{}:", mistake.place())),
            paint.severity(mistake.severity),
            mistake.summary(),
            mistake.cure()
        ));
    }
}

/// Colours, where somebody looks and has not forbidden them.
pub struct Paint(pub(super) bool);

impl Paint {
    /// For standard error.
    pub fn of_stderr() -> Self {
        Self(io::stderr().is_terminal() && !forbids_colour())
    }

    /// For standard output.
    pub fn of_stdout() -> Self {
        Self(io::stdout().is_terminal() && !forbids_colour())
    }

    /// Bold text.
    pub fn bold(&self, text: &str) -> String {
        self.with(Style::new().bold(), text)
    }

    fn severity(&self, severity: Severity) -> String {
        let colour = match severity {
            Severity::Error => AnsiColor::Red,
            Severity::Warning => AnsiColor::Yellow,
        };
        self.with(colour.on_default().bold(), &format!("{}:", severity.name()))
    }

    pub(super) fn with(&self, style: Style, text: &str) -> String {
        if self.0 { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }
}
