//! What a credential is filed under: what Grafana compares of it, not how the client spelt it.

use std::borrow::Cow;

use super::basic::Pair;
use super::peel::trim_as_go;
use super::{CANONICAL, Judgement, Outward};
use crate::domain::identity::{Canonical, canonical};
use crate::domain::token::{BASIC, BucketKey, HashKey, TokenFacts, TokenKind};

/// What Grafana compares of a credential in `Authorization`.
pub enum Compared<'c> {
    /// A token, or what Grafana knows nothing of.
    Token(Canonical<'c>),
    /// A user and a password: Grafana tells users apart neither by case nor, on MySQL, by blanks at the end.
    Pair(Vec<u8>),
}

impl Compared<'_> {
    /// The key of buckets and records.
    pub fn key(&self, hash_key: &HashKey) -> BucketKey {
        match self {
            Self::Token(token) => hash_key.hash(token.domain(), token.bytes()),
            Self::Pair(pair) => hash_key.hash(BASIC, pair),
        }
    }

    /// The one spelling in which a token was issued.
    pub fn issued(&self) -> Option<Vec<u8>> {
        match self {
            Self::Token(token) => token.issued(),
            Self::Pair(_) => None,
        }
    }
}

/// What a token, or the text of a token file, is compared by.
pub fn compared_of_identity(identity: &[u8]) -> Compared<'_> {
    match identity.strip_prefix(b"Basic ") {
        Some(pair) => Compared::Pair(folded(pair)),
        None => Compared::Token(canonical(identity)),
    }
}

impl Judgement<'_> {
    /// Lends what Grafana compares; nothing where nothing is sent. `lines` are the `Authorization` lines that were judged.
    pub fn with_compared<R>(&self, lines: &[&[u8]], look: impl FnOnce(&Compared<'_>) -> R) -> Option<R> {
        let identity = self.identity.as_deref()?;
        let is_usual = |token: &TokenFacts| token.kind == TokenKind::ServiceAccount && token.is_sound();
        let is_what_was_meant = match &self.outward {
            Outward::AsReceived => self.changes.is_empty() && lines.len() == 1,
            Outward::Replace(value) => value.strip_prefix(CANONICAL) == Some(identity),
            Outward::Absent | Outward::Conflict => false,
        };
        if is_what_was_meant && self.token.as_ref().is_some_and(is_usual) {
            return Some(look(&Compared::Token(Canonical::of_sound_prefixed(identity))));
        }
        // Where Grafana reads another token than the one that was meant, the one that it reads counts.
        let sent = match &self.outward {
            Outward::Replace(value) => Some(&**value),
            Outward::AsReceived => lines.first().copied(),
            Outward::Absent | Outward::Conflict => None,
        };
        if let Some(token) = sent.and_then(token_in) {
            let read = canonical(&token);
            if !matches!(read, Canonical::Verbatim(_)) {
                return Some(look(&Compared::Token(read)));
            }
        }
        Some(look(&match self.token {
            None => compared_of_identity(identity),
            Some(_) => Compared::Token(canonical(identity)),
        }))
    }
}

/// The token that Grafana reads in a value, byte for byte.
fn token_in(value: &[u8]) -> Option<Cow<'_, [u8]>> {
    let value = trim_as_go(value);
    if let Some(token) = value.strip_prefix(CANONICAL) {
        return Some(Cow::Borrowed(token));
    }
    let pair = Pair::decode(value.strip_prefix(b"Basic ")?)?;
    pair.api_key().map(|token| Cow::Owned(token.to_vec()))
}

/// A pair with the name in lower case and without blanks at its end.
fn folded(pair: &[u8]) -> Vec<u8> {
    let end = pair.iter().position(|byte| *byte == b':').unwrap_or(pair.len());
    let (name, password) = pair.split_at(end);
    if name.is_ascii() && !name.ends_with(b" ") {
        let mut folded = pair.to_vec();
        folded.iter_mut().take(end).for_each(|byte| byte.make_ascii_lowercase());
        return folded;
    }
    let name = String::from_utf8_lossy(name).trim_end().to_lowercase();
    [name.as_bytes(), password].concat()
}
