//! Bytes of an answer: reading its head never panics, whatever hyper's client reads it reads alike, and what it takes as
//! trailers and chunks is the same however the network cuts it.
#![no_main]

use bytes::BytesMut;
use grafana_token_proxy::domain::framing::{Bounds, Dechunker, Part};
use grafana_token_proxy::upstream::answer::{self, Framing};
use http::{HeaderMap, StatusCode};
use hyper_util::rt::TokioIo;
use libfuzzer_sys::fuzz_target;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const BOUNDS: Bounds = Bounds { max_head: 4096, max_headers: 20, max_target: 0 };

/// What hyper's client makes of the same bytes.
async fn hyper_reads(bytes: &[u8]) -> Option<(StatusCode, HeaderMap)> {
    let (ours, mut theirs) = tokio::io::duplex(256 * 1024);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(ours)).await.ok()?;
    let request = http::Request::get("/").body(String::new()).ok()?;
    let server = async {
        let _ = theirs.read(&mut [0; 256]).await;
        let _ = theirs.write_all(bytes).await;
        drop(theirs);
    };
    let exchange = async { tokio::join!(sender.send_request(request), server).0 };
    let answer = tokio::select! {
        answer = exchange => answer,
        () = async { let _ = connection.await; std::future::pending::<()>().await } => return None,
    };
    let (head, _) = answer.ok()?.into_parts();
    Some((head.status, head.headers))
}

/// The data of a chunked body, and whether its end came; nothing where it is malformed.
fn dechunk(bytes: &[u8], size: usize) -> Option<(Vec<u8>, Option<Vec<u8>>)> {
    let mut chunks = Dechunker::new(BOUNDS);
    let mut data = Vec::new();
    for mut piece in bytes.chunks(size) {
        while !piece.is_empty() {
            let count = match chunks.advance(piece).ok()? {
                Part::Framing(count) => count,
                Part::Data(count) => {
                    data.extend_from_slice(&piece[..count]);
                    count
                }
                Part::End(_) => return Some((data, Some(chunks.trailers().to_vec()))),
            };
            piece = &piece[count..];
        }
    }
    Some((data, None))
}

fuzz_target!(|data: &[u8]| {
    let bytes = [b"HTTP/1.1 ", data].concat();
    let mut buffer = BytesMut::from(bytes.as_slice());
    let Ok(Some(head)) = answer::take(&mut buffer, false) else { return };
    if head.framing == Framing::Chunked {
        let whole = dechunk(&buffer, buffer.len().max(1));
        for size in [1, 3, 16] {
            assert_eq!(dechunk(&buffer, size), whole);
        }
    }
    if !head.status.is_informational() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let taken = bytes.len() - buffer.len();
        let theirs = runtime.block_on(hyper_reads(&bytes[..taken]));
        assert_eq!(Some((head.status, head.fields.to_map())), theirs);
    }
});
