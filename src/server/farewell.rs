//! The last word to a client: an answer to bytes at fault, and a close that does not take it back.

use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::domain::framing::Fault;
use crate::proxy::Proxy;
use crate::proxy::respond::as_bytes;
use crate::stream::Stream;

/// How long it may take.
const LAST_WORD: Duration = Duration::from_millis(900);

/// Unread bytes that are taken off the line before it is closed.
const MAX_DRAINED: usize = 64 * 1024;

/// Answers a client whose bytes were at fault, `head` as far as they came, for as long as a last word may take.
pub(super) async fn say_last_word_within_bounds(
    mut stream: Stream,
    fault: &Fault,
    head: Bytes,
    client: IpAddr,
    proxy: &Proxy,
) {
    let reply = proxy.refuse_head(fault, head, client);
    let _ = tokio::time::timeout(LAST_WORD, async {
        if stream.write_all(&as_bytes(&reply, true)).await.is_ok() {
            close(stream).await;
        }
    })
    .await;
}

/// Ends a connection after its last answer, where nothing is left to be read.
pub(super) async fn end_within_bounds(mut stream: Stream) {
    let _ = tokio::time::timeout(LAST_WORD, stream.shutdown()).await;
}

/// Closes a connection after its last answer, for as long as a last word may take.
pub(super) async fn close_within_bounds(stream: Stream) {
    let _ = tokio::time::timeout(LAST_WORD, close(stream)).await;
}

/// Ends our side, and takes off the line what the client still sends: a close with unread bytes would reset the connection,
/// and take the answer with it.
async fn close(mut stream: Stream) {
    if stream.shutdown().await.is_err() {
        return;
    }
    let mut waste = [0; 4096];
    let mut drained = 0;
    while drained < MAX_DRAINED {
        match stream.read(&mut waste).await {
            Ok(0) | Err(_) => return,
            Ok(count) => drained += count,
        }
    }
}
