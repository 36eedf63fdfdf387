//! When two secrets are one key of HMAC-SHA256, which is what PBKDF2 makes of them.

use sha2::{Digest, Sha256};

use super::Bytes;

/// The block of SHA-256.
const BLOCK: usize = 64;

/// The shortest key that HMAC-SHA256 does not distinguish from `secret` (RFC 2104 §2): a key longer than a block is
/// replaced by its digest, and a shorter one is filled up with zero bytes.
pub(super) fn key(secret: &[u8]) -> Bytes<'_> {
    if secret.len() <= BLOCK {
        return Bytes::Borrowed(trim_zeros(secret));
    }
    trim_zeros(&Sha256::digest(secret)).to_vec().into()
}

fn trim_zeros(mut bytes: &[u8]) -> &[u8] {
    while let [rest @ .., 0] = bytes {
        bytes = rest;
    }
    bytes
}
