//! What an unknown key was meant to be.

use super::mistake::Flaw;
use super::nearest::nearest;
use super::{keys, tokens};

/// The dotted path of a key in a group.
pub fn join(prefix: &str, key: &str) -> String {
    if prefix.is_empty() { key.to_owned() } else { format!("{prefix}.{key}") }
}

fn known_paths() -> impl Iterator<Item = &'static str> {
    keys::all().map(|key| key.path).chain([tokens::TOKENS])
}

/// The part of a known path below `prefix`, up to the next dot.
fn child<'p>(prefix: &str, path: &'p str) -> Option<&'p str> {
    let rest = if prefix.is_empty() { path } else { path.strip_prefix(prefix)?.strip_prefix('.')? };
    rest.split('.').next()
}

/// The names that are known in a group, in the order of the reference.
pub fn children(prefix: &str) -> impl Iterator<Item = &'static str> {
    let mut seen = Vec::new();
    for name in keys::all().map(|key| key.path).chain([tokens::TOKENS]).filter_map(|path| child(prefix, path)) {
        if !seen.contains(&name) {
            seen.push(name);
        }
    }
    seen.into_iter()
}

/// Whether keys lie below this path.
pub fn is_group(path: &str) -> bool {
    known_paths().any(|known| child(path, known).is_some())
}

/// Finds what an unknown key was meant to be: a neighbour, the same name elsewhere, or a whole path.
pub fn unknown(prefix: &str, written: &str) -> Flaw {
    let siblings: Vec<_> = children(prefix).collect();
    let full = join(prefix, written);
    let last = |path: &'static str| path.rsplit('.').next().unwrap_or(path);
    let found = known_paths().find(|path| *path == full).map(str::to_owned);
    let found = found.or_else(|| nearest(written, siblings.iter().copied()).map(|name| join(prefix, name)));
    // The same word at another depth: `rate` at the top, `max_head` in `limits`.
    let found = found.or_else(|| known_paths().find(|path| last(path) == written).map(str::to_owned));
    let found = found.or_else(|| nearest(&full, known_paths()).map(str::to_owned));
    let found = found.or_else(|| {
        nearest(written, known_paths().map(last))
            .and_then(|name| known_paths().find(|path| last(path) == name))
            .map(str::to_owned)
    });
    let cure = match found {
        Some(path) if path.rsplit_once('.').map_or("", |(group, _)| group) == prefix => {
            format!("did you mean {path}?")
        }
        Some(path) => format!("did you mean {path}? It is written as {}", nested(&path)),
        None if siblings.is_empty() => "take it out".to_owned(),
        None => format!("take it out; known here: {}", siblings.join(", ")),
    };
    Flaw::new("is not a known key", cure)
}

/// A dotted path as it is nested in a file: `limits: { per_token: { rate: … } }`.
fn nested(path: &str) -> String {
    let depth = path.matches('.').count();
    format!("{}: …{}", path.replace('.', ": { "), " }".repeat(depth))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_keys_are_told_the_nearest() {
        for (group, written, meant) in [
            ("", "lisen", "did you mean listen?"),
            ("", "rate", "did you mean limits.per_token.rate? It is written as limits: { per_token: { rate: … } }"),
            ("limits", "max_head", "did you mean http.max_head? It is written as http: { max_head: … }"),
            ("", "limits.per_token.rate", "It is written as limits: { per_token: { rate: … } }"),
            ("upstream", "uri", "did you mean upstream.url?"),
            ("", "max_hed", "did you mean http.max_head?"),
            ("log", "lvl", "did you mean log.level?"),
            ("log", "zebra", "take it out; known here: format, level, requests"),
        ] {
            let cure = unknown(group, written).cure;
            assert!(cure.contains(meant), "{group} {written}: {cure}");
        }
    }
}
