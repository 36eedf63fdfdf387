//! The list as it stands in a file: read, described, and written as JSON Schema.

use std::sync::Arc;

use serde_json::{Value, json};

use super::super::keys::limits::burst;
use super::super::mistake::{Flaw, Mistake};
use super::super::nearest::nearest;
use super::super::origin::Origin;
use super::super::values::{path, rate, whole_number};
use super::super::yaml::{Content, Entry, Node};
use super::{TOKENS, TokenSettings, allowed};

/// What may be said of a caller, with what it means.
const KEYS: [(&str, &str); 7] = [
    ("name", "The name in logs and metrics: letters, digits, `.`, `_` and `-`. Required."),
    ("file", "The file that holds the token, as a mounted Secret does. This or `sha256` is required."),
    ("sha256", "The SHA-256 of the token, 64 hexadecimal digits, in place of `file`."),
    ("org", "The organisation (X-Grafana-Org-Id) of its requests; stronger than `org.default`."),
    ("limit", "`{ rate: 10/s, burst: 20 }` in place of `limits.per_token`; what is left out is taken from there."),
    (
        "allow",
        "What it may ask for: `GET /api/dashboards/` (method or `*`; exact, or a prefix ending in `/`). Empty: all.",
    ),
    ("send_file", "The file that holds the token which Grafana gets in place of the caller's own."),
];

/// Reads the list; what is wrong goes to `mistakes`.
pub fn read(node: &Node, file: &Arc<str>, mistakes: &mut Vec<Mistake>) -> Vec<TokenSettings> {
    let mut reader = Reader { file, mistakes, key: TOKENS.to_owned() };
    let items = match &node.content {
        Content::Null => return Vec::new(),
        Content::List(items) => items,
        Content::Map(_) | Content::Text(_) => {
            reader.mistake(node.at, None, Flaw::new("is no list", "write a list: tokens: [{ name: ci-bot, file: … }]"));
            return Vec::new();
        }
    };
    let mut tokens: Vec<TokenSettings> = Vec::new();
    for item in items {
        reader.key = TOKENS.to_owned();
        let Some(token) = reader.token(item) else { continue };
        if tokens.iter().any(|other| other.name == token.name) {
            let flaw = Flaw::new("is the name of two callers", "give each a name of its own");
            reader.mistake(item.at, Some(&token.name), flaw);
        }
        tokens.push(token);
    }
    tokens
}

struct Reader<'a> {
    file: &'a Arc<str>,
    mistakes: &'a mut Vec<Mistake>,
    /// The dotted path of what is read.
    key: String,
}

impl Reader<'_> {
    fn origin(&self, (line, column): (usize, usize)) -> Origin {
        Origin::File { name: Arc::clone(self.file), line, column }
    }

    fn mistake(&mut self, at: (usize, usize), text: Option<&str>, flaw: Flaw) {
        let mistake = Mistake::error(self.origin(at), self.key.clone(), text.map(str::to_owned), flaw);
        self.mistakes.push(mistake);
    }

    fn token(&mut self, item: &Node) -> Option<TokenSettings> {
        let Content::Map(entries) = &item.content else {
            self.mistake(
                item.at,
                None,
                Flaw::new("holds an item without keys", "write - name: ci-bot and its file below"),
            );
            return None;
        };
        let name = entries.iter().find(|entry| entry.key == "name");
        let Some(name) = name else {
            self.mistake(item.at, None, Flaw::new("holds a caller without a name", "write name: ci-bot"));
            return None;
        };
        let mut token = TokenSettings {
            name: self.one(name, is_name)?.into(),
            file: None,
            digest: None,
            org: None,
            period: None,
            burst: None,
            allow: Vec::new(),
            send_file: None,
            origin: self.origin(item.at),
        };
        let whole = format!("{TOKENS}[{}]", token.name);
        for entry in entries {
            self.key = format!("{whole}.{}", entry.key);
            self.set(&mut token, entry);
        }
        self.key = whole;
        match (&token.file, &token.digest) {
            (Some(_), Some(_)) => {
                self.mistake(item.at, None, Flaw::new("has a file and a sha256", "keep one of them"));
            }
            (None, None) if !entries.iter().any(|entry| matches!(&*entry.key, "file" | "sha256")) => {
                let cure = "write file: and the path of its token, or sha256: and its hash; never the token itself";
                self.mistake(item.at, None, Flaw::new("names no token", cure));
            }
            _ => {}
        }
        Some(token)
    }

    fn set(&mut self, token: &mut TokenSettings, entry: &Entry) {
        match &*entry.key {
            "name" => {}
            "file" => token.file = self.one(entry, path::parse),
            "send_file" => token.send_file = self.one(entry, path::parse),
            "sha256" => token.digest = self.one(entry, digest),
            "org" => token.org = self.one(entry, organisation),
            "limit" => self.limit(token, entry),
            "allow" => token.allow = self.allow(entry),
            unknown => {
                let known = KEYS.map(|(name, _)| name);
                let cure = match nearest(unknown, known) {
                    Some(meant) => format!("did you mean {meant}?"),
                    None => format!("take it out; known here: {}", known.join(", ")),
                };
                self.mistake(entry.at, None, Flaw::new("is not a known key", cure));
            }
        }
    }

    fn limit(&mut self, token: &mut TokenSettings, entry: &Entry) {
        let whole = self.key.clone();
        match &entry.value.content {
            Content::Null => {}
            Content::Map(entries) => {
                for entry in entries {
                    self.key = format!("{whole}.{}", entry.key);
                    match &*entry.key {
                        "rate" => token.period = self.one(entry, rate::parse),
                        "burst" => token.burst = self.one(entry, burst),
                        _ => self.mistake(
                            entry.at,
                            None,
                            Flaw::new("is not a known key", "take it out; known here: rate, burst"),
                        ),
                    }
                }
            }
            Content::Text(_) | Content::List(_) => {
                self.mistake(entry.value.at, None, Flaw::new("has no keys", "write limit: { rate: 10/s, burst: 20 }"));
            }
        }
    }

    fn allow(&mut self, entry: &Entry) -> Vec<String> {
        let items = match &entry.value.content {
            Content::Null => return Vec::new(),
            Content::List(items) => items,
            Content::Text(_) | Content::Map(_) => {
                self.mistake(entry.value.at, None, Flaw::new("is no list", "write allow: [GET /api/dashboards/]"));
                return Vec::new();
            }
        };
        let mut rules = Vec::new();
        for item in items {
            let Content::Text(text) = &item.content else {
                self.mistake(item.at, None, Flaw::new("holds an item that is no text", "write GET /api/dashboards/"));
                continue;
            };
            match allowed(text) {
                Ok(_) => rules.push(text.split_whitespace().collect::<Vec<_>>().join(" ")),
                Err(flaw) => self.mistake(item.at, Some(text), flaw),
            }
        }
        rules
    }

    /// Reads a single value; `null` is none.
    fn one<T>(&mut self, entry: &Entry, parse: impl FnOnce(&str) -> Result<T, Flaw>) -> Option<T> {
        match &entry.value.content {
            Content::Text(text) => match parse(text) {
                Ok(value) => Some(value),
                Err(flaw) => {
                    self.mistake(entry.value.at, Some(text), flaw);
                    None
                }
            },
            Content::Null => None,
            Content::List(_) | Content::Map(_) => {
                self.mistake(entry.value.at, None, Flaw::new("is not a single value", "write one value"));
                None
            }
        }
    }
}

fn is_name(text: &str) -> Result<String, Flaw> {
    const CURE: &str = "write 1 to 64 letters, digits, dots, dashes or underscores, as ci-bot";
    let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'));
    if text.is_empty() || text.len() > 64 || !plain {
        return Err(Flaw::new("is no name for a caller", CURE));
    }
    if matches!(text, "other" | "none") {
        return Err(Flaw::new("stands for callers without a name in metrics", "choose another one"));
    }
    // A token in the wrong line would be shown in every log.
    if super::super::masking::mask(text) != text {
        return Err(Flaw::new("looks like a token", "write a name, and the path of the token in file"));
    }
    Ok(text.to_owned())
}

fn digest(text: &str) -> Result<[u8; 32], Flaw> {
    const CURE: &str = "write 64 hexadecimal digits, as printf %s \"$TOKEN\" | sha256sum prints";
    let mut digest = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return Err(Flaw::new("is not a SHA-256", CURE));
    }
    for (byte, pair) in digest.iter_mut().zip(text.as_bytes().chunks(2)) {
        let pair = std::str::from_utf8(pair).unwrap_or_default();
        *byte = u8::from_str_radix(pair, 16).map_err(|_| Flaw::new("is not a SHA-256", CURE))?;
    }
    Ok(digest)
}

fn organisation(text: &str) -> Result<u32, Flaw> {
    let number = whole_number(text)?;
    let org = u32::try_from(number).ok().filter(|org| (1..=i32::MAX as u32).contains(org));
    org.ok_or_else(|| Flaw::new("is no organisation", "write the number that Grafana shows, 1 or more"))
}

/// The section of the reference.
pub fn reference() -> String {
    let mut text =
        "## `tokens`\n\nNames, limits and organisations of known callers: a list in the file, without flags and \
                    variables.\n\n* May hold: list of keys and values\n* Default: `[]`\n\n| key | means |\n|---|---|\n"
            .to_owned();
    for (name, help) in KEYS {
        text.push_str(&format!("| `{name}` | {help} |\n"));
    }
    text.push_str(
        "\n```yaml\ntokens:\n  - name: ci-bot\n    file: /var/run/secrets/ci-bot/token\n    org: 2\n    limit: { rate: \
         10/s, burst: 20 }\n    allow: [GET /api/dashboards/, \"* /api/annotations\"]\n```\n\n",
    );
    text
}

/// The JSON Schema.
pub fn schema() -> Value {
    let text = |name: &str| {
        let help = KEYS.iter().find(|(known, _)| *known == name).map_or("", |(_, help)| help);
        json!({ "description": help.replace('`', ""), "type": ["string", "null"] })
    };
    let mut properties: serde_json::Map<String, Value> =
        KEYS.iter().map(|(name, _)| ((*name).to_owned(), text(name))).collect();
    let set = |properties: &mut serde_json::Map<String, Value>, name: &str, key: &str, value: Value| {
        if let Some(Value::Object(property)) = properties.get_mut(name) {
            property.insert(key.to_owned(), value);
        }
    };
    set(&mut properties, "name", "type", json!("string"));
    set(&mut properties, "name", "pattern", json!("^[A-Za-z0-9._-]{1,64}$"));
    set(&mut properties, "sha256", "pattern", json!("^[0-9a-fA-F]{64}$"));
    set(&mut properties, "org", "type", json!(["integer", "null"]));
    set(&mut properties, "org", "minimum", json!(1));
    set(&mut properties, "allow", "type", json!(["array", "null"]));
    set(&mut properties, "allow", "items", json!({ "type": "string", "pattern": "^([!-~]+|\\*) +/" }));
    set(&mut properties, "limit", "type", json!(["object", "null"]));
    set(&mut properties, "limit", "additionalProperties", json!(false));
    let rate = json!({ "type": "string", "pattern": "^[1-9][0-9]*/(s|m|h)$" });
    let limit = json!({ "rate": rate, "burst": { "type": "integer", "minimum": 1 } });
    set(&mut properties, "limit", "properties", limit);
    json!({
        "description": "Names, limits and organisations of known callers.",
        "default": [],
        "type": ["array", "null"],
        "items": {
            "type": "object",
            "additionalProperties": false,
            "required": ["name"],
            "properties": properties,
        },
    })
}
