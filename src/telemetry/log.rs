//! The writer of the log: a thread of its own behind a bounded channel, so that a pipe that nobody reads never holds a
//! request up.

use std::io::{self, ErrorKind, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use super::fold::{Folded, Folding};
use super::format::Line;
use super::record::{Refusal, ServedLine};
use super::{Level, LogFormat, LogSettings, RequestLines};

/// Lines that wait to be written, at most.
const MAX_WAITING: usize = 8192;

/// A destination that would block (a pipe that somebody set so) is asked again after this.
const RETRY: Duration = Duration::from_millis(5);

/// While nothing is held there is nothing to wake for.
const IDLE: Duration = Duration::from_secs(3600);

/// What the end of the program waits for the last lines to be written.
const LAST_LINES: Duration = Duration::from_secs(1);

enum Message {
    Refusal(Arc<Refusal>),
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
        let dropped = Arc::<AtomicU64>::default();
        let pen = Pen { out, settings, colour, dropped: Arc::clone(&dropped) };
        let writer = Writer { pen, folding: Folding::new(1) };
        std::thread::Builder::new().name("log".into()).spawn(move || writer.run(&receiver))?;
        let guard = LogGuard(sender.clone());
        Ok((Self { sender, dropped, settings, colour }, guard))
    }

    /// Lines that could not be written, or not in time.
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

    pub(super) fn refused(&self, refusal: Arc<Refusal>) {
        if self.settings.requests != RequestLines::None && self.wants(refusal.reason.level().into()) {
            self.send(Message::Refusal(refusal));
        }
    }

    pub(super) fn served(&self, served: &ServedLine<'_>) {
        if self.writes_served() && self.wants(Level::Info) {
            self.line(&served.line());
        }
    }

    pub(super) fn line(&self, line: &Line<'_>) {
        if self.wants(line.level()) {
            self.send(Message::Line(line.write(self.settings.format, self.colour)));
        }
    }
}

struct Writer {
    pen: Pen,
    folding: Folding,
}

impl Writer {
    fn run(mut self, receiver: &Receiver<Message>) {
        loop {
            let mut write = |folded| self.pen.refusal(&folded);
            let now = Instant::now();
            // At every turn, for a stream of lines would keep the wait below from ever running out.
            self.folding.expire(now, &mut write);
            let wait = self.folding.next_end().map_or(IDLE, |end| end.saturating_duration_since(now));
            match receiver.recv_timeout(wait) {
                Ok(Message::Refusal(refusal)) => self.folding.take(refusal, Instant::now(), &mut write),
                Ok(Message::Line(line)) => self.pen.line(&line),
                Ok(Message::End(done)) => {
                    self.folding.finish(&mut write);
                    let _ = done.send(());
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return self.folding.finish(&mut write),
            }
        }
    }
}

/// What writes.
struct Pen {
    out: Box<dyn Write + Send>,
    settings: LogSettings,
    colour: bool,
    dropped: Arc<AtomicU64>,
}

impl Pen {
    fn refusal(&mut self, folded: &Folded) {
        let line = folded.refusal.line(folded.suppressed).write(self.settings.format, self.colour);
        self.line(&line);
    }

    /// A reader that is gone is no reason to stop serving.
    fn line(&mut self, line: &str) {
        if self.write(line.as_bytes()).is_err() {
            self.dropped.fetch_add(1, Relaxed);
        }
    }

    /// One write a line, so that lines of several processes on one pipe do not mix.
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

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Sender, channel};

    use super::*;
    use crate::domain::reason::Reason;

    /// Tells each write, and waits for permission where it is asked to.
    struct Pipe {
        written: Sender<Vec<u8>>,
        gate: Option<Receiver<()>>,
    }

    impl Write for Pipe {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if let Some(gate) = &self.gate {
                // Open for good once the other end is gone.
                let _ = gate.recv();
            }
            self.written.send(bytes.to_vec()).map_err(|_| ErrorKind::BrokenPipe)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn log(gate: Option<Receiver<()>>) -> (Log, LogGuard, Receiver<Vec<u8>>) {
        let (written, lines) = channel();
        let (log, guard) = Log::start(LogSettings::default(), Box::new(Pipe { written, gate }), false, false).unwrap();
        (log, guard, lines)
    }

    fn refusal() -> Arc<Refusal> {
        Arc::new(Refusal::unread(Reason::HeadMalformed, 400, "A detail.".into(), "A hint.".into()))
    }

    #[test]
    fn lines_are_written_whole_and_in_order() {
        let (log, _guard, lines) = log(None);
        log.send(Message::Line("one\n".into()));
        log.refused(refusal());
        log.send(Message::Line("two\n".into()));
        assert_eq!(lines.recv().unwrap(), b"one\n");
        let line: serde_json::Value = serde_json::from_slice(&lines.recv().unwrap()).unwrap();
        assert_eq!(line["reason"], "head_malformed");
        assert_eq!(lines.recv().unwrap(), b"two\n");
    }

    #[test]
    fn the_end_writes_what_is_on_its_way_and_what_was_held() {
        let (log, guard, lines) = log(None);
        for _ in 0..5 {
            log.refused(refusal());
        }
        drop((log, guard));
        let told: Vec<serde_json::Value> = lines.iter().map(|line| serde_json::from_slice(&line).unwrap()).collect();
        assert_eq!(told.len(), 2);
        assert_eq!((&told[0]["suppressed"], &told[1]["suppressed"]), (&serde_json::Value::Null, &3.into()));
    }

    #[test]
    fn a_blocked_pipe_holds_nobody_up_and_what_is_lost_is_counted() {
        let (open, gate) = channel();
        let (log, guard, lines) = log(Some(gate));
        let (count, dropped) = (MAX_WAITING as u64 + 100, log.dropped());
        for _ in 0..count {
            log.send(Message::Line("x\n".into()));
        }
        // The writer has at most one line in hand, the channel holds the rest.
        assert!((99..=100).contains(&dropped.load(Relaxed)), "{}", dropped.load(Relaxed));
        drop((open, guard, log));
        assert_eq!(lines.iter().count() as u64 + dropped.load(Relaxed), count);
    }

    #[test]
    fn a_line_for_a_pipe_that_broke_is_counted() {
        let (log, guard, lines) = log(None);
        let dropped = log.dropped();
        drop(lines);
        log.send(Message::Line("x\n".into()));
        drop(guard);
        assert_eq!(dropped.load(Relaxed), 1);
    }
}
