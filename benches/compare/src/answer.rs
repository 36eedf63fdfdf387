//! Reading an answer by its `Content-Length`, however it is cut into pieces.

use std::io::{Error, ErrorKind, Result};

use memchr::memmem;

/// Heads longer than this are taken for a broken answer.
const HEAD_LIMIT: usize = 64 * 1024;

/// How far one answer has come.
#[derive(Debug, Default)]
pub struct Reader {
    head: Vec<u8>,
    body_left: Option<u64>,
    status: u16,
}

/// An answer that has come whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Its status.
    pub status: u16,
}

impl Reader {
    /// Takes the next piece; gives the answer once it is whole.
    ///
    /// # Errors
    /// When the answer is not framed by `Content-Length`, or more comes than was asked for: the figures of such a run
    /// would be wrong.
    pub fn take(&mut self, piece: &[u8]) -> Result<Option<Answer>> {
        let body = if self.body_left.is_some() {
            piece.len()
        } else {
            // Most answers come in one piece: their head is read where it lies, and not copied.
            let head = if self.head.is_empty() {
                piece
            } else {
                self.head.extend_from_slice(piece);
                &self.head
            };
            let Some(end) = memmem::find(head, b"\r\n\r\n") else {
                if head.len() > HEAD_LIMIT {
                    return Err(broken("a head without end"));
                }
                if self.head.is_empty() {
                    self.head.extend_from_slice(piece);
                }
                return Ok(None);
            };
            let lines = head.get(..end).unwrap_or_default();
            self.status = status(lines)?;
            // Behind an answer that switched protocols come as many bytes as it says in a field of the stub's.
            self.body_left = Some(length(lines, if self.status == 101 { b"x-length:" } else { b"content-length:" })?);
            head.len() - end - 4
        };
        let left =
            self.body_left.unwrap_or(0).checked_sub(body as u64).ok_or_else(|| broken("more bytes than asked"))?;
        if left > 0 {
            self.body_left = Some(left);
            return Ok(None);
        }
        self.body_left = None;
        self.head.clear();
        Ok(Some(Answer { status: self.status }))
    }
}

/// The status of an answer's first line.
fn status(head: &[u8]) -> Result<u16> {
    let digits = head.get(9..12).and_then(|digits| std::str::from_utf8(digits).ok());
    digits.and_then(|digits| digits.parse().ok()).ok_or_else(|| broken("no status line"))
}

/// The length of the body: answers in chunks are not measured here.
fn length(head: &[u8], field: &[u8]) -> Result<u64> {
    for line in head.split(|byte| *byte == b'\n') {
        let Some((name, value)) = line.split_at_checked(field.len()) else { continue };
        if name.eq_ignore_ascii_case(field) {
            let value = std::str::from_utf8(value).map_err(|_| broken("a length that is no number"))?;
            return value.trim().parse().map_err(|_| broken("a length that is no number"));
        }
    }
    Err(broken("an answer without Content-Length"))
}

fn broken(what: &'static str) -> Error {
    Error::new(ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &[u8] = b"HTTP/1.1 401 Unauthorized\r\nX: 1\r\ncontent-length: 5\r\n\r\nhello";

    #[test]
    fn answer_is_the_same_wherever_it_is_cut() {
        for cut in 0..WHOLE.len() {
            let mut reader = Reader::default();
            assert_eq!(reader.take(&WHOLE[..cut]).unwrap(), None, "cut at {cut}");
            assert_eq!(reader.take(&WHOLE[cut..]).unwrap(), Some(Answer { status: 401 }), "cut at {cut}");
        }
    }

    #[test]
    fn reader_serves_one_answer_after_another() {
        let mut reader = Reader::default();
        for _ in 0..3 {
            assert_eq!(reader.take(WHOLE).unwrap(), Some(Answer { status: 401 }));
        }
    }

    #[test]
    fn what_cannot_be_counted_is_an_error() {
        assert!(Reader::default().take(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").is_err());
        assert!(Reader::default().take(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxy").is_err());
        assert!(Reader::default().take(b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n").is_err());
        assert!(Reader::default().take(b"HTTP/1.1 101 Switching\r\nContent-Length: 1\r\n\r\nx").is_err());
    }
}
