//! Tells whoever tries things out what became of each request.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, Write};

use serde_json::Value;

use super::print::row;
use crate::commands::output::Paint;

/// Refusals that are remembered, so that the line which says only that a request was served does not tell of it again.
const REMEMBERED: usize = 64;

/// How the log is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// For eyes.
    Words,
    /// As JSON, one object a line.
    Json,
}

/// Writes lines of the log as they come.
pub(super) struct Narrator {
    out: Box<dyn Write + Send>,
    manner: Manner,
    paint: Paint,
    refused: VecDeque<String>,
}

impl fmt::Debug for Narrator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Narrator").field("manner", &self.manner).finish_non_exhaustive()
    }
}

impl Narrator {
    /// Tells on `out`.
    pub(super) fn new(out: Box<dyn Write + Send>, manner: Manner, paint: Paint) -> Self {
        Self { out, manner, paint, refused: VecDeque::new() }
    }

    /// Tells one line of the log.
    pub(super) fn tell(&mut self, line: &Value) -> io::Result<()> {
        let text = match self.manner {
            Manner::Json => format!("{line}\n"),
            Manner::Words => self.words(line),
        };
        self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush())
    }

    fn words(&mut self, line: &Value) -> String {
        let get = |key: &str| line.get(key).and_then(Value::as_str).unwrap_or_default();
        let status = line.get("status").and_then(Value::as_u64).unwrap_or_default();
        let id = get("request_id").to_owned();
        // What could not be read has neither.
        let request = format!("{} {}", get("method"), get("path"));
        let request = if request.trim().is_empty() { "(unreadable)" } else { &request };
        let mut text = match get("event") {
            "request_refused" => {
                self.refused.truncate(REMEMBERED - 1);
                self.refused.push_front(id);
                format!("{request} → {status} {}\n", self.paint.bold(get("reason")))
            }
            "request_served" if self.refused.contains(&id) => return String::new(),
            "request_served" => format!("{request} → {status}\n"),
            // What the program says of itself.
            event => return format!("{event}: {}\n", get("detail")),
        };
        for (name, key) in [("why", "detail"), ("cure", "hint")] {
            if !get(key).is_empty() {
                text.push_str(&row(name, get(key), &self.paint));
            }
        }
        let changes: Vec<&str> =
            line.get("changes").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
        if !changes.is_empty() {
            text.push_str(&row("repaired", &changes.join(", "), &self.paint));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(lines: &[Value]) -> String {
        let mut narrator = Narrator::new(Box::new(io::sink()), Manner::Words, Paint(false));
        lines.iter().map(|line| narrator.words(line)).collect()
    }

    #[test]
    fn each_request_is_told_once() {
        let served = |id: &str, status| json!({"event": "request_served", "request_id": id, "method": "GET", "path": "/x", "status": status, "changes": ["bearer_added"]});
        let refused = json!({"event": "request_refused", "request_id": "b", "method": "GET", "path": "/x", "status": 401, "reason": "token_expired", "detail": "It ended.", "hint": "Make one."});
        assert_eq!(
            told(&[served("a", 200), refused, served("b", 401)]),
            "GET /x → 200\n     repaired   bearer_added\nGET /x → 401 token_expired\n     why        It ended.\n     cure       Make one.\n"
        );
    }

    #[test]
    fn what_the_program_says_of_itself_is_told() {
        let unread = json!({"event": "request_refused", "request_id": "c", "status": 400, "reason": "newline_in_head"});
        assert_eq!(
            told(&[json!({"event": "draining", "detail": "d"}), unread]),
            "draining: d\n(unreadable) → 400 newline_in_head\n"
        );
    }
}
