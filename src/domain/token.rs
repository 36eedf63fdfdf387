//! What a string that claims to be a Grafana token is, judged by its spelling alone. A token never prints itself.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use siphasher::sip128::{Hasher128, SipHasher24};
use std::hash::Hasher as _;

/// The family a token belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TokenKind {
    /// `glsa_<32>_<crc>`: a service account token, Grafana 9.0 and later.
    ServiceAccount,
    /// `eyJrIjoi…`: base64 of `{"k":…,"n":…,"id":…}`, the API key of old.
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

const SERVICE_ACCOUNT_LENGTH: usize = 46;

impl TokenFacts {
    /// Judges `token`, the bytes behind the scheme.
    ///
    /// ```
    /// use grafana_token_proxy::domain::token::{TokenFacts, TokenKind};
    /// let facts = TokenFacts::of(b"glsa_yscW25imSKJIuav8zF37RZmnbiDvB05G_fcaaf58a");
    /// assert_eq!((facts.kind, facts.damage), (TokenKind::ServiceAccount, None));
    /// ```
    pub fn of(token: &[u8]) -> Self {
        if token.starts_with(b"glc_") {
            return Self::new(TokenKind::CloudAccessPolicy, None);
        }
        if token.starts_with(b"glsa_") {
            return Self::new(TokenKind::ServiceAccount, service_account_damage(token));
        }
        if token.starts_with(b"eyJrIjoi") {
            return legacy_key(token);
        }
        if token.starts_with(b"gl") && token.iter().filter(|b| **b == b'_').count() == 2 {
            let damage = (!checksum_holds(token)).then_some(Damage::Checksum);
            return Self::new(TokenKind::OtherService, damage);
        }
        if is_jwt(token) {
            return Self::new(TokenKind::Jwt, None);
        }
        Self::new(TokenKind::Unknown, Some(unknown_damage(token)))
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

fn service_account_damage(token: &[u8]) -> Option<Damage> {
    let alphabet = |b: &u8| b.is_ascii_alphanumeric() || *b == b'_';
    if token.len() < SERVICE_ACCOUNT_LENGTH {
        return Some(if token.iter().all(alphabet) { Damage::Truncated } else { Damage::Surrounded });
    }
    let (whole, rest) = token.split_at(SERVICE_ACCOUNT_LENGTH);
    if !rest.is_empty() {
        return Some(if checksum_holds(whole) { Damage::Surrounded } else { Damage::Checksum });
    }
    (!checksum_holds(whole)).then_some(Damage::Checksum)
}

/// Grafana's checksum: CRC-32 of all before the last `_`, little-endian, in lower-case hex.
fn checksum_holds(token: &[u8]) -> bool {
    let Some(cut) = memchr::memrchr(b'_', token) else { return false };
    let (body, tail) = token.split_at(cut);
    let Some((_, digits)) = tail.split_first() else { return false };
    let mut expected = [0u8; 8];
    for (pair, byte) in expected.chunks_exact_mut(2).zip(crc32fast::hash(body).to_le_bytes()) {
        pair.copy_from_slice(&hex(byte));
    }
    digits == expected
}

const fn hex(byte: u8) -> [u8; 2] {
    const fn digit(nibble: u8) -> u8 {
        if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 }
    }
    [digit(byte >> 4), digit(byte & 15)]
}

fn legacy_key(token: &[u8]) -> TokenFacts {
    #[derive(serde::Deserialize)]
    struct Key {
        #[serde(rename = "k")]
        _secret: serde::de::IgnoredAny,
        #[serde(rename = "n")]
        _name: serde::de::IgnoredAny,
        id: u64,
    }
    let Ok(mut json) = STANDARD.decode(token) else {
        let alphabet = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'=');
        let damage = if token.iter().all(alphabet) { Damage::Truncated } else { Damage::Surrounded };
        return TokenFacts::new(TokenKind::LegacyKey, Some(damage));
    };
    let facts = match serde_json::from_slice::<Key>(&json) {
        Ok(key) => TokenFacts { kind: TokenKind::LegacyKey, damage: None, org: Some(key.id) },
        Err(_) => TokenFacts::new(TokenKind::LegacyKey, Some(Damage::Truncated)),
    };
    zeroize::Zeroize::zeroize(&mut json);
    facts
}

fn is_jwt(token: &[u8]) -> bool {
    let url_safe = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'=');
    token.starts_with(b"ey")
        && token.split(|b| *b == b'.').count() == 3
        && token.split(|b| *b == b'.').all(|part| part.iter().all(url_safe))
}

fn unknown_damage(token: &[u8]) -> Damage {
    let placeholder =
        matches!(token, b"undefined" | b"null" | b"None" | b"nil" | b"[object Object]" | b"token" | b"TOKEN")
            || (token.starts_with(b"<") && token.ends_with(b">"))
            || token.starts_with(b"$")
            || token.starts_with(b"{{")
            || token.starts_with(b"YOUR_");
    if placeholder {
        return Damage::Placeholder;
    }
    let finds = |needle: &[u8]| memchr::memmem::find(token, needle).is_some();
    if finds(b"glsa_") || finds(b"eyJrIjoi") {
        return Damage::Surrounded;
    }
    // base64 of `glsa_` and of `eyJrIjoi`
    if token.starts_with(b"Z2xzYV") || token.starts_with(b"ZXlKcklqb2") {
        return Damage::Encoded;
    }
    Damage::NotAToken
}

/// Twelve hex digits that stand for a token in logs: a keyed hash that cannot be turned back.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(u64);

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:012x}", self.0)
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What a bucket of the limiter is filed under: a keyed 128-bit hash, so that nobody can aim at another's bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BucketKey(pub u128);

impl BucketKey {
    /// The fingerprint of the same credential.
    pub const fn fingerprint(self) -> Fingerprint {
        Fingerprint((self.0 >> 80) as u64)
    }
}

/// The key of all hashes of credentials in this process.
#[derive(Clone)]
pub struct HashKey([u8; 16]);

impl HashKey {
    /// Derives the key from what the operator set (`GTP_FINGERPRINT_KEY`), so that fingerprints agree between replicas.
    pub fn derive(secret: &[u8]) -> Self {
        let digest = Sha256::digest(secret);
        let mut key = [0; 16];
        key.copy_from_slice(digest.as_slice().get(..16).unwrap_or(&[0; 16]));
        Self(key)
    }

    /// The key with these bytes, which must be random.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Hashes a credential in its canonical spelling. `domain` keeps a token and an address with equal bytes apart.
    pub fn hash(&self, domain: u8, credential: &[u8]) -> BucketKey {
        // A key for each domain rather than a prefix: whole words are hashed faster than shifted ones.
        let mut key = self.0;
        if let Some(first) = key.first_mut() {
            *first ^= domain;
        }
        let mut hasher = SipHasher24::new_with_key(&key);
        hasher.write(credential);
        BucketKey(hasher.finish128().as_u128())
    }
}

impl fmt::Debug for HashKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HashKey(…)")
    }
}
