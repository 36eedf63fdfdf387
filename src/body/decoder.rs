//! The bytes of a body taken out of what was read, by the framing that its head told.

use bytes::{Buf as _, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body::{Frame, SizeHint};

use crate::domain::framing::{Bounds, Dechunker, Fault, Part};

/// A body as it comes.
#[derive(Debug)]
pub enum Decoder {
    /// All of it has come.
    Ended,
    /// So many bytes are to come.
    Sized(u64),
    /// Chunks.
    Chunked(Box<Dechunker>),
    /// Behind the last data: trailers, or what is wrong with the chunks.
    Last(Box<Result<HeaderMap, Fault>>),
    /// Whatever comes before the end of the connection.
    UntilClose,
    /// It ended before its end: whoever reads on must not take that for the end.
    Broken,
}

impl Decoder {
    /// Chunks from their beginning.
    pub fn chunked(bounds: Bounds) -> Self {
        Self::Chunked(Box::new(Dechunker::new(bounds)))
    }

    /// Whether all of it has come.
    pub const fn is_ended(&self) -> bool {
        matches!(self, Self::Ended)
    }

    /// How much is to come.
    pub fn size_hint(&self) -> SizeHint {
        match self {
            Self::Ended => SizeHint::with_exact(0),
            Self::Sized(left) => SizeHint::with_exact(*left),
            Self::Chunked(_) | Self::Last(_) | Self::UntilClose | Self::Broken => SizeHint::default(),
        }
    }

    /// Takes the next piece off `buffer`. Nothing: more must come, or all has.
    pub fn decode(&mut self, buffer: &mut BytesMut) -> Result<Option<Frame<Bytes>>, Fault> {
        match self {
            Self::Ended | Self::Broken => Ok(None),
            Self::Last(_) => match std::mem::replace(self, Self::Ended) {
                Self::Last(last) => {
                    (*last).map(|trailers| Some(Frame::trailers(trailers))).inspect_err(|_| *self = Self::Broken)
                }
                _ => Ok(None),
            },
            _ if buffer.is_empty() => Ok(None),
            Self::UntilClose => Ok(Some(Frame::data(buffer.split().freeze()))),
            Self::Sized(left) => {
                let count = usize::try_from(*left).unwrap_or(usize::MAX).min(buffer.len());
                *left -= count as u64;
                if *left == 0 {
                    *self = Self::Ended;
                }
                Ok(Some(Frame::data(buffer.split_to(count).freeze())))
            }
            Self::Chunked(chunks) => match take_chunk(chunks, buffer) {
                Ok((Some(data), last)) => {
                    last.into_iter().for_each(|last| *self = last);
                    Ok(Some(Frame::data(data)))
                }
                Ok((None, None)) => Ok(None),
                Ok((None, Some(last))) => {
                    *self = last;
                    self.decode(buffer)
                }
                Err(fault) => {
                    *self = Self::Broken;
                    Err(fault)
                }
            },
        }
    }
}

/// The next data, and what comes after it where that is known to be no data.
fn take_chunk(chunks: &mut Dechunker, buffer: &mut BytesMut) -> Result<(Option<Bytes>, Option<Decoder>), Fault> {
    let mut data = None;
    // The end has often come with the last data: whoever knows it can pass on both at once.
    while !buffer.is_empty() && (data.is_none() || !chunks.is_in_data()) {
        match chunks.advance(buffer) {
            Ok(Part::Framing(count)) => buffer.advance(count),
            Ok(Part::Data(count)) => data = Some(buffer.split_to(count).freeze()),
            Ok(Part::End(count)) => {
                buffer.advance(count);
                let last =
                    parse_trailers(chunks.trailers()).map_or(Decoder::Ended, |last| Decoder::Last(Box::new(last)));
                return Ok((data, Some(last)));
            }
            // What came before it is sound.
            Err(fault) if data.is_some() => return Ok((data, Some(Decoder::Last(Box::new(Err(fault)))))),
            Err(fault) => return Err(fault),
        }
    }
    Ok((data, None))
}

/// The fields of trailers whose lines were judged before.
fn parse_trailers(lines: &[u8]) -> Option<Result<HeaderMap, Fault>> {
    let mut trailers = HeaderMap::new();
    for line in lines.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty()) {
        let colon = memchr::memchr(b':', line).unwrap_or(line.len());
        let (name, value) = line.split_at(colon);
        let name = HeaderName::from_bytes(name).ok();
        let value = HeaderValue::from_bytes(value.get(1..).unwrap_or_default().trim_ascii()).ok();
        let (Some(name), Some(value)) = (name, value) else { return Some(Err(Fault::body("A trailer is no field."))) };
        trailers.append(name, value);
    }
    (!trailers.is_empty()).then_some(Ok(trailers))
}

#[cfg(test)]
mod tests;
