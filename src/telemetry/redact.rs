//! What looks like a secret in a stranger's text is taken out before the text is told.

use std::borrow::Cow;

/// What stands in its place.
const STAND_IN: &str = "[redacted]";

/// Longer words that mix letters and digits are more likely a secret than a name.
const LONG: usize = 24;

/// Whether `text` holds something that looks like a token, a key or an encoded password.
pub fn is_suspicious(text: &str) -> bool {
    words(text).any(|(_, word)| looks_secret(word))
}

/// `text` without what looks like a secret.
pub fn redact(text: &str) -> Cow<'_, str> {
    if !is_suspicious(text) {
        return Cow::Borrowed(text);
    }
    let mut told = String::with_capacity(text.len());
    let mut end = 0;
    for (start, word) in words(text) {
        told.push_str(text.get(end..start).unwrap_or_default());
        told.push_str(if looks_secret(word) { STAND_IN } else { word });
        end = start + word.len();
    }
    told.push_str(text.get(end..).unwrap_or_default());
    Cow::Owned(told)
}

/// Runs of the characters that secrets are made of, with their places.
fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '+' | '=' | '%');
    text.split(move |c| !part(c)).filter(|word| word.len() >= 8).map(move |word| (offset(text, word), word))
}

/// Where `part`, a piece of `text`, begins in it.
fn offset(text: &str, part: &str) -> usize {
    part.as_ptr().addr() - text.as_ptr().addr()
}

fn looks_secret(word: &str) -> bool {
    // `glsa_`, `glc_`, any `gl…_`; base64 of `{"`, with which JWTs and the keys of old begin; base64 of `glsa_`.
    if ["glsa_", "glc_", "eyJ", "Z2xzYV"].iter().any(|mark| word.contains(mark)) {
        return true;
    }
    // The parts between dots and dashes: a UUID, a version or a host name has short ones.
    word.split(['-', '.', '%']).any(|part| part.len() >= LONG && is_mixed(part))
}

/// Digits beside letters, or capitals beside small ones: no word of a language.
fn is_mixed(part: &str) -> bool {
    let has = |wanted: fn(&u8) -> bool| part.as_bytes().iter().any(wanted);
    let letters = has(u8::is_ascii_lowercase) || has(u8::is_ascii_uppercase);
    (has(u8::is_ascii_digit) && letters) || (has(u8::is_ascii_lowercase) && has(u8::is_ascii_uppercase))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn secrets_go_and_names_stay() {
        for secret in [
            "glsa_yscW25imSKJIuav8zF37RZmnbiDvB05G_fcaaf58a",
            "eyJrIjoiT0tTcG1pUlY2RnVKZTFVaDFsNFZXdE9ZWmNrMkZYbmsiLCJuIjoidGVzdCIsImlkIjoxfQ==",
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
            "YWRtaW46Y29ycmVjdC1ob3JzZS1iYXR0ZXJ5LXN0YXBsZQ==",
            "4f3c2b1a0d9e8f7c6b5a493827160514",
            "glsa_short",
        ] {
            assert_eq!(redact(&format!("/a/{secret}?b")), "/a/[redacted]?b");
            assert_eq!(redact(&format!("curl/8 ({secret})")), "curl/8 ([redacted])");
        }
        for name in [
            "/api/dashboards/uid/cIBgcSjkk",
            "/api/datasources/uid/P8E80F9AEF21F6940/resources",
            "/d/3e97d1d0-2672-4b18-9d2d-3d8e3f9c5a1b/home",
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36",
            "/apis/dashboard.grafana.app/v1beta1/namespaces/default/dashboards",
            "",
        ] {
            assert_eq!(redact(name), name);
        }
    }

    proptest! {
        #[test]
        fn no_eight_bytes_of_a_token_survive(before in "[a-z/ ]{0,9}", secret in "[0-9A-Za-z]{32}", crc in "[0-9a-f]{8}", after in "([/ ?].{0,9})?") {
            let token = format!("glsa_{secret}_{crc}");
            let told = redact(&format!("{before}{token}{after}")).into_owned();
            for window in token.as_bytes().windows(8) {
                prop_assert!(!told.contains(std::str::from_utf8(window).unwrap()), "{}", told);
            }
            prop_assert_eq!(redact(&told).into_owned(), told.clone());
        }
    }
}
