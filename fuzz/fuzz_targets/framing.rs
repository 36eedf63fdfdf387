//! Bytes of a connection: judging them never panics, and means the same however the network cuts them.
#![no_main]

use grafana_token_proxy::domain::framing::{Bounds, Dechunker, Found, Framing, HeadReader, Part};
use libfuzzer_sys::fuzz_target;

const BOUNDS: Bounds = Bounds { max_head: 4096, max_headers: 20, max_target: 1024 };

enum Body {
    Sized(u64),
    Chunked(Dechunker),
}

/// The heads seen, or the status of the fault.
fn scan(bytes: &[u8], size: usize) -> Result<u64, u16> {
    let (mut heads, mut seen) = (HeadReader::new(BOUNDS), 0);
    let (mut buffer, mut body) = (Vec::new(), None);
    for piece in bytes.chunks(size) {
        buffer.extend_from_slice(piece);
        while !buffer.is_empty() {
            let taken = match body.take() {
                None => match heads.read(&buffer).map_err(|fault| fault.status)? {
                    Found::More => break,
                    Found::Blank(size) => size,
                    Found::Head(head) => {
                        seen += 1;
                        assert!(heads.take_fields().iter().all(|field| field.value().end < head.size));
                        body = match head.framing {
                            Framing::None => None,
                            Framing::Sized(length) => Some(Body::Sized(length)),
                            Framing::Chunked => Some(Body::Chunked(Dechunker::new(BOUNDS))),
                        };
                        head.size
                    }
                },
                Some(Body::Sized(left)) => {
                    let taken = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
                    body = Some(left - taken as u64).filter(|left| *left > 0).map(Body::Sized);
                    taken
                }
                Some(Body::Chunked(mut chunks)) => match chunks.advance(&buffer).map_err(|fault| fault.status)? {
                    Part::End(count) => count,
                    Part::Framing(count) | Part::Data(count) => {
                        body = Some(Body::Chunked(chunks));
                        count
                    }
                },
            };
            assert!(taken > 0, "no progress");
            buffer.drain(..taken);
        }
    }
    Ok(seen)
}

fuzz_target!(|data: &[u8]| {
    let whole = scan(data, data.len().max(1));
    for size in [1, 3, 16] {
        assert_eq!(scan(data, size), whole);
    }
});
