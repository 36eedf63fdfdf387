//! Chunked bodies (RFC 9112 §7.1), strictly: what is lenient here is where requests get smuggled.

use super::line::{HeadSoFar, check_form, strip};
use super::{Bounds, Fault};

const MAX_EXTENSION: usize = 1024;

/// Where in a chunked body the next byte stands.
#[derive(Debug)]
pub(super) enum Chunk {
    Size { digits: u8, value: u64 },
    Extension { length: usize, value: u64 },
    SizeEnd { value: u64 },
    Data(u64),
    DataCarriageReturn,
    DataLineFeed,
    Trailers(HeadSoFar),
}

/// Whether the body goes on.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ChunkStep {
    More,
    End,
}

impl Default for Chunk {
    fn default() -> Self {
        Self::Size { digits: 0, value: 0 }
    }
}

impl Chunk {
    pub(super) fn step(
        &mut self,
        bytes: &[u8],
        bounds: &Bounds,
        carry: &mut Vec<u8>,
    ) -> Result<(usize, ChunkStep), Fault> {
        if let Self::Data(left) = self {
            let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
            *left -= taken as u64;
            if *left == 0 {
                *self = Self::DataCarriageReturn;
            }
            return Ok((taken, ChunkStep::More));
        }
        if let Self::Trailers(head) = self {
            return trailers(bytes, head, bounds, carry);
        }
        let Some(byte) = bytes.first() else { return Ok((0, ChunkStep::More)) };
        *self = self.next(*byte)?;
        Ok((1, ChunkStep::More))
    }

    fn next(&self, byte: u8) -> Result<Self, Fault> {
        match (self, byte) {
            (Self::Size { digits, value }, digit) if digit.is_ascii_hexdigit() => {
                if *digits == 15 {
                    return Err(Fault::body("A chunk's size is too large."));
                }
                let digit = u64::from(char::from(digit).to_digit(16).unwrap_or_default());
                Ok(Self::Size { digits: digits + 1, value: value << 4 | digit })
            }
            (Self::Size { digits: 1.., value }, b'\r') | (Self::Extension { value, .. }, b'\r') => {
                Ok(Self::SizeEnd { value: *value })
            }
            (Self::Size { digits: 1.., value }, b';') => Ok(Self::Extension { length: 0, value: *value }),
            (Self::Extension { length, value }, byte) if byte == b'\t' || (byte >= 0x20 && byte != 0x7f) => {
                if *length == MAX_EXTENSION {
                    return Err(Fault::body("A chunk's extension is longer than 1 KiB."));
                }
                Ok(Self::Extension { length: length + 1, value: *value })
            }
            (Self::SizeEnd { value: 0 }, b'\n') => Ok(Self::Trailers(HeadSoFar::default())),
            (Self::SizeEnd { value }, b'\n') => Ok(Self::Data(*value)),
            (Self::DataCarriageReturn, b'\r') => Ok(Self::DataLineFeed),
            (Self::DataLineFeed, b'\n') => Ok(Self::default()),
            (Self::DataCarriageReturn | Self::DataLineFeed, _) => {
                Err(Fault::body("A chunk is longer than its size says."))
            }
            _ => Err(Fault::body("A chunk's size line is malformed.")),
        }
    }
}

fn trailers(
    bytes: &[u8],
    head: &mut HeadSoFar,
    bounds: &Bounds,
    carry: &mut Vec<u8>,
) -> Result<(usize, ChunkStep), Fault> {
    let in_body = |fault: Fault| Fault::body(format!("In the trailers: {}", fault.detail));
    let end = memchr::memchr(b'\n', bytes).map_or(bytes.len(), |at| at + 1);
    let (piece, _) = bytes.split_at(end);
    head.size += piece.len();
    if head.size > bounds.max_head {
        return Err(Fault::body("The trailers are larger than `http.max_head`."));
    }
    carry.extend_from_slice(piece);
    if piece.last() != Some(&b'\n') {
        return Ok((piece.len(), ChunkStep::More));
    }
    let raw = std::mem::take(carry);
    let line = strip(&raw, head).map_err(in_body)?;
    if line.is_empty() {
        return Ok((piece.len(), ChunkStep::End));
    }
    // What a trailer says of the message's framing or place is not believed: it is dropped.
    check_form(line, head, bounds).map_err(in_body)?;
    Ok((piece.len(), ChunkStep::More))
}
