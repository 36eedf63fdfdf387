//! Chunked bodies taken apart: the same strict reading as for requests, which also says which bytes are data.

use super::chunked::{Chunk, ChunkStep};
use super::{Bounds, Fault};

/// What the first bytes of a piece are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Sizes, line ends, trailers.
    Framing(usize),
    /// Data of the body.
    Data(usize),
    /// The last of the framing: the body is complete.
    End(usize),
}

/// A chunked body as it comes.
#[derive(Debug)]
pub struct Dechunker {
    bounds: Bounds,
    chunk: Chunk,
    carry: Vec<u8>,
    trailers: Vec<u8>,
}

impl Dechunker {
    /// At the beginning of a body.
    pub fn new(bounds: Bounds) -> Self {
        Self { bounds, chunk: Chunk::default(), carry: Vec::new(), trailers: Vec::new() }
    }

    /// Says what `bytes` begin with. Called again with what follows.
    pub fn advance(&mut self, bytes: &[u8]) -> Result<Part, Fault> {
        let mut taken = 0;
        while let Some(rest) = bytes.get(taken..).filter(|rest| !rest.is_empty()) {
            let is_data = matches!(self.chunk, Chunk::Data(_));
            if is_data && taken > 0 {
                break;
            }
            let in_trailers = matches!(self.chunk, Chunk::Trailers(_));
            let (count, step) = self.chunk.step(rest, &self.bounds, &mut self.carry)?;
            if is_data {
                return Ok(Part::Data(count));
            }
            if in_trailers {
                self.trailers.extend_from_slice(rest.get(..count).unwrap_or_default());
            }
            taken += count;
            if step == ChunkStep::End {
                return Ok(Part::End(taken));
            }
        }
        Ok(Part::Framing(taken))
    }

    /// Whether the next byte is data.
    pub const fn is_in_data(&self) -> bool {
        matches!(self.chunk, Chunk::Data(_))
    }

    /// The lines of the trailers, once the body is complete.
    pub fn trailers(&self) -> &[u8] {
        &self.trailers
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BOUNDS: Bounds = Bounds { max_head: 256, max_headers: 4, max_target: 0 };

    /// The data and the trailers of a body that comes in pieces of `size`, and whether it was complete.
    fn taken_apart(bytes: &[u8], size: usize) -> Result<(Vec<u8>, Vec<u8>, bool), Fault> {
        let (mut body, mut data) = (Dechunker::new(BOUNDS), Vec::new());
        for mut piece in bytes.chunks(size) {
            while !piece.is_empty() {
                let (count, end) = match body.advance(piece)? {
                    Part::Framing(count) => (count, false),
                    Part::Data(count) => {
                        data.extend_from_slice(&piece[..count]);
                        (count, false)
                    }
                    Part::End(count) => (count, true),
                };
                assert!(count > 0, "no progress");
                if end {
                    return Ok((data, body.trailers().to_vec(), true));
                }
                piece = &piece[count..];
            }
        }
        Ok((data, body.trailers().to_vec(), false))
    }

    #[test]
    fn data_and_trailers_come_out() {
        for size in [1, 2, 5, 100] {
            let (data, trailers, complete) =
                taken_apart(b"3;x=y\r\nabc\r\n0a\r\n0123456789\r\n0\r\nA: b\r\n\r\n", size).unwrap();
            assert_eq!((data.as_slice(), complete), (b"abc0123456789".as_slice(), true));
            assert_eq!(trailers, b"A: b\r\n\r\n");
        }
    }

    #[test]
    fn what_is_lenient_is_refused() {
        for bytes in
            ["3\nabc", "3\r\nabcd\r\n", "x\r\n", "-1\r\n", "10000000000000000\r\n", "0\r\nA b\r\n\r\n", ";\r\n"]
        {
            assert!(taken_apart(bytes.as_bytes(), 3).is_err(), "{bytes:?}");
        }
    }

    /// RFC 9112 §7.1, read by splitting rather than by states: what a chunked body without trailers may be.
    fn is_chunked(bytes: &[u8]) -> bool {
        let Some(end) = bytes.windows(2).position(|pair| pair == b"\r\n") else { return false };
        let (line, rest) = (&bytes[..end], &bytes[end + 2..]);
        let digits = line.split(|byte| *byte == b';').next().unwrap();
        let extension = &line[digits.len()..];
        let sound = |byte: &u8| *byte == b'\t' || (*byte >= 0x20 && *byte != 0x7f);
        let hex = std::str::from_utf8(digits).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let Some(size) = hex.and_then(|text| usize::from_str_radix(text, 16).ok()) else { return false };
        if !extension.iter().all(sound) {
            return false;
        }
        if size == 0 {
            return rest == b"\r\n";
        }
        rest.get(size..size + 2) == Some(b"\r\n") && is_chunked(&rest[size + 2..])
    }

    #[test]
    fn each_byte_in_each_place_is_judged_as_the_grammar_has_it() {
        let sound = b"1;x=y\r\na\r\n0\r\n\r\n";
        assert!(is_chunked(sound));
        let mut accepted = 0;
        for at in 0..sound.len() {
            for byte in 0..=u8::MAX {
                let mut bytes = sound.to_vec();
                bytes[at] = byte;
                let complete = matches!(taken_apart(&bytes, 7), Ok((_, trailers, true)) if trailers == b"\r\n");
                assert_eq!(complete, is_chunked(&bytes), "{:?}", String::from_utf8_lossy(&bytes));
                accepted += usize::from(complete);
            }
        }
        assert!(accepted > 500, "only {accepted} are sound: nothing is tested");
    }

    proptest! {
        #[test]
        fn chunks_of_any_size_give_the_same_data_however_they_are_cut(
            chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..6), size in 1usize..20,
        ) {
            let mut wire = Vec::new();
            for chunk in &chunks {
                wire.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                wire.extend_from_slice(chunk);
                wire.extend_from_slice(b"\r\n");
            }
            wire.extend_from_slice(b"0\r\n\r\n");
            prop_assert_eq!(taken_apart(&wire, size).unwrap().0, chunks.concat());
        }

        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), size in 1usize..20) {
            let _ = taken_apart(&bytes, size);
        }
    }
}
