//! The keys of a line, out of JSON, logfmt and pretty.

use std::borrow::Cow;

use serde::Deserialize;

use super::nanoseconds;

/// The keys as they stand in a line.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Keys {
    pub timestamp: Option<String>,
    pub event: Option<String>,
    pub source: Option<String>,
    pub reason: Option<String>,
    pub path: Option<String>,
    pub client: Option<String>,
    pub token_name: Option<String>,
    pub token_kind: Option<String>,
    pub token_fingerprint: Option<String>,
    pub auth_received: Option<String>,
    pub duration_ms: Option<f64>,
    pub suppressed: Option<u64>,
    /// Docker's own files hold each line as a text.
    pub log: Option<String>,
}

/// Reads a line that is one object.
pub(super) fn read_json(text: &str) -> Option<Keys> {
    // What follows the object does no harm.
    Keys::deserialize(&mut serde_json::Deserializer::from_str(text)).ok()
}

/// logfmt, which begins with `timestamp=`, or pretty, which begins with a bare time, level and event. What stands before
/// them is a collector's again.
pub(super) fn read_words(text: &str) -> Option<Keys> {
    let text = uncoloured(text);
    let mut words = Words(&text);
    let mut keys = Keys::default();
    let mut before = Word::default();
    loop {
        let word = words.next()?;
        match word.key {
            Some("timestamp") => {
                keys.timestamp = Some(word.value.into_owned());
                break;
            }
            None if !word.is_quoted => {}
            _ => return None,
        }
        if matches!(&*word.value, "debug" | "info" | "warn" | "error") && nanoseconds(&before.value).is_some() {
            keys.timestamp = Some(before.value.into_owned());
            keys.event = words.next().filter(|word| word.key.is_none()).map(|word| word.value.into_owned());
            break;
        }
        before = word;
    }
    for Word { key, value, .. } in words {
        let place = match key? {
            "event" if keys.event.is_none() => &mut keys.event,
            "source" => &mut keys.source,
            "reason" => &mut keys.reason,
            "path" => &mut keys.path,
            "client" => &mut keys.client,
            "token_name" => &mut keys.token_name,
            "token_kind" => &mut keys.token_kind,
            "token_fingerprint" => &mut keys.token_fingerprint,
            "auth_received" => &mut keys.auth_received,
            "duration_ms" => {
                keys.duration_ms = value.parse().ok();
                continue;
            }
            "suppressed" => {
                keys.suppressed = value.parse().ok();
                continue;
            }
            _ => continue,
        };
        *place = Some(value.into_owned());
    }
    Some(keys)
}

/// A pair of logfmt, or a word alone.
#[derive(Default)]
struct Word<'a> {
    key: Option<&'a str>,
    value: Cow<'a, str>,
    is_quoted: bool,
}

/// The words of a line; ends where one is broken.
struct Words<'a>(&'a str);

impl<'a> Iterator for Words<'a> {
    type Item = Word<'a>;

    fn next(&mut self) -> Option<Word<'a>> {
        let rest = self.0.trim_start();
        let end = rest.find(|c: char| c.is_whitespace() || matches!(c, '=' | '"')).unwrap_or(rest.len());
        let (first, behind) = rest.split_at_checked(end)?;
        let (key, rest) = match behind.strip_prefix('=') {
            Some(value) => (Some(first), value),
            None if behind.starts_with('"') && !first.is_empty() => return None,
            None => (None, rest),
        };
        if rest.starts_with('"') {
            let mut texts = serde_json::Deserializer::from_str(rest).into_iter::<String>();
            let value = texts.next()?.ok()?;
            (_, self.0) = rest.split_at_checked(texts.byte_offset())?;
            return Some(Word { key, value: value.into(), is_quoted: true });
        }
        let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
        let (value, behind) = rest.split_at_checked(end)?;
        self.0 = behind;
        (key.is_some() || !value.is_empty()).then_some(Word { key, value: value.into(), is_quoted: false })
    }
}

/// Without the colours that pretty lines have on a terminal.
fn uncoloured(text: &str) -> Cow<'_, str> {
    if !text.contains('\u{1b}') {
        return text.into();
    }
    let mut pieces = text.split("\u{1b}[");
    let mut plain = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        plain.push_str(piece.split_once('m').map_or("", |(_, rest)| rest));
    }
    plain.into()
}
