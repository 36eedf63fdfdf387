//! Ids of requests: the client's, if sane, else 32 hex digits of ours.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroize as _;

/// Characters of an id at most.
const MAX: usize = 128;

/// How a token begins, or its base64. An id like that would carry a secret into every log on its way.
const SECRETS: [&[u8]; 4] = [b"glsa_", b"glc_", b"eyJ", b"Z2xzYV"];

/// Whether a client's id may be used: 1–128 of `[A-Za-z0-9._:/+=-]`, and no token.
pub fn is_sane(id: &[u8]) -> bool {
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"._:/+=-".contains(byte);
    (1..=MAX).contains(&id.len())
        && id.iter().all(allowed)
        && !SECRETS.iter().any(|mark| memchr::memmem::find(id, mark).is_some())
        && !is_encoded_pair(id)
}

/// Whether it is what stands behind `Basic`: a user and a password.
fn is_encoded_pair(id: &[u8]) -> bool {
    let Ok(mut pair) = STANDARD.decode(id) else { return false };
    let found = pair.contains(&b':') && pair.iter().all(|byte| byte.is_ascii_graphic());
    pair.zeroize();
    found
}

/// `number` as 32 hex digits.
pub fn format(number: u128) -> [u8; 32] {
    let mut digits = [0; 32];
    for (pair, byte) in digits.chunks_exact_mut(2).zip(number.to_be_bytes()) {
        pair.copy_from_slice(&[digit(byte >> 4), digit(byte & 15)]);
    }
    digits
}

/// Without a branch, so that all digits are made at once.
const fn digit(nibble: u8) -> u8 {
    nibble + b'0' + (nibble > 9) as u8 * (b'a' - b'0' - 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_short_plain_ids_are_sane() {
        for id in ["a", "4bf92f35-77b3", "Root=1-67891233-abcdef012345678912345678", "a/b:c+d_e.f"] {
            assert!(is_sane(id.as_bytes()), "{id}");
        }
        let long = "x".repeat(129);
        for id in [
            "",
            "a b",
            "a\"b",
            "a\n",
            "ä",
            "{}",
            &long,
            "glsa_yscW25imSKJIuav8zF37RZmnbiDvB05G_fcaaf58a",
            "eyJrIjoiT0tT",
            "YWRtaW46c2VjcmV0",
        ] {
            assert!(!is_sane(id.as_bytes()), "{id}");
        }
    }

    #[test]
    fn ours_are_sane() {
        assert_eq!(&format(0xab), b"000000000000000000000000000000ab");
        assert!(is_sane(&format(u128::MAX)));
    }
}
