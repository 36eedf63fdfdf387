//! YAML as a tree with a position for each node. Anchors, aliases and merge keys are resolved; a key that is written
//! twice is a mistake, for the reader of the file believes the one and the program the other.

use std::collections::HashMap;
use std::sync::Arc;

use granit_parser::{Event, Marker, Parser, ScalarStyle, ScanError};

use super::mistake::{Flaw, Mistake};
use super::origin::Origin;

/// A value and where it begins.
#[derive(Clone, Debug)]
pub struct Node {
    /// Line and column, from one.
    pub at: (usize, usize),
    /// The value.
    pub content: Content,
}

/// What a node holds. Scalars stay text: what they mean depends on the key.
#[derive(Clone, Debug)]
pub enum Content {
    /// `null`, `~` or nothing.
    Null,
    /// A scalar.
    Text(String),
    /// A sequence.
    List(Vec<Node>),
    /// A mapping.
    Map(Vec<Entry>),
}

/// One line of a mapping.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Where the key begins.
    pub at: (usize, usize),
    /// The value.
    pub value: Node,
}

/// Aliases multiply: a file of a kilobyte can name a billion nodes.
const MOST_NODES: usize = 20_000;

/// Reads one document. Returns what could be read, and every mistake of the notation.
pub fn parse(name: &Arc<str>, text: &str) -> (Option<Node>, Vec<Mistake>) {
    let mut reader = Reader { name, anchors: HashMap::new(), nodes: 0, path: Vec::new(), mistakes: Vec::new(), text };
    let options = granit_parser::options! { emit_comments: false, flow_nesting_limit: 32, block_nesting_limit: 32 };
    let mut events = Parser::new_from_str_with_options(text, options);
    let root = match reader.document(&mut events) {
        Ok(root) => root,
        Err(Stop::Syntax(error)) => {
            let mistake = reader.syntax_mistake(&error);
            reader.mistakes.push(mistake);
            None
        }
        Err(Stop::TooLarge(at)) => {
            let flaw = Flaw::new("holds too many values", "write fewer; aliases count each time they are used");
            reader.mistake(at, "", None, flaw);
            None
        }
    };
    (root, reader.mistakes)
}

enum Stop {
    Syntax(ScanError),
    TooLarge((usize, usize)),
}

impl From<ScanError> for Stop {
    fn from(error: ScanError) -> Self {
        Self::Syntax(error)
    }
}

struct Reader<'t> {
    name: &'t Arc<str>,
    text: &'t str,
    anchors: HashMap<usize, Node>,
    nodes: usize,
    /// The keys around the node that is read.
    path: Vec<String>,
    mistakes: Vec<Mistake>,
}

fn position(marker: Marker) -> (usize, usize) {
    (marker.line(), marker.col() + 1)
}

type Step<'t> = Option<(Event<'t>, (usize, usize))>;

fn next<'t>(events: &mut Parser<'t, granit_parser::StrInput<'t>>) -> Result<Step<'t>, Stop> {
    match events.next() {
        Some(step) => {
            let (event, span) = step?;
            Ok(Some((event, position(span.start))))
        }
        None => Ok(None),
    }
}

type Events<'t> = Parser<'t, granit_parser::StrInput<'t>>;

impl<'t> Reader<'t> {
    fn document(&mut self, events: &mut Events<'t>) -> Result<Option<Node>, Stop> {
        let mut root = None;
        let mut documents = 0;
        while let Some((event, at)) = next(events)? {
            match event {
                Event::DocumentStart(..) => {
                    documents += 1;
                    if documents == 2 {
                        let flaw = Flaw::new("a second document begins here", "keep one document in the file");
                        self.mistake(at, "", None, flaw);
                    }
                }
                Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
                event => {
                    let node = self.node(event, at, events)?;
                    if root.is_none() {
                        root = Some(node);
                    }
                }
            }
        }
        Ok(root)
    }

    fn node(&mut self, event: Event<'t>, at: (usize, usize), events: &mut Events<'t>) -> Result<Node, Stop> {
        self.count(1, at)?;
        let (content, anchor) = match event {
            Event::Alias(anchor) => return self.alias(anchor, at),
            Event::Scalar(text, style, anchor, _) => {
                let is_null =
                    style == ScalarStyle::Plain && matches!(text.as_ref(), "" | "~" | "null" | "Null" | "NULL");
                (if is_null { Content::Null } else { Content::Text(text.into_owned()) }, anchor)
            }
            Event::SequenceStart(_, anchor, _) => (self.list(events)?, anchor),
            Event::MappingStart(_, anchor, _) => (self.map(events)?, anchor),
            _ => (Content::Null, 0),
        };
        let node = Node { at, content };
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn list(&mut self, events: &mut Events<'t>) -> Result<Content, Stop> {
        let mut items = Vec::new();
        while let Some((event, at)) = next(events)? {
            if event == Event::SequenceEnd {
                break;
            }
            items.push(self.node(event, at, events)?);
        }
        Ok(Content::List(items))
    }

    fn map(&mut self, events: &mut Events<'t>) -> Result<Content, Stop> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut merged = Vec::new();
        while let Some((event, at)) = next(events)? {
            if event == Event::MappingEnd {
                break;
            }
            let key = self.node(event, at, events)?;
            let Some((event, value_at)) = next(events)? else { break };
            self.path.push(match &key.content {
                Content::Text(text) => text.clone(),
                _ => String::new(),
            });
            let value = self.node(event, value_at, events)?;
            self.path.pop();
            match key.content {
                Content::Text(key) if key == "<<" => merged.push(value),
                Content::Text(key) => self.enter(&mut entries, Entry { key, at, value }),
                Content::Null => self.enter(&mut entries, Entry { key: "null".to_owned(), at, value }),
                Content::List(_) | Content::Map(_) => {
                    self.mistake(at, "", None, Flaw::new("a key must be a word", "write key: value"));
                }
            }
        }
        for value in merged {
            self.merge(&mut entries, value);
        }
        Ok(Content::Map(entries))
    }

    fn enter(&mut self, entries: &mut Vec<Entry>, entry: Entry) {
        if let Some(first) = entries.iter().find(|first| first.key == entry.key) {
            let flaw = Flaw::new(
                format!("is written twice: first in line {}", first.at.0),
                "keep one of the two, and move what belongs together under it",
            );
            let path: Vec<&str> = self.path.iter().chain([&entry.key]).map(String::as_str).collect();
            self.mistake(entry.at, &path.join("."), None, flaw);
            return;
        }
        entries.push(entry);
    }

    /// `<<`: keys that are not there yet; of several mappings the earlier wins.
    fn merge(&mut self, entries: &mut Vec<Entry>, value: Node) {
        match value.content {
            Content::Map(more) => {
                for entry in more {
                    if entries.iter().all(|known| known.key != entry.key) {
                        entries.push(entry);
                    }
                }
            }
            Content::List(items) => {
                for item in items {
                    self.merge(entries, item);
                }
            }
            Content::Null => {}
            Content::Text(_) => {
                let flaw = Flaw::new("merges what is not a mapping", "write <<: *name of an anchored mapping");
                self.mistake(value.at, "<<", None, flaw);
            }
        }
    }

    fn alias(&mut self, anchor: usize, at: (usize, usize)) -> Result<Node, Stop> {
        // An alias inside its own anchor is not there yet: it would have no end.
        let Some(node) = self.anchors.get(&anchor).cloned() else {
            self.mistake(at, "", None, Flaw::new("an alias refers to what it is part of", "write the value out"));
            return Ok(Node { at, content: Content::Null });
        };
        self.count(size(&node), at)?;
        Ok(node)
    }

    fn count(&mut self, nodes: usize, at: (usize, usize)) -> Result<(), Stop> {
        self.nodes = self.nodes.saturating_add(nodes);
        if self.nodes > MOST_NODES { Err(Stop::TooLarge(at)) } else { Ok(()) }
    }

    fn mistake(&mut self, (line, column): (usize, usize), key: &str, text: Option<String>, flaw: Flaw) {
        let origin = Origin::File { name: Arc::clone(self.name), line, column };
        self.mistakes.push(Mistake::error(origin, key, text, flaw));
    }

    fn syntax_mistake(&self, error: &ScanError) -> Mistake {
        let (line, column) = position(*error.marker());
        let written = self.text.lines().nth(line.saturating_sub(1)).unwrap_or("").trim_end();
        let indent = written.len() - written.trim_start().len();
        let value = written.split_once(": ").map_or(written, |(_, value)| value).trim_start();
        let cure = if written.get(..indent).is_some_and(|indent| indent.contains('\t')) {
            "indent with spaces: YAML allows no tabs there"
        } else if value.starts_with(['[', '{', '*', '&', '!', '|', '>', '%', '@', '`', '#']) {
            "put a value that begins with a sign into quotes, as \"[::]:3001\""
        } else {
            "look for a missing colon or quote, and for lines that are not indented alike"
        };
        let origin = Origin::File { name: Arc::clone(self.name), line, column };
        Mistake::error(origin, "", None, Flaw::new(format!("this is not YAML: {}", error.info()), cure))
    }
}

fn size(node: &Node) -> usize {
    match &node.content {
        Content::Null | Content::Text(_) => 1,
        Content::List(items) => 1 + items.iter().map(size).sum::<usize>(),
        Content::Map(entries) => 1 + entries.iter().map(|entry| 1 + size(&entry.value)).sum::<usize>(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A node on one line, keys in order, so that it can be compared.
    fn spell(node: &Node) -> String {
        match &node.content {
            Content::Null => "null".to_owned(),
            Content::Text(text) => text.clone(),
            Content::List(items) => format!("[{}]", items.iter().map(spell).collect::<Vec<_>>().join(", ")),
            Content::Map(entries) => {
                let mut pairs: Vec<_> =
                    entries.iter().map(|entry| format!("{}: {}", entry.key, spell(&entry.value))).collect();
                pairs.sort();
                format!("{{{}}}", pairs.join(", "))
            }
        }
    }

    fn read(text: &str) -> (Option<String>, Vec<String>) {
        let (root, mistakes) = parse(&"f".into(), text);
        (
            root.as_ref().map(spell),
            mistakes.iter().map(|mistake| format!("{} {}", mistake.place(), mistake.summary())).collect(),
        )
    }

    #[test]
    fn flow_and_block_read_alike() {
        let flow = read("limits: { per_token: { rate: 1/s, burst: 2 }, exempt: [/a, /b/] }");
        let block = read("limits:\n  per_token:\n    burst: 2\n    rate: 1/s\n  exempt:\n  - /a\n  - /b/\n");
        assert_eq!(flow, block);
        assert!(flow.1.is_empty());
    }

    #[test]
    fn anchors_and_merges_resolve_and_own_keys_win() {
        let text = "a: &one { x: 1, y: 2 }\nb: { <<: *one, y: 3 }\nc: *one\n";
        assert_eq!(read(text).0.as_deref(), Some("{a: {x: 1, y: 2}, b: {x: 1, y: 3}, c: {x: 1, y: 2}}"));
    }

    #[test]
    fn keys_written_twice_are_mistakes() {
        let (_, mistakes) = read("a: 1\nb: { c: 2, c: 3 }\na: 3\n");
        assert_eq!(
            mistakes,
            ["f:2:12 b.c is written twice: first in line 2", "f:3:1 a is written twice: first in line 1"]
        );
    }

    #[test]
    fn broken_notation_names_its_place() {
        let (root, mistakes) = read("a: 1\nb: [1, 2\nc: 3\n");
        assert_eq!((root, mistakes.len()), (None, 1));
        assert!(mistakes[0].starts_with("f:"), "{mistakes:?}");
    }

    #[test]
    fn aliases_cannot_multiply_without_end() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..12 {
            let before = format!("*a{}", level - 1);
            text.push_str(&format!("a{level}: &a{level} [{}]\n", vec![before; 9].join(", ")));
        }
        let (root, mistakes) = read(&text);
        assert_eq!(root, None);
        assert!(mistakes[0].contains("too many values"));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[-a-z0-9:{}\\[\\],&*<>|#!%@\"'\\\\ \t\n]{0,120}") {
            let _ = read(&text);
        }

        #[test]
        fn no_character_panics(text in "\\PC{0,60}") {
            let _ = read(&text);
        }
    }
}
