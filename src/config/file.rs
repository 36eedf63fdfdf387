//! From the tree of a file to values of known keys; what is not known is told what it may have meant.

use std::path::Path;
use std::sync::Arc;

use super::given::{Given, Piece};
use super::keys::{self, Key};
use super::mistake::{Flaw, Mistake};
use super::origin::Origin;
use super::suggestion::{children, is_group, join, unknown};
use super::tokens::{self, TOKENS, TokenSettings};
use super::values::kind::Kind;
use super::yaml::{self, Content, Entry, Node};

/// A file larger than this is not a configuration.
const LARGEST: u64 = 1 << 20;

/// A configuration file as it was read.
#[derive(Clone, Debug)]
pub struct SourceFile {
    /// The name as the operator gave it.
    pub name: Arc<str>,
    /// The text.
    pub text: String,
}

impl SourceFile {
    /// Reads a file.
    pub fn read(path: &Path) -> Result<Self, Box<Mistake>> {
        let name: Arc<str> = path.display().to_string().into();
        let fail = |why: String, cure: &str| {
            Box::new(Mistake::error(Origin::whole_file(&name), "", None, Flaw::new(why, cure)))
        };
        let length = std::fs::metadata(path).map(|metadata| metadata.len());
        if length.is_ok_and(|length| length > LARGEST) {
            return Err(fail(
                "the file is larger than 1MiB".to_owned(),
                "name the configuration file, not another one",
            ));
        }
        let bytes = std::fs::read(path).map_err(|error| {
            fail(
                format!("the file cannot be read: {error}"),
                "check the path of --config or GTP_CONFIG, and who may read it",
            )
        })?;
        let text = String::from_utf8(bytes).map_err(|error| {
            let line =
                1 + error.as_bytes().iter().take(error.utf8_error().valid_up_to()).filter(|b| **b == b'\n').count();
            fail(format!("the file is not UTF-8 text: see line {line}"), "save the file as UTF-8")
        })?;
        Ok(Self { name, text })
    }
}

/// The values of a file, and every mistake in its structure.
pub fn values(file: &SourceFile) -> (Vec<Given>, Vec<TokenSettings>, Vec<Mistake>) {
    let (root, mistakes) = yaml::parse(&file.name, &file.text);
    let mut walk = Walk { file: Arc::clone(&file.name), given: Vec::new(), tokens: Vec::new(), mistakes };
    match root.map(|root| (root.at, root.content)) {
        None | Some((_, Content::Null)) => {}
        Some((_, Content::Map(entries))) => walk.map("", &entries),
        Some((at, Content::List(_) | Content::Text(_))) => {
            let flaw = Flaw::new("the file must hold keys and values", "begin with a line as listen: 0.0.0.0:3001");
            walk.mistake(at, "", None, flaw);
        }
    }
    (walk.given, walk.tokens, walk.mistakes)
}

struct Walk {
    file: Arc<str>,
    given: Vec<Given>,
    tokens: Vec<TokenSettings>,
    mistakes: Vec<Mistake>,
}

impl Walk {
    fn map(&mut self, prefix: &str, entries: &[Entry]) {
        for entry in entries {
            let path = join(prefix, &entry.key);
            // `limits.per_token.rate: 5/s` on one line is a key of that very name to YAML.
            if entry.key.contains('.') {
                let flaw = unknown(prefix, &entry.key);
                self.mistake(entry.at, prefix, Some(entry.key.clone()), flaw);
            } else if path == TOKENS {
                self.tokens = tokens::read(&entry.value, &self.file, &mut self.mistakes);
            } else if let Some(key) = keys::find(&path) {
                self.value(key, entry);
            } else if is_group(&path) {
                self.group(&path, entry);
            } else {
                let flaw = unknown(prefix, &entry.key);
                self.mistake(entry.at, prefix, Some(entry.key.clone()), flaw);
            }
        }
    }

    fn group(&mut self, path: &str, entry: &Entry) {
        match &entry.value.content {
            // All lines below it are commented out.
            Content::Null => {}
            Content::Map(entries) => self.map(path, entries),
            // A limit is switched off by its mode.
            Content::Text(text) if matches!(text.as_str(), "off" | "false") && mode_of(path).is_some() => {
                let (origin, at) = (self.origin(entry.value.at), entry.value.at);
                let pieces = vec![self.piece("off", at)];
                self.given.extend(mode_of(path).map(|key| Given { key, origin, pieces }));
            }
            Content::List(_) | Content::Text(_) => {
                let names: Vec<_> = children(path).collect();
                let first = names.first().copied().unwrap_or_default();
                let text = match &entry.value.content {
                    Content::Text(text) => Some(text.clone()),
                    _ => None,
                };
                let why = if text.is_some() {
                    "stands where keys are expected"
                } else {
                    "holds a list where keys are expected"
                };
                let cure = format!("write {}: {{ {first}: … }}; known here: {}", entry.key, names.join(", "));
                self.mistake(entry.value.at, path, text, Flaw::new(why, cure));
            }
        }
    }

    fn value(&mut self, key: &'static Key, entry: &Entry) {
        let origin = self.origin(entry.value.at);
        let pieces = match &entry.value.content {
            Content::Text(text) => vec![self.piece(text, entry.value.at)],
            Content::Null => {
                if let Some(word) = key.absent {
                    vec![self.piece(word, entry.value.at)]
                } else {
                    let cure = format!("write a value, or take the line out for the default {}", default_of(key));
                    self.mistake(entry.at, key.path, None, Flaw::new("has no value", cure));
                    return;
                }
            }
            Content::List(items) if key.is_list() => self.items(key, items),
            Content::Map(entries) if key.kind.is_pair() => self.pairs(key, entries),
            Content::List(_) | Content::Map(_) => {
                let what = if matches!(entry.value.content, Content::List(_)) { "a list" } else { "keys" };
                let cure = match (key.is_list(), key.default) {
                    (true, _) if key.kind.is_pair() => format!("write {}: {{ {} }}", entry.key, example_of(key)),
                    (true, _) => format!("write a list: {}: [{}]", entry.key, example_of(key)),
                    (false, default) => format!("write one value, as {}: {default}", entry.key),
                };
                let why =
                    format!("holds {what} where {} is expected", if key.is_list() { "a list" } else { "one value" });
                self.mistake(entry.value.at, key.path, None, Flaw::new(why, cure));
                return;
            }
        };
        self.given.push(Given { key, origin, pieces });
    }

    fn items(&mut self, key: &'static Key, items: &[Node]) -> Vec<Piece> {
        let mut pieces = Vec::new();
        for item in items {
            if let Content::Text(text) = &item.content {
                pieces.push(self.piece(text, item.at));
            } else {
                let flaw =
                    Flaw::new("an item of this list is not a single value", format!("write {}", example_of(key)));
                self.mistake(item.at, key.path, None, flaw);
            }
        }
        pieces
    }

    /// Keys and values that are an operator's own: `cost: { /render/: 10 }`.
    fn pairs(&mut self, key: &'static Key, entries: &[Entry]) -> Vec<Piece> {
        let mut pieces = Vec::new();
        for entry in entries {
            if let Content::Text(text) = &entry.value.content {
                pieces.push(self.piece(&format!("{}={text}", entry.key), entry.at));
            } else {
                let flaw = Flaw::new("has no single value", format!("write {}", example_of(key)));
                self.mistake(entry.at, key.path, Some(entry.key.clone()), flaw);
            }
        }
        pieces
    }

    fn piece(&self, text: &str, at: (usize, usize)) -> Piece {
        Piece { text: text.to_owned(), origin: self.origin(at) }
    }

    fn origin(&self, (line, column): (usize, usize)) -> Origin {
        Origin::File { name: Arc::clone(&self.file), line, column }
    }

    fn mistake(&mut self, at: (usize, usize), key: &str, text: Option<String>, flaw: Flaw) {
        let origin = self.origin(at);
        self.mistakes.push(Mistake::error(origin, key, text, flaw));
    }
}

/// The mode of a limit, where the group at this path is one.
fn mode_of(path: &str) -> Option<&'static Key> {
    keys::find(&join(path, "mode")).filter(|key| matches!(key.kind, Kind::Choice(words) if words.contains(&"off")))
}

fn default_of(key: &Key) -> String {
    if key.is_list() { format!("[{}]", key.default) } else { key.default.to_owned() }
}

fn example_of(key: &Key) -> &'static str {
    match (key.default.split(',').next(), key.kind) {
        (Some(default), _) if !default.is_empty() => default,
        (_, Kind::Network) => "10.0.0.0/8",
        (_, Kind::Cost) => "/render/: 10",
        (_, Kind::HostOrganisation) => "team-a.example.com: 2",
        _ => "X-Forwarded-Authorization",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cure_of(text: &str) -> String {
        let (.., mistakes) = values(&SourceFile { name: "f".into(), text: text.to_owned() });
        assert_eq!(mistakes.len(), 1, "{mistakes:?}");
        mistakes[0].cure()
    }

    #[test]
    fn wrong_shapes_are_told_the_right_one() {
        assert!(cure_of("limits: { per_token: 100/s }").contains("per_token: { rate: … }"));
        assert!(cure_of("workers: [1]").contains("workers: auto"));
        assert!(cure_of("listen: { a: b }").contains("listen: [0.0.0.0:3001]"));
        assert!(cure_of("listen:").contains("default [0.0.0.0:3001]"));
        assert!(cure_of("- a").contains("begin with a line"));
    }
}
