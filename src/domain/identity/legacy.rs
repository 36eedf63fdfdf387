//! API keys: base64 of `{"k":"<key>","n":"<name>","id":<organisation>}`, as Grafana's decoder reads it.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

use super::{go_json, hmac};

/// Go's `base64.StdEncoding`: requires the padding and ignores the bits behind the last byte.
const BASE64: GeneralPurpose =
    GeneralPurpose::new(&alphabet::STANDARD, GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true));

/// An API key: Grafana looks up the organisation and the name, and compares PBKDF2 of the key with the name as salt.
pub struct LegacyKey {
    organisation: i64,
    /// The organisation in 8 bytes, the length of the name in 8 bytes, the name, and the key.
    bytes: Zeroizing<Vec<u8>>,
}

impl LegacyKey {
    /// Decodes `token` as Grafana does; `None` where Grafana cannot, and where there is no key.
    pub fn decode(token: &[u8]) -> Option<Self> {
        if !may_be_legacy_key(token) {
            return None;
        }
        Self::read(&decode_base64(token)?)
    }

    /// Reads the JSON into the fields of Grafana's struct.
    fn read(json: &[u8]) -> Option<Self> {
        let (mut key, mut name, mut organisation) = (Zeroizing::default(), Zeroizing::default(), 0);
        go_json::read_object(json, |member, value| match member {
            _ if is_field(member, "k") => value.set_string(&mut key),
            _ if is_field(member, "n") => value.set_string(&mut name),
            _ if is_field(member, "id") => value.set_integer(&mut organisation),
            _ => Some(()),
        })?;
        let key = hmac::key(&key);
        if key.is_empty() {
            return None;
        }
        let mut bytes = Zeroizing::new(Vec::with_capacity(16 + name.len() + key.len()));
        bytes.extend_from_slice(&organisation.to_be_bytes());
        bytes.extend_from_slice(&(name.len() as u64).to_be_bytes());
        bytes.extend_from_slice(&name);
        bytes.extend_from_slice(&key);
        Some(Self { organisation, bytes })
    }

    /// The organisation that the key names.
    pub const fn organisation(&self) -> i64 {
        self.organisation
    }

    /// The spelling in which Grafana gives the key out: what Go's `encoding/json` writes, in base64.
    pub(super) fn issued(&self) -> Vec<u8> {
        let (name, key) = self.name_and_key();
        let json =
            format!(r#"{{"k":{},"n":{},"id":{}}}"#, go_json::quoted(key), go_json::quoted(name), self.organisation);
        BASE64.encode(json).into_bytes()
    }

    fn name_and_key(&self) -> (&[u8], &[u8]) {
        let length = self.bytes.get(8..16).and_then(|length| length.try_into().ok()).map_or(0, u64::from_be_bytes);
        let rest = self.bytes.get(16..).unwrap_or_default();
        rest.split_at_checked(usize::try_from(length).unwrap_or_default()).unwrap_or_default()
    }

    /// Organisation, name and key, in a form that no other three share.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// Whether base64 begins as that of a JSON object does, blanks allowed. Cheap.
pub(in crate::domain) fn may_be_legacy_key(token: &[u8]) -> bool {
    matches!(token.iter().find(|byte| !is_newline(byte)), Some(b'e' | b'I' | b'C' | b'D'))
}

const fn is_newline(byte: &u8) -> bool {
    matches!(byte, b'\r' | b'\n')
}

/// Go's decoder ignores CR and LF wherever they are.
fn decode_base64(token: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    if !token.iter().any(is_newline) {
        return BASE64.decode(token).ok().map(Zeroizing::new);
    }
    let mut text = Zeroizing::new(token.to_vec());
    text.retain(|byte| !is_newline(byte));
    BASE64.decode(&*text).ok().map(Zeroizing::new)
}

/// Go matches names of members by Unicode simple case folding, under which U+212A KELVIN SIGN is a `k`. No other
/// character folds to a letter of these fields.
fn is_field(member: &[u8], field: &str) -> bool {
    member.eq_ignore_ascii_case(field.as_bytes()) || (field == "k" && member == "\u{212a}".as_bytes())
}
