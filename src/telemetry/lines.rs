//! Lines on their way out: made by whoever has something to say, written by a thread of its own, so that a pipe that
//! nobody reads holds nobody up.

use std::cell::RefCell;
use std::io::{self, ErrorKind, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use super::format::{Tell, write_line};
use super::mailbox::{Mailbox, Turn};
use super::record::Refusal;
use super::{Level, LogSettings, RequestLines};

/// Bytes of lines that wait to be written, at most.
pub(super) const MAX_WAITING: usize = 4 << 20;

/// What one write takes where it holds more than a line: so much a pipe takes whole (`PIPE_BUF`), and lines of several
/// processes on one pipe do not mix.
const PIECE: usize = 4096;

/// Room that is kept for the next lines; what a burst took is given back.
const ROOM: usize = 64 * 1024;

/// After each write, so long more lines may come together: one line alone is written at once, and many cost no call each.
const REST: Duration = Duration::from_millis(10);

/// A destination that would block (a pipe that somebody set so) is asked again after this.
const RETRY: Duration = Duration::from_millis(5);

/// Where lines are handed over.
#[derive(Clone, Debug)]
pub(super) struct Lines {
    waiting: Arc<Mailbox<String>>,
    dropped: Arc<AtomicU64>,
    pub(super) settings: LogSettings,
    colour: bool,
}

impl Lines {
    /// Starts the thread that writes to `out`.
    pub(super) fn start(settings: LogSettings, out: Box<dyn Write + Send>, colour: bool) -> io::Result<Self> {
        let lines = Self { waiting: Arc::default(), dropped: Arc::default(), settings, colour };
        let pen = Pen { out, dropped: Arc::clone(&lines.dropped) };
        let waiting = Arc::clone(&lines.waiting);
        std::thread::Builder::new().name("log".into()).spawn(move || pen.run(&waiting))?;
        Ok(lines)
    }

    /// Lines that could not be written, or not in time.
    pub(super) fn dropped(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.dropped)
    }

    /// Counts one that was never made.
    pub(super) fn drop_one(&self) {
        self.dropped.fetch_add(1, Relaxed);
    }

    /// Writes what still waits, not beyond `deadline`; then the thread ends.
    pub(super) fn end(&self, deadline: Instant) {
        self.waiting.end(deadline);
    }

    pub(super) fn wants(&self, level: Level) -> bool {
        level >= self.settings.level
    }

    pub(super) fn wants_refusal(&self, refusal: &Refusal) -> bool {
        self.settings.requests != RequestLines::None && self.wants(refusal.reason.level().into())
    }

    /// Makes a line, and hands it over. Never waits.
    pub(super) fn write(&self, told: &impl Tell) {
        thread_local! {
            /// Where a line is made: outside of the lock, and without asking for memory each time.
            static LINE: RefCell<String> = const { RefCell::new(String::new()) };
        }
        LINE.with_borrow_mut(|line| {
            line.clear();
            write_line(line, self.settings.format, self.colour, told);
            self.hand_over(line);
        });
    }

    pub(super) fn hand_over(&self, line: &str) {
        let fits = self.waiting.put(|waiting| {
            let fits = waiting.len() + line.len() <= MAX_WAITING;
            if fits {
                waiting.push_str(line);
            }
            fits
        });
        if !fits {
            self.dropped.fetch_add(1, Relaxed);
        }
    }
}

/// What writes.
struct Pen {
    out: Box<dyn Write + Send>,
    dropped: Arc<AtomicU64>,
}

impl Pen {
    fn run(mut self, waiting: &Mailbox<String>) {
        let mut lines = String::new();
        while waiting.take(&mut lines, None) != Turn::Ended {
            let mut rest = lines.as_str();
            while let Some((piece, behind)) =
                rest.split_at_checked(piece_length(rest)).filter(|(piece, _)| !piece.is_empty())
            {
                // A reader that is gone is no reason to stop serving.
                if self.write(piece.as_bytes()).is_err() {
                    self.dropped.fetch_add(memchr::memchr_iter(b'\n', piece.as_bytes()).count() as u64, Relaxed);
                }
                rest = behind;
            }
            lines.clear();
            lines.shrink_to(ROOM);
            waiting.rest(REST);
        }
        waiting.finish();
    }

    fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.out.write(bytes) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::sleep(RETRY),
                Err(error) => return Err(error),
            }
        }
        self.out.flush()
    }
}

/// As many whole lines as one write takes, at least one.
fn piece_length(lines: &str) -> usize {
    let bytes = lines.as_bytes();
    let Some(first) = bytes.get(..PIECE) else { return bytes.len() };
    let end = memchr::memrchr(b'\n', first).or_else(|| memchr::memchr(b'\n', bytes));
    end.map_or(bytes.len(), |end| end + 1)
}

#[cfg(test)]
mod tests;
