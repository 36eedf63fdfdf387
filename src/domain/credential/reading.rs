//! What the value of one `Authorization` line was meant to be, and its canonical spelling where that is ours to choose.

use std::borrow::Cow;

use smallvec::SmallVec;

use super::basic::Pair;
use super::change::{Change, Changes};
use super::peel::{peel, peel_start, trim_as_go};
use super::scheme::{Scheme, leading_scheme};
use super::{AuthForm, CANONICAL};
use crate::domain::token::{TokenKind, kind_of};

/// The credential that a value was meant to be.
pub(super) struct Reading<'h> {
    /// The form, judged after outer blanks and quotes.
    pub(super) form: AuthForm,
    /// What must be repaired; empty where the value passes as it came.
    pub(super) changes: Changes,
    /// The value as it came.
    pub(super) value: &'h [u8],
    /// The token, or the whole value where there is none.
    pub(super) identity: Cow<'h, [u8]>,
    /// Whether `identity` is a token.
    pub(super) is_token: bool,
}

impl<'h> Reading<'h> {
    /// Reads one value. `None`: it holds nothing, or a `Bearer` with nothing behind it.
    pub(super) fn of(value: &'h [u8]) -> Option<Self> {
        let mut changes = Changes::default();
        let peeled = peel(value, &mut changes);
        if peeled.is_empty() {
            return None;
        }
        match leading_scheme(peeled) {
            None => Some(Self::without_scheme(value, peeled, changes)),
            Some((Scheme::Basic { exact }, rest)) => Some(Self::basic(value, rest, exact, changes)),
            Some((scheme, rest)) => Self::behind(value, scheme, rest, changes),
        }
    }

    fn new(form: AuthForm, value: &'h [u8]) -> Self {
        Self { form, changes: Changes::default(), value, identity: Cow::Borrowed(trim_as_go(value)), is_token: false }
    }

    /// A token that is filed under itself.
    fn token(form: AuthForm, value: &'h [u8], token: &'h [u8], changes: Changes) -> Self {
        Self { form, changes, value, identity: Cow::Borrowed(token), is_token: true }
    }

    fn without_scheme(value: &'h [u8], token: &'h [u8], mut changes: Changes) -> Self {
        if is_ours(token) && is_word(token) {
            changes.insert(Change::BearerAdded);
            return Self::token(AuthForm::BareToken, value, token, changes);
        }
        match foreign_form(token) {
            Some(AuthForm::Bearer) => Self::token(AuthForm::BareToken, value, token, Changes::default()),
            Some(form) => Self::token(form, value, token, Changes::default()),
            None => Self::new(AuthForm::Other, value),
        }
    }

    fn behind(value: &'h [u8], scheme: Scheme, rest: &'h [u8], mut changes: Changes) -> Option<Self> {
        let bearer = match scheme {
            Scheme::Bearer { exact: true } => true,
            Scheme::Bearer { exact: false } => {
                changes.insert(Change::SchemeCase);
                true
            }
            _ => {
                changes.insert(Change::SchemeReplaced);
                false
            }
        };
        let mut token = behind_separator(rest, &mut changes);
        while let Some((Scheme::Bearer { .. } | Scheme::Token, rest)) = leading_scheme(token) {
            changes.insert(Change::SchemeDeduplicated);
            token = behind_separator(rest, &mut changes);
        }
        if token.is_empty() {
            // A lone `Token` may be what a placeholder left; a lone `Bearer` is what an unset variable left.
            return (!bearer).then(|| Self::new(AuthForm::Other, value));
        }
        let form = if bearer { AuthForm::Bearer } else { AuthForm::Other };
        if is_ours(token) && is_word(token) {
            return Some(Self::token(form, value, token, changes));
        }
        if !bearer {
            return Some(Self::new(form, value));
        }
        if let Some(form) = foreign_form(token) {
            return Some(Self::token(form, value, token, Changes::default()));
        }
        // What we do not know keeps every byte. Only what RFC 9110 §11.1 lets anybody respell is respelt: the case of
        // the scheme, and the blanks around it.
        let respelling: Changes = [Change::SchemeCase, Change::WhitespaceTrimmed].into_iter().collect();
        let may = changes.is_within(respelling) && is_word(token);
        Some(Self::token(form, value, token, if may { changes } else { Changes::default() }))
    }

    fn basic(value: &'h [u8], rest: &'h [u8], exact: bool, mut changes: Changes) -> Self {
        let encoded = peel_start(rest, &mut Changes::default());
        if let Some(pair) = Pair::guess(encoded)
            && let Some(inner) = pair.api_key()
        {
            let mut inner_changes = Changes::default();
            let token = peel(inner, &mut inner_changes);
            if is_ours(token) && is_word(token) {
                let one_blank = matches!(rest, [b' ', first, ..] if encoded.first() == Some(first));
                if !one_blank {
                    changes.insert(Change::WhitespaceTrimmed);
                }
                if !exact {
                    changes.insert(Change::SchemeCase);
                }
                changes.extend(inner_changes);
                changes.insert(Change::BasicApiKeyToBearer);
                let identity = Cow::Owned(token.to_vec());
                return Self { form: AuthForm::BasicApiKey, changes, value, identity, is_token: true };
            }
        }
        let Some(pair) = rest.strip_prefix(b" ").and_then(Pair::decode) else {
            return Self::new(AuthForm::Other, value);
        };
        match pair.api_key() {
            Some(token) if !token.is_empty() => {
                let identity = Cow::Owned(token.to_vec());
                Self { identity, is_token: true, ..Self::new(AuthForm::BasicApiKey, value) }
            }
            // Grafana takes `Basic` in any case, and base64 has several spellings of one text: the pair itself is what
            // they share.
            _ => {
                let identity = Cow::Owned([b"Basic ", pair.as_bytes()].concat());
                Self { identity, ..Self::new(AuthForm::Basic, value) }
            }
        }
    }

    /// Whether both are the same credential, however they are spelt.
    pub(super) fn is_same_as(&self, other: &Self) -> bool {
        self.is_token == other.is_token && self.identity == other.identity
    }

    /// Whether it needs no repair and stands behind exactly `Bearer `.
    pub(super) fn is_canonical(&self) -> bool {
        self.changes.is_empty() && self.value.starts_with(CANONICAL)
    }

    /// The value to send: repaired, or as it came.
    pub(super) fn spelt(&self) -> Cow<'h, [u8]> {
        if self.changes.is_empty() {
            return Cow::Borrowed(self.value);
        }
        Cow::Owned([CANONICAL, &*self.identity].concat())
    }
}

/// The credentials in one value: several where a hop joined lines with a comma (RFC 9110 §5.3), else one or none.
pub(super) fn read(value: &[u8]) -> SmallVec<[Reading<'_>; 2]> {
    if memchr::memchr(b',', value).is_some()
        && let Some(readings) = read_list(value)
    {
        return readings;
    }
    Reading::of(value).into_iter().collect()
}

/// Every part must be a credential by itself: Digest and AWS signatures hold commas, too.
fn read_list(value: &[u8]) -> Option<SmallVec<[Reading<'_>; 2]>> {
    let outer = peel(value, &mut Changes::default());
    let mut readings: SmallVec<[Reading<'_>; 2]> = SmallVec::new();
    for part in outer.split(|byte| *byte == b',') {
        let part = trim_as_go(part);
        if part.is_empty() {
            continue;
        }
        let reading = Reading::of(part)?;
        let core = peel_start(part, &mut Changes::default());
        if !reading.is_token && leading_scheme(core).is_none() {
            return None;
        }
        readings.push(reading);
    }
    (readings.len() > 1).then_some(readings)
}

/// Takes one blank, a colon, and whatever else stands between a scheme and a token.
fn behind_separator<'v>(rest: &'v [u8], changes: &mut Changes) -> &'v [u8] {
    let mut rest = peel_start(rest.strip_prefix(b" ").unwrap_or(rest), changes);
    while let Some(behind) = rest.strip_prefix(b":") {
        changes.insert(Change::ColonRemoved);
        rest = peel_start(behind.strip_prefix(b" ").unwrap_or(behind), changes);
    }
    rest
}

/// Whether this can be nothing but a token of Grafana's own: a service account's, or a key of old.
pub(super) fn is_ours(token: &[u8]) -> bool {
    match kind_of(token) {
        TokenKind::ServiceAccount | TokenKind::LegacyKey => true,
        TokenKind::CloudAccessPolicy | TokenKind::OtherService | TokenKind::Jwt | TokenKind::Unknown => false,
    }
}

/// The form of a token that is known and not ours to repair. `Bearer` stands for Grafana's other tokens.
fn foreign_form(token: &[u8]) -> Option<AuthForm> {
    match kind_of(token) {
        TokenKind::Jwt => Some(AuthForm::Jwt),
        TokenKind::CloudAccessPolicy | TokenKind::OtherService => Some(AuthForm::Bearer),
        TokenKind::ServiceAccount | TokenKind::LegacyKey | TokenKind::Unknown => None,
    }
}

/// One word of visible ASCII without a comma: what may go behind `Bearer ` without becoming two credentials or none.
fn is_word(token: &[u8]) -> bool {
    token.iter().all(|byte| matches!(byte, 0x21..=0x7E) && *byte != b',')
}
