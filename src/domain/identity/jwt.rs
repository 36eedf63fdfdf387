//! JSON Web Tokens as Grafana reads them: it drops `=` and white space, decodes the parts, and verifies over the parts
//! as it encodes them itself.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;
use serde::de::IgnoredAny;
use zeroize::Zeroizing;

/// Go's `base64.RawURLEncoding`: no padding, and the bits behind the last byte are ignored.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::URL_SAFE,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone),
);

/// The longest issuer or subject that is read.
const LONGEST_CLAIM: usize = 1024;

/// The decoded parts of a JSON Web Token.
pub struct Jwt {
    /// The length of the header in 8 bytes, the header, the length of the payload in 8 bytes, the payload, and the
    /// signature.
    bytes: Zeroizing<Vec<u8>>,
    header: usize,
    payload: usize,
}

/// Decodes what may be a JWT from the value of a header, which may begin with `Bearer `.
pub fn parts(value: &[u8]) -> Option<Jwt> {
    Jwt::decode(value.strip_prefix(b"Bearer ").unwrap_or(value))
}

/// Who a JWT names: a claim until the signature is verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// `iss`; empty where the payload names none.
    pub issuer: String,
    /// `sub`, which is never empty.
    pub subject: String,
}

/// The issuer and the subject that a payload names. `None`: it is no JSON, names no subject, or one of them is too long.
pub fn subject(payload: &[u8]) -> Option<Subject> {
    #[derive(Deserialize)]
    struct Claims {
        iss: Option<String>,
        sub: Option<String>,
    }
    let claims: Claims = serde_json::from_slice(payload).ok()?;
    let (issuer, subject) = (claims.iss.unwrap_or_default(), claims.sub?);
    let is_short = issuer.len() <= LONGEST_CLAIM && subject.len() <= LONGEST_CLAIM;
    (is_short && !subject.is_empty()).then_some(Subject { issuer, subject })
}

impl Jwt {
    /// Decodes the compact form, or the JSON form that older versions of Grafana read as well. They also drop white space
    /// between the parts, not only around them.
    pub(super) fn decode(token: &[u8]) -> Option<Self> {
        let first = *token.iter().find(|byte| !is_dropped(char::from(**byte)))?;
        // Cheap, for the API keys that come this way: base64 of a JSON object, blanks allowed, and the dots; or JSON; or a
        // blank that is not ASCII.
        let has_dots = || token.iter().filter(|byte| **byte == b'.').count() == 2;
        match first {
            b'{' | 0x80.. => {}
            b'e' | b'I' | b'C' | b'D' if has_dots() => {}
            _ => return None,
        }
        let text = String::from_utf8_lossy(token);
        if text.contains(is_dropped) {
            return Self::parse(&Zeroizing::new(text.replace(is_dropped, "")));
        }
        Self::parse(&text)
    }

    fn parse(text: &str) -> Option<Self> {
        if text.starts_with('{') {
            return Self::from_json(text);
        }
        let mut parts = text.split('.');
        let (header, payload, signature) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() {
            return None;
        }
        let jwt = Self::from_parts(header, payload, signature)?;
        is_object(jwt.header()).then_some(jwt)
    }

    /// RFC 7515 §7.2, with one signature. What is not signed is left out.
    fn from_json(text: &str) -> Option<Self> {
        #[derive(Deserialize)]
        struct Signed {
            payload: String,
            signatures: Option<Vec<Signature>>,
            protected: Option<String>,
            signature: Option<String>,
        }
        #[derive(Deserialize)]
        struct Signature {
            protected: String,
            signature: String,
        }
        let signed: Signed = serde_json::from_str(text).ok()?;
        let (protected, signature) = match signed.signatures {
            None => (signed.protected?, signed.signature?),
            Some(list) => match <[Signature; 1]>::try_from(list) {
                Ok([only]) => (only.protected, only.signature),
                Err(list) if list.is_empty() => (signed.protected?, signed.signature?),
                Err(_) => return None,
            },
        };
        Self::from_parts(&protected, &signed.payload, &Zeroizing::new(signature))
    }

    fn from_parts(header: &str, payload: &str, signature: &str) -> Option<Self> {
        let decode = |part: &str| BASE64.decode(part).ok().filter(|bytes| !bytes.is_empty()).map(Zeroizing::new);
        let (header, payload, signature) = (decode(header)?, decode(payload)?, decode(signature)?);
        let mut bytes = Zeroizing::new(Vec::with_capacity(16 + header.len() + payload.len() + signature.len()));
        for part in [&header, &payload] {
            bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
            bytes.extend_from_slice(part);
        }
        bytes.extend_from_slice(&signature);
        Some(Self { bytes, header: header.len(), payload: payload.len() })
    }

    /// The compact spelling that issuers give out.
    pub(super) fn issued(&self) -> Vec<u8> {
        let signature = self.bytes.get(16 + self.header + self.payload..).unwrap_or_default();
        [self.header(), self.payload(), signature].map(|part| BASE64.encode(part)).join(".").into_bytes()
    }

    /// The header.
    pub fn header(&self) -> &[u8] {
        self.bytes.get(8..8 + self.header).unwrap_or_default()
    }

    /// The payload: the claims.
    pub fn payload(&self) -> &[u8] {
        let start = 16 + self.header;
        self.bytes.get(start..start + self.payload).unwrap_or_default()
    }

    /// Header, payload and signature, in a form that no other three share.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

fn is_object(json: &[u8]) -> bool {
    json.trim_ascii_start().starts_with(b"{") && serde_json::from_slice::<IgnoredAny>(json).is_ok()
}

/// What Grafana drops.
fn is_dropped(letter: char) -> bool {
    letter == '=' || letter.is_whitespace()
}
