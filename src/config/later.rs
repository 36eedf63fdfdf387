//! Keys that the reference knows and this version does not have yet. Using one is an error that says exactly this;
//! writing down its default changes nothing and is accepted.

use super::yaml::{Content, Node};

/// A key of a later version.
pub struct LaterKey {
    /// The dotted path; for a list of mappings or a mapping of its own, the path of the whole.
    pub path: &'static str,
    /// The values that ask for nothing, as an operator would write them.
    pub defaults: &'static [&'static str],
    /// Whether the default promises something that this version does not do: then it is accepted with a warning.
    pub promises: bool,
}

const fn later(path: &'static str, defaults: &'static [&'static str]) -> LaterKey {
    LaterKey { path, defaults, promises: false }
}

const fn promised(path: &'static str, defaults: &'static [&'static str]) -> LaterKey {
    LaterKey { path, defaults, promises: true }
}

/// All of them. Whoever builds one takes its line out.
pub const LATER: &[LaterKey] = &[
    later("org.learn", &["off"]),
    later("org.by_host", &["{}"]),
    later("limits.mode", &["enforce"]),
    promised("limits.auth_failures", &["{burst: 30, rate: 30/m}"]),
    later("limits.in_flight_per_token", &[]),
    later("limits.cost", &["{}"]),
    later("limits.shared", &[]),
    later("limits.shared_lease", &["auto"]),
    later("limits.shared_failure", &["local"]),
    later("tokens", &["[]"]),
];

/// Whether a value asks for what is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asks {
    /// It switches the feature off, or leaves it so.
    Nothing,
    /// It is the default of a feature that is on by default once it is there.
    Default,
    /// It asks for the feature.
    Feature,
}

impl LaterKey {
    /// What `text`, in the spelling of [`spell`], asks for.
    pub fn asks(&self, text: &str) -> Asks {
        if matches!(text, "off" | "false" | "null" | "~" | "") {
            return Asks::Nothing;
        }
        match (self.defaults.contains(&text), self.promises) {
            (true, false) => Asks::Nothing,
            (true, true) => Asks::Default,
            (false, _) => Asks::Feature,
        }
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
