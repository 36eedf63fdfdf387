//! A bounded look at the beginning of an answer's body. The bytes go on exactly as they came.

use std::collections::VecDeque;
use std::io::Read;
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as _, Frame};
use http_body_util::BodyExt as _;

use super::body::{Body, Peeked};
use crate::domain::fields::Fields;
use crate::upstream::Incoming;

/// Bytes looked at, decoded or not, at most.
const MAX_SEEN: usize = 64 * 1024;

/// An explanation is not worth a noticeable delay: a body that trickles is judged by what has come.
const MAX_DELAY: Duration = Duration::from_millis(500);

/// Reads the beginning of `body`: what it says, decoded, and the body with nothing missing.
pub(super) async fn peek(mut body: Incoming, headers: &Fields) -> (Vec<u8>, Body) {
    let length = body.size_hint();
    let mut frames: VecDeque<Frame<Bytes>> = VecDeque::new();
    let mut total = 0;
    let collect = async {
        while total < MAX_SEEN && !body.is_end_stream() {
            match body.frame().await {
                Some(Ok(frame)) => {
                    total += frame.data_ref().map_or(0, Bytes::len);
                    frames.push_back(frame);
                }
                // A broken body is passed on as far as it came; its reader meets the same error again.
                Some(Err(_)) | None => break,
            }
        }
    };
    let _ = tokio::time::timeout(MAX_DELAY, collect).await;
    let mut raw = Vec::with_capacity(total.min(MAX_SEEN));
    for data in frames.iter().filter_map(Frame::data_ref) {
        raw.extend_from_slice(data);
    }
    (decode(raw, headers), Body::Peeked(Box::new(Peeked { seen: frames, rest: body, length })))
}

/// Undoes `Content-Encoding` as far as the bytes go.
fn decode(raw: Vec<u8>, headers: &Fields) -> Vec<u8> {
    let coding = headers.get("content-encoding").map(<[u8]>::to_ascii_lowercase);
    let mut seen = match coding.as_deref() {
        Some(b"gzip" | b"x-gzip") => read(flate2::read::GzDecoder::new(raw.as_slice())),
        Some(b"deflate") => inflate(&raw),
        Some(b"br") => read(brotli_decompressor::Decompressor::new(raw.as_slice(), 4096)),
        Some(b"zstd") => match ruzstd::decoding::StreamingDecoder::new(raw.as_slice()) {
            Ok(decoder) => read(decoder),
            Err(_) => Vec::new(),
        },
        _ => raw,
    };
    seen.truncate(MAX_SEEN);
    seen
}

/// `deflate` is zlib by the RFC and raw deflate by habit (RFC 9110 §8.4.1.2).
fn inflate(raw: &[u8]) -> Vec<u8> {
    let seen = read(flate2::read::ZlibDecoder::new(raw));
    if seen.is_empty() { read(flate2::read::DeflateDecoder::new(raw)) } else { seen }
}

/// What can be read before the end or the first error: a bomb stops at the bound, a cut stream at the cut.
fn read(decoder: impl Read) -> Vec<u8> {
    let mut decoder = decoder.take(MAX_SEEN as u64);
    let mut seen = Vec::new();
    let mut piece = [0; 4096];
    while let Ok(count) = decoder.read(&mut piece) {
        if count == 0 {
            break;
        }
        seen.extend_from_slice(piece.get(..count).unwrap_or_default());
    }
    seen
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use http::HeaderMap;

    use super::*;

    const BODY: &[u8] = br#"{"message":"Invalid API key"}"#;

    fn encoded(coding: &'static str, bytes: Vec<u8>) -> Vec<u8> {
        let pair = (http::header::CONTENT_ENCODING, http::HeaderValue::from_static(coding));
        decode(bytes, &Fields::from(&HeaderMap::from_iter([pair])))
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn every_coding_is_undone() {
        let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        zlib.write_all(BODY).unwrap();
        let mut raw = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
        raw.write_all(BODY).unwrap();
        let zstd = ruzstd::encoding::compress_to_vec(BODY, ruzstd::encoding::CompressionLevel::Fastest);
        assert_eq!(encoded("gzip", gzip(BODY)), BODY);
        assert_eq!(encoded("GZIP", gzip(BODY)), BODY);
        assert_eq!(encoded("deflate", zlib.finish().unwrap()), BODY);
        assert_eq!(encoded("deflate", raw.finish().unwrap()), BODY);
        assert_eq!(encoded("zstd", zstd), BODY);
        // `brotli -c` of BODY: an uncompressed meta-block, as no encoder is among our dependencies.
        let mut brotli = vec![0x0b, 0x0e, 0x80];
        brotli.extend_from_slice(BODY);
        brotli.push(0x03);
        assert_eq!(encoded("br", brotli), BODY);
        assert_eq!(encoded("identity", BODY.to_vec()), BODY);
    }

    #[test]
    fn bombs_stop_at_the_bound_and_cuts_at_the_cut() {
        let bomb = gzip(&vec![b'a'; 10 * 1024 * 1024]);
        assert_eq!(encoded("gzip", bomb).len(), MAX_SEEN);
        let mut cut = gzip(&BODY.repeat(50));
        cut.truncate(cut.len() - 9);
        assert!(encoded("gzip", cut).len() <= BODY.len() * 50);
        for garbage in ["gzip", "deflate", "br", "zstd"] {
            assert!(encoded(garbage, b"\x00garbage".to_vec()).len() <= MAX_SEEN);
        }
    }
}
