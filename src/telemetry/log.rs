//! The writer of the log: a thread of its own behind a bounded channel, so that a pipe that nobody reads never holds a
//! request up.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use super::fold::{Folds, INTERVAL};
use super::format::Line;
use super::record::{Refusal, ServedLine};
use super::{Level, LogFormat, LogSettings, RequestLines};

/// Lines that wait to be written, at most.
const MAX_WAITING: usize = 8192;

/// What the end of the program waits for the last lines to be written.
const LAST_LINES: Duration = Duration::from_secs(1);

enum Message {
    Refusal(Box<Refusal>),
    Line(String),
    End(SyncSender<()>),
}

/// Where lines are handed over.
#[derive(Clone, Debug)]
pub struct Log {
    sender: SyncSender<Message>,
    dropped: Arc<AtomicU64>,
    settings: LogSettings,
    colour: bool,
}

impl std::fmt::Debug for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Message")
    }
}

/// Writes what still waits when it is dropped.
#[derive(Debug)]
pub struct LogGuard(SyncSender<Message>);

impl Drop for LogGuard {
    fn drop(&mut self) {
        let (done, wait) = sync_channel(1);
        let deadline = Instant::now() + LAST_LINES;
        // A full channel behind a blocked pipe: give up rather than hang.
        let mut end = Message::End(done);
        while let Err(std::sync::mpsc::TrySendError::Full(back)) = self.0.try_send(end) {
            if Instant::now() > deadline {
                return;
            }
            end = back;
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = wait.recv_timeout(deadline.saturating_duration_since(Instant::now()));
    }
}

impl Log {
    /// Starts the writer. `terminal` says whether somebody looks at `out`; `colour` whether colours are welcome there.
    pub fn start(
        settings: LogSettings,
        out: Box<dyn Write + Send>,
        terminal: bool,
        colour: bool,
    ) -> std::io::Result<(Self, LogGuard)> {
        let format = match settings.format {
            LogFormat::Auto if terminal => LogFormat::Pretty,
            LogFormat::Auto => LogFormat::Json,
            chosen => chosen,
        };
        let settings = LogSettings { format, ..settings };
        let (sender, receiver) = sync_channel(MAX_WAITING);
        let writer = Writer { out, settings, colour, folds: Folds::default() };
        std::thread::Builder::new().name("log".into()).spawn(move || writer.run(&receiver))?;
        let guard = LogGuard(sender.clone());
        Ok((Self { sender, dropped: Arc::default(), settings, colour }, guard))
    }

    /// Lines that nobody took in time.
    pub fn dropped(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.dropped)
    }

    pub(super) const fn writes_served(&self) -> bool {
        matches!(self.settings.requests, RequestLines::All)
    }

    pub(super) fn wants(&self, level: Level) -> bool {
        level >= self.settings.level
    }

    fn send(&self, message: Message) {
        if self.sender.try_send(message).is_err() {
            self.dropped.fetch_add(1, Relaxed);
        }
    }

    pub(super) fn refused(&self, refusal: Refusal) {
        if self.settings.requests != RequestLines::None && self.wants(refusal.reason.level().into()) {
            self.send(Message::Refusal(Box::new(refusal)));
        }
    }

    pub(super) fn served(&self, served: &ServedLine<'_>) {
        if self.writes_served() && self.wants(Level::Info) {
            self.line(&served.line());
        }
    }

    pub(super) fn line(&self, line: &Line) {
        if self.wants(line.level()) {
            self.send(Message::Line(line.write(self.settings.format, self.colour)));
        }
    }
}

struct Writer {
    out: Box<dyn Write + Send>,
    settings: LogSettings,
    colour: bool,
    folds: Folds,
}

impl Writer {
    fn run(mut self, receiver: &Receiver<Message>) {
        let mut looked = Instant::now();
        loop {
            let message = receiver.recv_timeout(INTERVAL / 4);
            let now = Instant::now();
            if now.saturating_duration_since(looked) >= INTERVAL / 4 {
                looked = now;
                self.write_due(now, false);
            }
            match message {
                Ok(Message::Refusal(refusal)) => {
                    if let Some((refusal, left_out)) = self.folds.take(*refusal, now) {
                        self.write_refusal(&refusal, left_out);
                    }
                }
                Ok(Message::Line(line)) => self.write(&line),
                Ok(Message::End(done)) => {
                    self.write_due(now, true);
                    let _ = done.send(());
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn write_due(&mut self, now: Instant, all: bool) {
        for (refusal, left_out) in self.folds.due(now, all) {
            self.write_refusal(&refusal, left_out);
        }
    }

    fn write_refusal(&mut self, refusal: &Refusal, left_out: u64) {
        let line = refusal.line(left_out).write(self.settings.format, self.colour);
        self.write(&line);
    }

    /// One write a line, so that lines of several processes on one pipe do not mix. A reader that is gone is no reason
    /// to stop serving.
    fn write(&mut self, line: &str) {
        let _ = self.out.write_all(line.as_bytes()).and_then(|()| self.out.flush());
    }
}
