//! `Basic`: a user and a password, or a token under the name `api_key`.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

/// As Go's `base64.StdEncoding` reads: with padding, whatever the last bits.
const AS_GO: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::RequireCanonical)
        .with_decode_allow_trailing_bits(true),
);

/// The same, where the padding was lost.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// The user whose password Grafana takes for a token.
const API_KEY: &[u8] = b"api_key:";

/// The decoded pair. Wiped when dropped.
pub(super) struct Pair(Zeroizing<Vec<u8>>);

impl Pair {
    /// Decodes as Grafana does; `None` where Grafana would see no user and password.
    pub(super) fn decode(encoded: &[u8]) -> Option<Self> {
        Self::with(&AS_GO, encoded)
    }

    /// Decodes what was meant: without padding, or not encoded at all.
    pub(super) fn guess(encoded: &[u8]) -> Option<Self> {
        if encoded.starts_with(API_KEY) {
            return Some(Self(Zeroizing::new(encoded.to_vec())));
        }
        Self::with(&LENIENT, encoded)
    }

    fn with(engine: &GeneralPurpose, encoded: &[u8]) -> Option<Self> {
        let pair = Zeroizing::new(engine.decode(encoded).ok()?);
        pair.contains(&b':').then_some(Self(pair))
    }

    /// `user:password`.
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The password of the user `api_key`.
    pub(super) fn api_key(&self) -> Option<&[u8]> {
        self.0.strip_prefix(API_KEY)
    }

    /// Whether the user or the password (of somebody other than `api_key`) is a token.
    pub(super) fn holds_token(&self) -> bool {
        self.api_key().is_none() && self.0.splitn(2, |byte| *byte == b':').any(super::reading::is_ours)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_as_go_does() {
        assert_eq!(Pair::decode(b"YTpi").map(|pair| pair.as_bytes().to_vec()), Some(b"a:b".to_vec()));
        // The last bits of the last digit mean nothing: `Og==` and `Oh==` are both `:`.
        assert_eq!(Pair::decode(b"Oh==").map(|pair| pair.as_bytes().to_vec()), Some(b":".to_vec()));
        for wrong in [&b"!!!"[..], b"Og", b"Og=", b"YQ==", b"viewer1:pw", b" YTpi", b""] {
            assert!(Pair::decode(wrong).is_none(), "{}", String::from_utf8_lossy(wrong));
        }
    }

    #[test]
    fn guesses_what_was_meant() {
        assert_eq!(
            Pair::guess(b"YXBpX2tleTp4").and_then(|pair| pair.api_key().map(<[u8]>::to_vec)),
            Some(b"x".to_vec())
        );
        assert_eq!(Pair::guess(b"Og").map(|pair| pair.as_bytes().to_vec()), Some(b":".to_vec()));
        assert_eq!(Pair::guess(b"api_key:x").and_then(|pair| pair.api_key().map(<[u8]>::to_vec)), Some(b"x".to_vec()));
        assert!(Pair::guess(b"user:password").is_none());
    }
}
