//! One line of a head: its end, its name, and the few fields that frame a message.

use super::{Bounds, Fault, Framing, request_line};

/// What the lines of a head have told so far.
#[derive(Debug, Default)]
pub(super) struct HeadSoFar {
    pub(super) size: usize,
    pub(super) lines: usize,
    pub(super) old_version: bool,
    pub(super) method_end: usize,
    pub(super) target_end: usize,
    /// The line before was `Authorization`: what looks wrong now is probably the rest of a token.
    pub(super) in_credential: bool,
    /// The authority of a target in absolute form, which `Host` must equal.
    pub(super) authority: Option<Vec<u8>>,
    content_length: Option<u64>,
    chunked: bool,
    has_host: bool,
}

impl HeadSoFar {
    pub(super) fn finish(&self) -> Result<Framing, Fault> {
        if !self.has_host && !self.old_version {
            return Err(if self.in_credential {
                // A line break behind the secret does this, and so does a client that sends no `Host`.
                Fault::head("There is no `Host`: the head ends right behind `Authorization`, perhaps by a line break in the secret.")
                    .with_hint("Send `Host`; if the client does, read the secret without its newline (`printf %s`, `tr -d '\\n'`).")
            } else {
                Fault::head("There is no `Host`.")
            });
        }
        match (self.chunked, self.content_length) {
            (true, Some(_)) => Err(Fault::head("`Content-Length` and `Transfer-Encoding` in one head.")),
            (true, None) if self.old_version => Err(Fault::head("`Transfer-Encoding` in HTTP/1.0.")),
            (true, None) => Ok(Framing::Chunked),
            (false, Some(length @ 1..)) => Ok(Framing::Sized(length)),
            (false, Some(0) | None) => Ok(Framing::None),
        }
    }
}

/// Takes the line end off, or says what is wrong with it.
pub(super) fn strip<'l>(raw: &'l [u8], head: &HeadSoFar) -> Result<&'l [u8], Fault> {
    let (line, ended) = match raw {
        [line @ .., b'\r', b'\n'] => (line, true),
        [line @ .., b'\n'] => (line, false),
        line => (line, true),
    };
    if has_control(line) {
        return Err(control(line, head));
    }
    if ended { Ok(line) } else { Err(bare_newline(line, head, "LF")) }
}

/// Judges the beginning of a line whose end has not come, so that a bare CR is answered at once. Its first `seen` bytes
/// have been judged before.
pub(super) fn unterminated(bytes: &[u8], seen: usize, head: &HeadSoFar) -> Result<(), Fault> {
    let body = bytes.strip_suffix(b"\r").unwrap_or(bytes);
    if has_control(body.get(seen..).unwrap_or_default()) { Err(control(body, head)) } else { Ok(()) }
}

/// Whether there are control bytes other than the tab (RFC 9110 §5.5).
fn has_control(line: &[u8]) -> bool {
    count_controls(line) > 0
}

/// Control bytes other than the tab. Without a branch, so that it runs on many bytes at once.
pub fn count_controls(bytes: &[u8]) -> usize {
    let mut count = 0;
    for piece in bytes.chunks(128) {
        // At most 128 of them: a byte holds the sum.
        let sum =
            piece.iter().fold(0u8, |sum, byte| sum + u8::from(((*byte < 0x20) & (*byte != b'\t')) | (*byte == 0x7f)));
        count += usize::from(sum);
    }
    count
}

fn control(line: &[u8], head: &HeadSoFar) -> Fault {
    if line.contains(&b'\r') && (is_credential(line) || head.in_credential) {
        return bare_newline(line, head, "CR");
    }
    if head.method_end == 0 && line.starts_with(TLS) {
        return Fault::head("TLS came to a port that speaks plain HTTP.")
            .with_hint("Use http:// for this port, or give the proxy `tls.cert_file` and `tls.key_file`.");
    }
    if head.method_end == 0 && line == b"\0" {
        return request_line::unexpected_proxy_header();
    }
    let what = if line.contains(&b'\r') { "A bare CR" } else { "A control byte" };
    Fault::head(format!("{what} in {} of the head.", place(line, head)))
}

/// What a TLS client begins with: a handshake record of version 3.
const TLS: &[u8] = &[0x16, 0x03];

/// Which line it is that comes next. Only a name that is words tells who it is without telling a secret.
fn place(line: &[u8], head: &HeadSoFar) -> String {
    let number = if head.method_end == 0 { 1 } else { head.lines + 2 };
    let name = name_end(line).and_then(|end| std::str::from_utf8(line.get(..end)?).ok());
    match name.filter(|name| name.len() <= 32 && name.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'-')) {
        Some(name) if head.method_end > 0 => format!("line {number} (`{name}`)"),
        _ => format!("line {number}"),
    }
}

fn bare_newline(line: &[u8], head: &HeadSoFar, which: &str) -> Fault {
    if is_credential(line) {
        return Fault::newline_in_secret(format!(
            "A bare {which} inside or right behind the value of `Authorization`: the secret was read with its newline."
        ));
    }
    if head.in_credential {
        return Fault::newline_in_secret(format!(
            "A bare {which} right after `Authorization`: the secret holds a newline, and its rest became a line of its own."
        ));
    }
    Fault::newline(format!("A bare {which} in {} of the head.", place(line, head)))
}

fn is_credential(line: &[u8]) -> bool {
    line.get(..14).is_some_and(|start| start.eq_ignore_ascii_case(b"authorization:"))
}

/// `tchar` of RFC 9110 §5.6.2.
const TOKEN: [bool; 256] = bytes_where!(|byte| byte.is_ascii_alphanumeric()
    || matches!(
        byte,
        b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~'
    ));

/// Where the name of a field line ends: at a colon behind a token. Names are short: one look at each byte is less than a
/// search for the colon and a second look.
pub fn name_end(line: &[u8]) -> Option<usize> {
    let end = line.iter().position(|byte| !TOKEN.get(usize::from(*byte)).copied().unwrap_or(false))?;
    (end > 0 && line.get(end) == Some(&b':')).then_some(end)
}

/// Whether it is a token: a name, a method (RFC 9110 §5.6.2).
pub fn is_token(bytes: &[u8]) -> bool {
    let sound = bytes.iter().fold(true, |sound, byte| sound & TOKEN.get(usize::from(*byte)).copied().unwrap_or(false));
    sound && !bytes.is_empty()
}

/// Judges one field line, without its line end. Returns the length of its name.
pub(super) fn check_field(line: &[u8], head: &mut HeadSoFar, bounds: &Bounds) -> Result<usize, Fault> {
    let (name, value) = check_form(line, head, bounds)?;
    check_value(name, value, head)?;
    Ok(name.len())
}

/// Judges the form of a field line; its name and its value.
pub(super) fn check_form<'l>(
    line: &'l [u8],
    head: &mut HeadSoFar,
    bounds: &Bounds,
) -> Result<(&'l [u8], &'l [u8]), Fault> {
    head.lines += 1;
    let number = head.lines + 1;
    if head.lines > bounds.max_headers {
        return Err(Fault::too_many_lines(bounds.max_headers));
    }
    let after_credential = std::mem::take(&mut head.in_credential);
    if matches!(line.first(), Some(b' ' | b'\t')) {
        return Err(if after_credential {
            Fault::newline_in_secret(
                "The line after `Authorization` begins with a blank: the secret holds a line break.",
            )
        } else {
            Fault::head(format!("Line {number} of the head is folded (it begins with a blank)."))
        });
    }
    let Some(colon) = memchr::memchr(b':', line) else {
        return Err(if after_credential {
            Fault::newline_in_secret("The line after `Authorization` has no colon: the secret holds a line break.")
        } else {
            Fault::head(format!("Line {number} of the head has no colon."))
        });
    };
    let (name, rest) = line.split_at(colon);
    if !is_token(name) {
        let blank = matches!(name.last(), Some(b' ' | b'\t'));
        let what = if blank { "has a blank before the colon" } else { "has no valid name" };
        return Err(Fault::head(format!("Line {number} of the head {what}.")));
    }
    Ok((name, rest.get(1..).unwrap_or_default()))
}

/// Judges the fields that frame a message or name its place.
pub(super) fn check_value(name: &[u8], value: &[u8], head: &mut HeadSoFar) -> Result<(), Fault> {
    match name.len() {
        4 if name.eq_ignore_ascii_case(b"host") => check_host(value.trim_ascii(), head),
        13 if name.eq_ignore_ascii_case(b"authorization") => {
            head.in_credential = true;
            Ok(())
        }
        14 if name.eq_ignore_ascii_case(b"content-length") => check_length(value.trim_ascii(), head),
        17 if name.eq_ignore_ascii_case(b"transfer-encoding") => check_coding(value.trim_ascii(), head),
        _ => Ok(()),
    }
}

/// What may stand in a host and its port.
const HOST: [bool; 256] =
    bytes_where!(|byte| byte.is_ascii_graphic()
        && !matches!(byte, b'@' | b'/' | b'\\' | b'?' | b'#' | b',' | b'<' | b'>' | b'"'));

fn check_host(value: &[u8], head: &mut HeadSoFar) -> Result<(), Fault> {
    if std::mem::replace(&mut head.has_host, true) {
        return Err(Fault::head("There are two `Host` lines."));
    }
    let sound = value.iter().fold(true, |sound, byte| sound & HOST.get(usize::from(*byte)).copied().unwrap_or(false));
    if !sound {
        return Err(Fault::head("`Host` is no host."));
    }
    match &head.authority {
        Some(authority) if !authority.eq_ignore_ascii_case(value) => {
            Err(Fault::head("The target names another host than `Host`."))
        }
        _ => Ok(()),
    }
}

fn check_length(value: &[u8], head: &mut HeadSoFar) -> Result<(), Fault> {
    if head.content_length.is_some() {
        return Err(Fault::head("There are two `Content-Length` lines."));
    }
    // Eighteen digits fit a u64; a sign, a list, a blank or a longer number does not.
    if value.is_empty() || value.len() > 18 || !value.iter().all(u8::is_ascii_digit) {
        return Err(Fault::head("`Content-Length` is no length."));
    }
    head.content_length = Some(value.iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0')));
    Ok(())
}

fn check_coding(value: &[u8], head: &mut HeadSoFar) -> Result<(), Fault> {
    if std::mem::replace(&mut head.chunked, true) {
        return Err(Fault::head("There are two `Transfer-Encoding` lines."));
    }
    if value.eq_ignore_ascii_case(b"chunked") {
        return Ok(());
    }
    Err(Fault { status: 501, ..Fault::head("`Transfer-Encoding` is not `chunked` alone.") })
}
