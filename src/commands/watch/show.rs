//! How a refusal looks: columns where somebody looks, its JSON elsewhere.

use anstyle::{AnsiColor, Style};
use serde_json::Value;

use super::super::output::Paint;
use super::super::rows::wrap_to;

/// What the fixed columns take, with the blanks between them.
const FIXED: usize = 8 + 1 + 3 + 1 + 10 + 1 + 28 + 1;

/// Where hints begin: below the status.
const INDENT: usize = 9;

/// For whom.
pub(super) struct Show {
    /// Somebody looks.
    pub terminal: bool,
    /// With colours, perhaps.
    pub paint: Paint,
    /// Columns of the terminal.
    pub width: usize,
}

impl Show {
    /// The lines of one record.
    pub(super) fn refusal(&self, record: &str) -> String {
        if !self.terminal {
            return format!("{record}\n");
        }
        let record: Value = serde_json::from_str(record).unwrap_or_default();
        let get = |key: &str| shown(record.get(key));
        let source = get("source");
        let who = ["token_name", "token_fingerprint", "client"].map(get).into_iter().find(|text| !text.is_empty());
        let who = who.unwrap_or_default();
        let call = format!("{} {}", get("method"), get("path"));
        let room = self.width.saturating_sub(FIXED + who.chars().count() + 1).max(8);
        let time: String = get("timestamp").chars().skip(11).take(8).collect();
        let first = format!(
            "{} {} {} {:<28} {:<room$} {}",
            self.paint.with(Style::new().dimmed(), &time),
            self.paint.with(Style::new().bold(), &get("status")),
            self.paint.with(colour(&source), &format!("{source:<10}")),
            get("reason"),
            cut(call.trim(), room),
            self.paint.with(Style::new().dimmed(), &who),
        );
        let hint = get("hint");
        if hint.is_empty() {
            return format!("{}\n", first.trim_end());
        }
        let mut text = format!("{}\n", first.trim_end());
        let mut lines = " ".repeat(INDENT);
        wrap_to(&mut lines, &hint, INDENT, self.width);
        for line in lines.lines() {
            text.push_str(&self.paint.with(Style::new().dimmed(), line));
            text.push('\n');
        }
        text
    }
}

fn colour(source: &str) -> Style {
    let colour = match source {
        "grafana" => AnsiColor::Yellow,
        "proxy" => AnsiColor::Blue,
        "datasource" => AnsiColor::Cyan,
        "hop" => AnsiColor::Magenta,
        _ => AnsiColor::White,
    };
    colour.on_default()
}

/// A value as a terminal may get it: no control character of a stranger reaches it.
pub(super) fn shown(value: Option<&Value>) -> String {
    let text = match value {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => String::new(),
        Some(other) => other.to_string(),
    };
    text.chars().map(|character| if character.is_control() { '\u{fffd}' } else { character }).collect()
}

fn cut(text: &str, room: usize) -> String {
    if text.chars().count() <= room {
        return text.to_owned();
    }
    let mut text: String = text.chars().take(room.saturating_sub(1)).collect();
    text.push('…');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORD: &str = r#"{"seq":1,"timestamp":"2026-11-23T13:52:31.365Z","status":401,"source":"grafana","reason":"token_expired","hint":"Add a new token to the service account and replace the service account token that this caller sends.","method":"GET","path":"/api/dashboards/uid/\u001b[31mcIBgcSjkk","client":"127.0.0.1","token_fingerprint":"1d387206b650"}"#;

    fn show(terminal: bool, colour: bool, width: usize) -> String {
        Show { terminal, paint: Paint(colour), width }.refusal(RECORD)
    }

    #[test]
    fn a_pipe_gets_the_record_as_it_is() {
        assert_eq!(show(false, true, 80), format!("{RECORD}\n"));
    }

    #[test]
    fn a_terminal_gets_lines_that_fit_with_the_whole_hint() {
        for (width, lines) in [(80, 3), (120, 2), (200, 2)] {
            let text = show(true, false, width);
            assert_eq!(text.lines().count(), lines, "{text}");
            assert!(text.trim_end().ends_with("that this caller sends."), "{text}");
            assert!(text.lines().all(|line| line.chars().count() <= width), "{text}");
            assert!(text.starts_with("13:52:31 401 grafana    token_expired "), "{text}");
            assert!(text.contains("1d387206b650") && !text.contains('\u{1b}'), "{text}");
        }
        // However narrow: nothing is lost but room.
        assert!(show(true, false, 10).contains("token_expired"));
    }

    #[test]
    fn colours_change_nothing_but_colours() {
        let coloured = show(true, true, 100);
        let mut plain = String::new();
        let mut rest = coloured.as_str();
        while let Some((before, after)) = rest.split_once('\u{1b}') {
            plain.push_str(before);
            rest = after.split_once('m').unwrap().1;
        }
        plain.push_str(rest);
        assert_eq!(plain, show(true, false, 100));
    }
}
