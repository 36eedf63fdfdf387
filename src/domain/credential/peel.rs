//! What sticks to the ends of a credential that was copied, templated or read from a file: blanks of every kind, newlines
//! (real ones and their escapes), quotes.

use super::change::{Change, Changes};

/// Takes everything off both ends that belongs to no credential, and notes what it was.
pub(super) fn peel<'v>(value: &'v [u8], changes: &mut Changes) -> &'v [u8] {
    peel_end(peel_start(value, changes), changes)
}

/// Takes it off the front only.
pub(super) fn peel_start<'v>(mut value: &'v [u8], changes: &mut Changes) -> &'v [u8] {
    while let Some((change, rest)) = first(value) {
        changes.insert(change);
        value = rest;
    }
    value
}

fn peel_end<'v>(mut value: &'v [u8], changes: &mut Changes) -> &'v [u8] {
    while let Some((change, rest)) = last(value) {
        changes.insert(change);
        value = rest;
    }
    value
}

/// Takes off what Go's server takes off before Grafana sees a value: blanks and tabs, nothing else.
pub(super) fn trim_as_go(value: &[u8]) -> &[u8] {
    let mut value = value;
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

fn first(value: &[u8]) -> Option<(Change, &[u8])> {
    match value {
        [a, b, c, rest @ ..] if is_wide_blank(*a, *b, *c) => Some((Change::WhitespaceTrimmed, rest)),
        [a, b, c, rest @ ..] if is_wide_quote(*a, *b, *c) => Some((Change::QuotesRemoved, rest)),
        [a, b, c, rest @ ..] if is_encoded_newline(*a, *b, *c) => Some((Change::NewlineTrimmed, rest)),
        [a, b, rest @ ..] => match pair(*a, *b) {
            Some(change) => Some((change, rest)),
            None => value.split_first().and_then(|(byte, rest)| Some((single(*byte)?, rest))),
        },
        [byte] => Some((single(*byte)?, &[])),
        [] => None,
    }
}

fn last(value: &[u8]) -> Option<(Change, &[u8])> {
    match value {
        [rest @ .., a, b, c] if is_wide_blank(*a, *b, *c) => Some((Change::WhitespaceTrimmed, rest)),
        [rest @ .., a, b, c] if is_wide_quote(*a, *b, *c) => Some((Change::QuotesRemoved, rest)),
        [rest @ .., a, b, c] if is_encoded_newline(*a, *b, *c) => Some((Change::NewlineTrimmed, rest)),
        [rest @ .., a, b] => match pair(*a, *b) {
            Some(change) => Some((change, rest)),
            None => value.split_last().and_then(|(byte, rest)| Some((single(*byte)?, rest))),
        },
        [byte] => Some((single(*byte)?, &[])),
        [] => None,
    }
}

/// U+2000–200F (spaces, zero-width, direction marks), U+2028–202F, U+205F, U+2060, U+3000, U+FEFF (the BOM).
const fn is_wide_blank(a: u8, b: u8, c: u8) -> bool {
    matches!(
        (a, b, c),
        (0xE2, 0x80, 0x80..=0x8F | 0xA8..=0xAF) | (0xE2, 0x81, 0x9F | 0xA0) | (0xE3, 0x80, 0x80) | (0xEF, 0xBB, 0xBF)
    )
}

/// U+2018–201F and the single guillemets U+2039, U+203A: what word processors and chats make of quotes.
const fn is_wide_quote(a: u8, b: u8, c: u8) -> bool {
    matches!((a, b, c), (0xE2, 0x80, 0x98..=0x9F | 0xB9 | 0xBA))
}

/// `%0A` and `%0D` in any case.
const fn is_encoded_newline(a: u8, b: u8, c: u8) -> bool {
    matches!((a, b, c), (b'%', b'0', b'A' | b'a' | b'D' | b'd'))
}

/// No-break space, soft hyphen and next line; guillemets; `\n` and `\r`, `\"` and `\'` spelt out.
const fn pair(a: u8, b: u8) -> Option<Change> {
    match (a, b) {
        (0xC2, 0xA0 | 0xAD | 0x85) => Some(Change::WhitespaceTrimmed),
        (0xC2, 0xAB | 0xBB) | (b'\\', b'"' | b'\'') => Some(Change::QuotesRemoved),
        (b'\\', b'n' | b'r') => Some(Change::NewlineTrimmed),
        _ => None,
    }
}

/// One byte, also of Latin-1 (0xA0) and Windows-1252 (0x91–0x94), in which many clients write heads.
const fn single(byte: u8) -> Option<Change> {
    match byte {
        b' ' | b'\t' | 0xA0 => Some(Change::WhitespaceTrimmed),
        b'\n' | b'\r' => Some(Change::NewlineTrimmed),
        b'"' | b'\'' | b'`' | 0x91..=0x94 => Some(Change::QuotesRemoved),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn peeled(value: &[u8]) -> (&[u8], Vec<&'static str>) {
        let mut changes = Changes::default();
        (peel(value, &mut changes), changes.iter().map(Change::name).collect())
    }

    #[test]
    fn each_kind_is_named() {
        for (value, name) in [
            ("x ", "whitespace_trimmed"),
            ("\tx", "whitespace_trimmed"),
            ("\u{a0}x\u{a0}", "whitespace_trimmed"),
            ("\u{feff}x", "whitespace_trimmed"),
            ("x\u{200b}", "whitespace_trimmed"),
            ("x\u{2060}", "whitespace_trimmed"),
            ("x\u{3000}", "whitespace_trimmed"),
            ("x\\n", "newline_trimmed"),
            ("x\\r\\n", "newline_trimmed"),
            ("x%0A", "newline_trimmed"),
            ("x%0d%0a", "newline_trimmed"),
            ("x\r\n", "newline_trimmed"),
            ("\"x\"", "quotes_removed"),
            ("'x'", "quotes_removed"),
            ("`x`", "quotes_removed"),
            ("“x”", "quotes_removed"),
            ("‘x’", "quotes_removed"),
            ("«x»", "quotes_removed"),
            ("\\\"x\\\"", "quotes_removed"),
        ] {
            assert_eq!(peeled(value.as_bytes()), (&b"x"[..], vec![name]), "{value:?}");
        }
        assert_eq!(peeled(b"\xa0x\xa0"), (&b"x"[..], vec!["whitespace_trimmed"]));
        assert_eq!(peeled(b"\x93x\x94"), (&b"x"[..], vec!["quotes_removed"]));
    }

    #[test]
    fn what_is_inside_stays() {
        for value in ["x\"y", "x\\ny", "a%0Ab", "a b", "x\\", "%0", "ü"] {
            assert_eq!(peeled(value.as_bytes()), (value.as_bytes(), vec![]));
        }
    }

    #[test]
    fn go_trims_blanks_and_tabs_only() {
        assert_eq!(trim_as_go(b" \t x\xa0\t "), b"x\xa0");
        assert_eq!(trim_as_go(b" \t "), b"");
    }

    proptest! {
        #[test]
        fn peeling_twice_is_peeling_once(value: Vec<u8>) {
            let (once, _) = peeled(&value);
            prop_assert_eq!(peeled(once), (once, vec![]));
        }
    }
}
