//! Text as HTML shows it: whatever it says, it stays text.

use std::fmt::{self, Display, Formatter, Write as _};

/// A text of whomever, fit for an element or a quoted attribute. What cannot be seen, or turns the direction of what
/// follows, is shown by its number.
pub(super) struct Text<'a>(pub &'a str);

impl Display for Text<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                hidden if is_hidden(hidden) => write!(f, "\\u{{{:x}}}", u32::from(hidden))?,
                shown => f.write_char(shown)?,
            }
        }
        Ok(())
    }
}

/// A sentence in which what stands between backquotes is code.
pub(super) struct Prose<'a>(pub &'a str);

impl Display for Prose<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let pieces: Vec<&str> = self.0.split('`').collect();
        // A last backquote without a partner quotes nothing.
        let quoted = pieces.len() - 1 - (pieces.len() - 1) % 2;
        for (number, piece) in pieces.iter().enumerate() {
            match number {
                _ if number % 2 == 1 && number < quoted => write!(f, "<code>{}</code>", Text(piece))?,
                _ if number > quoted => write!(f, "`{}", Text(piece))?,
                _ => Text(piece).fmt(f)?,
            }
        }
        Ok(())
    }
}

/// Controls, marks of direction (Unicode Annex 9), and what takes no room.
fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{61c}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn markup_is_shown_and_not_obeyed() {
        let text = Text("<script>alert(\"1\")</script>&'\u{202e}\0").to_string();
        assert_eq!(text, "&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;&amp;&#39;\\u{202e}\\u{0}");
    }

    #[test]
    fn what_stands_between_backquotes_is_code() {
        for (text, html) in [
            ("plain", "plain"),
            ("`a<b` is `c`", "<code>a&lt;b</code> is <code>c</code>"),
            ("one ` alone", "one ` alone"),
            ("`a` and ` alone", "<code>a</code> and ` alone"),
            ("", ""),
        ] {
            assert_eq!(Prose(text).to_string(), html);
        }
    }

    proptest! {
        #[test]
        fn prose_adds_no_markup_but_code(text in any::<String>()) {
            let shown = Prose(&text).to_string().replace("<code>", "").replace("</code>", "");
            prop_assert!(!shown.contains(['<', '>', '"', '\'']));
        }

        #[test]
        fn nothing_that_means_something_comes_through(text in any::<String>()) {
            let shown = Text(&text).to_string();
            prop_assert!(!shown.contains(['<', '>', '"', '\'']) && !shown.contains(is_hidden));
        }
    }
}
