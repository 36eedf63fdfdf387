//! One credential as somebody wrote it, read generously: which token is meant, and what it takes to say so properly.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::trim::trim;
use super::{Change, Changes};
use crate::domain::token::{TokenFacts, TokenKind};

/// A credential, with what its canonical spelling would change.
#[derive(Clone, Debug)]
pub(super) struct Candidate<'v> {
    /// The value as it came.
    value: &'v [u8],
    /// A token's own bytes, or the whole value of anything else.
    pub(super) identity: Cow<'v, [u8]>,
    /// A token of Grafana that is ours to spell.
    is_token: bool,
    pub(super) changes: Changes,
}

/// What introduces a token.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Scheme {
    Bearer,
    Other,
}

impl<'v> Candidate<'v> {
    /// Reads one credential.
    pub(super) fn read(value: &'v [u8]) -> Self {
        Self::read_token(value).or_else(|| Self::read_api_key(value)).unwrap_or(Self {
            value,
            identity: Cow::Borrowed(value.trim_ascii()),
            is_token: false,
            changes: Changes::default(),
        })
    }

    /// Whether there is nothing behind the scheme, or nothing at all.
    pub(super) fn is_empty(&self) -> bool {
        let mut unused = Changes::default();
        let rest = trim(self.value, &mut unused);
        rest.is_empty()
            || [b"bearer".as_slice(), b"basic", b"bearer:"].iter().any(|word| rest.eq_ignore_ascii_case(word))
    }

    /// The one spelling that Grafana accepts; what is not ours stays as it came.
    pub(super) fn canonical(&self) -> Cow<'v, [u8]> {
        if self.is_token {
            Cow::Owned([b"Bearer ", self.identity.as_ref()].concat())
        } else {
            Cow::Borrowed(self.value)
        }
    }

    /// A token of Grafana behind any scheme for tokens, or behind none.
    fn read_token(value: &'v [u8]) -> Option<Self> {
        let mut changes = Changes::default();
        let mut rest = trim(value, &mut changes);
        let mut schemes = 0;
        while let Some((scheme, behind)) = take_scheme(rest, &mut changes) {
            rest = trim(behind, &mut changes);
            schemes += 1;
            if scheme == Scheme::Other {
                changes.insert(Change::SchemeReplaced);
            }
            if schemes > 1 {
                changes.insert(Change::SchemeDeduplicated);
            }
        }
        if schemes == 0 {
            changes.insert(Change::BearerAdded);
        }
        is_ours(rest).then_some(Self { value, identity: Cow::Borrowed(rest), is_token: true, changes })
    }

    /// `Basic api_key:<token>`, which Grafana takes for a token as well.
    fn read_api_key(value: &'v [u8]) -> Option<Self> {
        let mut changes = Changes::default();
        let rest = trim(value, &mut changes);
        let (scheme, encoded) = rest.split_at_checked(6)?;
        if !scheme.eq_ignore_ascii_case(b"basic ") {
            return None;
        }
        let pair = STANDARD.decode(encoded.trim_ascii()).ok()?;
        let token = trim(pair.strip_prefix(b"api_key:")?, &mut changes);
        changes.insert(Change::BasicApiKeyToBearer);
        is_ours(token).then(|| Self { value, identity: Cow::Owned(token.to_vec()), is_token: true, changes })
    }
}

/// A token that is Grafana's own by its first letters, in one piece. Of damaged ones only what shows no other meaning.
fn is_ours(token: &[u8]) -> bool {
    let kind = TokenFacts::of(token).kind;
    matches!(kind, TokenKind::ServiceAccount | TokenKind::LegacyKey)
        && token.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'+' | b'/' | b'=' | b'-'))
}

/// Takes a scheme off the front, with the one blank that belongs behind it.
fn take_scheme<'v>(value: &'v [u8], changes: &mut Changes) -> Option<(Scheme, &'v [u8])> {
    const WORDS: [(&[u8], Scheme); 5] = [
        (b"Bearer", Scheme::Bearer),
        (b"Token", Scheme::Other),
        (b"ApiKey", Scheme::Other),
        (b"Api-Key", Scheme::Other),
        (b"Api_Key", Scheme::Other),
    ];
    let (written, word, scheme, rest) = WORDS.iter().find_map(|(word, scheme)| {
        let (written, rest) = value.split_at_checked(word.len())?;
        written.eq_ignore_ascii_case(word).then_some((written, *word, *scheme, rest))
    })?;
    let mut blanks = Changes::default();
    let mut behind = trim(rest, &mut blanks);
    let colon = behind.strip_prefix(b":");
    behind = colon.unwrap_or(behind);
    // `Bearerglsa_…` and `tokenizer` are no schemes.
    if behind.len() == rest.len() {
        return None;
    }
    if colon.is_some() {
        changes.insert(Change::ColonRemoved);
    } else if !(rest.first() == Some(&b' ') && rest.len() == behind.len() + 1)
        && blanks.contains(Change::WhitespaceTrimmed)
    {
        // More than the one blank, or another kind of it, on either side.
        note_blanks(rest, changes);
    }
    if scheme == Scheme::Bearer && written != word {
        changes.insert(Change::SchemeCase);
    }
    Some((scheme, behind_scheme(rest, colon)))
}

/// What follows the separator, with its own damage still on it.
fn behind_scheme<'v>(rest: &'v [u8], colon: Option<&'v [u8]>) -> &'v [u8] {
    match colon {
        Some(behind) => behind.strip_prefix(b" ").unwrap_or(behind),
        None => rest.strip_prefix(b" ").unwrap_or(rest),
    }
}

fn note_blanks(rest: &[u8], changes: &mut Changes) {
    let behind = rest.strip_prefix(b" ").unwrap_or(rest);
    let mut found = Changes::default();
    if trim(behind, &mut found).len() < behind.len() && found.contains(Change::WhitespaceTrimmed) {
        changes.insert(Change::WhitespaceTrimmed);
    }
}

/// The credentials in one line: hops that see two lines join them with a comma. A comma inside one (Digest, AWS) is
/// followed by no scheme, and joins nothing.
pub(super) fn split(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(line);
    std::iter::from_fn(move || {
        let current = rest?;
        let mut from = 0;
        while let Some(cut) = current.get(from..).and_then(|tail| memchr::memchr(b',', tail)).map(|at| at + from) {
            let behind = current.get(cut + 1..).unwrap_or_default();
            if begins_credential(behind) {
                rest = Some(behind);
                return current.get(..cut);
            }
            from = cut + 1;
        }
        rest = None;
        Some(current)
    })
}

fn begins_credential(value: &[u8]) -> bool {
    let mut unused = Changes::default();
    let value = trim(value, &mut unused);
    let lower = value.get(..8).unwrap_or(value).to_ascii_lowercase();
    [b"bearer".as_slice(), b"basic ", b"token ", b"apikey ", b"api-key", b"glsa_", b"glc_", b"eyjrijoi"]
        .iter()
        .any(|start| lower.starts_with(start))
}
