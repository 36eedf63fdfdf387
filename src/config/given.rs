//! A value as one source gave it, before it is checked.

use super::keys::Key;
use super::mistake::{Flaw, Mistake};
use super::origin::Origin;
use super::{Config, keys::Field};

/// One value of one source.
pub struct Given {
    /// The key.
    pub key: &'static Key,
    /// Who gave it.
    pub origin: Origin,
    /// The text; for a list, the text of each item.
    pub pieces: Vec<Piece>,
}

/// One scalar and its own place.
pub struct Piece {
    /// The text as it was written.
    pub text: String,
    /// Where.
    pub origin: Origin,
}

impl Given {
    /// A value from a flag or variable. Items of a list are separated by commas; brackets around them are allowed, for
    /// `[]` is the only way to write an empty list.
    pub fn from_text(key: &'static Key, texts: &[String], origin: &Origin) -> Self {
        let piece = |text: &str| Piece { text: text.to_owned(), origin: origin.clone() };
        let pieces = if key.is_list() {
            texts.iter().flat_map(|text| split(text)).map(piece).collect()
        } else {
            texts.iter().map(|text| piece(text.trim())).collect()
        };
        Self { key, origin: origin.clone(), pieces }
    }

    /// Puts what is right into `config`, and tells what is not. Of a list the right items are taken all the same, so
    /// that their clashes with other keys are found in the same run.
    pub fn apply(&self, config: &mut Config) -> Vec<Mistake> {
        let (wrong, right): (Vec<_>, Vec<_>) =
            self.pieces.iter().map(|piece| (piece, self.check(piece))).partition(|(_, wrong)| wrong.is_some());
        let mut mistakes: Vec<Mistake> = wrong.into_iter().filter_map(|(_, wrong)| wrong).collect();
        match self.key.field {
            Field::Many { clear, .. } if mistakes.is_empty() || !right.is_empty() => clear(config),
            _ => {}
        }
        for (piece, _) in right {
            let text = self.canonical(&piece.text);
            let entered = match self.key.field {
                Field::One { set, .. } => set(config, text),
                Field::Many { add, .. } => add(config, text),
            };
            mistakes.extend(entered.err().map(|flaw| self.mistake(piece, flaw)));
        }
        mistakes
    }

    fn mistake(&self, piece: &Piece, flaw: Flaw) -> Mistake {
        Mistake::error(piece.origin.clone(), self.key.path, Some(piece.text.clone()), flaw)
    }

    fn check(&self, piece: &Piece) -> Option<Mistake> {
        let text = self.canonical(&piece.text);
        if self.key.absent == Some(text) {
            return None;
        }
        let mut flaw = self.key.kind.check(text).err()?;
        if let Some(word) = self.key.absent {
            flaw.cure.push_str(&format!(", or {word}"));
        }
        Some(self.mistake(piece, flaw))
    }

    fn canonical<'t>(&self, text: &'t str) -> &'t str {
        match (self.key.absent, text) {
            (Some("off"), "false") => "off",
            (Some("null"), "~" | "none") => "null",
            _ => self.key.kind.canonical(text),
        }
    }
}

fn split(text: &str) -> impl Iterator<Item = &str> {
    let text = text.trim();
    let inner = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    inner.split(',').map(|item| item.trim().trim_matches(['"', '\''])).filter(|item| !item.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_split_at_commas_and_brackets_stay_with_addresses() {
        let items = |text: &str| split(text).map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(items("0.0.0.0:1, [::]:2"), ["0.0.0.0:1", "[::]:2"]);
        assert_eq!(items("[::1]:2"), ["[::1]:2"]);
        assert_eq!(items("[\"[::]:1\", 0.0.0.0:2]"), ["[::]:1", "0.0.0.0:2"]);
        assert_eq!(items("[]"), Vec::<String>::new());
    }
}
