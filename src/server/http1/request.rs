//! A request out of the bytes of its head, which have been judged.

use bytes::Bytes;
use http::{Method, Uri};

use crate::domain::fields::{Field, Fields, is};
use crate::domain::framing::{Fault, RequestHead};
use crate::domain::head::RequestParts;

/// What a request asks of the connection that it came on.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Wishes {
    /// Another request may follow.
    pub(super) keep_alive: bool,
    /// HTTP/1.0.
    pub(super) old_version: bool,
    /// The answer is to be a head alone.
    pub(super) head_only: bool,
    /// Trailers are welcome.
    pub(super) trailers: bool,
    /// Its body comes once it was asked for.
    pub(super) expects: bool,
}

/// Makes the request, whose lines are `fields`.
pub(super) fn read(bytes: Bytes, head: &RequestHead, fields: Vec<Field>) -> Result<(RequestParts, Wishes), Fault> {
    let malformed = |what: &str| Fault::head(format!("{what} cannot be read."));
    let method = bytes.get(..head.method_end).unwrap_or_default();
    let method = Method::from_bytes(method).map_err(|_| malformed("The method"))?;
    let uri = Uri::from_maybe_shared(bytes.slice(head.target.clone())).map_err(|_| malformed("The target"))?;
    let mut fields = Fields::new(bytes, fields);
    // Nobody can switch protocols in HTTP/1.0, or with a request that has something else to say (RFC 9110 §7.8, RFC 6455 §4.1).
    if (head.old_version || method != Method::GET) && fields.contains("upgrade") {
        fields.retain(|name| !is(name, "upgrade"));
    }
    let mut wishes = Wishes { old_version: head.old_version, head_only: method == Method::HEAD, ..Wishes::default() };
    let (mut closes, mut stays) = (false, !head.old_version);
    for (name, value) in fields.iter() {
        match name.len() {
            2 if is(name, "te") => wishes.trailers |= has_option(value, b"trailers"),
            6 if is(name, "expect") => {
                wishes.expects = value.eq_ignore_ascii_case(b"100-continue") && !head.old_version;
            }
            10 if is(name, "connection") => {
                closes |= has_option(value, b"close");
                stays |= has_option(value, b"keep-alive");
            }
            _ => {}
        }
    }
    wishes.keep_alive = stays && !closes;
    Ok((RequestParts { method, uri, fields }, wishes))
}

/// Whether a list names `option`.
fn has_option(value: &[u8], option: &[u8]) -> bool {
    value.split(|byte| *byte == b',').any(|one| one.trim_ascii().eq_ignore_ascii_case(option))
}
