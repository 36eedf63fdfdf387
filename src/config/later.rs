//! Keys that the reference knows and this version does not have yet. Using one is an error that says exactly this;
//! writing down its default changes nothing and is accepted.

use super::yaml::{Content, Node};

/// A key of a later version.
pub struct LaterKey {
    /// The dotted path; for a list of mappings or a mapping of its own, the path of the whole.
    pub path: &'static str,
    /// The values that ask for nothing, as an operator would write them.
    pub defaults: &'static [&'static str],
}

const fn later(path: &'static str, defaults: &'static [&'static str]) -> LaterKey {
    LaterKey { path, defaults }
}

/// All of them. Whoever builds one takes its line out.
pub const LATER: &[LaterKey] =
    &[later("limits.shared", &[]), later("limits.shared_lease", &["auto"]), later("limits.shared_failure", &["local"])];

impl LaterKey {
    /// Whether `text`, in the spelling of [`spell`], asks for what is not there.
    pub fn is_asked_for(&self, text: &str) -> bool {
        !matches!(text, "off" | "false" | "null" | "~" | "") && !self.defaults.contains(&text)
    }
}

/// The key at this path, or the one that this path lies in (`tls.cert_file` in `tls`).
pub fn find(path: &str) -> Option<&'static LaterKey> {
    LATER.iter().find(|key| path.strip_prefix(key.path).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')))
}

/// A node on one line, keys in order, so that it can be compared.
pub fn spell(node: &Node) -> String {
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
