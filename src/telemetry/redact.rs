//! Takes out of a text what looks like a token. People paste tokens into paths, user agents and ids; no eight bytes of
//! one may reach a log.
//!
//! The text is read as words of base64's and a token's characters with gaps between them. A word is a secret where it
//! holds the beginning of a known kind, follows a scheme, continues a secret, or is long and as mixed as only chance
//! makes it. Names that people choose (slugs, UUIDs, versions) are none of these.

use std::borrow::Cow;
use std::ops::Range;

/// What stands where a secret stood.
pub(super) const MARK: &str = "[redacted]";

/// From this length on a mixed word is a secret: identifiers that Grafana makes itself are shorter.
const LONG: usize = 24;

/// So long must be a stretch without `-` and `_` in it, or `Prod-Overview-2024-Main-Cluster` would count.
const UNBROKEN: usize = 16;

/// Beginnings that give a secret away wherever they stand in a word: Grafana's tokens; the same, a user `admin` and an
/// API key, in base64.
const BEGINNINGS: [&str; 6] = ["glsa_", "glc_", "Z2xzYV", "ZXlKcklqb2", "YWRtaW46", "YXBpX2tleT"];

/// What is shorter gives nothing away, and may be a word about tokens.
const LEAST: usize = 8;

/// So long must be what looks like JSON in base64 inside a word.
const LEAST_INSIDE: usize = 16;

/// Words behind which a secret follows.
const LABELS: [&str; 8] = ["bearer", "basic", "token", "apikey", "api-key", "api_key", "glsa", "glc"];

/// What came before a word.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Before {
    Nothing,
    Label,
    /// A secret; `greedy`: one whose alphabet has a `/`.
    Secret {
        greedy: bool,
    },
}

/// `text` without its secrets; the same text, borrowed, where there are none.
pub fn redact(text: &str) -> Cow<'_, str> {
    if is_clean(text) {
        return Cow::Borrowed(text);
    }
    match redact_escaped(text) {
        Cow::Borrowed(text) => redact_words(text),
        Cow::Owned(text) => Cow::Owned(redact_words(&text).into_owned()),
    }
}

/// Whether a quick look tells that there is no secret: nothing long is as mixed as chance makes it, no two bytes stand
/// together with which a secret begins, and no gap follows what may be a label. Most texts are so, and each line has
/// several: a look into a table for each byte, and no branch.
fn is_clean(text: &str) -> bool {
    let bytes = text.as_bytes();
    let (mut pairs, mut kinds, mut last) = (0, 0, 0);
    for byte in bytes {
        let traits = TRAITS.get(usize::from(*byte)).copied().unwrap_or_default();
        pairs |= last & (traits >> 4);
        kinds |= traits;
        last = traits;
    }
    if pairs & FIRST > 0 {
        return false;
    }
    let mixed = bytes.len() >= LONG && kinds & MIXED == MIXED;
    if mixed && bytes.split(|byte| !is_word(*byte)).any(|word| word.len() >= LONG) {
        return false;
    }
    let after_label =
        |three: &[u8]| matches!(*three, [first, second, gap] if is_blank(gap) && may_end_label(first, second));
    kinds & BLANK == 0 || !bytes.windows(3).any(after_label) && next_escaped(text, 0).is_none()
}

/// Takes out what is written in escapes though it needs none: who writes `%67%6c%73%61` for `glsa` hides something, or lets a
/// library do so.
fn redact_escaped(text: &str) -> Cow<'_, str> {
    let mut clean: Option<String> = None;
    let mut at = 0;
    while let Some(run) = next_escaped(text, at) {
        let clean = clean.get_or_insert_default();
        clean.push_str(text.get(at..run.start).unwrap_or_default());
        clean.push_str(MARK);
        at = run.end;
    }
    match clean {
        Some(clean) => Cow::Owned(clean + text.get(at..).unwrap_or_default()),
        None => Cow::Borrowed(text),
    }
}

/// The next run of escapes from `at` on that stand for as many characters of words as give something away.
fn next_escaped(text: &str, at: usize) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    let is_escaped_word = |at: usize| {
        let digits = bytes.get(at..at + 3).and_then(|escape| escape.strip_prefix(b"%"));
        let byte = digits.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        byte.is_some_and(|byte| is_word(byte) || matches!(byte, b'.' | b'/'))
    };
    let mut from = at;
    loop {
        let start = from + memchr::memchr(b'%', bytes.get(from..)?)?;
        let mut end = start;
        while is_escaped_word(end) {
            end += 3;
        }
        if end - start >= 3 * LEAST {
            return Some(start..end);
        }
        from = end.max(start + 1);
    }
}

/// Of [`TRAITS`]: of which pairs it may be the first byte; shifted by four, of which the second.
const FIRST: u16 = 0x0f;

/// Of [`TRAITS`]: all that chance mixes.
const MIXED: u16 = 0x700;

/// Of [`TRAITS`]: what may stand between a label and its secret.
const BLANK: u16 = 0x800;

#[allow(clippy::indexing_slicing, reason = "the compiler evaluates it, and would refuse")]
const TRAITS: [u16; 256] = {
    let mut traits = [0; 256];
    let mut at = 0;
    while at < 256 {
        let byte = at as u8;
        let mut pair = 0;
        while pair < PAIRS.len() {
            let ((first, [second, other]), small) = (PAIRS[pair], byte.to_ascii_lowercase());
            traits[at] |= if small == first { 1 << pair } else { 0 };
            traits[at] |= if small == second || small == other { 0x10 << pair } else { 0 };
            pair += 1;
        }
        traits[at] |= match byte {
            b'A'..=b'Z' => 0x100,
            b'a'..=b'z' => 0x200,
            b'0'..=b'9' => 0x400,
            _ if is_blank(byte) => BLANK,
            _ => 0,
        };
        at += 1;
    }
    traits
};

/// The first two bytes of [`BEGINNINGS`] and of `eyJ`, in lower case: each first one with its seconds. Few pairs are, so
/// that the rest is seldom looked at.
const PAIRS: [(u8, [u8; 2]); 4] = [(b'g', *b"ll"), (b'z', *b"2x"), (b'y', *b"wx"), (b'e', *b"yy")];

/// Whether one of [`LABELS`] ends with these two bytes, in any case.
const fn may_end_label(first: u8, second: u8) -> bool {
    matches!((first | 0x20, second | 0x20), (b'e', b'r' | b'n' | b'y') | (b'i', b'c') | (b's', b'a') | (b'l', b'c'))
}

/// What may stand between a label and its secret.
const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b':' | b'"' | b'\'' | b'%')
}

fn redact_words(text: &str) -> Cow<'_, str> {
    // An id of ours, as each line has one: no beginning, no label, and no chance is made of these.
    if text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
        return Cow::Borrowed(text);
    }
    let mut clean: Option<String> = None;
    let mut before = Before::Nothing;
    let mut rest = text;
    while !rest.is_empty() {
        let begin = text.len() - rest.len();
        let (gap, behind) = rest.split_at(gap_length(rest));
        let (word, next) = behind.split_at(word_length(behind));
        rest = next;
        let joined = continues(before, gap, word);
        let secret = if joined { Some(0) } else { secret_in(word, follows_label(before, gap)) };
        let Some(at) = secret else {
            if let Some(clean) = &mut clean {
                clean.push_str(gap);
                clean.push_str(word);
            }
            before = if is_label(word) { Before::Label } else { Before::Nothing };
            continue;
        };
        let clean = clean.get_or_insert_with(|| text.get(..begin).unwrap_or_default().to_owned());
        if !joined {
            clean.push_str(gap);
            clean.push_str(word.get(..at).unwrap_or_default());
            clean.push_str(MARK);
            before = Before::Secret { greedy: word.get(at..).is_some_and(|secret| secret.starts_with("ey")) };
        }
    }
    clean.map_or(Cow::Borrowed(text), Cow::Owned)
}

fn is_word(byte: u8) -> bool {
    WORD.get(usize::from(byte)).copied().unwrap_or_default()
}

/// A look into a table costs a third of the comparisons.
#[allow(clippy::indexing_slicing, reason = "the compiler evaluates it, and would refuse")]
const WORD: [bool; 256] = {
    let mut word = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        word[byte] = (byte as u8).is_ascii_alphanumeric() || matches!(byte as u8, b'_' | b'-' | b'+' | b'=');
        byte += 1;
    }
    word
};

fn word_length(text: &str) -> usize {
    text.bytes().position(|byte| !is_word(byte)).unwrap_or(text.len())
}

/// Up to the next word; `%20` is a gap, though its digits are a word's.
fn gap_length(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        // Half an escape before a JWT reads like a whole one, and would take its first letter for a digit.
        let half = || bytes.get(at + 2..).is_some_and(|rest| rest.starts_with(b"eyJ"));
        if *byte == b'%' && escape_at(bytes, at) && !half() {
            at += 3;
        } else if is_word(*byte) {
            break;
        } else {
            at += 1;
        }
    }
    at
}

fn escape_at(bytes: &[u8], at: usize) -> bool {
    bytes.get(at + 1..at + 3).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
}

fn only_escapes(gap: &str) -> bool {
    gap.len().is_multiple_of(3)
        && gap.as_bytes().chunks(3).all(|piece| piece.first() == Some(&b'%') && escape_at(piece, 0))
}

/// Whether a word is a further part of the secret before it: of a JWT behind a dot, of base64 behind a slash, of
/// anything behind a percent-encoded character.
fn continues(before: Before, gap: &str, word: &str) -> bool {
    let Before::Secret { greedy } = before else { return false };
    let chance = || word.bytes().any(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
    !word.is_empty() && (gap == "." || only_escapes(gap) || (gap == "/" && (greedy || chance())))
}

fn is_label(word: &str) -> bool {
    // By length and first letter most words are none.
    let first = word.as_bytes().first().map_or(0, |byte| byte | 0x20);
    matches!(word.len(), 3..=7)
        && matches!(first, b'a' | b'b' | b'g' | b't')
        && LABELS.iter().any(|label| word.eq_ignore_ascii_case(label))
}

fn follows_label(before: Before, gap: &str) -> bool {
    let blank = |byte: u8| is_blank(byte) && byte != b'%';
    before == Before::Label && !gap.is_empty() && (only_escapes(gap) || gap.bytes().all(blank))
}

/// Where in `word` a secret begins.
fn secret_in(word: &str, labelled: bool) -> Option<usize> {
    if word.len() < LEAST {
        return None;
    }
    if looks_random(word) || (labelled && is_no_plain_word(word)) {
        return Some(0);
    }
    let bytes = word.as_bytes();
    let last = word.len() - LEAST;
    let mut pairs = bytes
        .windows(2)
        .take(last + 1)
        .enumerate()
        .filter(|(_, pair)| matches!(**pair, [first, second] if may_begin(first, second)))
        .map(|(at, _)| at);
    pairs.find(|at| {
        let rest = bytes.get(*at..).unwrap_or_default();
        let known = BEGINNINGS.iter().any(|beginning| {
            rest.get(..beginning.len()).is_some_and(|start| start.eq_ignore_ascii_case(beginning.as_bytes()))
        });
        let before = at.checked_sub(1).and_then(|before| bytes.get(before));
        rest.len() >= LEAST && (known || begins_json(rest, before))
    })
}

/// Whether a secret may begin with these two bytes, in any case.
fn may_begin(first: u8, second: u8) -> bool {
    let traits = |byte: u8| TRAITS.get(usize::from(byte)).copied().unwrap_or_default();
    traits(first) & (traits(second) >> 4) & FIRST > 0
}

/// `eyJ` is `{"` in base64: a JWT or a legacy key. `keyJson` is neither.
fn begins_json(rest: &[u8], before: Option<&u8>) -> bool {
    let alone = before.is_none_or(|byte| !byte.is_ascii_alphanumeric());
    let random = rest.len() >= LEAST_INSIDE && rest.iter().any(u8::is_ascii_digit);
    rest.starts_with(b"eyJ") && (alone || random)
}

fn looks_random(word: &str) -> bool {
    word.len() >= LONG
        && word.bytes().any(|byte| byte.is_ascii_digit())
        && word.bytes().any(|byte| byte.is_ascii_uppercase())
        && word.bytes().any(|byte| byte.is_ascii_lowercase())
        && word.split(['-', '_']).any(|stretch| stretch.len() >= UNBROKEN)
}

/// `Basic authentication` is a phrase; `Basic dXNlcjpwYXNz` is a secret.
fn is_no_plain_word(word: &str) -> bool {
    word.bytes().skip(1).any(|byte| !byte.is_ascii_lowercase() && byte != b'-')
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
    use proptest::prelude::*;

    use super::*;

    const TOKEN: &str = "glsa_yscW25imSKJIuav8zF37RZmnbiDvB05G_fcaaf58a";
    const LEGACY: &str = "eyJrIjoiT0tTcG1pUlY2RnVKZTFVaDFsNFZXdE9ZWmNrMkZYbmsiLCJuIjoidGVzdCIsImlkIjoxfQ==";
    const JWT: &str = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U";
    const BASIC: &str = "YWRtaW46Y29ycmVjdC1ob3JzZS1iYXR0ZXJ5LXN0YXBsZQ==";

    /// Whether eight bytes in a row of `secret` are in `text`.
    fn leaks(text: &str, secret: &str) -> bool {
        secret.as_bytes().windows(8).any(|piece| memchr::memmem::find(text.as_bytes(), piece).is_some())
    }

    #[test]
    fn half_an_escape_before_a_token_hides_none_of_it() {
        for text in [
            format!("%2{JWT}"),
            format!("a%2{JWT}"),
            format!("%{LEGACY}"),
            format!("%2{}", JWT.chars().take(20).collect::<String>()),
        ] {
            let secret = text.trim_start_matches(['a', '%', '2']);
            assert!(!leaks(&redact(&text), secret), "{}", redact(&text));
        }
    }

    #[test]
    fn a_token_in_escapes_alone_is_hidden_and_words_of_other_alphabets_are_not() {
        let escaped: String = TOKEN.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let part = |from: usize, to: usize| escaped.get(3 * from..3 * to).unwrap().to_owned();
        for text in [escaped.clone(), format!("/a/{escaped}/b"), format!("glsa_{}", part(5, 46)), part(7, 15)] {
            let seen = redact(&text);
            assert!(!(0..=46 - 8).any(|at| seen.contains(&part(at, at + 8))), "{text} became {seen}");
        }
        for text in [part(7, 14), "/d/%E6%97%A5%E6%9C%AC%E8%AA%9E%E3%81%AE%E5%90%8D%E5%89%8D/x".into()] {
            assert_eq!(redact(&text), text);
        }
    }

    #[test]
    fn what_is_no_secret_stays_as_it_is() {
        for text in [
            "/api/dashboards/uid/ddk2m8xk4c2yo8a/prod-overview-of-all-clusters-in-europe",
            "/api/datasources/proxy/uid/4f3c2b1a-0d9e-8f7c-6b5a-493827160514/api/v1/query_range",
            "/d/Prod-Overview-2024-Main-Cluster/x",
            "/api/datasources/name/My%20Long%20Datasource%20Name%202",
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/119.0.6045.105",
            "grafana-plugin-sdk-go/v0.250.0-20240101-SNAPSHOT",
            "/api/keyJson/settings",
            "Send the token as `Authorization: Bearer <token>`; Basic authentication is off. It begins with `glsa_`.",
            "2001:db8::1, 10.0.0.1",
            "PROPFIND",
            // The dashboards of the Kubernetes mixin are called like this: hex digits alone are no secret.
            "/d/efa86fd1d0c121a26444b636a3f509a8/kubernetes-compute-resources-cluster",
            "/d/monkeyJungle/automation-assets",
            "/api/plugins/grafana-app/resources/listAutomationAssetsServiceGroups",
            "",
            "%",
            "100%25",
        ] {
            assert!(matches!(redact(text), Cow::Borrowed(same) if same == text), "{text} became {}", redact(text));
        }
    }

    #[test]
    fn every_label_is_one_in_any_case() {
        for label in LABELS {
            assert!(is_label(label) && is_label(&label.to_ascii_uppercase()), "{label}");
        }
    }

    #[test]
    fn every_beginning_is_one_by_its_first_two_bytes() {
        for beginning in BEGINNINGS.iter().chain(&["eyJ"]) {
            for spelling in [beginning.to_string(), beginning.to_ascii_lowercase(), beginning.to_ascii_uppercase()] {
                assert!(may_begin(spelling.as_bytes()[0], spelling.as_bytes()[1]), "{spelling}");
            }
        }
    }

    #[test]
    fn tokens_are_taken_out_wherever_they_stand() {
        assert_eq!(redact(&format!("/api/x/{TOKEN}/y")), "/api/x/[redacted]/y");
        assert_eq!(redact(&format!("curl {JWT} z")), "curl [redacted] z");
        assert_eq!(redact("/x/Bearer%20abcdefgh1"), "/x/Bearer%20[redacted]");
        assert_eq!(redact("a basic dXNlcjpwYXNz"), "a basic [redacted]");
        for secret in
            [TOKEN, LEGACY, JWT, BASIC, "glc_eyJvIjoiMTIzNDU2Iiwibi", "glsa_yscW25im", &STANDARD.encode(TOKEN)]
        {
            for text in [
                secret.to_owned(),
                format!("/api/x/{secret}"),
                format!("/a/{secret}%0A/b"),
                format!("agent {secret}, x"),
                format!("\"{secret}\\n"),
                format!("x{secret}"),
                secret.replace('_', "%5F"),
                secret.replace('=', "%3D").replace('.', "%2E"),
            ] {
                assert!(!leaks(&redact(&text), secret), "{text} became {}", redact(&text));
            }
        }
    }

    #[test]
    fn a_token_that_was_cut_off_is_still_one() {
        for secret in [TOKEN, LEGACY, JWT, BASIC] {
            for length in 0..secret.len() {
                let cut = secret.get(..length).unwrap();
                assert!(!leaks(&redact(cut), secret), "{cut}");
            }
        }
    }

    fn around() -> impl Strategy<Value = String> {
        prop::sample::select(vec!["", "/", " ", "\"", "/api/x/", "; ", "%0A", "\u{e9}", "\u{7f}", "'", "Bearer ", "…"])
            .prop_map(str::to_owned)
    }

    proptest! {
        /// The quick look never misses what the thorough one finds.
        #[test]
        fn what_looks_clean_is_clean(
            pieces in prop::collection::vec(
                prop_oneof![
                    Just("glsa_"), Just("Bearer"), Just("BASIC"), Just("token"), Just("api-key"), Just("glc"), Just("eyJ"),
                    Just("Z2xzYV"), Just("YWRtaW46"), Just(" "), Just(":"), Just("%20"), Just("%"), Just("/"), Just("."),
                    Just("Xq7"), Just("aB3dEf9hIjKlMn0p"), Just("yscW25imSKJIuav8"), Just("-"), Just("word"),
                ],
                0..8,
            )
        ) {
            let text = pieces.concat();
            prop_assert!(!is_clean(&text) || redact_words(&text) == text, "{}", text);
        }

        #[test]
        fn no_eight_bytes_of_a_service_account_token_survive(
            secret in "glsa_[A-Za-z0-9]{32}_[0-9a-f]{8}", left in around(), right in around(),
        ) {
            let shown = redact(&format!("{left}{secret}{right}")).into_owned();
            prop_assert!(!leaks(&shown, &secret), "{}", shown);
        }

        #[test]
        fn no_eight_bytes_of_a_legacy_key_survive(
            key in "[A-Za-z0-9]{32}", name in "[ -~]{1,30}", id in 1u32..1000, left in around(), right in around(),
        ) {
            let secret = STANDARD.encode(serde_json::json!({"k": key, "n": name, "id": id}).to_string());
            let shown = redact(&format!("{left}{secret}{right}")).into_owned();
            prop_assert!(!leaks(&shown, &secret), "{}", shown);
        }

        #[test]
        fn no_eight_bytes_of_a_jwt_survive(
            claims in "[a-z0-9]{1,60}", signature in prop::collection::vec(any::<u8>(), 32..64), left in around(), right in around(),
        ) {
            let header = URL_SAFE_NO_PAD.encode("{\"alg\":\"HS256\"}");
            let claims = URL_SAFE_NO_PAD.encode(format!("{{\"sub\":\"{claims}\"}}"));
            let secret = format!("{header}.{claims}.{}", URL_SAFE_NO_PAD.encode(signature));
            let shown = redact(&format!("{left}{secret}{right}")).into_owned();
            prop_assert!(!leaks(&shown, &secret), "{}", shown);
        }

        #[test]
        fn redacting_twice_changes_nothing_more(text in "([ -~]|glsa_|eyJ|[A-Za-z0-9]{20,40}|Bearer |%20|\u{e9}){0,20}") {
            let once = redact(&text).into_owned();
            prop_assert_eq!(redact(&once), once.as_str());
        }

        #[test]
        fn no_text_panics(text in any::<String>()) {
            redact(&text);
        }
    }
}
