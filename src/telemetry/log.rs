//! The log, and what else refusals are told to. Threads of their own stand between: one folds refusals and makes their
//! lines, one writes, so that a pipe that nobody reads holds up neither a request nor the console.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use super::format::Tell;
use super::lines::Lines;
use super::mailbox::Mailbox;
use super::record::Refusal;
use super::ring::Ring;
use super::served::ServedLine;
use super::teller::{self, Missed, Teller};
use super::{Level, LogFormat, LogSettings, RequestLines};

/// What the end of the program waits for the last lines to be written.
const LAST_LINES: Duration = Duration::from_secs(1);

/// Where lines and refusals are handed over.
#[derive(Clone, Debug)]
pub struct Log {
    lines: Lines,
    refusals: Arc<Mailbox<Vec<Arc<Refusal>>>>,
    missed: Arc<Missed>,
    ring: Option<Ring>,
}

/// Tells what still waits when it is dropped; then the threads end.
#[derive(Debug)]
pub struct LogGuard {
    refusals: Arc<Mailbox<Vec<Arc<Refusal>>>>,
    lines: Lines,
}

impl Drop for LogGuard {
    fn drop(&mut self) {
        let deadline = Instant::now() + LAST_LINES;
        // Refusals become lines: first the one, then the other.
        self.refusals.end(deadline);
        self.lines.end(deadline);
    }
}

impl Log {
    /// Starts the threads. `terminal` says whether somebody looks at `out`; `colour` whether colours are welcome there;
    /// refusals are kept in `ring`, too.
    pub fn start(
        settings: LogSettings,
        out: Box<dyn Write + Send>,
        terminal: bool,
        colour: bool,
        ring: Option<Ring>,
    ) -> io::Result<(Self, LogGuard)> {
        let format = match settings.format {
            LogFormat::Auto if terminal => LogFormat::Pretty,
            LogFormat::Auto => LogFormat::Json,
            chosen => chosen,
        };
        let settings = LogSettings { format, ..settings };
        let lines = Lines::start(settings, out, colour)?;
        let refusals = Arc::<Mailbox<_>>::default();
        let missed = Arc::<Missed>::default();
        let teller = Teller {
            refusals: Arc::clone(&refusals),
            missed: Arc::clone(&missed),
            lines: lines.clone(),
            ring: ring.clone(),
        };
        std::thread::Builder::new().name("refusals".into()).spawn(move || teller.run())?;
        let guard = LogGuard { refusals: Arc::clone(&refusals), lines: lines.clone() };
        Ok((Self { lines, refusals, missed, ring }, guard))
    }

    /// Lines that could not be written, or not in time.
    pub fn dropped(&self) -> Arc<AtomicU64> {
        self.lines.dropped()
    }

    pub(super) const fn ring(&self) -> Option<&Ring> {
        self.ring.as_ref()
    }

    pub(super) const fn writes_served(&self) -> bool {
        matches!(self.lines.settings.requests, RequestLines::All)
    }

    pub(super) fn wants(&self, level: Level) -> bool {
        self.lines.wants(level)
    }

    /// Hands a refusal over. Never waits.
    pub(super) fn refused(&self, refusal: Arc<Refusal>) {
        if self.ring.is_none() && !self.lines.wants_refusal(&refusal) {
            return;
        }
        let over = self.refusals.put(|refusals| {
            let over = refusals.len() >= teller::MAX_WAITING;
            if !over {
                refusals.push(Arc::clone(&refusal));
            }
            over
        });
        if over {
            self.missed.count(refusal.reason);
            if self.lines.wants_refusal(&refusal) {
                self.lines.drop_one();
            }
        }
    }

    pub(super) fn served(&self, served: &ServedLine<'_>) {
        if self.writes_served() && self.wants(Level::Info) {
            self.lines.write(served);
        }
    }

    pub(super) fn line(&self, told: &impl Tell) {
        if self.wants(told.opening().level) {
            self.lines.write(told);
        }
    }
}

#[cfg(test)]
mod tests;
