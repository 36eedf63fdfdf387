//! Names and their texts in two columns, broken at words.

/// What a line holds at most.
pub const WIDTH: usize = 100;

/// Where the texts begin.
const INDENT: usize = 14;

/// A name and its text, set in.
pub fn row(name: &str, value: &str) -> String {
    let mut text = format!("  {name:<11} ");
    wrap(&mut text, value, INDENT);
    text
}

/// Appends words, broken at the width, behind what stands on the line already.
pub fn wrap(text: &mut String, words: &str, indent: usize) {
    wrap_to(text, words, indent, WIDTH);
}

/// The same, broken at any width.
pub fn wrap_to(text: &mut String, words: &str, indent: usize, width: usize) {
    let begun = text.rsplit('\n').next().map_or(0, |line| line.chars().count());
    if begun > indent {
        text.push('\n');
        text.push_str(&" ".repeat(indent));
    }
    let mut column = indent.max(begun.min(indent));
    for word in words.split_whitespace() {
        let length = word.chars().count();
        if column > indent && column + 1 + length > width {
            text.push('\n');
            text.push_str(&" ".repeat(indent));
            column = indent;
        }
        if column > indent {
            text.push(' ');
            column += 1;
        }
        text.push_str(word);
        column += length;
    }
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_text_is_broken_and_set_in() {
        let text = row("cause", &"word ".repeat(40));
        assert!(text.starts_with("  cause       word word"), "{text}");
        assert_eq!(text.lines().count(), 3);
        assert!(text.lines().skip(1).all(|line| line.starts_with("              word")), "{text}");
        assert!(
            row("permissions needed", "x").starts_with("  permissions needed \n              x"),
            "a long name stands alone"
        );
    }

    proptest! {
        #[test]
        fn no_word_is_lost_and_no_line_too_long(words in proptest::collection::vec("[a-z]{1,30}", 0..60)) {
            let text = row("name", &words.join(" "));
            let found: Vec<&str> = text.split_whitespace().skip(1).collect();
            prop_assert_eq!(found, words);
            prop_assert!(text.lines().all(|line| line.chars().count() <= WIDTH));
        }
    }
}
