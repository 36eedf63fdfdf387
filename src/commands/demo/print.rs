//! How the tour looks: a few rows for each step, none wider than a hundred columns, no secret in any of them.

use std::net::SocketAddr;

use anstyle::{AnsiColor, Style};
use serde_json::Value;

use super::client::Reply;
use super::outcome::Outcome;
use super::tour::Step;
use crate::commands::output::Paint;
use crate::domain::reason::{Reason, Source};

/// Columns of a line.
const WIDTH: usize = 100;

/// Columns before the text of a row.
const INDENT: usize = 16;

/// One step, with what is not as it must be.
pub(super) fn step(
    number: usize,
    step: &Step,
    outcome: &Outcome,
    faults: &[String],
    proxy: SocketAddr,
    paint: &Paint,
) -> String {
    let mut text = format!("\n{number:>3}  {}\n", paint.bold(step.title));
    let mut row = |name: &str, value: &str| text.push_str(&self::row(name, value, paint));
    row("sent", &request(step, outcome.sent, proxy));
    row("answer", &answer(outcome, paint));
    if let Some(repaired) = repaired(outcome, paint) {
        row("repaired", &repaired);
    }
    if let Some(reply) = &outcome.unrepaired {
        row("unrepaired", &grafana_error(reply));
    }
    if let Some(reason) = outcome.reason().and_then(Reason::parse) {
        row("Grafana", &grafana(outcome, reason));
        row("we say", &format!("{}: {}", reason.code(), reason.title()));
    } else {
        row("Grafana", &one_line(&outcome.reply.body));
    }
    for (name, key) in [("why", "detail"), ("cure", "hint")] {
        if let Some(value) = outcome.told(key) {
            row(name, value);
        }
    }
    for fault in faults {
        row("WRONG", &paint.with(AnsiColor::Red.on_default().bold(), fault));
    }
    text
}

/// The request as curl would send it.
fn request(step: &Step, sent: u32, proxy: SocketAddr) -> String {
    let times = if sent > 1 { format!("{sent} × ") } else { String::new() };
    let quote = |target: &str| {
        if target.contains('?') { format!("'http://{proxy}{target}'") } else { format!("http://{proxy}{target}") }
    };
    let mut parts = vec![format!("{times}curl {}", quote(step.target))];
    if let Some(credential) = &step.credential {
        let dollar = if credential.has_newline() { "$" } else { "" };
        parts.push(format!("-H {dollar}'Authorization: {}'", credential.shown()));
    }
    if let Some((name, value)) = step.field {
        parts.push(format!("-H '{name}: {value}'"));
    }
    let mut text = String::new();
    let mut column = INDENT;
    for part in parts {
        let length = part.chars().count();
        // The columns of the blank and of the backslash that a further part needs.
        if column > INDENT && column + 1 + length + 2 > WIDTH {
            text.push_str(" \\\n");
            column = INDENT;
        } else if column > INDENT {
            text.push(' ');
            column += 1;
        }
        text.push_str(&part);
        column += length;
    }
    text
}

fn answer(outcome: &Outcome, paint: &Paint) -> String {
    let reply = &outcome.reply;
    let colour = match reply.status {
        200..300 => AnsiColor::Green,
        300..400 => AnsiColor::Cyan,
        _ => AnsiColor::Yellow,
    };
    let mut text = paint.with(colour.on_default().bold(), &format!("{} {}", reply.status, reply.phrase));
    if let Some(reason) = outcome.reason() {
        text.push_str(&format!("   X-Token-Proxy-Reason: {}", paint.bold(reason)));
    }
    if let Some(seconds) = reply.field("retry-after") {
        text.push_str(&format!("   Retry-After: {seconds}"));
    }
    text
}

fn repaired(outcome: &Outcome, paint: &Paint) -> Option<String> {
    let changes = outcome.changes();
    (!changes.is_empty()).then(|| paint.with(AnsiColor::Green.on_default(), &changes.join(", ")))
}

/// What Grafana itself said: what we add to it is only worth something beside it.
fn grafana(outcome: &Outcome, reason: Reason) -> String {
    match reason.source() {
        Source::Proxy | Source::Client => "was not asked".to_owned(),
        Source::Grafana | Source::Datasource | Source::Hop => one_line(&outcome.reply.body),
    }
}

/// An error of Grafana's in a few words: what the repair spared the client.
fn grafana_error(reply: &Reply) -> String {
    let body: Value = serde_json::from_str(&reply.body).unwrap_or_default();
    let get = |key: &str| body.get(key).and_then(Value::as_str);
    let message = get("message").unwrap_or(&reply.phrase);
    let id = get("messageId").map(|id| format!(" ({id})")).unwrap_or_default();
    one_line(&format!("{} {message}{id}", reply.status))
}

/// The beginning of a text, on one line of a row.
pub(super) fn one_line(text: &str) -> String {
    const MOST: usize = WIDTH - INDENT - 4;
    let text: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let plain = text.chars().filter(|character| !character.is_control());
    let cut: String = plain.clone().take(MOST).collect();
    if plain.count() > MOST { format!("{cut}…") } else { cut }
}

/// A name and its text, broken at words and set in.
pub(super) fn row(name: &str, value: &str, paint: &Paint) -> String {
    let label = paint.with(Style::new().dimmed(), &format!("{name:<width$}", width = INDENT - 5));
    let mut text = format!("     {label}");
    for (number, line) in value.lines().flat_map(wrapped).enumerate() {
        if number > 0 {
            text.push_str(&" ".repeat(INDENT));
        }
        text.push_str(&line);
        text.push('\n');
    }
    text
}

/// A line, broken at words where it is too long. Blanks within a line that is short enough stay as they are.
fn wrapped(line: &str) -> Vec<String> {
    let room = WIDTH - INDENT;
    if line.contains('\u{1b}') || line.chars().count() <= room {
        return vec![line.to_owned()];
    }
    let mut lines = vec![String::new()];
    for word in line.split_whitespace() {
        match lines.last_mut() {
            Some(last) if last.is_empty() => last.push_str(word),
            Some(last) if last.chars().count() + 1 + word.chars().count() <= room => {
                last.push(' ');
                last.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_row_is_set_in_and_broken_at_words() {
        let paint = Paint(false);
        let text = row("why", &"word ".repeat(30), &paint);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 2);
        assert!(
            lines[0].starts_with("     why        word word") && lines[1].starts_with("                word"),
            "{text}"
        );
        assert_eq!(row("sent", "a  b \\\n  -H c", &paint), "     sent       a  b \\\n                  -H c\n");
    }

    proptest! {
        #[test]
        fn no_row_is_wider_than_the_page_and_no_word_is_lost(words in prop::collection::vec("[a-zé]{1,60}", 1..40)) {
            let value = words.join(" ");
            let text = row("why", &value, &Paint(false));
            prop_assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{}", text);
            prop_assert_eq!(text.split_whitespace().skip(1).collect::<Vec<_>>(), words);
        }

        #[test]
        fn a_body_becomes_one_line_without_controls(body in "\\PC*|[\\x00-\\x7f]{0,200}") {
            let line = one_line(&body);
            prop_assert!(line.chars().count() <= WIDTH - INDENT && !line.contains(char::is_control));
        }
    }
}
