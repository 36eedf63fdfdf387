//! `gl<service>_<secret>_<checksum>`.

use super::{Bytes, hmac};

/// What Grafana compares of a token that begins with `gl`; `None` where it refuses to decode it.
///
/// The service is only an input to the checksum, and anyone can choose a service that gives the same checksum.
pub(super) fn compared(token: &[u8]) -> Option<Bytes<'_>> {
    let (_service, compared) = split_at_underscore(token)?;
    let (secret, checksum) = split_at_underscore(compared)?;
    if memchr::memchr(b'_', checksum).is_some() || !checksum_holds(token) {
        return None;
    }
    let key = hmac::key(secret);
    if *key == *secret {
        return Some(Bytes::Borrowed(compared));
    }
    let mut bytes = Vec::with_capacity(key.len() + 1 + checksum.len());
    bytes.extend_from_slice(&key);
    bytes.push(b'_');
    bytes.extend_from_slice(checksum);
    Some(bytes.into())
}

fn split_at_underscore(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = memchr::memchr(b'_', text)?;
    Some((text.get(..at)?, text.get(at + 1..)?))
}

/// Grafana's checksum: CRC-32 of everything before the last `_`, little-endian, in lower-case hex.
pub(in crate::domain) fn checksum_holds(token: &[u8]) -> bool {
    let Some((body, [b'_', digits @ ..])) = token.split_last_chunk::<9>() else { return false };
    let mut expected = [0u8; 8];
    for (pair, byte) in expected.chunks_exact_mut(2).zip(crc32fast::hash(body).to_le_bytes()) {
        pair.copy_from_slice(&hex(byte));
    }
    *digits == expected
}

const fn hex(byte: u8) -> [u8; 2] {
    const fn digit(nibble: u8) -> u8 {
        if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 }
    }
    [digit(byte >> 4), digit(byte & 15)]
}
