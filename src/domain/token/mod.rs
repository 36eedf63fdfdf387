//! What a string that claims to be a Grafana token is, judged by its spelling alone. A token never prints itself.

mod damage;
mod hash;

pub use self::damage::Damage;
use self::damage::{legacy_key, service_account_damage, unknown_damage};
pub use self::hash::{
    ADDRESS, BASIC, BucketKey, CREDENTIAL, DASHBOARD, Fingerprint, HashKey, JWT, JWT_SUBJECT, RENDER_KEY, SESSION,
    USER, USER_HEADER,
};
use crate::domain::identity::{LegacyKey, checksum_holds, may_be_legacy_key};

/// The family a token belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TokenKind {
    /// `glsa_<32>_<crc>`: a service account token, Grafana 9.0 and later.
    ServiceAccount,
    /// Base64 of `{"k":…,"n":…,"id":…}`, the API key of old: `eyJrIjoi…` as Grafana writes it.
    LegacyKey,
    /// `glc_…`: a Grafana Cloud access policy token, which no stack's API accepts.
    CloudAccessPolicy,
    /// `gl<service>_<secret>_<crc>` of another service.
    OtherService,
    /// Three base64url parts.
    Jwt,
    /// Nothing we know.
    Unknown,
}

impl TokenKind {
    /// The name in logs and headers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ServiceAccount => "service_account",
            Self::LegacyKey => "legacy_key",
            Self::CloudAccessPolicy => "cloud_access_policy",
            Self::OtherService => "other_service",
            Self::Jwt => "jwt",
            Self::Unknown => "unknown",
        }
    }
}

/// What the spelling of a token tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenFacts {
    /// The family.
    pub kind: TokenKind,
    /// What is wrong, if anything shows.
    pub damage: Option<Damage>,
    /// The organisation that a legacy key names in itself.
    pub org: Option<u64>,
}

const SERVICE_ACCOUNT: &[u8] = b"glsa_";

/// The family that a token belongs to by its first bytes and its punctuation. Does not look at its checksum, and decodes
/// only what may be an API key in another spelling than Grafana's own.
pub fn kind_of(token: &[u8]) -> TokenKind {
    match token {
        [b'g', b'l', ..] if token.starts_with(SERVICE_ACCOUNT) => TokenKind::ServiceAccount,
        [b'g', b'l', b'c', b'_', ..] => TokenKind::CloudAccessPolicy,
        // Grafana itself splits at `_` and wants three parts.
        [b'g', b'l', rest @ ..] if rest.iter().filter(|byte| **byte == b'_').count() == 2 => TokenKind::OtherService,
        [b'e', b'y', ..] if is_jwt(token) => TokenKind::Jwt,
        _ if token.starts_with(b"eyJrIjoi") => TokenKind::LegacyKey,
        _ if may_be_legacy_key(token) && LegacyKey::decode(token).is_some() => TokenKind::LegacyKey,
        _ => TokenKind::Unknown,
    }
}

fn is_jwt(token: &[u8]) -> bool {
    let url_safe = |byte: u8| {
        ((byte | 0x20).wrapping_sub(b'a') < 26)
            | (byte.wrapping_sub(b'0') < 10)
            | (byte == b'-')
            | (byte == b'_')
            | (byte == b'=')
            | (byte == b'.')
    };
    token.iter().filter(|byte| **byte == b'.').count() == 2
        && token.iter().fold(true, |all, byte| all & url_safe(*byte))
}

impl TokenFacts {
    /// Judges `token`, the bytes behind the scheme.
    ///
    /// ```
    /// use grafana_token_proxy::domain::token::{TokenFacts, TokenKind};
    /// let facts = TokenFacts::of(b"glsa_yscW25imSKJIuav8zF37RZmnbiDvB05G_fcaaf58a");
    /// assert_eq!((facts.kind, facts.damage), (TokenKind::ServiceAccount, None));
    /// ```
    pub fn of(token: &[u8]) -> Self {
        if let Some(facts) = Self::of_service_account(token) {
            return facts;
        }
        match kind_of(token) {
            TokenKind::LegacyKey => legacy_key(token),
            TokenKind::OtherService => {
                Self::new(TokenKind::OtherService, (!checksum_holds(token)).then_some(Damage::Checksum))
            }
            TokenKind::Unknown => Self::new(TokenKind::Unknown, Some(unknown_damage(token))),
            kind => Self::new(kind, None),
        }
    }

    /// Judges `token` where it begins as the token of a service account does: the usual case, without an allocation.
    pub(super) fn of_service_account(token: &[u8]) -> Option<Self> {
        let rest = token.strip_prefix(SERVICE_ACCOUNT)?;
        Some(Self::new(TokenKind::ServiceAccount, service_account_damage(token, rest)))
    }

    const fn new(kind: TokenKind, damage: Option<Damage>) -> Self {
        Self { kind, damage, org: None }
    }

    /// Whether Grafana could have issued this very string: a known kind without visible damage.
    pub const fn is_sound(&self) -> bool {
        self.damage.is_none()
            && matches!(self.kind, TokenKind::ServiceAccount | TokenKind::LegacyKey | TokenKind::OtherService)
    }
}

#[cfg(test)]
mod tests;
