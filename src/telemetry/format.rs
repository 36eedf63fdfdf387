//! One line of the log, in JSON, logfmt, or for eyes.
//!
//! Written key by key into the text that is kept: with `log.requests: all` each request pays for a line.

use std::borrow::Cow;
use std::cell::RefCell;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anstyle::{AnsiColor, Style};
use time::OffsetDateTime;

use super::{Level, LogFormat};
use crate::domain::token::Fingerprint;

/// A value in a line.
#[derive(Clone, Debug)]
pub(super) enum Field<'a> {
    Static(&'static str),
    /// A text in which nothing has to be escaped.
    Plain(&'a str),
    Text(Cow<'a, str>),
    Address(IpAddr),
    Print(Fingerprint),
    Integer(u64),
    /// A number as it is written.
    Digits(&'a str),
    Millis(Duration),
    List(&'a [&'static str]),
}

/// Takes the keys of a line with their values, in order.
pub(super) trait Keys {
    fn put(&mut self, key: &'static str, value: Field<'_>);

    /// The line so far, where it is one of text, and a number for the way in which it is written.
    fn as_text(&mut self) -> Option<(u8, &mut String)> {
        None
    }

    #[inline(always)]
    fn put_some(&mut self, key: &'static str, value: Option<Field<'_>>) {
        if let Some(value) = value {
            self.put(key, value);
        }
    }
}

/// How a line begins.
#[derive(Clone, Debug)]
pub(super) struct Opening<'a> {
    pub at: SystemTime,
    pub level: Level,
    pub event: Field<'a>,
}

/// What makes a line.
pub(super) trait Tell {
    fn opening(&self) -> Opening<'_>;

    fn tell(&self, keys: &mut impl Keys);
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

/// Appends one line with its end to `out`. `colour` matters to eyes only.
pub(super) fn write_line(out: &mut String, format: LogFormat, colour: bool, told: &impl Tell) {
    let opening = told.opening();
    match format {
        LogFormat::Json | LogFormat::Auto => {
            let mut line = Json::begin(out);
            line.open(opening);
            told.tell(&mut line);
            line.end();
        }
        LogFormat::Logfmt => told.tell(&mut Logfmt::begin(out, opening)),
        LogFormat::Pretty => told.tell(&mut Pretty::begin(out, colour, opening)),
    }
    out.push('\n');
}

/// One JSON object.
pub(super) struct Json<'o> {
    out: &'o mut String,
    is_empty: bool,
}

impl<'o> Json<'o> {
    pub(super) fn begin(out: &'o mut String) -> Self {
        out.push('{');
        Self { out, is_empty: true }
    }

    /// The keys with which each line begins.
    pub(super) fn open(&mut self, opening: Opening<'_>) {
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

    pub(super) fn end(self) {
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

struct Logfmt<'o>(&'o mut String);

impl<'o> Logfmt<'o> {
    fn begin(out: &'o mut String, opening: Opening<'_>) -> Self {
        out.push_str("timestamp=");
        put_timestamp(out, opening.at);
        let _ = write!(out, " level={} event=", opening.level.name());
        put_logfmt(out, &opening.event);
        Self(out)
    }
}

impl Keys for Logfmt<'_> {
    fn put(&mut self, key: &'static str, value: Field<'_>) {
        let _ = write!(self.0, " {key}=");
        put_logfmt(self.0, &value);
    }

    fn as_text(&mut self) -> Option<(u8, &mut String)> {
        Some((1, self.0))
    }
}

/// Time, level and event first, then the pairs of logfmt; what a reader looks for stands out.
struct Pretty<'o> {
    out: &'o mut String,
    dim: Style,
    bold: Style,
}

impl<'o> Pretty<'o> {
    fn begin(out: &'o mut String, colour: bool, opening: Opening<'_>) -> Self {
        let style = |style: Style| if colour { style } else { Style::new() };
        let (dim, bold) = (style(Style::new().dimmed()), style(Style::new().bold()));
        let loud = style(match opening.level {
            Level::Error => AnsiColor::Red.on_default().bold(),
            Level::Warn => AnsiColor::Yellow.on_default().bold(),
            Level::Info | Level::Debug => AnsiColor::Green.on_default(),
        });
        let _ = write!(out, "{dim}");
        put_timestamp(out, opening.at);
        let _ = write!(out, "{dim:#} {loud}{:<5}{loud:#} ", opening.level.name());
        put_logfmt(out, &opening.event);
        Self { out, dim, bold }
    }
}

impl Keys for Pretty<'_> {
    fn put(&mut self, key: &'static str, value: Field<'_>) {
        let dim = self.dim;
        let style = if matches!(key, "reason" | "hint") { self.bold } else { Style::new() };
        let _ = write!(self.out, " {dim}{key}={dim:#}{style}");
        put_logfmt(self.out, &value);
        let _ = write!(self.out, "{style:#}");
    }

    fn as_text(&mut self) -> Option<(u8, &mut String)> {
        let is_plain = self.dim == Style::new();
        Some((if is_plain { 2 } else { 3 }, self.out))
    }
}

/// RFC 3339 with milliseconds, in UTC.
pub fn timestamp(at: SystemTime) -> String {
    let mut text = String::with_capacity(24);
    put_timestamp(&mut text, at);
    text
}

thread_local! {
    /// The second of the last timestamp, with its text: most lines are of the same second as the one before.
    static SECOND: RefCell<(u64, String)> = const { RefCell::new((u64::MAX, String::new())) };
}

fn put_timestamp(out: &mut String, at: SystemTime) {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    SECOND.with_borrow_mut(|(second, text)| {
        if *second != since.as_secs() {
            *second = since.as_secs();
            let spelt = spell(OffsetDateTime::from(UNIX_EPOCH + Duration::from_secs(*second)));
            *text = std::str::from_utf8(&spelt).unwrap_or_default().to_owned();
        }
        out.push_str(text);
    });
    put_thousandths(out, since.subsec_millis());
    out.push('Z');
}

/// `2026-11-23T13:52:31`
fn spell(at: OffsetDateTime) -> [u8; 19] {
    let mut text = *b"0000-00-00T00:00:00";
    let year = u32::try_from(at.year()).unwrap_or_default();
    let numbers = [(0..4, year), (5..7, u8::from(at.month()).into()), (8..10, at.day().into())];
    let times = [(11..13, at.hour().into()), (14..16, at.minute().into()), (17..19, at.second().into())];
    for (place, mut number) in numbers.into_iter().chain(times) {
        for digit in text.get_mut(place).unwrap_or_default().iter_mut().rev() {
            *digit = b'0' + u8::try_from(number % 10).unwrap_or_default();
            number /= 10;
        }
    }
    text
}

/// `.000.001.002` and so on: a look costs a quarter of the divisions.
const THOUSANDTHS: &str = match std::str::from_utf8(&THOUSANDTHS_BYTES) {
    Ok(text) => text,
    Err(_) => "",
};

#[allow(clippy::indexing_slicing, reason = "the compiler evaluates it, and would refuse")]
const THOUSANDTHS_BYTES: [u8; 4000] = {
    let mut text = [b'.'; 4000];
    let mut number = 0;
    while number < 1000 {
        text[number * 4 + 1] = b'0' + (number / 100) as u8;
        text[number * 4 + 2] = b'0' + (number / 10 % 10) as u8;
        text[number * 4 + 3] = b'0' + (number % 10) as u8;
        number += 1;
    }
    text
};

/// A point and three digits.
fn put_thousandths(out: &mut String, number: u32) {
    let begin = number as usize % 1000 * 4;
    out.push_str(THOUSANDTHS.get(begin..begin + 4).unwrap_or_default());
}

/// Numbers, and what consists of digits and marks that stand for themselves everywhere.
fn put_plain(out: &mut String, value: &Field<'_>) {
    let mut buffer = itoa::Buffer::new();
    match value {
        Field::Integer(number) => out.push_str(buffer.format(*number)),
        Field::Millis(time) => {
            // Numbers of 32 bits, for nearly all fit, and cost half.
            let micros = (time.subsec_nanos() + 500) / 1000;
            match u32::try_from(time.as_secs()).ok().and_then(|seconds| seconds.checked_mul(1000)) {
                Some(millis) => out.push_str(buffer.format(millis.saturating_add(micros / 1000))),
                None => out.push_str(buffer.format(time.as_secs().saturating_mul(1000) + u64::from(micros / 1000))),
            }
            put_thousandths(out, micros % 1000);
        }
        Field::Print(print) => print.with_text(|text| out.push_str(text)),
        // Most addresses are of four numbers, for which the machinery of formatting is dear.
        Field::Address(IpAddr::V4(address)) => {
            for (place, number) in address.octets().into_iter().enumerate() {
                out.push_str(if place > 0 { "." } else { "" });
                out.push_str(buffer.format(number));
            }
        }
        Field::Address(address) => {
            let _ = write!(out, "{address}");
        }
        Field::Digits(text) => out.push_str(text),
        Field::Static(_) | Field::Plain(_) | Field::Text(_) | Field::List(_) => {}
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
        Field::Static(text) | Field::Plain(text) => put_logfmt_text(out, text),
        Field::Text(text) => put_logfmt_text(out, text),
        Field::List(list) => out.push_str(&list.join(",")),
        plain => put_plain(out, plain),
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

    struct Line<'a>(&'a str);

    impl Tell for Line<'_> {
        fn opening(&self) -> Opening<'_> {
            let at = UNIX_EPOCH + Duration::from_millis(1_700_000_000_123);
            Opening { at, level: Level::Warn, event: Field::Static("request_refused") }
        }

        fn tell(&self, keys: &mut impl Keys) {
            keys.put("status", Field::Integer(401));
            keys.put("reason", Field::Static("token_expired"));
            keys.put("detail", Field::Text(self.0.into()));
            keys.put("changes", Field::List(&["scheme_case", "quotes_removed"]));
            keys.put("duration_ms", Field::Millis(Duration::from_micros(1234)));
        }
    }

    #[test]
    fn durations_are_rounded_to_microseconds_however_long_they_are() {
        for (nanos, text) in [
            (0, "0.000"),
            (499, "0.000"),
            (500, "0.001"),
            (1_234_567, "1.235"),
            (999_999_499, "999.999"),
            (999_999_500, "1000.000"),
            (4_294_967_000_000_000, "4294967000.000"),
            (4_294_968_000_000_000, "4294968000.000"),
        ] {
            let mut out = String::new();
            put_plain(&mut out, &Field::Millis(Duration::from_nanos(nanos)));
            assert_eq!(out, text);
        }
    }

    fn write(text: &str, format: LogFormat, colour: bool) -> String {
        let mut out = String::new();
        write_line(&mut out, format, colour, &Line(text));
        out
    }

    #[test]
    fn timestamps_are_those_of_the_calendar() {
        for (millis, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_827_696_007, "2000-02-29T12:34:56.007Z"),
            (951_827_696_999, "2000-02-29T12:34:56.999Z"),
            (1_798_761_599_050, "2026-12-31T23:59:59.050Z"),
        ] {
            assert_eq!(timestamp(UNIX_EPOCH + Duration::from_millis(millis)), text);
        }
    }

    #[test]
    fn the_three_formats() {
        let text = "it \"ended\"\n";
        assert_eq!(
            write(text, LogFormat::Json, false),
            "{\"timestamp\":\"2023-11-14T22:13:20.123Z\",\"level\":\"warn\",\"event\":\"request_refused\",\"status\":401,\"reason\":\"token_expired\",\"detail\":\"it \\\"ended\\\"\\n\",\"changes\":[\"scheme_case\",\"quotes_removed\"],\"duration_ms\":1.234}\n"
        );
        assert_eq!(
            write(text, LogFormat::Logfmt, false),
            "timestamp=2023-11-14T22:13:20.123Z level=warn event=request_refused status=401 reason=token_expired detail=\"it \\\"ended\\\"\\n\" changes=scheme_case,quotes_removed duration_ms=1.234\n"
        );
        assert_eq!(
            write(text, LogFormat::Pretty, false),
            "2023-11-14T22:13:20.123Z warn  request_refused status=401 reason=token_expired detail=\"it \\\"ended\\\"\\n\" changes=scheme_case,quotes_removed duration_ms=1.234\n"
        );
        let coloured = write(text, LogFormat::Pretty, true);
        assert!(coloured.contains("\u{1b}[1mtoken_expired\u{1b}[0m"), "{coloured}");
        let colourless = coloured.split('\u{1b}').map(|piece| {
            piece.split_once('m').map_or(piece, |(code, rest)| if code.starts_with('[') { rest } else { piece })
        });
        assert_eq!(colourless.collect::<String>(), write(text, LogFormat::Pretty, false));
    }

    proptest! {
        #[test]
        fn any_text_makes_one_valid_line(text in "\\PC*|[\\x00-\\x20\"\\\\=\u{80}-\u{a0}\u{2028}\u{202e}\u{2066}]{0,20}") {
            let json = write(&text, LogFormat::Json, false);
            let value: serde_json::Value = serde_json::from_str(&json).unwrap();
            prop_assert_eq!(value["detail"].as_str().unwrap(), text.as_str());
            for format in [LogFormat::Json, LogFormat::Logfmt, LogFormat::Pretty] {
                let line = write(&text, format, false);
                let line = line.strip_suffix('\n').unwrap();
                prop_assert!(!line.contains(is_acted_on), "{:?}", line);
            }
        }
    }
}
