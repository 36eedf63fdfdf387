//! The effective configuration as YAML that can be read again.

use super::effective::{Effective, Shown, show};
use super::keys;
use super::masking::mask_tokens;
use super::origin::Origin;
use super::tokens::{TOKENS, TokenSettings, Value};
use crate::admin::ConfigRow;

/// Prints every key; with `origin`, who set it, as a comment. Secrets never.
pub fn print(effective: &Effective, origin: bool) -> String {
    let mut lines: Vec<(String, Option<String>)> = Vec::new();
    let mut open: Vec<&str> = Vec::new();
    for key in keys::all() {
        let segments: Vec<&str> = key.path.split('.').collect();
        let Some((name, groups)) = segments.split_last() else { continue };
        let shared = open.iter().zip(groups).take_while(|(one, other)| one == other).count();
        for (depth, group) in groups.iter().enumerate().skip(shared) {
            lines.push((format!("{}{group}:", "  ".repeat(depth)), None));
        }
        open = groups.to_vec();
        let value = match show(key, &effective.config) {
            Shown::One(text) => scalar(&text),
            Shown::Many(items) if key.kind.is_pair() => {
                let pairs = items.iter().filter_map(|item| item.rsplit_once('='));
                let pairs: Vec<_> = pairs.map(|(name, value)| format!("{}: {value}", scalar(name))).collect();
                if pairs.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", pairs.join(", ")) }
            }
            Shown::Many(items) => format!("[{}]", items.iter().map(|item| scalar(item)).collect::<Vec<_>>().join(", ")),
        };
        let comment = origin.then(|| effective.origins.of(key.path).to_string());
        lines.push((format!("{}{name}: {value}", "  ".repeat(groups.len())), comment));
    }
    lines.extend(token_lines(&effective.config.tokens, origin));
    let width = lines.iter().filter(|(_, comment)| comment.is_some()).map(|(line, _)| line.chars().count()).max();
    let width = width.unwrap_or(0);
    let mut text = String::new();
    for (line, comment) in lines {
        text.push_str(&line);
        if let Some(comment) = comment {
            text.push_str(&" ".repeat(width.saturating_sub(line.chars().count()) + 2));
            text.push_str("# ");
            text.push_str(&comment);
        }
        text.push('\n');
    }
    if origin && effective.config.fingerprint_key.is_some() {
        text.push_str("# The key of fingerprints is set by env GTP_FINGERPRINT_KEY, and not shown.\n");
    }
    text
}

/// Every key with its value and who set it, for the page.
pub fn rows(effective: &Effective) -> Vec<ConfigRow> {
    let row = |key: &'static keys::Key| ConfigRow {
        key: key.path,
        value: match show(key, &effective.config) {
            Shown::One(text) => mask_tokens(&text).into_owned(),
            Shown::Many(items) => items.iter().map(|item| mask_tokens(item)).collect::<Vec<_>>().join(", "),
        },
        origin: effective.origins.of(key.path).to_string(),
    };
    let tokens = &effective.config.tokens;
    let names: Vec<&str> = tokens.iter().map(|token| &*token.name).collect();
    let origin = tokens.first().map_or(Origin::Default, |token| token.origin.clone());
    let tokens = ConfigRow { key: TOKENS, value: names.join(", "), origin: origin.to_string() };
    keys::all().map(row).chain([tokens]).collect()
}

/// Known callers, one after another.
fn token_lines(tokens: &[TokenSettings], origin: bool) -> Vec<(String, Option<String>)> {
    if tokens.is_empty() {
        return vec![("tokens: []".to_owned(), origin.then(|| "default".to_owned()))];
    }
    let mut lines = vec![("tokens:".to_owned(), None)];
    for token in tokens {
        for (index, (name, value)) in token.lines().into_iter().enumerate() {
            let bullet = if index == 0 { "- " } else { "  " };
            let comment = (index == 0 && origin).then(|| token.origin.to_string());
            let value = match value {
                Value::One(text) => scalar(&text),
                Value::Many(texts) => {
                    format!("[{}]", texts.iter().map(|text| scalar(text)).collect::<Vec<_>>().join(", "))
                }
                Value::Pairs(pairs) => {
                    let pairs: Vec<_> = pairs.iter().map(|(name, text)| format!("{name}: {}", scalar(text))).collect();
                    format!("{{ {} }}", pairs.join(", "))
                }
            };
            lines.push((format!("  {bullet}{name}: {value}"), comment));
        }
    }
    lines
}

/// A scalar in plain style where YAML cannot mistake it, else in double quotes, whose escapes are JSON's.
fn scalar(text: &str) -> String {
    let text = mask_tokens(text);
    let first_is_plain = text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '/');
    let all_plain = text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '_' | ':' | '-' | '%'));
    if first_is_plain && all_plain && !text.ends_with(':') {
        return text.into_owned();
    }
    serde_json::Value::from(text.as_ref()).to_string()
}
