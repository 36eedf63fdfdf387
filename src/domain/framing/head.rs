//! The head of a request, looked for at the beginning of a buffer: where it ends, where its parts are, how its body is
//! framed.

use std::mem;
use std::ops::Range;

use super::line::{self, HeadSoFar, check_field, name_end, unterminated};
use super::{Bounds, Fault, Framing, fast, request_line};
use crate::domain::fields::Field;

/// Most heads have no more fields.
const USUAL_LINES: usize = 16;

/// A head that is complete and sound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestHead {
    /// Its bytes, the blank line at its end included.
    pub size: usize,
    /// Where the method ends, which begins the head.
    pub method_end: usize,
    /// Where the target stands.
    pub target: Range<usize>,
    /// HTTP/1.0.
    pub old_version: bool,
    /// What follows.
    pub framing: Framing,
}

/// What stands at the beginning of the buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing whole.
    More,
    /// So many bytes of a blank line, which are to be dropped.
    Blank(usize),
    /// A head. Its fields are [`HeadReader::take_fields`].
    Head(RequestHead),
}

/// Looks for one head after another. Called again with the same bytes and more, it goes on where it was.
#[derive(Debug)]
pub struct HeadReader {
    bounds: Bounds,
    /// Blank lines before the request.
    blank: u8,
    /// What the lines so far have told; nothing before the request line.
    head: Option<HeadSoFar>,
    /// Where the line begins whose end has not come.
    line: usize,
    /// How far that line was looked at.
    searched: usize,
    fields: Vec<Field>,
    /// The last head ended with its credential.
    credential_last: bool,
}

impl HeadReader {
    /// Before the first head of a connection.
    pub const fn new(bounds: Bounds) -> Self {
        Self { bounds, blank: 0, head: None, line: 0, searched: 0, fields: Vec::new(), credential_last: false }
    }

    /// Hands the fields of the head over that was found last.
    pub fn take_fields(&mut self) -> Vec<Field> {
        mem::take(&mut self.fields)
    }

    /// Judges the beginning of `bytes`. After a head, its bytes and its body are to be taken away.
    pub fn read(&mut self, bytes: &[u8]) -> Result<Found, Fault> {
        if self.searched == 0 && self.blank == 0 {
            self.fields.clear();
            self.fields.reserve(USUAL_LINES);
            if let Some((head, size)) = fast::whole_head(bytes, &self.bounds, &mut self.fields) {
                self.credential_last = head.in_credential;
                return Ok(Found::Head(complete(&head, size)?));
            }
            // Anything out of the ordinary is read line by line, to say exactly what it is.
            self.fields.clear();
        }
        loop {
            let fresh = bytes.get(self.searched..).unwrap_or_default();
            let Some(end) = memchr::memchr(b'\n', fresh).map(|at| self.searched + at + 1) else {
                self.look_at_rest(bytes)?;
                return Ok(Found::More);
            };
            if end > self.bounds.max_head {
                return Err(self.too_large());
            }
            let found = self.take_line(bytes, end)?;
            (self.line, self.searched) = (end, end);
            if let Some(found) = found {
                (self.head, self.line, self.searched) = (None, 0, 0);
                if matches!(found, Found::Head(_)) {
                    self.blank = 0;
                }
                return Ok(found);
            }
        }
    }

    /// Judges a line whose end has not come, as far as it has.
    fn look_at_rest(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        if bytes.len() > self.bounds.max_head {
            return Err(self.too_large());
        }
        let rest = bytes.get(self.line..).unwrap_or_default();
        // The last byte before may have been a CR, which only now proves to be bare.
        let seen = (self.searched - self.line).saturating_sub(1);
        match &self.head {
            Some(head) => unterminated(rest, seen, head)?,
            None => unterminated(rest, seen, &HeadSoFar::default())?,
        }
        self.searched = bytes.len();
        Ok(())
    }

    /// Judges the line that ends at `end`.
    fn take_line(&mut self, bytes: &[u8], end: usize) -> Result<Option<Found>, Fault> {
        let raw = bytes.get(self.line..end).unwrap_or_default();
        let Some(head) = &mut self.head else {
            let mut head = HeadSoFar::default();
            let line = line::strip(raw, &head)?;
            if !line.is_empty() {
                request_line::check(line, &mut head, &self.bounds).map_err(|fault| self.explain(line, fault))?;
                self.head = Some(head);
                return Ok(None);
            }
            self.blank += 1;
            // RFC 9112 §2.2 lets a server skip one; a stream of them is no request.
            return if self.blank > 2 {
                Err(Fault::head("Blank lines instead of a request."))
            } else {
                Ok(Some(Found::Blank(end)))
            };
        };
        let line = line::strip(raw, head)?;
        if line.is_empty() {
            self.credential_last = head.in_credential;
            return complete(&mem::take(head), end).map(|head| Some(Found::Head(head)));
        }
        let colon = check_field(line, head, &self.bounds)?;
        self.fields.push(Field::new(self.line, self.line + colon, self.line + line.len()));
        Ok(None)
    }

    /// What is no request line may be the rest of the head before, which a secret with a line break behind it has cut.
    fn explain(&self, line: &[u8], fault: Fault) -> Fault {
        if !self.credential_last || name_end(line).is_none() {
            return fault;
        }
        Fault::newline_in_secret(
            "A field stands where a request should begin, and the head before ended right behind `Authorization`: the secret \
             ends in a line break, which ended that head.",
        )
    }

    fn too_large(&self) -> Fault {
        if self.head.is_none() && self.bounds.max_target < self.bounds.max_head {
            return Fault::target_too_long(format!(
                "The request line is longer than {} bytes.",
                self.bounds.max_target
            ));
        }
        Fault::head_too_large(self.bounds.max_head)
    }

    /// Reads as if nothing were ordinary, for tests to hold the fast reading against.
    #[cfg(test)]
    pub(super) fn read_strictly(&mut self, bytes: &[u8]) -> Result<Found, Fault> {
        self.blank = 1;
        self.read(bytes)
    }
}

/// The head whose lines told this.
fn complete(head: &HeadSoFar, size: usize) -> Result<RequestHead, Fault> {
    Ok(RequestHead {
        size,
        method_end: head.method_end,
        target: head.method_end + 1..head.target_end,
        old_version: head.old_version,
        framing: head.finish()?,
    })
}
