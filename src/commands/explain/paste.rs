//! Reads what somebody pasted: the output of `curl -i`, or of `curl -v` with what it says on standard error.

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};

/// A pasted answer, and the request where that was pasted, too. Never prints itself: both may hold credentials.
#[derive(Default)]
pub(super) struct Paste {
    /// The status of the last head: what precedes it are redirects, `100 Continue`, or a proxy's `CONNECT`.
    pub(super) status: Option<StatusCode>,
    /// The headers of that head.
    pub(super) headers: HeaderMap,
    /// What follows it.
    pub(super) body: Vec<u8>,
    /// The last request, which only `curl -v` shows.
    pub(super) request: Option<PastedRequest>,
}

/// A request's head as `curl -v` shows it.
pub(super) struct PastedRequest {
    pub(super) method: Method,
    pub(super) uri: Uri,
    pub(super) headers: HeaderMap,
}

impl Paste {
    /// Reads a paste. What bears no status line is a body.
    pub(super) fn read(text: &[u8]) -> Self {
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        if lines(text).any(|line| line.starts_with(b"< HTTP/")) {
            return Self::read_verbose(text);
        }
        Self::read_plain(text)
    }

    fn read_plain(text: &[u8]) -> Self {
        let mut paste = Self::default();
        let mut rest = skip_to_head(text);
        while begins_head(rest) {
            let (status, headers, behind) = read_head(rest);
            (paste.status, paste.headers) = (status, headers);
            rest = behind;
        }
        paste.body = rest.to_vec();
        paste
    }

    /// `curl -v` marks each line: `>` sent, `<` received, `*` its own remarks; the body bears no mark.
    fn read_verbose(text: &[u8]) -> Self {
        let (mut sent, mut received, mut rest) = (Vec::new(), Vec::new(), Vec::new());
        for line in lines_with_ends(text) {
            match line {
                [b'>', b' ', own @ ..] => {
                    if is_request_line(own) {
                        sent.clear();
                    }
                    sent.extend_from_slice(own);
                }
                [b'<', b' ', own @ ..] => received.extend_from_slice(own),
                _ if is_remark(line) => {}
                _ => rest.extend_from_slice(line),
            }
        }
        let mut paste = Self::read_plain(&received);
        let body = Self::read_plain(&rest);
        // With -i the head comes once more, with the body behind it.
        paste.body = if begins_head(skip_to_head(&rest)) { body.body } else { rest };
        paste.request = read_request(&sent);
        paste
    }
}

/// Lines of `curl` itself: remarks, the amounts of data, the progress meter.
fn is_remark(line: &[u8]) -> bool {
    [&b"* "[..], b"{ [", b"} [", b">", b"<\r", b"<\n", b"  % Total", b"                                 Dload"]
        .iter()
        .any(|start| line.starts_with(start))
        || memchr::memmem::find(line, b"--:--:--").is_some()
}

fn is_request_line(line: &[u8]) -> bool {
    memchr::memmem::find(line, b" HTTP/").is_some() && line.first().is_some_and(u8::is_ascii_uppercase)
}

fn read_request(text: &[u8]) -> Option<PastedRequest> {
    let (line, rest) = split_line(text);
    let mut words = line.split(|byte| *byte == b' ');
    let method = Method::from_bytes(words.next()?).ok()?;
    let uri = Uri::try_from(words.next()?).ok()?;
    let (headers, _) = read_headers(rest);
    Some(PastedRequest { method, uri, headers })
}

/// People paste the command line, too: what precedes the first status line is not the answer's.
fn skip_to_head(text: &[u8]) -> &[u8] {
    let mut rest = text;
    while !rest.is_empty() {
        if begins_head(rest) {
            return rest;
        }
        (_, rest) = split_line(rest);
    }
    text
}

/// `HTTP/1.1 401 …`, `HTTP/2 401`.
fn begins_head(text: &[u8]) -> bool {
    let (line, _) = split_line(text);
    line.strip_prefix(b"HTTP/").is_some_and(|version| version.first().is_some_and(u8::is_ascii_digit))
        && status_of(line).is_some()
}

fn status_of(line: &[u8]) -> Option<StatusCode> {
    let word = line.split(|byte| *byte == b' ').nth(1)?;
    StatusCode::from_bytes(word).ok()
}

fn read_head(text: &[u8]) -> (Option<StatusCode>, HeaderMap, &[u8]) {
    let (line, rest) = split_line(text);
    let (headers, rest) = read_headers(rest);
    (status_of(line), headers, rest)
}

/// Reads headers up to the empty line. What is none is left out: a paste may have been cut or wrapped.
fn read_headers(text: &[u8]) -> (HeaderMap, &[u8]) {
    let mut headers = HeaderMap::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (line, behind) = split_line(rest);
        rest = behind;
        if line.is_empty() {
            break;
        }
        if let Some((name, value)) = header(line) {
            headers.append(name, value);
        }
    }
    (headers, rest)
}

/// One `Name: value`.
pub(super) fn header(line: &[u8]) -> Option<(HeaderName, HeaderValue)> {
    let (name, value) = line.split_at_checked(memchr::memchr(b':', line)?)?;
    let name = HeaderName::from_bytes(name.trim_ascii()).ok()?;
    let value = HeaderValue::from_bytes(value.get(1..)?.trim_ascii()).ok()?;
    Some((name, value))
}

/// The first line without its end, and what follows.
fn split_line(text: &[u8]) -> (&[u8], &[u8]) {
    let (line, rest) = match memchr::memchr(b'\n', text).and_then(|end| text.split_at_checked(end)) {
        Some((line, rest)) => (line, rest.get(1..).unwrap_or_default()),
        None => (text, &[][..]),
    };
    (line.strip_suffix(b"\r").unwrap_or(line), rest)
}

fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| *byte == b'\n')
}

fn lines_with_ends(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split_inclusive(|byte| *byte == b'\n')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn status(paste: &Paste) -> Option<u16> {
        paste.status.map(|status| status.as_u16())
    }

    #[test]
    fn the_last_head_counts() {
        let text = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 302 Found\r\nLocation: /login\r\n\r\nHTTP/2 401 \r\n\
            content-type: application/json\r\nset-cookie: a=b\r\nset-cookie: c=d\r\n\r\n{\"message\":\"Unauthorized\"}\n";
        let paste = Paste::read(text);
        assert_eq!(status(&paste), Some(401));
        assert_eq!(paste.headers.get_all("set-cookie").iter().count(), 2);
        assert!(!paste.headers.contains_key("location"));
        assert_eq!(paste.body, b"{\"message\":\"Unauthorized\"}\n");
    }

    #[test]
    fn a_command_line_bare_newlines_and_a_byte_order_mark_do_no_harm() {
        let paste =
            Paste::read(b"\xef\xbb\xbf$ curl -i http://x/\nHTTP/1.1 403 Forbidden\nServer: nginx\nnonsense\n\nx");
        assert_eq!((status(&paste), paste.body.as_slice()), (Some(403), &b"x"[..]));
        assert_eq!(paste.headers.get("server").unwrap(), "nginx");
    }

    #[test]
    fn what_has_no_head_is_a_body() {
        let paste = Paste::read(b"{\"message\":\"Unauthorized\"}");
        assert_eq!((status(&paste), paste.body.as_slice()), (None, &b"{\"message\":\"Unauthorized\"}"[..]));
        assert_eq!(status(&Paste::read(b"HTTP/1.1 nonsense\r\n\r\n")), None);
    }

    #[test]
    fn verbose_output_shows_the_request_as_well() {
        let text = b"* Trying 127.0.0.1:3000...\n> GET /api/org?x=1 HTTP/1.1\r\n> Host: x\r\n> Authorization: Bearer y\r\n> \r\n\
            * Request completely sent off\n< HTTP/1.1 401 Unauthorized\r\n< Content-Length: 26\r\n< \r\n{ [26 bytes data]\n\
            {\"message\":\"Unauthorized\"}\n* Connection #0 left intact\n";
        let paste = Paste::read(text);
        let request = paste.request.unwrap();
        assert_eq!((request.method.as_str(), request.uri.path()), ("GET", "/api/org"));
        assert_eq!(request.headers.get("authorization").unwrap(), "Bearer y");
        assert_eq!(paste.status.unwrap(), 401);
        assert_eq!(paste.headers.get("content-length").unwrap(), "26");
        assert_eq!(paste.body, b"{\"message\":\"Unauthorized\"}\n");
    }

    #[test]
    fn of_several_verbose_requests_the_last_counts() {
        let text = b"> GET /a HTTP/1.1\r\n> Authorization: Bearer y\r\n> \r\n< HTTP/1.1 302 Found\r\n< Location: /b\r\n< \r\n\
            > GET /b HTTP/1.1\r\n> \r\n< HTTP/1.1 401 Unauthorized\r\n< \r\nHTTP/1.1 302 Found\r\n\r\nHTTP/1.1 401 U\r\n\r\nbody";
        let paste = Paste::read(text);
        let request = paste.request.unwrap();
        assert_eq!((request.uri.path(), request.headers.len()), ("/b", 0));
        assert_eq!((paste.status.unwrap().as_u16(), paste.body.as_slice()), (401, &b"body"[..]));
    }

    proptest! {
        #[test]
        fn no_paste_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Paste::read(&bytes);
        }

        #[test]
        fn what_was_written_is_read(
            code in 100u16..600,
            fields in proptest::collection::vec(("[a-z][a-z0-9-]{0,12}", "[!-~]{0,20}"), 0..6),
            body in "[a-z{}\\r\\n]{0,60}",
            end in proptest::sample::select(vec!["\r\n", "\n"]),
        ) {
            let mut text = format!("HTTP/1.1 {code} Whatever{end}");
            for (name, value) in &fields {
                text.push_str(&format!("{name}: {value}{end}"));
            }
            text.push_str(end);
            text.push_str(&body);
            let paste = Paste::read(text.as_bytes());
            prop_assert_eq!(paste.status.map(|status| status.as_u16()), Some(code));
            prop_assert_eq!(paste.headers.len(), fields.len());
            prop_assert_eq!(paste.body, body.as_bytes());
        }
    }
}
