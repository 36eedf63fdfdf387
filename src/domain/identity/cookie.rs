//! A session cookie as Grafana reads it: Go's `net/http` finds it, and `url.QueryUnescape` decodes it.

use super::Bytes;

/// A cookie that Grafana finds.
#[derive(Debug, PartialEq, Eq)]
pub enum Cookie<'l> {
    /// The decoded value.
    Read(Bytes<'l>),
    /// Its escapes are malformed: Grafana signs nobody in by it.
    Unreadable,
}

/// The cookie called `name` in the `Cookie` lines: the first that Go accepts.
///
/// Go reads no cookie at all where there are more than 3000; older versions read them all, and so does this function.
pub fn cookie<'l>(lines: &[&'l [u8]], name: &[u8]) -> Option<Cookie<'l>> {
    if !is_token(name) {
        return None;
    }
    let pairs = lines.iter().flat_map(|line| line.split(|byte| *byte == b';'));
    let value = pairs.map(trim).find_map(|pair| value_of(pair, name))?;
    Some(unescape(value).map_or(Cookie::Unreadable, Cookie::Read))
}

fn value_of<'l>(pair: &'l [u8], name: &[u8]) -> Option<&'l [u8]> {
    let equals = memchr::memchr(b'=', pair);
    let (found, value) = pair.split_at_checked(equals.unwrap_or(pair.len()))?;
    if trim(found) != name {
        return None;
    }
    let value = value.strip_prefix(b"=").unwrap_or(value);
    let value = match value {
        [b'"', inner @ .., b'"'] => inner,
        _ => value,
    };
    let is_valid = |byte: &u8| matches!(byte, 0x20..=0x7E) && !matches!(byte, b'"' | b';' | b'\\');
    value.iter().all(is_valid).then_some(value)
}

/// `url.QueryUnescape`; `None` where an escape is malformed.
fn unescape(value: &[u8]) -> Option<Bytes<'_>> {
    if memchr::memchr2(b'%', b'+', value).is_none() {
        return Some(Bytes::Borrowed(value));
    }
    let mut text = Vec::with_capacity(value.len());
    let mut rest = value;
    while let [first, behind @ ..] = rest {
        rest = behind;
        text.push(match (first, behind) {
            (b'%', [high, low, behind @ ..]) => {
                rest = behind;
                digit(*high)? << 4 | digit(*low)?
            }
            (b'%', _) => return None,
            (b'+', _) => b' ',
            (byte, _) => *byte,
        });
    }
    Some(text.into())
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// RFC 9110 §5.6.2. Go skips a cookie with another name.
fn is_token(name: &[u8]) -> bool {
    let is_tchar = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    !name.is_empty() && name.iter().all(is_tchar)
}

/// `textproto.TrimString`.
fn trim(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t' | b'\r' | b'\n', rest @ ..] | [rest @ .., b' ' | b'\t' | b'\r' | b'\n'] = text {
        text = rest;
    }
    text
}
