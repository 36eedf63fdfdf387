//! One line of the log, in JSON, logfmt, or for eyes.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use time::OffsetDateTime;

use super::{Level, LogFormat};

/// A value in a line.
#[derive(Clone, Debug)]
pub(super) enum Field {
    Static(&'static str),
    Text(String),
    Integer(u64),
    Millis(Duration),
    List(Vec<&'static str>),
}

/// A line: flat keys with their values, in order.
#[derive(Clone, Debug)]
pub(super) struct Line {
    at: SystemTime,
    level: Level,
    event: Cow<'static, str>,
    fields: Vec<(&'static str, Field)>,
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

impl Line {
    pub(super) const fn new(at: SystemTime, level: Level, event: &'static str) -> Self {
        Self { at, level, event: Cow::Borrowed(event), fields: Vec::new() }
    }

    /// Gives the event a name of its own.
    pub(super) fn name(&mut self, event: Option<String>) {
        if let Some(event) = event {
            self.event = Cow::Owned(event);
        }
    }

    pub(super) fn put(&mut self, key: &'static str, value: Field) {
        self.fields.push((key, value));
    }

    pub(super) fn put_some(&mut self, key: &'static str, value: Option<Field>) {
        self.fields.extend(value.map(|value| (key, value)));
    }

    pub(super) const fn level(&self) -> Level {
        self.level
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
        let _ = write!(out, "\",\"level\":\"{}\",\"event\":\"{}\"", self.level.name(), self.event);
        for (key, value) in &self.fields {
            let _ = write!(out, ",\"{key}\":");
            match value {
                Field::Static(text) => put_json_text(out, text),
                Field::Text(text) => put_json_text(out, text),
                Field::List(list) => {
                    let quoted: Vec<String> = list.iter().map(|item| format!("\"{item}\"")).collect();
                    let _ = write!(out, "[{}]", quoted.join(","));
                }
                number => put_number(out, number),
            }
        }
        out.push('}');
    }

    fn logfmt(&self, out: &mut String) {
        out.push_str("timestamp=");
        put_timestamp(out, self.at);
        let _ = write!(out, " level={} event={}", self.level.name(), self.event);
        for (key, value) in &self.fields {
            let _ = write!(out, " {key}=");
            put_logfmt(out, value);
        }
    }

    fn pretty(&self, out: &mut String, colour: bool) {
        use anstyle::{AnsiColor, Style};
        let (style, dim) = match (colour, self.level) {
            (false, _) => (Style::new(), Style::new()),
            (true, Level::Error) => (AnsiColor::Red.on_default().bold(), Style::new().dimmed()),
            (true, Level::Warn) => (AnsiColor::Yellow.on_default().bold(), Style::new().dimmed()),
            (true, _) => (AnsiColor::Green.on_default(), Style::new().dimmed()),
        };
        let mut stamp = String::new();
        put_timestamp(&mut stamp, self.at);
        let clock = stamp.get(11..23).unwrap_or(&stamp);
        let get = |wanted: &str| self.fields.iter().find(|(key, _)| *key == wanted).map(|(_, value)| value);
        let headline = get("reason").map_or_else(|| self.event.to_string(), plain);
        let _ = write!(out, "{dim}{clock}{dim:#} {style}{:<5} {headline}{style:#}", self.level.name());
        for key in ["status", "method", "path"] {
            if let Some(value) = get(key) {
                let _ = write!(out, " {}", plain(value));
            }
        }
        for key in ["detail", "hint"] {
            if let Some(value) = get(key) {
                let arrow = if key == "hint" { "→ " } else { "  " };
                let _ = write!(out, "\n             {arrow}{}", plain(value));
            }
        }
        let shown = ["reason", "status", "method", "path", "detail", "hint"];
        let rest: Vec<String> = self
            .fields
            .iter()
            .filter(|(key, _)| !shown.contains(key))
            .map(|(key, value)| {
                let mut text = format!("{key}=");
                put_logfmt(&mut text, value);
                text
            })
            .collect();
        if !rest.is_empty() {
            let _ = write!(out, "\n             {dim}  {}{dim:#}", rest.join(" "));
        }
    }
}

/// RFC 3339 with milliseconds, in UTC.
fn put_timestamp(out: &mut String, at: SystemTime) {
    let at = OffsetDateTime::from(at);
    let _ = write!(
        out,
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
        at.year(),
        u8::from(at.month()),
        at.day(),
        at.hour(),
        at.minute(),
        at.second(),
        at.millisecond()
    );
}

fn put_number(out: &mut String, value: &Field) {
    match value {
        Field::Integer(number) => {
            let _ = write!(out, "{number}");
        }
        Field::Millis(time) => {
            let _ = write!(out, "{:.3}", time.as_secs_f64() * 1000.0);
        }
        _ => {}
    }
}

/// A JSON string (RFC 8259 §7). C1 controls and the line separators are escaped, too: a terminal or a viewer acts on them.
fn put_json_text(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

fn put_logfmt(out: &mut String, value: &Field) {
    match value {
        Field::Static(text) => put_logfmt_text(out, text),
        Field::Text(text) => put_logfmt_text(out, text),
        Field::List(list) => out.push_str(&list.join(",")),
        number => put_number(out, number),
    }
}

fn put_logfmt_text(out: &mut String, text: &str) {
    let bare = !text.is_empty()
        && text.chars().all(|c| !c.is_whitespace() && !c.is_control() && !matches!(c, '"' | '=' | '\\'));
    if bare { out.push_str(text) } else { put_json_text(out, text) }
}

/// A value for eyes: on one line, with nothing that a terminal would act on.
fn plain(value: &Field) -> String {
    let mut out = String::new();
    match value {
        Field::Static(text) => out.push_str(text),
        Field::Text(text) => out.extend(text.chars().map(|c| if c.is_control() { '·' } else { c })),
        Field::List(list) => out.push_str(&list.join(", ")),
        number => put_number(&mut out, number),
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn line(text: &str) -> Line {
        let at = SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_123);
        let mut line = Line::new(at, Level::Warn, "request_refused");
        line.put("status", Field::Integer(401));
        line.put("reason", Field::Static("token_expired"));
        line.put("detail", Field::Text(text.to_owned()));
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
            "22:13:20.123 warn  token_expired 401\n               it \"ended\"·\n               changes=scheme_case,quotes_removed duration_ms=1.234\n"
        );
    }

    proptest! {
        #[test]
        fn any_text_makes_one_valid_line(text in "\\PC*|[\\x00-\\x20\"\\\\=\u{80}-\u{a0}\u{2028}]{0,20}") {
            let json = line(&text).write(LogFormat::Json, false);
            let value: serde_json::Value = serde_json::from_str(&json).unwrap();
            prop_assert_eq!(value["detail"].as_str().unwrap(), text.as_str());
            prop_assert_eq!(json.matches('\n').count(), 1);
            let logfmt = line(&text).write(LogFormat::Logfmt, false);
            prop_assert_eq!(logfmt.lines().count(), 1);
            prop_assert!(!logfmt.trim_end_matches('\n').contains(char::is_control));
        }
    }
}
