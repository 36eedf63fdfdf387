//! A JSON object as Go's `encoding/json` reads it into a struct.
//!
//! serde_json checks the grammar, which is the same, and decodes strings. Go differs in what it replaces (invalid UTF-8
//! and lone surrogates), in duplicates and `null`, in how it reads integers, and in its limit of nesting.

use serde::de::{Deserializer as _, IgnoredAny, Visitor};
use zeroize::Zeroizing;

use super::bytes::Bytes;

/// Nesting that Go accepts.
const DEPTH: usize = 10_000;
const REPLACEMENT: &[u8] = "\u{fffd}".as_bytes();

/// A value of a member, as written.
#[derive(Clone, Copy)]
pub(super) struct Value<'j>(&'j [u8]);

/// Calls `member` with the name and the value of each member, in order. `None` where Go reports an error, and where
/// `member` does. Go reads a `null` as an object without members.
pub(super) fn read_object(json: &[u8], mut member: impl FnMut(&[u8], Value<'_>) -> Option<()>) -> Option<()> {
    let json = replace_invalid_utf8(json);
    serde_json::from_slice::<IgnoredAny>(&json).ok()?;
    let mut rest = match trim_start(&json) {
        [b'{', rest @ ..] => trim_start(rest),
        [b'n', ..] => return Some(()),
        _ => return None,
    };
    while !rest.starts_with(b"}") {
        let (name, behind) = split_value(rest)?;
        let behind = trim_start(behind).strip_prefix(b":")?;
        let (value, behind) = split_value(trim_start(behind))?;
        member(&unquote(name)?, Value(value))?;
        rest = trim_start(behind);
        rest = trim_start(rest.strip_prefix(b",").unwrap_or(rest));
    }
    Some(())
}

impl Value<'_> {
    /// Go's assignment to a string: `null` changes nothing, and what is no string is an error.
    pub(super) fn set_string(self, field: &mut Zeroizing<Vec<u8>>) -> Option<()> {
        match self.0 {
            [b'n', ..] => {}
            [b'"', ..] => *field = unquote(self.0)?,
            _ => return None,
        }
        Some(())
    }

    /// Go's assignment to an `int64`: `null` changes nothing; a fraction, an exponent or another type is an error.
    pub(super) fn set_integer(self, field: &mut i64) -> Option<()> {
        if !self.0.starts_with(b"n") {
            *field = std::str::from_utf8(self.0).ok()?.parse().ok()?;
        }
        Some(())
    }
}

/// Splits well-formed JSON behind its first value. `None` where that is nested too deeply.
fn split_value(json: &[u8]) -> Option<(&[u8], &[u8])> {
    // The object that holds the value is a level of its own.
    let mut depth = 1usize;
    let mut end = 0;
    loop {
        match json.get(end)? {
            b'"' => end += string_length(json.get(end..)?)?,
            b'{' | b'[' => {
                depth += 1;
                end += 1;
            }
            b'}' | b']' => {
                depth = depth.checked_sub(1)?;
                end += 1;
            }
            b',' | b':' | b' ' | b'\t' | b'\r' | b'\n' => end += 1,
            _ => end += json.get(end..)?.iter().take_while(|byte| is_literal(byte)).count().max(1),
        }
        if depth > DEPTH {
            return None;
        }
        if depth == 1 {
            return json.split_at_checked(end);
        }
    }
}

/// Bytes of numbers, `true`, `false` and `null`.
const fn is_literal(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.')
}

/// The length of the string that `json` begins with, quotes included.
fn string_length(json: &[u8]) -> Option<usize> {
    let mut end = 1;
    loop {
        end += memchr::memchr2(b'"', b'\\', json.get(end..)?)?;
        match json.get(end)? {
            b'"' => return Some(end + 1),
            _ => end += 2,
        }
    }
}

/// Decodes a string, where Go writes U+FFFD for half of a surrogate pair.
fn unquote(string: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let mut text = serde_json::Deserializer::from_slice(string).deserialize_bytes(Text).ok()?;
    let mut from = 0;
    // serde_json writes such a half in the three bytes that UTF-8 would give it; nothing else begins like that.
    while let Some(bytes) = text.get_mut(from..) {
        let Some(at) = bytes.windows(2).position(|pair| matches!(pair, [0xED, 0xA0..=0xBF])) else { break };
        if let Some(half) = bytes.get_mut(at..at + 3) {
            half.copy_from_slice(REPLACEMENT);
        }
        from += at + 3;
    }
    Some(text)
}

struct Text;

impl Visitor<'_> for Text {
    type Value = Zeroizing<Vec<u8>>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a string")
    }

    fn visit_bytes<E>(self, text: &[u8]) -> Result<Self::Value, E> {
        Ok(Zeroizing::new(text.to_vec()))
    }
}

/// Go replaces each invalid byte, not each invalid sequence.
fn replace_invalid_utf8(text: &[u8]) -> Bytes<'_> {
    if std::str::from_utf8(text).is_ok() {
        return Bytes::Borrowed(text);
    }
    let mut valid = Vec::with_capacity(text.len() * REPLACEMENT.len());
    for chunk in text.utf8_chunks() {
        valid.extend_from_slice(chunk.valid().as_bytes());
        for _ in chunk.invalid() {
            valid.extend_from_slice(REPLACEMENT);
        }
    }
    valid.into()
}

fn trim_start(mut json: &[u8]) -> &[u8] {
    while let [b' ' | b'\t' | b'\r' | b'\n', rest @ ..] = json {
        json = rest;
    }
    json
}

/// A string as Go's `encoding/json` writes it: with what means something to HTML escaped, too.
pub(super) fn quoted(text: &[u8]) -> String {
    let quoted = serde_json::to_string(&String::from_utf8_lossy(text)).unwrap_or_default();
    let mut written = String::with_capacity(quoted.len());
    for character in quoted.chars() {
        match character {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                written.push_str(&format!("\\u{:04x}", u32::from(character)));
            }
            other => written.push(other),
        }
    }
    written
}
