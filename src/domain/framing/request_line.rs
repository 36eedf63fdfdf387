//! The first line of a request.

use http::{Method, Uri};

use super::line::{HeadSoFar, count_controls, is_token};
use super::{Bounds, Fault};

/// Judges the request line, without its line end.
pub(super) fn check(line: &[u8], head: &mut HeadSoFar, bounds: &Bounds) -> Result<(), Fault> {
    let (Some(first), Some(last)) = (memchr::memchr(b' ', line), memchr::memrchr(b' ', line)) else {
        return Err(Fault::head("The first line is no request line."));
    };
    if first == last {
        return Err(Fault::head("The first line is no request line."));
    }
    (head.method_end, head.target_end) = (first, last);
    let (method, rest) = line.split_at(first);
    let target = rest.get(1..last - first).unwrap_or_default();
    let version = line.get(last + 1..).unwrap_or_default();
    if !is_token(method) {
        return Err(Fault::head("The method is no word."));
    }
    if target.len() > bounds.max_target {
        return Err(Fault::target_too_long(format!("The target is longer than {} bytes.", bounds.max_target)));
    }
    match version {
        b"HTTP/1.1" => {}
        b"HTTP/1.0" => head.old_version = true,
        b"HTTP/2.0" => {
            return Err(Fault::head("HTTP/2 with prior knowledge, which this listener does not speak.")
                .with_hint("Speak HTTP/1.1 to this port, or switch `http.h2c` on."));
        }
        _ if version.starts_with(b"HTTP/") => {
            return Err(Fault { status: 505, ..Fault::head("The version is not HTTP/1.1.") });
        }
        _ if method == b"PROXY" => return Err(unexpected_proxy_header()),
        _ => return Err(Fault::head("The first line does not end in a version.")),
    }
    check_target(method, target, head)
}

/// The method and the target of a line that is sound.
pub fn read(line: &[u8]) -> Option<(Method, Uri)> {
    let mut head = HeadSoFar::default();
    let bounds = Bounds { max_head: usize::MAX, max_headers: usize::MAX, max_target: usize::MAX };
    if count_controls(line) > 0 || check(line, &mut head, &bounds).is_err() {
        return None;
    }
    let method = Method::from_bytes(line.get(..head.method_end)?).ok()?;
    Some((method, Uri::try_from(line.get(head.method_end + 1..head.target_end)?).ok()?))
}

pub(super) fn unexpected_proxy_header() -> Fault {
    Fault::head("The header of the PROXY protocol came, which is not expected from this peer.").with_hint(
        "Set `clients.proxy_protocol: on` and name the hop in `clients.trusted_proxies`, or switch the PROXY protocol off in \
         the hop.",
    )
}

pub(super) fn check_target(method: &[u8], target: &[u8], head: &mut HeadSoFar) -> Result<(), Fault> {
    // A fragment never travels (RFC 9112 §3.2), and `http::Uri` would cut it off silently: not byte for byte. What else
    // it would refuse is refused here, so that the answer is ours.
    // Few targets hold anything but what is plain everywhere.
    if target.iter().fold(false, |found, byte| found | !PLAIN.get(usize::from(*byte)).copied().unwrap_or(false)) {
        check_odd(target)?;
    }
    match target.first() {
        Some(b'/') => Ok(()),
        _ if method == b"CONNECT" || target == b"*" => Ok(()),
        _ => check_absolute(target, head),
    }
}

/// What may stand in a path and in a query, and begins no escape.
const PLAIN: [bool; 256] =
    bytes_where!(|byte| byte.is_ascii_graphic() && !matches!(byte, b'#' | b'<' | b'>' | b'`' | b'"' | b'%'));

fn check_odd(target: &[u8]) -> Result<(), Fault> {
    let path_end = memchr::memchr(b'?', target).unwrap_or(target.len());
    let (path, query) = target.split_at(path_end);
    let odd = |byte: &u8| *byte <= 0x20 || *byte == 0x7f || matches!(byte, b'#' | b'<' | b'>');
    if target.iter().any(odd) || path.contains(&b'`') || query.contains(&b'"') || std::str::from_utf8(target).is_err() {
        return Err(Fault::head("The target holds a byte that must be percent-encoded."));
    }
    if memchr::memmem::find(target, b"%00").is_some() {
        return Err(Fault::head("The target holds `%00`."));
    }
    Ok(())
}

fn check_absolute(target: &[u8], head: &mut HeadSoFar) -> Result<(), Fault> {
    let scheme = memchr::memmem::find(target, b"://").map(|cut| target.split_at(cut));
    let Some((scheme, rest)) = scheme else {
        return Err(Fault::head("The target does not begin with `/`."));
    };
    if !scheme.eq_ignore_ascii_case(b"http") && !scheme.eq_ignore_ascii_case(b"https") {
        return Err(Fault::head("The target's scheme is neither http nor https."));
    }
    let rest = rest.get(3..).unwrap_or_default();
    let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?')).unwrap_or(rest.len());
    let authority = rest.get(..end).unwrap_or_default();
    if authority.is_empty() || authority.contains(&b'@') {
        return Err(Fault::head("The target's host is no host."));
    }
    head.authority = Some(authority.to_vec());
    Ok(())
}
