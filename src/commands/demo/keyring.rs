//! The tokens that the stand-in for Grafana knows: made when the demo starts, gone when it ends.

use std::collections::HashMap;
use std::fmt;
use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// What a service account or key may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Viewer,
    Admin,
}

/// What has become of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    Valid,
    Expired,
    Revoked,
    /// Its service account was disabled.
    Disabled,
}

/// Whom a token stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Account {
    /// The organisation.
    pub org: u64,
    /// What it may do there.
    pub role: Role,
    /// What has become of the token.
    pub standing: Standing,
    /// An API key of old rather than a service account's token.
    pub is_legacy: bool,
}

impl Account {
    /// A Viewer of organisation 1 whose token is valid.
    pub(super) const VIEWER: Self = Self { org: 1, role: Role::Viewer, standing: Standing::Valid, is_legacy: false };

    /// The same with another standing.
    pub(super) const fn with(self, standing: Standing) -> Self {
        Self { standing, ..self }
    }
}

/// A token. It opens nothing but the demo, and still never prints itself: what the demo prints is what people paste.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Token(String);

impl Token {
    /// A service account's token as Grafana makes them: `glsa_`, 32 random characters, a checksum.
    pub(super) fn mint() -> io::Result<Self> {
        let body = format!("glsa_{}", random_characters(32)?);
        Ok(Self(format!("{body}_{}", checksum(&body))))
    }

    /// An API key of old: base64 of its secret, its name and its organisation.
    pub(super) fn mint_legacy() -> io::Result<Self> {
        let key = format!(r#"{{"k":"{}","n":"demo","id":1}}"#, random_characters(32)?);
        Ok(Self(STANDARD.encode(key)))
    }

    /// The same with one character of its secret changed, as by a slip of the hand: the checksum no longer fits.
    pub(super) fn damaged(&self) -> Self {
        let change = |(place, character)| match (place, character) {
            (12, 'a') => 'b',
            (12, _) => 'a',
            (_, character) => character,
        };
        Self(self.0.chars().enumerate().map(change).collect())
    }

    /// The token itself.
    pub(super) fn expose(&self) -> &str {
        &self.0
    }

    /// What may be shown of it: that it is one.
    pub(super) fn masked(&self) -> &'static str {
        if self.0.starts_with("glsa_") { "glsa_…" } else { "eyJrIjoi…" }
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.masked())
    }
}

/// Grafana's checksum (`pkg/components/satokengen`): CRC-32, little-endian, in hex.
pub(super) fn checksum(body: &str) -> String {
    crc32fast::hash(body.as_bytes()).to_le_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Random letters and digits.
pub(super) fn random_characters(count: usize) -> io::Result<String> {
    let mut text = String::with_capacity(count);
    while text.len() < count {
        let mut bytes = [0; 64];
        getrandom::fill(&mut bytes).map_err(|error| io::Error::other(error.to_string()))?;
        text.extend(bytes.iter().map(|byte| char::from(*byte)).filter(char::is_ascii_alphanumeric));
    }
    text.truncate(count);
    Ok(text)
}

/// The tokens that were issued, and to whom.
#[derive(Debug, Default)]
pub(super) struct Keyring(HashMap<String, Account>);

impl Keyring {
    /// Makes a token for an account.
    pub(super) fn issue(&mut self, account: Account) -> io::Result<Token> {
        let token = if account.is_legacy { Token::mint_legacy()? } else { Token::mint()? };
        self.0.insert(token.0.clone(), account);
        Ok(token)
    }

    /// Whose token this is.
    pub(super) fn find(&self, token: &str) -> Option<Account> {
        self.0.get(token).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::token::{Damage, TokenFacts, TokenKind};

    #[test]
    fn tokens_look_like_grafana_s() {
        // From a recording of Grafana 11.0.0; the server was thrown away.
        assert_eq!(checksum("glsa_TbkhRIBpXYmVTxwZbftqK5t65JlkGHB9"), "062114c7");
        let token = Token::mint().unwrap();
        assert_eq!(TokenFacts::of(token.expose().as_bytes()).damage, None);
        assert_eq!(TokenFacts::of(token.damaged().expose().as_bytes()).damage, Some(Damage::Checksum));
        let key = Token::mint_legacy().unwrap();
        let facts = TokenFacts::of(key.expose().as_bytes());
        assert_eq!((facts.kind, facts.damage, facts.org), (TokenKind::LegacyKey, None, Some(1)));
    }

    #[test]
    fn no_two_tokens_are_alike_and_none_prints_itself() {
        let mut keyring = Keyring::default();
        let expired = Account::VIEWER.with(Standing::Expired);
        let (first, second) = (keyring.issue(Account::VIEWER).unwrap(), keyring.issue(expired).unwrap());
        assert_ne!(first, second);
        assert_eq!(keyring.find(first.expose()), Some(Account::VIEWER));
        assert_eq!(keyring.find(second.expose()), Some(expired));
        assert_eq!(keyring.find(Token::mint().unwrap().expose()), None);
        assert_eq!(format!("{first:?}"), "glsa_…");
    }
}
