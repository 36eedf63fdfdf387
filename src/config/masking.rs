//! Takes secrets out of what is printed: people paste tokens into the wrong line.

use std::borrow::Cow;

/// Runs of this many letters and digits are taken for a secret, whatever they begin with.
const SUSPICIOUS: usize = 20;

/// Replaces what looks like a token, a password in a URL or the value of an `Authorization` header by `…`. What shows
/// no sign of a secret comes back as it was.
pub fn mask(text: &str) -> Cow<'_, str> {
    match without_userinfo(text) {
        Some(text) => Cow::Owned(mask_runs(&text, true).into_owned()),
        None => mask_runs(text, true),
    }
}

/// As [`mask`], for values that have been checked: only what is a token for certain, for a long name must stay whole.
pub fn mask_tokens(text: &str) -> Cow<'_, str> {
    mask_runs(text, false)
}

fn mask_runs(text: &str, suspicious: bool) -> Cow<'_, str> {
    let mut masked = String::new();
    let mut rest = text;
    let mut found = false;
    while !rest.is_empty() {
        let (before, run, after) = next_run(rest);
        masked.push_str(before);
        match secret_prefix(run, &masked, suspicious) {
            Some(kept) => {
                masked.push_str(kept);
                masked.push('…');
                found = true;
            }
            None => masked.push_str(run),
        }
        rest = after;
    }
    if found { Cow::Owned(masked) } else { Cow::Borrowed(text) }
}

/// Splits off all up to the next run of characters that tokens are made of, and that run.
fn next_run(text: &str) -> (&str, &str, &str) {
    let start = text.find(is_token_character).unwrap_or(text.len());
    let (before, rest) = text.split_at(start);
    let end = rest.find(|c| !is_token_character(c)).unwrap_or(rest.len());
    let (run, after) = rest.split_at(end);
    (before, run, after)
}

const fn is_token_character(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '_' | '=' | '+')
}

/// What may be shown of a run, where it is a secret.
fn secret_prefix<'r>(run: &'r str, before: &str, suspicious: bool) -> Option<&'r str> {
    for prefix in ["glsa_", "glc_", "eyJ"] {
        if let Some(start) = run.find(prefix) {
            return run.get(..start + prefix.len());
        }
    }
    // The parts of a JWT, and the rest of a token that a dash has cut in two.
    let is_tail = before.ends_with("….") || before.ends_with("…-");
    let is_mixed = run.bytes().any(|b| b.is_ascii_digit()) && run.bytes().any(|b| b.is_ascii_alphabetic());
    let is_long = run.len() >= SUSPICIOUS && is_mixed;
    let is_credential = is_after_scheme(before) && run.len() >= 8;
    (is_tail || (suspicious && (is_long || is_credential))).then_some("")
}

fn is_after_scheme(before: &str) -> bool {
    let before = before.trim_end_matches([' ', ':', '"', '\'']).to_ascii_lowercase();
    ["bearer", "basic", "apikey", "api-key"].iter().any(|scheme| before.ends_with(scheme))
}

/// Takes `user:password@` out of every word: all up to the last `@`, for a password may hold any sign.
fn without_userinfo(text: &str) -> Option<String> {
    if !text.contains('@') {
        return None;
    }
    let is_border = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '`');
    let mut masked = String::new();
    for word in text.split_inclusive(is_border) {
        let start = word.find("//").map_or(0, |start| start + 2);
        let (scheme, rest) = word.split_at(start);
        match rest.rsplit_once('@') {
            Some((userinfo, host)) if start > 0 || userinfo.contains(':') => {
                masked.push_str(scheme);
                masked.push_str("…@");
                masked.push_str(host);
            }
            _ => masked.push_str(word),
        }
    }
    Some(masked)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn secrets_are_masked() {
        for (text, expected) in [
            ("glsa_yscW25imSKJIuav8zF37RZmnbiDvB05G_fcaaf58a", "glsa_…"),
            ("\"glc_eyJvIjoiMSJ9\"", "\"glc_…\""),
            ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl", "eyJ….eyJ….…"),
            ("http://admin:hunter2@grafana:3000", "http://…@grafana:3000"),
            ("write `http://admin:hunt/er@2@grafana`", "write `http://…@grafana`"),
            ("admin:hunter2@grafana:3000", "…@grafana:3000"),
            ("http://s3cr3t@grafana", "http://…@grafana"),
            ("Bearer abcdefgh1", "Bearer …"),
            ("key 0123456789abcdef0123456789abcdef end", "key … end"),
        ] {
            assert_eq!(mask(text), expected);
        }
    }

    #[test]
    fn ordinary_values_are_not() {
        for text in ["http://127.0.0.1:3000", "/api/health", "GTP_LIMITS_PER_TOKEN_RATE", "10.0.0.0/8", "fast", ""] {
            assert!(matches!(mask(text), Cow::Borrowed(same) if same == text), "{text}");
        }
    }

    proptest! {
        #[test]
        fn never_panics_and_is_idempotent(text in "\\PC{0,80}") {
            let once = mask(&text).into_owned();
            prop_assert_eq!(mask(&once).into_owned(), once);
        }

        #[test]
        fn no_service_account_token_survives(before in "[ -~]{0,20}", secret in "[A-Za-z0-9]{32}", after in "[ -~]{0,20}") {
            let text = format!("{before}glsa_{secret}_01234567{after}");
            let masked = mask(&text).into_owned();
            for window in secret.as_bytes().windows(8) {
                prop_assert!(!masked.contains(std::str::from_utf8(window).unwrap()), "{}", masked);
            }
        }
    }
}
