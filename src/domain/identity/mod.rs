//! What Grafana compares of a credential: one form for all spellings that its decoders read alike.
//!
//! One token has unlimited spellings, and every one of them signs in. Limits and records must therefore be kept by what
//! Grafana reads, never by the bytes of the client.

mod bytes;
mod cookie;
mod go_json;
mod hmac;
/// What could be a JSON Web Token.
pub mod jwt_like;
/// JSON Web Tokens.
pub mod jwt;
mod legacy;
mod prefixed;

pub use self::bytes::Bytes;
pub use self::cookie::{Cookie, cookie};
pub use self::jwt::Jwt;
pub use self::legacy::LegacyKey;
pub(super) use self::legacy::may_be_legacy_key;
pub(super) use self::prefixed::checksum_holds;

use std::fmt;

/// What Grafana compares of a token. Two tokens are the same to Grafana exactly if [`Canonical::domain`] and
/// [`Canonical::bytes`] are equal.
pub enum Canonical<'t> {
    /// `gl<service>_<secret>_<checksum>` with a correct checksum: `<secret>_<checksum>`.
    Prefixed(Bytes<'t>),
    /// An API key: organisation, name and key.
    LegacyKey(LegacyKey),
    /// A JSON Web Token: header, payload and signature.
    Jwt(Jwt),
    /// Grafana reads it as none of these: the bytes as they are.
    Verbatim(&'t [u8]),
}

/// The canonical form of `token`: the bytes behind `Bearer `, or the password of `Basic api_key:…`.
pub fn canonical(token: &[u8]) -> Canonical<'_> {
    // Grafana chooses its decoder by these two bytes. No API key or JWT begins with them.
    if token.starts_with(b"gl") {
        return prefixed::compared(token).map_or(Canonical::Verbatim(token), Canonical::Prefixed);
    }
    if let Some(jwt) = Jwt::decode(token) {
        return Canonical::Jwt(jwt);
    }
    LegacyKey::decode(token).map_or(Canonical::Verbatim(token), Canonical::LegacyKey)
}

impl<'t> Canonical<'t> {
    /// The form of a service account token that is known to be sound: neither computes its checksum nor allocates.
    pub fn of_sound_prefixed(token: &'t [u8]) -> Self {
        match token.strip_prefix(b"glsa_") {
            Some(compared) => Self::Prefixed(Bytes::Borrowed(compared)),
            None => Self::Verbatim(token),
        }
    }

    /// The one spelling in which Grafana, or an issuer, gives the token out: what somebody takes a digest of. A token of
    /// another service than `sa` has no trace of it in what is compared.
    pub fn issued(&self) -> Option<Vec<u8>> {
        match self {
            Self::Prefixed(bytes) => Some([b"glsa_", &**bytes].concat()),
            Self::LegacyKey(key) => Some(key.issued()),
            Self::Jwt(jwt) => Some(jwt.issued()),
            Self::Verbatim(_) => None,
        }
    }

    /// The domain for [`HashKey::hash`](crate::domain::token::HashKey::hash), so that two kinds with equal bytes never
    /// collide. The kinds use 16 to 19.
    pub const fn domain(&self) -> u8 {
        match self {
            Self::Prefixed(_) => 16,
            Self::LegacyKey(_) => 17,
            Self::Jwt(_) => 18,
            Self::Verbatim(_) => 19,
        }
    }

    /// The bytes to hash: within one domain, different credentials have different bytes.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Prefixed(bytes) => bytes,
            Self::LegacyKey(key) => key.bytes(),
            Self::Jwt(jwt) => jwt.bytes(),
            Self::Verbatim(bytes) => bytes,
        }
    }
}

impl PartialEq for Canonical<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.domain() == other.domain() && self.bytes() == other.bytes()
    }
}

impl Eq for Canonical<'_> {}

/// Prints the kind only.
impl fmt::Debug for Canonical<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Prefixed(_) => "Prefixed(…)",
            Self::LegacyKey(_) => "LegacyKey(…)",
            Self::Jwt(_) => "Jwt(…)",
            Self::Verbatim(_) => "Verbatim(…)",
        })
    }
}

#[cfg(test)]
mod tests;
