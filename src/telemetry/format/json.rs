//! A line as one JSON object.

use std::fmt::Write as _;

use super::plain::{put_plain, put_timestamp};
use super::{Field, Keys, Level, Opening};

/// One JSON object.
pub(in crate::telemetry) struct Json<'o> {
    out: &'o mut String,
    is_empty: bool,
}

impl<'o> Json<'o> {
    pub(in crate::telemetry) fn begin(out: &'o mut String) -> Self {
        out.push('{');
        Self { out, is_empty: true }
    }

    /// The keys with which each line begins.
    pub(in crate::telemetry) fn open(&mut self, opening: Opening<'_>) {
        self.out.push_str(if self.is_empty { "\"timestamp\":\"" } else { ",\"timestamp\":\"" });
        self.is_empty = false;
        put_timestamp(self.out, opening.at);
        // In one piece, for each line has them.
        self.out.push_str(match opening.level {
            Level::Debug => "\",\"level\":\"debug\",\"event\":",
            Level::Info => "\",\"level\":\"info\",\"event\":",
            Level::Warn => "\",\"level\":\"warn\",\"event\":",
            Level::Error => "\",\"level\":\"error\",\"event\":",
        });
        self.put_value(opening.event);
    }

    pub(in crate::telemetry) fn end(self) {
        self.out.push('}');
    }
}

impl Keys for Json<'_> {
    // The kind of a value and the length of a key are known where it is put: without the call, to the compiler, too.
    #[inline(always)]
    fn put(&mut self, key: &'static str, value: Field<'_>) {
        self.out.push_str(if std::mem::take(&mut self.is_empty) { "\"" } else { ",\"" });
        self.out.push_str(key);
        self.out.push_str("\":");
        self.put_value(value);
    }

    fn as_text(&mut self) -> Option<(u8, &mut String)> {
        Some((0, self.out))
    }
}

impl Json<'_> {
    #[inline(always)]
    fn put_value(&mut self, value: Field<'_>) {
        let out = &mut *self.out;
        match value {
            // Names of ours: nothing in them has to be escaped.
            Field::Static(text) | Field::Plain(text) => {
                out.push('"');
                out.push_str(text);
                out.push('"');
            }
            Field::Text(text) => put_json_text(out, &text),
            Field::Address(_) | Field::Print(_) => {
                out.push('"');
                put_plain(out, &value);
                out.push('"');
            }
            Field::List(list) => {
                out.push('[');
                for (number, item) in list.iter().enumerate() {
                    out.push_str(if number > 0 { "," } else { "" });
                    put_json_text(out, item);
                }
                out.push(']');
            }
            Field::Digits(text) => out.push_str(text),
            Field::Integer(_) | Field::Millis(_) => put_plain(out, &value),
        }
    }
}

/// A JSON string (RFC 8259 §7). Beyond JSON's own, what a terminal or a viewer would act on is escaped.
pub(super) fn put_json_text(out: &mut String, text: &str) {
    out.push('"');
    let mut rest = text;
    while !rest.is_empty() {
        let (plain, behind) = rest.split_at_checked(plain_length(rest.as_bytes())).unwrap_or((rest, ""));
        out.push_str(plain);
        let mut characters = behind.chars();
        match characters.next() {
            None => {}
            Some('"') => out.push_str("\\\""),
            Some('\\') => out.push_str("\\\\"),
            Some('\n') => out.push_str("\\n"),
            Some('\r') => out.push_str("\\r"),
            Some('\t') => out.push_str("\\t"),
            Some(c) if is_acted_on(c) => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            Some(c) => out.push(c),
        }
        rest = characters.as_str();
    }
    out.push('"');
}

/// How much of a text stands for itself: sixteen bytes at a time, for which compilers have an instruction.
fn plain_length(bytes: &[u8]) -> usize {
    let is_plain = |byte: &u8| matches!(byte, b' '..=b'~') & (*byte != b'"') & (*byte != b'\\');
    let clean = |piece: &&[u8]| piece.iter().fold(true, |clean, byte| clean & is_plain(byte));
    let whole = bytes.chunks_exact(16).take_while(clean).count() * 16;
    let rest = bytes.get(whole..).unwrap_or_default();
    whole + rest.iter().position(|byte| !is_plain(byte)).unwrap_or(rest.len())
}

/// Controls, separators of lines and paragraphs, and marks that turn the direction of writing: with the last, a stranger
/// could make a viewer show another line than there is.
pub(super) const fn is_acted_on(c: char) -> bool {
    matches!(c, '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2066}'..='\u{2069}' | '\u{feff}')
}
