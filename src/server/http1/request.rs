//! A request out of the bytes of its head, which have been judged.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, Version, header};

use crate::domain::framing::{Fault, Field, RequestHead};

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

/// Makes the request. `headers` is an empty map, for the sake of its memory.
pub(super) fn read(
    bytes: &Bytes,
    head: &RequestHead,
    fields: &[Field],
    mut headers: HeaderMap,
) -> Result<(Request<()>, Wishes), Fault> {
    let malformed = |what: &str| Fault::head(format!("{what} cannot be read."));
    let method = bytes.get(..head.method_end).unwrap_or_default();
    let method = Method::from_bytes(method).map_err(|_| malformed("The method"))?;
    let uri = Uri::from_maybe_shared(bytes.slice(head.target.clone())).map_err(|_| malformed("The target"))?;
    let mut wishes = Wishes { old_version: head.old_version, head_only: method == Method::HEAD, ..Wishes::default() };
    let (mut closes, mut stays) = (false, !head.old_version);
    headers.reserve(fields.len());
    for field in fields {
        let name = HeaderName::from_bytes(bytes.get(field.name()).unwrap_or_default());
        let name = name.map_err(|_| malformed("The name of a field"))?;
        let value = bytes.get(field.value()).unwrap_or_default().trim_ascii();
        match name {
            header::CONNECTION => {
                closes |= has_option(value, b"close");
                stays |= has_option(value, b"keep-alive");
            }
            header::TE => wishes.trailers |= has_option(value, b"trailers"),
            header::EXPECT => wishes.expects = value.eq_ignore_ascii_case(b"100-continue") && !head.old_version,
            _ => {}
        }
        let value = HeaderValue::from_maybe_shared(bytes.slice_ref(value));
        headers.append(name, value.map_err(|_| malformed("The value of a field"))?);
    }
    wishes.keep_alive = stays && !closes;
    let mut request = Request::new(());
    *request.method_mut() = method;
    *request.uri_mut() = uri;
    *request.version_mut() = if head.old_version { Version::HTTP_10 } else { Version::HTTP_11 };
    *request.headers_mut() = headers;
    Ok((request, wishes))
}

/// Whether a list names `option`.
fn has_option(value: &[u8], option: &[u8]) -> bool {
    value.split(|byte| *byte == b',').any(|one| one.trim_ascii().eq_ignore_ascii_case(option))
}
