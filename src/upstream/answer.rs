//! The head of an answer: strictly what RFC 9112 allows, so that nobody behind us reads its end elsewhere.

use std::ops::Range;

use bytes::BytesMut;
use http::{StatusCode, Version};
use memchr::memchr;
use smallvec::SmallVec;

use crate::domain::fields::{Field, Fields, is};
use crate::domain::framing::{count_controls, name_end};

/// Bytes of a head at most.
pub const MAX_HEAD: usize = 64 * 1024;

/// Lines of a head at most.
pub const MAX_LINES: usize = 100;

/// Most answers have no more.
const USUAL_LINES: usize = 16;

/// What every head begins with.
const START: &[u8] = b"HTTP/1.";

/// Where the words behind the status begin.
const PHRASE: usize = b"HTTP/1.1 200 ".len();

/// The head of an answer.
#[derive(Debug)]
pub struct Head {
    /// The status.
    pub status: StatusCode,
    /// HTTP/1.1 or HTTP/1.0.
    pub version: Version,
    /// Where in the bytes of the fields the words behind the status stand.
    pub phrase: Range<usize>,
    /// The fields, as they came.
    pub fields: Fields,
    /// Where the body ends.
    pub framing: Framing,
    /// Whether another request may follow on this connection.
    pub keep_alive: bool,
}

/// How an answer's body is framed (RFC 9112 §6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// There is no body.
    Empty,
    /// So many bytes.
    Sized(u64),
    /// Chunks.
    Chunked,
    /// Until the connection ends.
    UntilClose,
}

/// What came is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub &'static str);

/// Takes a complete head from the beginning of `buffer`, or nothing where its end has not come. `to_head` says that the
/// request was a HEAD, whose answer has no body whatever it says.
pub fn take(buffer: &mut BytesMut, to_head: bool) -> Result<Option<Head>, Malformed> {
    let Some(found) = Found::find(buffer)? else { return Ok(None) };
    let Found { lines, end, status, version, .. } = found;
    let phrase = found.phrase;
    let framing = found.said.framing(status, version, to_head)?;
    // Whoever sends two framings, or a body where none may be, cannot be trusted with the place where it ends.
    let said = found.said;
    let doubtful = said.coded && said.length.is_some()
        || status == StatusCode::NO_CONTENT && (said.coded || said.length.is_some_and(|length| length > 0));
    let keep_alive = said.keep_alive && !doubtful && framing != Framing::UntilClose;
    let fields = Fields::new(buffer.split_to(end).freeze(), lines);
    Ok(Some(Head { status, version, phrase, fields, framing, keep_alive }))
}

/// A complete head.
struct Found {
    status: StatusCode,
    version: Version,
    phrase: Range<usize>,
    lines: Vec<Field>,
    said: Said,
    /// Where the head ends, its blank line included.
    end: usize,
}

impl Found {
    /// Looks for the end of the head. What cannot become a head is told from its first bytes.
    fn find(bytes: &[u8]) -> Result<Option<Self>, Malformed> {
        if bytes.iter().zip(START).any(|(byte, wanted)| byte != wanted) {
            return Err(Malformed("it does not begin with HTTP/1"));
        }
        let Some(end) = first_line(bytes)? else { return Ok(None) };
        let (version, status) = status_line(bytes.get(..end - 2).unwrap_or_default())?;
        let mut found = Self {
            status,
            version,
            phrase: PHRASE.min(end - 2)..end - 2,
            lines: Vec::with_capacity(USUAL_LINES),
            said: Said { keep_alive: version == Version::HTTP_11, ..Said::default() },
            end,
        };
        while let Some((line, next)) = next_line(bytes, found.end)? {
            let start = std::mem::replace(&mut found.end, next);
            if line.is_empty() {
                // CR and LF of each line, and not one control byte more.
                let whole = bytes.get(..next).unwrap_or_default();
                let sound = count_controls(whole) == 2 * (found.lines.len() + 2);
                return if sound { Ok(Some(found)) } else { Err(Malformed("a field of its head has no valid value")) };
            }
            found.take(line, start)?;
        }
        Ok(None)
    }

    fn take(&mut self, line: &[u8], start: usize) -> Result<(), Malformed> {
        if self.lines.len() == MAX_LINES {
            return Err(Malformed("its head has more than 100 lines"));
        }
        // Refuses what is no token: also a blank before the colon, and the blank that begins a folded line.
        let Some(colon) = name_end(line) else {
            let has_colon = line.contains(&b':');
            return Err(Malformed(if has_colon {
                "a field of its head has no valid name"
            } else {
                "a line of its head has no colon"
            }));
        };
        let (name, value) = line.split_at(colon);
        self.lines.push(Field::new(start, start + colon, start + line.len()));
        self.said.look(name, value.get(1..).unwrap_or_default())
    }
}

/// Where the status line ends.
fn first_line(bytes: &[u8]) -> Result<Option<usize>, Malformed> {
    next_line(bytes, 0).map(|line| line.map(|(_, next)| next))
}

/// The line that begins at `from`, without its CR LF, and where the next one begins.
fn next_line(bytes: &[u8], from: usize) -> Result<Option<(&[u8], usize)>, Malformed> {
    let rest = bytes.get(from..).unwrap_or_default();
    let too_long = || Malformed("its head is longer than 64 KiB");
    let Some(length) = memchr(b'\n', rest) else {
        return if bytes.len() > MAX_HEAD { Err(too_long()) } else { Ok(None) };
    };
    if from + length > MAX_HEAD {
        return Err(too_long());
    }
    match rest.get(..length) {
        Some([line @ .., b'\r']) => Ok(Some((line, from + length + 1))),
        _ => Err(Malformed("a line of its head ends in a bare LF")),
    }
}

/// `HTTP/1.1 200 OK`; the words may be missing, and the blank before them, too.
fn status_line(line: &[u8]) -> Result<(Version, StatusCode), Malformed> {
    let malformed = Malformed("its status line is no status line");
    let (version, rest) = match line.strip_prefix(START) {
        Some([b'1', b' ', rest @ ..]) => (Version::HTTP_11, rest),
        Some([b'0', b' ', rest @ ..]) => (Version::HTTP_10, rest),
        _ => return Err(malformed),
    };
    let (code, words) = rest.split_at_checked(3).ok_or(malformed)?;
    let is_text = |byte: &u8| *byte == b'\t' || *byte >= b' ' && *byte != 0x7f;
    if !matches!(words, [] | [b' ', ..]) || !words.iter().all(is_text) {
        return Err(malformed);
    }
    Ok((version, StatusCode::from_bytes(code).map_err(|_| malformed)?))
}

/// What the fields say about the message itself.
#[derive(Clone, Copy, Debug, Default)]
struct Said {
    length: Option<u64>,
    coded: bool,
    keep_alive: bool,
}

impl Said {
    fn look(&mut self, name: &[u8], value: &[u8]) -> Result<(), Malformed> {
        match name.len() {
            10 if is(name, "connection") => {
                let options: SmallVec<[&[u8]; 2]> = value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).collect();
                if options.iter().any(|option| option.eq_ignore_ascii_case(b"close")) {
                    self.keep_alive = false;
                } else if options.iter().any(|option| option.eq_ignore_ascii_case(b"keep-alive")) {
                    self.keep_alive = true;
                }
            }
            14 if is(name, "content-length") => {
                let value = value.trim_ascii();
                if self.length.is_some() {
                    return Err(Malformed("it has two lengths"));
                }
                // Eighteen digits fit a u64; a sign, a list or a longer number is no length.
                if value.is_empty() || value.len() > 18 || !value.iter().all(u8::is_ascii_digit) {
                    return Err(Malformed("its length is no number"));
                }
                self.length = Some(value.iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0')));
            }
            17 if is(name, "transfer-encoding") => {
                if self.coded || !value.trim_ascii().eq_ignore_ascii_case(b"chunked") {
                    return Err(Malformed("its transfer coding is not chunked alone"));
                }
                self.coded = true;
            }
            _ => {}
        }
        Ok(())
    }

    fn framing(&self, status: StatusCode, version: Version, to_head: bool) -> Result<Framing, Malformed> {
        if self.coded && version != Version::HTTP_11 {
            return Err(Malformed("it is chunked in HTTP/1.0"));
        }
        let bodyless =
            to_head || status.is_informational() || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        Ok(match self.length {
            _ if bodyless => Framing::Empty,
            _ if self.coded => Framing::Chunked,
            Some(0) => Framing::Empty,
            Some(length) => Framing::Sized(length),
            None => Framing::UntilClose,
        })
    }
}

#[cfg(test)]
mod tests;
