//! The bytes of an HTTP/1 connection, judged before anything acts on them: where heads and bodies begin and end, and
//! what no two parsers would read alike (RFC 9112). Holds no more than one unfinished line.
//!
//! hyper is more lenient than we may be: it takes a bare LF for a line's end, so that the rest of a head with a newline
//! in its token becomes a second request. A proxy that explains refusals must see such bytes itself.

mod chunked;
mod decoded;
mod dechunk;
mod fast;
mod line;
mod request_line;

use std::mem;

use self::chunked::{Chunk, ChunkStep};
pub use self::dechunk::{Dechunker, Part};
pub use self::decoded::check_decoded;
use self::line::{HeadSoFar, check_field, unterminated};
use super::reason::Reason;

/// What is wrong with the bytes of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The reason to give.
    pub reason: Reason,
    /// The status to answer with.
    pub status: u16,
    /// What was found, and where, without the bytes themselves.
    pub detail: String,
}

impl Fault {
    fn head(detail: impl Into<String>) -> Self {
        Self { reason: Reason::HeadMalformed, status: 400, detail: detail.into() }
    }

    fn newline(detail: impl Into<String>) -> Self {
        Self { reason: Reason::NewlineInHead, status: 400, detail: detail.into() }
    }

    fn too_large(status: u16, detail: impl Into<String>) -> Self {
        Self { reason: Reason::HeadTooLarge, status, detail: detail.into() }
    }

    fn body(detail: impl Into<String>) -> Self {
        Self { reason: Reason::BodyMalformed, status: 400, detail: detail.into() }
    }
}

/// How much of a head is taken.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Bytes of a head (and of trailers) at most.
    pub max_head: usize,
    /// Header lines at most.
    pub max_headers: usize,
    /// Bytes of a target at most.
    pub max_target: usize,
}

/// What came after the bytes that were taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// All bytes were taken; nothing ended.
    More,
    /// A head is complete. More bytes may follow.
    Head,
    /// What follows must wait until the answer to an upgrade is known: call [`Scanner::resume`] or stop scanning.
    Hold,
    /// The bytes that follow must not be acted on.
    Fault(Fault),
}

#[derive(Debug)]
enum State {
    /// Between requests; so many blank lines were skipped.
    Idle(u8),
    Head(HeadSoFar),
    Sized(u64),
    Chunked(Chunk),
    Held,
    Ended,
}

/// Follows the framing of one connection.
#[derive(Debug)]
pub struct Scanner {
    bounds: Bounds,
    state: State,
    /// The beginning of a line whose end has not come.
    carry: Vec<u8>,
    /// The current request wants to upgrade.
    upgrade: bool,
    heads: u64,
}

impl Scanner {
    /// At the beginning of a connection.
    pub const fn new(bounds: Bounds) -> Self {
        Self { bounds, state: State::Idle(0), carry: Vec::new(), upgrade: false, heads: 0 }
    }

    /// Heads that were complete so far.
    pub const fn heads(&self) -> u64 {
        self.heads
    }

    /// Whether a head has begun and not ended.
    pub const fn is_in_head(&self) -> bool {
        matches!(self.state, State::Head(_)) || (matches!(self.state, State::Idle(_)) && !self.carry.is_empty())
    }

    /// Whether the next byte begins a new request.
    pub const fn is_idle(&self) -> bool {
        matches!(self.state, State::Idle(_)) && self.carry.is_empty()
    }

    /// Whether bytes wait for the answer to an upgrade.
    pub const fn is_held(&self) -> bool {
        matches!(self.state, State::Held)
    }

    /// The upgrade was not granted: what follows is HTTP again.
    pub fn resume(&mut self) {
        if self.is_held() {
            self.state = State::Idle(0);
        }
    }

    /// Takes bytes from the beginning of `bytes`: how many are sound, and what comes after them.
    pub fn advance(&mut self, bytes: &[u8]) -> (usize, Event) {
        let mut rest = bytes;
        let mut event = Event::More;
        while !rest.is_empty() {
            let taken = match self.step(rest) {
                Ok((taken, None)) => taken,
                Ok((taken, Some(Event::Head))) => {
                    event = Event::Head;
                    taken
                }
                Ok((_, Some(stop))) => {
                    event = stop;
                    break;
                }
                Err(fault) => {
                    self.state = State::Ended;
                    self.carry = Vec::new();
                    event = Event::Fault(fault);
                    break;
                }
            };
            rest = rest.get(taken..).unwrap_or_default();
        }
        (bytes.len() - rest.len(), event)
    }

    fn step(&mut self, bytes: &[u8]) -> Result<(usize, Option<Event>), Fault> {
        match &mut self.state {
            State::Idle(0) if self.carry.is_empty() => match fast::whole_head(bytes, &self.bounds) {
                Some((head, size)) => Ok((size, Some(self.begin_body(&head)?))),
                // Anything out of the ordinary is read line by line, to say exactly what it is.
                None => self.step_head(bytes),
            },
            State::Idle(_) | State::Head(_) => self.step_head(bytes),
            State::Sized(left) => {
                let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                *left -= taken as u64;
                if *left == 0 {
                    self.end_message();
                }
                Ok((taken, None))
            }
            State::Chunked(chunk) => {
                let (taken, step) = chunk.step(bytes, &self.bounds, &mut self.carry)?;
                if step == ChunkStep::End {
                    self.end_message();
                }
                Ok((taken, None))
            }
            State::Held => Ok((0, Some(Event::Hold))),
            State::Ended => Ok((0, Some(Event::Fault(Fault::head("The connection is past a malformed request."))))),
        }
    }

    fn step_head(&mut self, bytes: &[u8]) -> Result<(usize, Option<Event>), Fault> {
        let Some(end) = memchr::memchr(b'\n', bytes) else {
            let so_far = self.head_size() + self.carry.len() + bytes.len();
            if so_far > self.bounds.max_head {
                return Err(self.head_too_large());
            }
            self.carry.extend_from_slice(bytes);
            match &self.state {
                State::Head(head) => unterminated(&self.carry, head)?,
                _ => unterminated(&self.carry, &HeadSoFar::default())?,
            }
            return Ok((bytes.len(), None));
        };
        let (raw, _) = bytes.split_at(end + 1);
        if self.carry.is_empty() {
            let done = self.take_line(raw)?;
            return Ok((raw.len(), done));
        }
        let mut line = mem::take(&mut self.carry);
        line.extend_from_slice(raw);
        let done = self.take_line(&line)?;
        line.clear();
        self.carry = line;
        Ok((raw.len(), done))
    }

    /// Judges one line with its line end.
    fn take_line(&mut self, raw: &[u8]) -> Result<Option<Event>, Fault> {
        if self.head_size() + raw.len() > self.bounds.max_head {
            return Err(self.head_too_large());
        }
        match &mut self.state {
            State::Head(head) => {
                let line = line::strip(raw, head)?;
                if !line.is_empty() {
                    check_field(line, head, &self.bounds)?;
                    head.size += raw.len();
                    return Ok(None);
                }
                let head = mem::take(head);
                self.begin_body(&head).map(Some)
            }
            State::Idle(blank) => {
                let mut head = HeadSoFar::default();
                let line = line::strip(raw, &head)?;
                if line.is_empty() {
                    *blank += 1;
                    // RFC 9112 §2.2 lets a server skip one; a stream of them is no request.
                    return if *blank > 2 { Err(Fault::head("Blank lines instead of a request.")) } else { Ok(None) };
                }
                request_line::check(line, &mut head, &self.bounds)?;
                head.size = raw.len();
                self.state = State::Head(head);
                Ok(None)
            }
            _ => Ok(None),
        }
    }

    /// The head is complete: what follows is framed by it.
    fn begin_body(&mut self, head: &HeadSoFar) -> Result<Event, Fault> {
        let body = head.finish()?;
        self.upgrade = head.upgrade;
        self.heads += 1;
        match body {
            line::BodyFraming::None | line::BodyFraming::Sized(0) => self.end_message(),
            line::BodyFraming::Sized(length) => self.state = State::Sized(length),
            line::BodyFraming::Chunked => self.state = State::Chunked(Chunk::default()),
        }
        Ok(Event::Head)
    }

    fn end_message(&mut self) {
        self.state = if mem::take(&mut self.upgrade) { State::Held } else { State::Idle(0) };
    }

    const fn head_size(&self) -> usize {
        match &self.state {
            State::Head(head) => head.size,
            _ => 0,
        }
    }

    fn head_too_large(&self) -> Fault {
        if matches!(self.state, State::Idle(_)) && self.bounds.max_target < self.bounds.max_head {
            return Fault::too_large(414, format!("The request line is longer than {} bytes.", self.bounds.max_target));
        }
        Fault::too_large(431, format!("The head is larger than `http.max_head`, {} bytes.", self.bounds.max_head))
    }
}

#[cfg(test)]
mod tests;
