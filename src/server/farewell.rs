//! The last word to a client: an answer to bytes at fault, and a close that does not take it back.

use std::net::IpAddr;
use std::time::Duration;

use http::StatusCode;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::Instant;

use crate::domain::framing::Fault;
use crate::domain::reason::Reason;
use crate::proxy::Proxy;
use crate::proxy::respond::{Answer, as_bytes};
use crate::stream::Stream;
use crate::telemetry::Refusal;

/// How long it may take.
const LAST_WORD: Duration = Duration::from_millis(900);

/// Unread bytes that are taken off the line before it is closed.
const MAX_DRAINED: usize = 64 * 1024;

/// Answers a client whose bytes were at fault, for as long as a last word may take.
pub(super) async fn say_last_word_within_bounds(stream: Stream, fault: &Fault, client: IpAddr, proxy: &Proxy) {
    let began = Instant::now();
    let _ = tokio::time::timeout(LAST_WORD, say_last_word(stream, fault, client, began, proxy)).await;
}

async fn say_last_word(mut stream: Stream, fault: &Fault, client: IpAddr, began: Instant, proxy: &Proxy) {
    let id = proxy.new_request_id();
    let hint = hint_for(fault.reason);
    let mut answer = Answer::new(fault.reason, fault.detail.clone(), hint);
    answer.status = StatusCode::from_u16(fault.status).unwrap_or(StatusCode::BAD_REQUEST);
    let reply = answer.into_reply(&id, None);
    proxy.recorder().refused(Refusal {
        request_id: id.to_str().unwrap_or_default().to_owned(),
        client: Some(client),
        duration: began.elapsed(),
        ..Refusal::unread(fault.reason, fault.status, fault.detail.clone(), hint.to_owned())
    });
    if stream.write_all(&as_bytes(&reply, true)).await.is_ok() {
        close(stream).await;
    }
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

pub(super) const fn hint_for(reason: Reason) -> &'static str {
    match reason {
        Reason::NewlineInHead => {
            "Read the secret without its newline: `printf %s`, `tr -d '\\n'`, or `kubectl create secret --from-file` of a \
             file without one."
        }
        Reason::HeadTooLarge => "Send fewer or smaller headers (often a heap of cookies), or raise `http.max_head`.",
        Reason::HeadTimeout => "Send the whole head at once; look for a slow hop, or raise `http.head_timeout`.",
        Reason::TlsFailed => {
            "Speak TLS to this port (https://), show a certificate where `tls.client_auth` asks for one, and trust the \
             authority of ours."
        }
        Reason::BodyMalformed => "Mend the client or the hop that framed this body.",
        _ => "Mend the client or the hop that wrote this head; `curl -v` through the same way shows a sound one.",
    }
}
