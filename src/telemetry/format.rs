//! One line of the log, in JSON, logfmt, or for eyes.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use anstyle::{AnsiColor, Style};
use smallvec::SmallVec;
use time::OffsetDateTime;

use super::{Level, LogFormat};

/// A value in a line.
#[derive(Clone, Debug)]
pub(super) enum Field<'a> {
    Static(&'static str),
    Text(Cow<'a, str>),
    Integer(u64),
    Millis(Duration),
    List(Vec<&'static str>),
}

/// A line: flat keys with their values, in order.
#[derive(Clone, Debug)]
pub(super) struct Line<'a> {
    at: SystemTime,
    level: Level,
    event: Cow<'static, str>,
    fields: SmallVec<[(&'static str, Field<'a>); 24]>,
}

impl Level {
    /// The name in lines.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

impl<'a> Line<'a> {
    pub(super) const fn new(at: SystemTime, level: Level, event: &'static str) -> Self {
        Self { at, level, event: Cow::Borrowed(event), fields: SmallVec::new_const() }
    }

    /// Gives the event a name of its own.
    pub(super) fn name(&mut self, event: Option<String>) {
        if let Some(event) = event {
            self.event = Cow::Owned(event);
        }
    }

    pub(super) fn put(&mut self, key: &'static str, value: Field<'a>) {
        self.fields.push((key, value));
    }

    pub(super) fn put_some(&mut self, key: &'static str, value: Option<Field<'a>>) {
        if let Some(value) = value {
            self.fields.push((key, value));
        }
    }

    pub(super) const fn level(&self) -> Level {
        self.level
    }

    pub(super) fn fields(&self) -> impl Iterator<Item = (&'static str, &Field<'a>)> {
        self.fields.iter().map(|(key, field)| (*key, field))
    }

    /// The line with its end. `colour` matters to eyes only.
    pub(super) fn write(&self, format: LogFormat, colour: bool) -> String {
        let mut out = String::with_capacity(768);
        match format {
            LogFormat::Json | LogFormat::Auto => self.json(&mut out),
            LogFormat::Logfmt => self.logfmt(&mut out),
            LogFormat::Pretty => self.pretty(&mut out, colour),
        }
        out.push('\n');
        out
    }

    fn json(&self, out: &mut String) {
        out.push_str("{\"timestamp\":\"");
        put_timestamp(out, self.at);
        out.push_str("\",\"level\":\"");
        out.push_str(self.level.name());
        out.push_str("\",\"event\":");
        put_json_text(out, &self.event);
        for (key, value) in &self.fields {
            out.push_str(",\"");
            out.push_str(key);
            out.push_str("\":");
            match value {
                // Names of ours: nothing in them has to be escaped.
                Field::Static(text) => {
                    out.push('"');
                    out.push_str(text);
                    out.push('"');
                }
                Field::Text(text) => put_json_text(out, text),
                Field::List(list) => {
                    out.push('[');
                    for (number, item) in list.iter().enumerate() {
                        out.push_str(if number > 0 { "," } else { "" });
                        put_json_text(out, item);
                    }
                    out.push(']');
                }
                number => put_number(out, number),
            }
        }
        out.push('}');
    }

    fn logfmt(&self, out: &mut String) {
        out.push_str("timestamp=");
        put_timestamp(out, self.at);
        let _ = write!(out, " level={} event=", self.level.name());
        put_logfmt_text(out, &self.event);
        for (key, value) in &self.fields {
            let _ = write!(out, " {key}=");
            put_logfmt(out, value);
        }
    }

    /// Time, level and event first, then the pairs of logfmt; what a reader looks for stands out.
    fn pretty(&self, out: &mut String, colour: bool) {
        let style = |style: Style| if colour { style } else { Style::new() };
        let (dim, bold) = (style(Style::new().dimmed()), style(Style::new().bold()));
        let loud = style(match self.level {
            Level::Error => AnsiColor::Red.on_default().bold(),
            Level::Warn => AnsiColor::Yellow.on_default().bold(),
            Level::Info | Level::Debug => AnsiColor::Green.on_default(),
        });
        let _ = write!(out, "{dim}");
        put_timestamp(out, self.at);
        let _ = write!(out, "{dim:#} {loud}{:<5}{loud:#} ", self.level.name());
        put_logfmt_text(out, &self.event);
        for (key, value) in &self.fields {
            let plain = Style::new();
            let style = if matches!(*key, "reason" | "hint") { &bold } else { &plain };
            let _ = write!(out, " {dim}{key}={dim:#}{style}");
            put_logfmt(out, value);
            let _ = write!(out, "{style:#}");
        }
    }
}

/// RFC 3339 with milliseconds, in UTC.
pub fn timestamp(at: SystemTime) -> String {
    let mut text = String::with_capacity(24);
    put_timestamp(&mut text, at);
    text
}

/// Digit by digit: the machinery of formatting would cost as much as the rest of a line.
fn put_timestamp(out: &mut String, at: SystemTime) {
    let at = OffsetDateTime::from(at);
    put_digits(out, u64::try_from(at.year()).unwrap_or_default(), 4);
    for (mark, number) in
        [('-', u8::from(at.month())), ('-', at.day()), ('T', at.hour()), (':', at.minute()), (':', at.second())]
    {
        out.push(mark);
        put_digits(out, number.into(), 2);
    }
    out.push('.');
    put_digits(out, at.millisecond().into(), 3);
    out.push('Z');
}

/// The last `count` digits.
fn put_digits(out: &mut String, number: u64, count: u32) {
    for place in (0..count).rev() {
        let digit = number / 10_u64.pow(place) % 10;
        out.push(char::from(b'0' + u8::try_from(digit).unwrap_or_default()));
    }
}

fn put_number(out: &mut String, value: &Field<'_>) {
    let mut buffer = itoa::Buffer::new();
    match value {
        Field::Integer(number) => out.push_str(buffer.format(*number)),
        Field::Millis(time) => {
            let micros = u64::try_from((time.as_nanos() + 500) / 1000).unwrap_or(u64::MAX);
            out.push_str(buffer.format(micros / 1000));
            out.push('.');
            put_digits(out, micros % 1000, 3);
        }
        _ => {}
    }
}

/// A JSON string (RFC 8259 §7). Beyond JSON's own, what a terminal or a viewer would act on is escaped.
fn put_json_text(out: &mut String, text: &str) {
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
const fn is_acted_on(c: char) -> bool {
    matches!(c, '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

fn put_logfmt(out: &mut String, value: &Field<'_>) {
    match value {
        Field::Static(text) => put_logfmt_text(out, text),
        Field::Text(text) => put_logfmt_text(out, text),
        Field::List(list) => out.push_str(&list.join(",")),
        number => put_number(out, number),
    }
}

fn put_logfmt_text(out: &mut String, text: &str) {
    let bare = !text.is_empty()
        && text.chars().all(|c| !c.is_whitespace() && !is_acted_on(c) && !matches!(c, '"' | '=' | '\\'));
    if bare { out.push_str(text) } else { put_json_text(out, text) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn line(text: &str) -> Line<'_> {
        let at = SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_123);
        let mut line = Line::new(at, Level::Warn, "request_refused");
        line.put("status", Field::Integer(401));
        line.put("reason", Field::Static("token_expired"));
        line.put("detail", Field::Text(text.into()));
        line.put("changes", Field::List(vec!["scheme_case", "quotes_removed"]));
        line.put("duration_ms", Field::Millis(Duration::from_micros(1234)));
        line
    }

    #[test]
    fn the_three_formats() {
        let line = line("it \"ended\"\n");
        assert_eq!(
            line.write(LogFormat::Json, false),
            "{\"timestamp\":\"2023-11-14T22:13:20.123Z\",\"level\":\"warn\",\"event\":\"request_refused\",\"status\":401,\"reason\":\"token_expired\",\"detail\":\"it \\\"ended\\\"\\n\",\"changes\":[\"scheme_case\",\"quotes_removed\"],\"duration_ms\":1.234}\n"
        );
        assert_eq!(
            line.write(LogFormat::Logfmt, false),
            "timestamp=2023-11-14T22:13:20.123Z level=warn event=request_refused status=401 reason=token_expired detail=\"it \\\"ended\\\"\\n\" changes=scheme_case,quotes_removed duration_ms=1.234\n"
        );
        assert_eq!(
            line.write(LogFormat::Pretty, false),
            "2023-11-14T22:13:20.123Z warn  request_refused status=401 reason=token_expired detail=\"it \\\"ended\\\"\\n\" changes=scheme_case,quotes_removed duration_ms=1.234\n"
        );
        let coloured = line.write(LogFormat::Pretty, true);
        assert!(coloured.contains("\u{1b}[1mtoken_expired\u{1b}[0m"), "{coloured}");
        let colourless = coloured.split('\u{1b}').map(|piece| {
            piece.split_once('m').map_or(piece, |(code, rest)| if code.starts_with('[') { rest } else { piece })
        });
        assert_eq!(colourless.collect::<String>(), line.write(LogFormat::Pretty, false));
    }

    proptest! {
        #[test]
        fn any_text_makes_one_valid_line(text in "\\PC*|[\\x00-\\x20\"\\\\=\u{80}-\u{a0}\u{2028}\u{202e}\u{2066}]{0,20}") {
            let json = line(&text).write(LogFormat::Json, false);
            let value: serde_json::Value = serde_json::from_str(&json).unwrap();
            prop_assert_eq!(value["detail"].as_str().unwrap(), text.as_str());
            for format in [LogFormat::Json, LogFormat::Logfmt, LogFormat::Pretty] {
                let line = line(&text).write(format, false);
                let line = line.strip_suffix('\n').unwrap();
                prop_assert!(!line.contains(is_acted_on), "{:?}", line);
            }
        }
    }
}
