//! What is visibly wrong with a token.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::{SERVICE_ACCOUNT, TokenFacts, TokenKind};
use crate::domain::identity::{LegacyKey, checksum_holds};

/// What is visibly wrong with a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Damage {
    /// The last eight digits are not the checksum of the rest: a character was changed, or the token was invented.
    Checksum,
    /// It begins like a token and ends too early.
    Truncated,
    /// It is a whole token with something before or behind it (quotes, `\n`, `%0A`, a comma …).
    Surrounded,
    /// A placeholder that nobody filled in: `undefined`, `null`, `<token>`, `${GRAFANA_TOKEN}` …
    Placeholder,
    /// A token that was base64-encoded once more.
    Encoded,
    /// No spelling of a token at all.
    NotAToken,
}

/// `glsa_`, 32 letters and digits, `_`, 8 lower-case hex digits.
const LENGTH: usize = 46;

/// Judges a token that begins with `glsa_`; `rest` is what follows that.
pub(super) fn service_account_damage(token: &[u8], rest: &[u8]) -> Option<Damage> {
    if let Some((whole, [])) = token.split_at_checked(LENGTH)
        && checksum_holds(whole)
        && has_shape(rest)
    {
        return None;
    }
    if is_filler(rest) {
        return Some(Damage::Placeholder);
    }
    if !rest.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_') {
        return Some(Damage::Surrounded);
    }
    Some(match token.split_at_checked(LENGTH) {
        None => Damage::Truncated,
        Some((whole, [_, ..])) if checksum_holds(whole) => Damage::Surrounded,
        Some(_) => Damage::Checksum,
    })
}

/// Whether the secret is letters and digits: a checksum can be computed over anything. Without a branch, so that the
/// compiler takes many bytes at once: this runs for every request.
fn has_shape(rest: &[u8]) -> bool {
    let is_alphanumeric = |byte: u8| ((byte | 0x20).wrapping_sub(b'a') < 26) | (byte.wrapping_sub(b'0') < 10);
    rest.first_chunk::<32>().is_some_and(|secret| secret.iter().fold(true, |all, byte| all & is_alphanumeric(*byte)))
}

/// `glsa_...`, `glsa_xxxxxxxx`, `glsa_<your token>`, `glsa_$TOKEN`.
fn is_filler(rest: &[u8]) -> bool {
    match rest {
        [b'<' | b'$' | b'{' | b'.' | b'*' | 0xE2, ..] => true,
        [first, others @ ..] => others.len() > 2 && others.iter().all(|byte| byte == first),
        [] => false,
    }
}

/// Judges an API key, whose text names its organisation.
pub(super) fn legacy_key(token: &[u8]) -> TokenFacts {
    if let Some(key) = LegacyKey::decode(token) {
        return TokenFacts { kind: TokenKind::LegacyKey, damage: None, org: key.organisation().try_into().ok() };
    }
    let alphabet = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
    let damage = if token.iter().all(alphabet) { Damage::Truncated } else { Damage::Surrounded };
    TokenFacts::new(TokenKind::LegacyKey, Some(damage))
}

/// Judges what begins like no token.
pub(super) fn unknown_damage(token: &[u8]) -> Damage {
    if is_placeholder(token) {
        Damage::Placeholder
    } else if holds_token(token) {
        Damage::Surrounded
    } else if STANDARD.decode(token).map(Zeroizing::new).is_ok_and(|inner| holds_token(&inner)) {
        Damage::Encoded
    } else {
        Damage::NotAToken
    }
}

fn holds_token(text: &[u8]) -> bool {
    [SERVICE_ACCOUNT, b"eyJrIjoi"].iter().any(|start| memchr::memmem::find(text, start).is_some())
}

/// What languages print for nothing, and what manuals write for something.
fn is_placeholder(token: &[u8]) -> bool {
    const WORDS: [&[u8]; 14] = [
        b"undefined",
        b"null",
        b"none",
        b"nil",
        b"nan",
        b"false",
        b"[object object]",
        b"[object promise]",
        b"token",
        b"api_key",
        b"apikey",
        b"changeme",
        b"redacted",
        b"xxx",
    ];
    let begins = |start: &[u8]| token.get(..start.len()).is_some_and(|head| head.eq_ignore_ascii_case(start));
    WORDS.iter().any(|word| token.eq_ignore_ascii_case(word))
        || matches!(token, [b'<', .., b'>'] | [b'%', .., b'%'] | [b'*', .., b'*'])
        || matches!(token, [b'$', ..] | [b'{', b'{', ..])
        || begins(b"your_")
        || begins(b"your-")
}
