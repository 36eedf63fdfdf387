//! The head of an answer, written.

use std::cell::RefCell;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::{StatusCode, header};
use http_body::Body;

use super::request::Wishes;
use crate::body::Coding;
use crate::domain::fields::is;
use crate::proxy::Reply;

/// Writes the head of `reply` to `out`. Returns how its body is framed, and whether another request may follow.
/// `stays` is whether we would let it.
pub(super) fn write_head<B: Body>(out: &mut Vec<u8>, reply: &Reply<B>, wishes: &Wishes, stays: bool) -> (Coding, bool) {
    let status = reply.status;
    let switches = status == StatusCode::SWITCHING_PROTOCOLS;
    let bodyless = status.is_informational() || status == StatusCode::NO_CONTENT;
    let coding = match Coding::of(&reply.body) {
        _ if bodyless || wishes.head_only || status == StatusCode::NOT_MODIFIED => Coding::Ended,
        // HTTP/1.0 knows no chunks.
        Coding::Chunked if wishes.old_version => Coding::UntilClose,
        coding => coding,
    };
    let stays = stays && wishes.keep_alive && coding != Coding::UntilClose && !reply.closes();
    out.extend_from_slice(if wishes.old_version { b"HTTP/1.0 " } else { b"HTTP/1.1 " });
    out.extend_from_slice(status.as_str().as_bytes());
    out.push(b' ');
    match &reply.phrase {
        Some(words) => out.extend_from_slice(reply.passed.part(words.clone())),
        None => out.extend_from_slice(status.canonical_reason().unwrap_or("").as_bytes()),
    }
    out.extend_from_slice(b"\r\n");
    let mut dated = false;
    reply.passed.write(out, |name, _| match name.len() {
        4 if is(name, "date") => {
            dated = true;
            true
        }
        14 => !is(name, "content-length"),
        _ => true,
    });
    match coding {
        Coding::Sized(length) => write_length(out, length),
        Coding::Chunked => out.extend_from_slice(b"transfer-encoding: chunked\r\n"),
        Coding::UntilClose => {}
        Coding::Ended if bodyless => {}
        // What a GET would have got.
        Coding::Ended if wishes.head_only || status == StatusCode::NOT_MODIFIED => write_length_of_absent(out, reply),
        Coding::Ended => write_length(out, 0),
    }
    for (name, value) in &reply.own {
        if *name != header::CONNECTION || switches {
            out.extend_from_slice(name.as_str().as_bytes());
            out.extend_from_slice(b": ");
            out.extend_from_slice(value.as_bytes());
            out.extend_from_slice(b"\r\n");
        }
    }
    if !switches {
        match (stays, wishes.old_version) {
            (false, _) => out.extend_from_slice(b"connection: close\r\n"),
            (true, true) => out.extend_from_slice(b"connection: keep-alive\r\n"),
            (true, false) => {}
        }
    }
    if !dated {
        write_date(out);
    }
    out.extend_from_slice(b"\r\n");
    (coding, stays)
}

fn write_length(out: &mut Vec<u8>, length: u64) {
    out.extend_from_slice(b"content-length: ");
    out.extend_from_slice(itoa::Buffer::new().format(length).as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// The length that another gave a body which does not come, or that one of ours would have.
fn write_length_of_absent<B: Body>(out: &mut Vec<u8>, reply: &Reply<B>) {
    let given = reply.passed.get("content-length").and_then(|value| std::str::from_utf8(value).ok()?.parse().ok());
    if let Some(length) = given.or(reply.body.size_hint().exact().filter(|length| *length > 0)) {
        write_length(out, length);
    }
}

/// `Date`, which an origin must send and a proxy may add (RFC 9110 §6.6.1). Written anew once a second.
fn write_date(out: &mut Vec<u8>) {
    thread_local! {
        static LINE: RefCell<(u64, String)> = const { RefCell::new((0, String::new())) };
    }
    let now = SystemTime::now();
    let second = now.duration_since(UNIX_EPOCH).as_ref().map_or(0, Duration::as_secs);
    LINE.with_borrow_mut(|(of, line)| {
        if *of != second || line.is_empty() {
            *of = second;
            *line = format!("date: {}\r\n", httpdate::fmt_http_date(now));
        }
        out.extend_from_slice(line.as_bytes());
    });
}
