//! Stand-ins for credentials: what logs show, and what buckets are filed under. Neither can be turned back.

use std::fmt;
use std::hash::Hasher as _;

use sha2::{Digest, Sha256};
use siphasher::sip128::{Hasher128, SipHasher24};

/// Twelve hex digits that stand for a token in logs: a keyed hash that cannot be turned back.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(u64);

impl Fingerprint {
    /// Its 48 bits.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Lends its twelve digits: by hand, for each line of a log has one.
    pub fn with_text<R>(self, use_text: impl FnOnce(&str) -> R) -> R {
        let digits: [u8; 12] = std::array::from_fn(|place| {
            let nibble = (self.0 >> (44 - 4 * place)) as u8 & 15;
            nibble + if nibble < 10 { b'0' } else { b'a' - 10 }
        });
        use_text(std::str::from_utf8(&digits).unwrap_or_default())
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.with_text(|text| f.write_str(text))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Namespaces of hashes, so that a token never shares a bucket with a cookie or an address of equal bytes.
pub const CREDENTIAL: u8 = 1;
/// Session cookies.
pub const SESSION: u8 = 2;
/// Addresses that send no credential.
pub const ADDRESS: u8 = 3;
/// Users who come with a password.
pub const USER: u8 = 4;
/// JWTs that are not in `Authorization`.
pub const JWT: u8 = 5;
/// Users whom a trusted proxy names.
pub const USER_HEADER: u8 = 6;
/// Cookies of the image renderer.
pub const RENDER_KEY: u8 = 7;
/// Access tokens of public dashboards.
pub const DASHBOARD: u8 = 8;

/// Subjects of JWTs.
pub const JWT_SUBJECT: u8 = 10;
/// Pairs of user and password.
pub const BASIC: u8 = 9;

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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn replicas_with_one_key_agree() {
        let (one, other) = (HashKey::derive(b"a"), HashKey::derive(b"b"));
        assert_eq!(one.hash(1, b"x"), HashKey::derive(b"a").hash(1, b"x"));
        assert_ne!(one.hash(1, b"x"), other.hash(1, b"x"));
        assert_ne!(one.hash(1, b"x"), one.hash(2, b"x"), "a token and an address with equal bytes share a bucket");
    }

    #[test]
    fn a_fingerprint_is_twelve_digits_and_the_key_stays_secret() {
        let key = HashKey::from_bytes([7; 16]);
        let shown = key.hash(1, b"glsa_secret").fingerprint().to_string();
        assert_eq!(shown.len(), 12);
        assert!(shown.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)), "{shown}");
        assert_eq!(BucketKey(0).fingerprint().to_string(), "000000000000");
        assert_eq!(BucketKey(u128::MAX).fingerprint().to_string(), "ffffffffffff");
        assert_eq!(format!("{key:?}"), "HashKey(…)");
    }

    proptest! {
        #[test]
        fn different_credentials_have_different_buckets(one: Vec<u8>, other: Vec<u8>) {
            let key = HashKey::from_bytes([1; 16]);
            prop_assert_eq!(key.hash(1, &one) == key.hash(1, &other), one == other);
        }
    }
}
