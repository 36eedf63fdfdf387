//! The head of an answer: strictly what RFC 9112 allows, so that nobody behind us reads its end elsewhere.

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Version, header};
use memchr::memchr;
use smallvec::SmallVec;

/// Bytes of a head at most.
pub const MAX_HEAD: usize = 64 * 1024;

/// Lines of a head at most.
pub const MAX_LINES: usize = 100;

/// Fields that we add to an answer on its way back: room for them is made at once.
const ADDED: usize = 6;

/// What every head begins with.
const START: &[u8] = b"HTTP/1.";

/// The head of an answer.
#[derive(Debug)]
pub struct Head {
    /// The status.
    pub status: StatusCode,
    /// HTTP/1.1 or HTTP/1.0.
    pub version: Version,
    /// The fields, as they came.
    pub headers: HeaderMap,
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
    let Some(lines) = Lines::find(buffer)? else { return Ok(None) };
    parse(&buffer.split_to(lines.end).freeze(), &lines, to_head).map(Some)
}

/// Where the lines of a complete head end, each before its CRLF.
struct Lines {
    ends: SmallVec<[usize; 32]>,
    /// Where the head ends, its blank line included.
    end: usize,
}

impl Lines {
    /// Looks for the end of the head. What cannot become a head is told from its first bytes.
    fn find(bytes: &[u8]) -> Result<Option<Self>, Malformed> {
        if bytes.iter().zip(START).any(|(byte, wanted)| byte != wanted) {
            return Err(Malformed("it does not begin with HTTP/1"));
        }
        let (mut ends, mut line) = (SmallVec::new(), 0);
        while let Some(length) = bytes.get(line..).and_then(|rest| memchr(b'\n', rest)) {
            let end = line + length;
            if end > MAX_HEAD {
                break;
            }
            match bytes.get(line..end) {
                Some(b"\r") => return Ok(Some(Self { ends, end: end + 1 })),
                Some([.., b'\r']) if ends.len() > MAX_LINES => {
                    return Err(Malformed("its head has more than 100 lines"));
                }
                Some([.., b'\r']) => ends.push(end - 1),
                _ => return Err(Malformed("a line of its head ends in a bare LF")),
            }
            line = end + 1;
        }
        if bytes.len() > MAX_HEAD { Err(Malformed("its head is longer than 64 KiB")) } else { Ok(None) }
    }
}

fn parse(bytes: &Bytes, lines: &Lines, to_head: bool) -> Result<Head, Malformed> {
    let mut ends = lines.ends.iter().copied();
    let mut before = ends.next().unwrap_or_default();
    let (version, status) = status_line(bytes.get(..before).unwrap_or_default())?;
    let mut headers = HeaderMap::with_capacity(ends.len() + ADDED);
    let mut found = Found { keep_alive: version == Version::HTTP_11, ..Found::default() };
    for end in ends {
        let start = before + 2;
        let line = bytes.get(start..end).unwrap_or_default();
        let colon = line.iter().position(|byte| *byte == b':').ok_or(Malformed("a line of its head has no colon"))?;
        let (name, value) = line.split_at(colon);
        // Refuses what is no token: also a blank before the colon, and the blank that begins a folded line.
        let name = HeaderName::from_bytes(name).map_err(|_| Malformed("a field of its head has no valid name"))?;
        let value = trim(value.get(1..).unwrap_or_default());
        found.look(&name, value)?;
        let value = HeaderValue::from_maybe_shared(bytes.slice_ref(value));
        headers.append(name, value.map_err(|_| Malformed("a field of its head has no valid value"))?);
        before = end;
    }
    let framing = found.framing(status, version, to_head)?;
    // Whoever sends two framings, or a body where none may be, cannot be trusted with the place where it ends.
    let doubtful = found.coded && found.length.is_some()
        || status == StatusCode::NO_CONTENT && (found.coded || found.length.is_some_and(|length| length > 0));
    let keep_alive = found.keep_alive && !doubtful && framing != Framing::UntilClose;
    Ok(Head { status, version, headers, framing, keep_alive })
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

/// A value without the blanks around it (RFC 9110 §5.5).
fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

/// What the fields say about the message itself.
#[derive(Debug, Default)]
struct Found {
    length: Option<u64>,
    coded: bool,
    keep_alive: bool,
}

impl Found {
    fn look(&mut self, name: &HeaderName, value: &[u8]) -> Result<(), Malformed> {
        match *name {
            header::CONTENT_LENGTH => {
                if self.length.is_some() {
                    return Err(Malformed("it has two lengths"));
                }
                // Eighteen digits fit a u64; a sign, a list or a longer number is no length.
                if value.is_empty() || value.len() > 18 || !value.iter().all(u8::is_ascii_digit) {
                    return Err(Malformed("its length is no number"));
                }
                self.length = Some(value.iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0')));
            }
            header::TRANSFER_ENCODING if self.coded || !value.eq_ignore_ascii_case(b"chunked") => {
                return Err(Malformed("its transfer coding is not chunked alone"));
            }
            header::TRANSFER_ENCODING => self.coded = true,
            header::CONNECTION => {
                let options: SmallVec<[&[u8]; 2]> = value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).collect();
                if options.iter().any(|option| option.eq_ignore_ascii_case(b"close")) {
                    self.keep_alive = false;
                } else if options.iter().any(|option| option.eq_ignore_ascii_case(b"keep-alive")) {
                    self.keep_alive = true;
                }
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
