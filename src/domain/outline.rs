//! What can be made out of a head that is at fault, for whoever has to find out who sent it: its request line, where that is
//! sound, and those of its lines that are sound by themselves. Nothing is decided by it.

use bytes::Bytes;

use super::fields::{Field, Fields};
use super::framing::{count_controls, name_end, request_line};
use super::head::RequestParts;

/// So many lines are looked at.
const MAX_LINES: usize = 128;

/// The parts, and whether method and target are among them.
pub fn outline(bytes: Bytes) -> (RequestParts, bool) {
    let (mut lines, mut at) = (Vec::new(), 0);
    let mut first = None;
    for raw in bytes.split_inclusive(|byte| *byte == b'\n').take(MAX_LINES) {
        let start = at;
        at += raw.len();
        let line = raw.strip_suffix(b"\n").unwrap_or(raw);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            // Behind the head, or before it.
            if first.is_some() { break } else { continue }
        }
        if first.is_none() {
            first = Some(request_line(line));
        } else if let Some(colon) = name_end(line).filter(|_| count_controls(line) == 0) {
            lines.push(Field::new(start, start + colon, start + line.len()));
        }
    }
    let line = first.flatten();
    let known = line.is_some();
    let (method, uri) = line.unwrap_or_default();
    (RequestParts { method, uri, fields: Fields::new(bytes, lines) }, known)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seen(text: &str) -> (String, Vec<String>) {
        let (parts, known) = outline(Bytes::copy_from_slice(text.as_bytes()));
        let line = if known { format!("{} {}", parts.method, parts.uri) } else { String::new() };
        let names = parts.fields.names().map(|name| String::from_utf8_lossy(name).into_owned()).collect();
        (line, names)
    }

    #[test]
    fn what_is_sound_by_itself_is_seen() {
        let head = "GET /a HTTP/1.1\r\nHost: g\nAuthorization: Bearer x\ny\r\nB : c\r\nC: \x01\r\n D: e\r\nE: f\r\n\r\nG: h\r\n";
        assert_eq!(seen(head), ("GET /a".into(), vec!["Host".into(), "Authorization".into(), "E".into()]));
        assert_eq!(seen("\r\nGET /a b HTTP/1.1\r\nA: b"), (String::new(), vec!["A".into()]));
        assert_eq!(seen(""), (String::new(), vec![]));
        assert_eq!(seen("GET http://g/x HTTP/1.0"), ("GET http://g/x".into(), vec![]));
    }

    proptest! {
        #[test]
        fn no_bytes_panic_and_every_value_is_plain(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let (parts, _) = outline(Bytes::from(bytes));
            for (_, value) in parts.fields.iter() {
                prop_assert_eq!(count_controls(value), 0);
            }
        }
    }
}
