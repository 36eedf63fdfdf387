//! The one table of keys. Flags, environment variables, help, JSON Schema, `config --origin`, suggestions and the
//! reference are all made from it.

mod callers;
mod http;
pub(super) mod limits;
mod listeners;
mod operations;
mod tls;
mod upstream;

use super::Config;
use super::mistake::Flaw;
use super::values::kind::Kind;

/// One key.
pub struct Key {
    /// The dotted path: `limits.per_token.rate`.
    pub path: &'static str,
    /// What it may hold.
    pub kind: Kind,
    /// The word that stands for the absence of a value: `auto`, `off`, `null`.
    pub absent: Option<&'static str>,
    /// The default as an operator would write it; items of a list are joined by commas.
    pub default: &'static str,
    /// One sentence.
    pub help: &'static str,
    /// A short name for a flag that is used often: `--rate`.
    pub short: Option<&'static str>,
    /// Where the value lives.
    pub field: Field,
}

/// How a value enters the configuration and is read from it. Setters get text that [`Kind::check`] has accepted, or the
/// word of [`Key::absent`].
pub enum Field {
    /// One value.
    One {
        /// Takes the value.
        set: fn(&mut Config, &str) -> Result<(), Flaw>,
        /// Prints it in its canonical spelling.
        show: fn(&Config) -> String,
    },
    /// A list; a stronger source replaces the whole of it.
    Many {
        /// Empties the list.
        clear: fn(&mut Config),
        /// Adds an item.
        add: fn(&mut Config, &str) -> Result<(), Flaw>,
        /// Prints all items.
        show: fn(&Config) -> Vec<String>,
    },
}

impl Key {
    /// The flag derived from the path, without dashes in front: `limits-per-token-rate`.
    pub fn flag(&self) -> String {
        flag_of(self.path)
    }

    /// The environment variable: `GTP_LIMITS_PER_TOKEN_RATE`.
    pub fn variable(&self) -> String {
        variable_of(self.path)
    }

    /// Whether the key holds a list.
    pub const fn is_list(&self) -> bool {
        matches!(self.field, Field::Many { .. })
    }

    /// What may be written, for the reference.
    pub fn describe(&self) -> String {
        let one = self.kind.describe();
        let one = if self.is_list() { format!("list of: {one}") } else { one };
        match self.absent {
            Some(word) => format!("{one}, or `{word}`"),
            None => one,
        }
    }
}

/// The flag of a dotted path.
pub fn flag_of(path: &str) -> String {
    path.replace(['.', '_'], "-")
}

/// The environment variable of a dotted path.
pub fn variable_of(path: &str) -> String {
    format!("GTP_{}", path.replace('.', "_").to_ascii_uppercase())
}

/// Every key, in the order of the reference.
pub fn all() -> impl Iterator<Item = &'static Key> {
    let groups: [&[Key]; 12] = [
        listeners::KEYS,
        upstream::KEYS,
        callers::CREDENTIAL_KEYS,
        &limits::MODE,
        &limits::PER_TOKEN,
        &limits::PER_CLIENT,
        &limits::AUTH_FAILURES,
        limits::KEYS,
        callers::CLIENT_KEYS,
        tls::KEYS,
        http::KEYS,
        operations::KEYS,
    ];
    groups.into_iter().flatten()
}

/// The key with this path.
pub fn find(path: &str) -> Option<&'static Key> {
    all().find(|key| key.path == path)
}

/// Reads a value that may be absent.
fn optional<T>(text: &str, absent: &str, parse: impl FnOnce(&str) -> Result<T, Flaw>) -> Result<Option<T>, Flaw> {
    if text == absent { Ok(None) } else { parse(text).map(Some) }
}

/// Reads a whole number of the width that the setting has.
fn number<T: TryFrom<u64>>(text: &str) -> Result<T, Flaw> {
    let number = super::values::whole_number(text)?;
    T::try_from(number).map_err(|_| Flaw::new("is too large", "write a smaller number"))
}

/// Reads a size of the width that the setting has.
fn bytes<T: TryFrom<u64>>(text: &str) -> Result<T, Flaw> {
    let bytes = super::values::size::parse(text)?;
    T::try_from(bytes).map_err(|_| Flaw::new("is too large", "write a smaller size"))
}

/// Prints a value that may be absent.
fn or_word<T>(value: Option<&T>, absent: &str, print: impl FnOnce(&T) -> String) -> String {
    value.map_or_else(|| absent.to_owned(), print)
}

/// Reads one of a table of words.
fn word<T: Copy>(text: &str, words: &[(&str, T)]) -> Result<T, Flaw> {
    let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
    found.ok_or_else(|| Flaw::new("is not known here", "write one of the words of the reference"))
}

/// Prints the word of a value.
fn word_of<T: PartialEq>(value: &T, words: &[(&str, T)]) -> String {
    words.iter().find(|(_, candidate)| candidate == value).map_or_else(String::new, |(word, _)| (*word).to_owned())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn flags_and_variables_are_unambiguous() {
        let mut flags = HashSet::new();
        let mut variables = HashSet::new();
        for key in all() {
            assert!(flags.insert(key.flag()), "{}", key.path);
            assert!(variables.insert(key.variable()), "{}", key.path);
            if let Some(short) = key.short.filter(|short| *short != key.flag()) {
                assert!(flags.insert(short.to_owned()), "{}", key.path);
            }
        }
    }

    #[test]
    fn every_default_is_valid_and_prints_as_it_is_written() {
        for key in all() {
            let mut config = Config::unset();
            match key.field {
                Field::One { set, show } => {
                    if key.absent != Some(key.default) {
                        assert_eq!(key.kind.check(key.default), Ok(()), "{}", key.path);
                    }
                    set(&mut config, key.default).unwrap();
                    assert_eq!(show(&config), key.default, "{}", key.path);
                }
                Field::Many { add, show, .. } => {
                    for item in key.default.split(',').filter(|item| !item.is_empty()) {
                        assert_eq!(key.kind.check(item), Ok(()), "{}", key.path);
                        add(&mut config, item).unwrap();
                    }
                    assert_eq!(show(&config).join(","), key.default, "{}", key.path);
                }
            }
        }
    }

    #[test]
    fn every_word_of_a_choice_and_every_bound_is_held() {
        for key in all() {
            let words = match key.kind {
                Kind::Choice(words) => words.iter().map(|word| (*word).to_owned()).collect(),
                Kind::Integer { least, most } => vec![least.to_string(), most.to_string()],
                Kind::Size { least, most } => {
                    vec![super::super::values::size::print(least), super::super::values::size::print(most)]
                }
                _ => Vec::new(),
            };
            for word in words.iter().map(String::as_str).chain(key.absent) {
                let mut config = Config::unset();
                if let Field::One { set, show } = key.field {
                    set(&mut config, word).unwrap();
                    assert_eq!(show(&config), word, "{}", key.path);
                }
            }
        }
    }
}
