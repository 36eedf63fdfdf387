//! What a credential says about itself inside: an API key of old its organisation and name, a JWT its claims. Names and
//! times are told; values are not.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::domain::token::TokenKind;

/// The parts of a JWT, with or without the padding that RFC 7515 §2 leaves out.
const BASE64_URL: GeneralPurpose = GeneralPurpose::new(
    &alphabet::URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// How many names of claims are told, and how long one may be.
const MOST_NAMES: usize = 40;
const LONGEST_NAME: usize = 40;

/// What stands inside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::commands) enum Contents {
    /// Nothing that can be read.
    #[default]
    Opaque,
    /// An API key of old.
    Key { org: u64, name: String },
    /// A JWT.
    Claims(Claims),
}

/// What a JWT says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::commands) struct Claims {
    /// How it says that it is signed.
    pub(in crate::commands) algorithm: Option<String>,
    /// The names of its claims, in order.
    pub(in crate::commands) names: Vec<String>,
    /// `iat`, `nbf` and `exp`, in seconds since 1970.
    pub(in crate::commands) issued_at: Option<i64>,
    pub(in crate::commands) not_before: Option<i64>,
    pub(in crate::commands) expires_at: Option<i64>,
}

impl Contents {
    /// Reads a token.
    pub(in crate::commands) fn of(kind: TokenKind, token: &[u8]) -> Self {
        let found = match kind {
            TokenKind::LegacyKey => key(token),
            TokenKind::Jwt => claims(token).map(Self::Claims),
            _ => None,
        };
        found.unwrap_or_default()
    }
}

fn key(token: &[u8]) -> Option<Contents> {
    #[derive(Deserialize)]
    struct Key {
        #[serde(rename = "n")]
        name: String,
        id: u64,
    }
    let json = Zeroizing::new(STANDARD.decode(token).ok()?);
    let key: Key = serde_json::from_slice(&json).ok()?;
    Some(Contents::Key { org: key.id, name: printable(&key.name, 64) })
}

fn claims(token: &[u8]) -> Option<Claims> {
    let mut parts = token.split(|byte| *byte == b'.');
    let head = object(parts.next()?)?;
    let claims = object(parts.next()?)?;
    let time = |name: &str| claims.get(name).and_then(seconds);
    Some(Claims {
        algorithm: head.get("alg").and_then(Value::as_str).map(|text| printable(text, 16)),
        names: claims.keys().take(MOST_NAMES).map(|name| printable(name, LONGEST_NAME)).collect(),
        issued_at: time("iat"),
        not_before: time("nbf"),
        expires_at: time("exp"),
    })
}

fn object(part: &[u8]) -> Option<Map<String, Value>> {
    let json = Zeroizing::new(BASE64_URL.decode(part).ok()?);
    serde_json::from_slice(&json).ok()
}

/// A NumericDate (RFC 7519 §2), which may have a fraction.
fn seconds(value: &Value) -> Option<i64> {
    let whole = value.as_i64();
    #[expect(clippy::cast_possible_truncation, reason = "the fraction of a second is what goes")]
    let floored = || value.as_f64().filter(|time| time.abs() < 1e15).map(|time| time.floor() as i64);
    whole.or_else(floored)
}

/// A name that a stranger chose, fit for a terminal.
fn printable(text: &str, most: usize) -> String {
    text.chars().filter(|c| !c.is_control()).take(most).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    pub(in crate::commands) fn jwt(claims: &str) -> Vec<u8> {
        format!("{}.{}.c2lnbmF0dXJl", BASE64_URL.encode(r#"{"alg":"RS256"}"#), BASE64_URL.encode(claims)).into_bytes()
    }

    #[test]
    fn a_jwt_tells_names_and_times() {
        let token = jwt(r#"{"sub":"secret subject","exp":1700000000.9,"iat":1600000000,"nbf":"soon"}"#);
        let Contents::Claims(claims) = Contents::of(TokenKind::Jwt, &token) else { panic!("no claims") };
        assert_eq!(claims.names, ["sub", "exp", "iat", "nbf"]);
        assert_eq!(
            (claims.issued_at, claims.not_before, claims.expires_at),
            (Some(1_600_000_000), None, Some(1_700_000_000))
        );
        assert_eq!(claims.algorithm.as_deref(), Some("RS256"));
    }

    #[test]
    fn a_key_tells_its_organisation_and_name() {
        let token = STANDARD.encode(r#"{"k":"secret","n":"ci\u0007","id":3}"#);
        let found = Contents::of(TokenKind::LegacyKey, token.as_bytes());
        assert_eq!(found, Contents::Key { org: 3, name: "ci".to_owned() });
    }

    #[test]
    fn what_cannot_be_read_is_opaque() {
        for (kind, token) in [(TokenKind::Jwt, "a.b.c"), (TokenKind::LegacyKey, "eyJrIjoi"), (TokenKind::Unknown, "x")]
        {
            assert_eq!(Contents::of(kind, token.as_bytes()), Contents::Opaque);
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..120), claims in "\\PC{0,60}") {
            for kind in [TokenKind::Jwt, TokenKind::LegacyKey] {
                let _ = Contents::of(kind, &bytes);
                let _ = Contents::of(kind, &jwt(&claims));
            }
        }
    }
}
