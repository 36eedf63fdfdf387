//! What is wrong with a configuration: where, what, why, and how to mend it. Never a secret.

use std::fmt;

use super::masking::mask;
use super::origin::Origin;

/// Why one value cannot be taken, told by the parser that looked at it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flaw {
    /// What is wrong, as the end of a sentence that begins with the text or the key: `is not a rate`.
    pub why: String,
    /// What to write instead.
    pub cure: String,
}

impl Flaw {
    /// A flaw with its cure.
    pub fn new(why: impl Into<String>, cure: impl Into<String>) -> Self {
        Self { why: why.into(), cure: cure.into() }
    }
}

/// Whether the proxy starts all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The configuration is refused.
    Error,
    /// It is taken, and probably not what its author meant.
    Warning,
}

impl Severity {
    /// The word in front of the message.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// One mistake. `Display` writes it over three lines, without colour and without secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// How bad it is.
    pub severity: Severity,
    /// Where it was written.
    pub origin: Origin,
    /// The key in question, dotted; empty where there is none.
    pub key: String,
    /// What was written there, where showing it helps. Masked before it is printed.
    pub text: Option<String>,
    /// What is wrong with it.
    pub flaw: Flaw,
}

impl Mistake {
    /// A mistake that keeps the proxy from starting.
    pub fn error(origin: Origin, key: impl Into<String>, text: Option<String>, flaw: Flaw) -> Self {
        Self { severity: Severity::Error, origin, key: key.into(), text, flaw }
    }

    /// A mistake that does not.
    pub fn warning(origin: Origin, key: impl Into<String>, flaw: Flaw) -> Self {
        Self { severity: Severity::Warning, origin, key: key.into(), text: None, flaw }
    }

    /// The place, as an editor can jump to it.
    pub fn place(&self) -> String {
        self.origin.place()
    }

    /// What is wrong, on one line, without the place.
    pub fn summary(&self) -> String {
        let mut summary = String::new();
        if !self.key.is_empty() {
            summary.push_str(&mask(&self.key));
            summary.push_str(if self.text.is_some() { ": " } else { " " });
        }
        if let Some(text) = &self.text {
            summary.push('`');
            summary.push_str(&mask(&one_line(text)));
            summary.push_str("` ");
        }
        summary.push_str(&mask(&self.flaw.why));
        summary.chars().flat_map(visible).collect()
    }

    /// How to mend it, on one line.
    pub fn cure(&self) -> String {
        mask(&self.flaw.cure).chars().flat_map(visible).collect()
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}\n    cure: {}", self.place(), self.severity.name(), self.summary(), self.cure())
    }
}

/// Cuts a text to what fits a line of a terminal.
fn one_line(text: &str) -> String {
    const LONGEST: usize = 60;
    let mut line: String = text.chars().take(LONGEST).collect();
    if text.chars().nth(LONGEST).is_some() {
        // A cut token must not escape its mask: what is cut is masked as a whole first.
        line = mask(text).chars().take(LONGEST).collect();
        line.push('…');
    }
    line
}

/// A file may hold escape sequences, which would write what they like on the terminal of whoever checks it.
fn visible(character: char) -> impl Iterator<Item = char> {
    let is_hidden = character.is_control() || matches!(character, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}');
    let escaped = is_hidden.then(|| character.escape_default()).into_iter().flatten();
    escaped.chain((!is_hidden).then_some(character))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_mistake_names_place_key_text_reason_and_cure() {
        let origin = Origin::File { name: "gtp.yaml".into(), line: 3, column: 7 };
        let flaw = Flaw::new("is not a rate", "write 100/s");
        let mistake = Mistake::error(origin, "limits.per_token.rate", Some("fast".to_owned()), flaw);
        assert_eq!(
            mistake.to_string(),
            "gtp.yaml:3:7: error: limits.per_token.rate: `fast` is not a rate\n    cure: write 100/s"
        );
    }

    #[test]
    fn control_characters_and_tokens_never_reach_the_terminal() {
        let long = format!("{}glsa_yscW25imSKJIuav8zF37RZmnbiDvB05G_fcaaf58a", "x ".repeat(25));
        for text in ["\u{1b}[31mred", "glsa_yscW25imSKJIuav8zF37RZmnbiDvB05G_fcaaf58a", &long] {
            let flaw = Flaw::new("is wrong", "mend it");
            let printed = Mistake::error(Origin::Default, "key", Some(text.to_owned()), flaw).to_string();
            assert!(!printed.contains('\u{1b}'), "{printed}");
            assert!(!printed.contains("yscW25im"), "{printed}");
            assert!(!printed.contains("ysc"), "{printed}");
        }
    }

    proptest! {
        #[test]
        fn nothing_moves_the_cursor(text in "(\u{1b}\\[2J|\u{202e}|.){0,70}") {
            let flaw = Flaw::new(format!("{text} is wrong"), format!("write /{text}"));
            let mistake = Mistake::error(Origin::Default, text.clone(), Some(text), flaw);
            let printed = mistake.summary() + &mistake.cure();
            let moves = printed.chars().any(|c| c.is_control() || c == '\u{202e}');
            prop_assert!(!moves, "{}", printed.escape_debug());
        }
    }
}
