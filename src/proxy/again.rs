//! A request head, read once more from its bytes.

use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, Request, Uri};

/// Lines of a head that is read again, at most; one with more is not repeated.
const MAX_LINES: usize = 128;

/// Reads a head that was read before: whatever does not come out whole is not repeated.
pub(super) fn parse(bytes: &[u8]) -> Option<Parts> {
    let mut lines = [httparse::EMPTY_HEADER; MAX_LINES];
    let mut head = httparse::Request::new(&mut lines);
    if !matches!(head.parse(bytes), Ok(httparse::Status::Complete(_))) {
        return None;
    }
    let (mut parts, ()) = Request::new(()).into_parts();
    parts.method = Method::from_bytes(head.method?.as_bytes()).ok()?;
    parts.uri = head.path?.parse::<Uri>().ok()?;
    parts.headers.reserve(head.headers.len() + 8);
    for line in head.headers.iter() {
        let name = HeaderName::from_bytes(line.name.as_bytes()).ok()?;
        parts.headers.append(name, HeaderValue::from_bytes(line.value).ok()?);
    }
    Some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_comes_out_as_it_went_in() {
        let parts =
            parse(b"DELETE /api/x?y=%20 HTTP/1.1\r\nHost: g\r\nCookie: a\r\nX-A: \xff b\r\ncookie: c\r\n\r\nrest")
                .unwrap();
        assert_eq!((parts.method, parts.uri.to_string().as_str()), (Method::DELETE, "/api/x?y=%20"));
        assert_eq!(parts.headers.get_all("cookie").iter().collect::<Vec<_>>(), ["a", "c"]);
        assert_eq!(parts.headers["x-a"].as_bytes(), b"\xff b");
    }

    #[test]
    fn what_is_not_whole_is_not_repeated() {
        for bytes in ["", "GET / HTTP/1.1\r\nHost: g\r\n", "GET / HTTP/1.1\nbad\0: x\r\n\r\n", "nonsense\r\n\r\n"] {
            assert!(parse(bytes.as_bytes()).is_none(), "{bytes:?}");
        }
    }
}
