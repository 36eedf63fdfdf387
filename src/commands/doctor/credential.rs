//! The credential that is sent along: read once, judged offline, spelt well and badly, and never shown.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use zeroize::Zeroizing;

use crate::commands::inspect::findings::{Findings, Problem};
use crate::commands::secret_input;
use crate::domain::credential::{AuthForm, Change, Outward, Repair, judge};
use crate::domain::token::{HashKey, TokenKind};

/// How clients damage a header, and a proxy may mend it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spelling {
    Bare,
    LowerCase,
    Doubled,
    Newline,
    Basic,
}

impl Spelling {
    /// No trailing blank: every server must take it off (RFC 9110, section 5.5), so it shows nothing.
    pub(super) const ALL: [Self; 5] = [Self::Bare, Self::LowerCase, Self::Doubled, Self::Newline, Self::Basic];

    /// A few words for people.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare token",
            Self::LowerCase => "lower case",
            Self::Doubled => "doubled scheme",
            Self::Newline => "literal \\n",
            Self::Basic => "Basic form",
        }
    }
}

/// What may be known of a credential. Holds no secret.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    /// The form in which it is sent.
    pub(super) form: AuthForm,
    pub(super) kind: Option<TokenKind>,
    pub(super) length: usize,
    pub(super) fingerprint: Option<String>,
    /// What had to be mended before it could be sent.
    pub(super) changes: Vec<&'static str>,
    /// Why Grafana cannot take it.
    pub(super) problem: Option<Problem>,
}

/// A credential to be sent.
pub(super) struct Credential {
    pub(super) facts: Facts,
    /// The value as it should be.
    pub(super) value: Option<HeaderValue>,
    /// The token behind the scheme, where there is one.
    token: Option<Zeroizing<Vec<u8>>>,
    /// Everything that must not be shown.
    secret: Zeroizing<Vec<u8>>,
}

/// What must not be shown of a secret: as many bytes in a row.
const WINDOW: usize = 8;

impl Credential {
    /// Reads a token, or a whole value or line of `Authorization`.
    pub(super) fn read(text: &[u8], key: &HashKey, now: i64) -> Self {
        let findings = Findings::of(text, key, now);
        let line = secret_input::header_value(text);
        let spelt = match judge(&[line], &[], Repair::On).outward {
            Outward::Replace(value) => Zeroizing::new(value.into_owned()),
            Outward::AsReceived => Zeroizing::new(line.to_vec()),
            Outward::Absent | Outward::Conflict => Zeroizing::default(),
        };
        let mut value = HeaderValue::from_bytes(&spelt).ok().filter(|value| !value.is_empty());
        if let Some(value) = &mut value {
            value.set_sensitive(true);
        }
        let token = spelt.strip_prefix(b"Bearer ").map(|token| Zeroizing::new(token.to_vec()));
        let mut secret = Zeroizing::new(line.trim_ascii().to_vec());
        secret.push(b'\n');
        secret.extend_from_slice(&spelt);
        let facts = Facts {
            form: findings.sent,
            kind: findings.token.map(|token| token.kind),
            length: findings.length,
            fingerprint: findings.fingerprint.map(|fingerprint| fingerprint.to_string()),
            // A file with nothing but a token is as it should be.
            changes: findings
                .changes
                .iter()
                .filter(|change| *change != Change::BearerAdded)
                .map(Change::name)
                .collect(),
            problem: findings.problem,
        };
        Self { facts, value, token, secret }
    }

    /// The value as a careless client would spell it; `None` where it is no token.
    pub(super) fn spelt(&self, spelling: Spelling) -> Option<HeaderValue> {
        let token = self.token.as_ref()?;
        let join = |before: &[u8], after: &[u8]| Zeroizing::new([before, token.as_slice(), after].concat());
        let bytes = match spelling {
            Spelling::Bare => join(b"", b""),
            Spelling::LowerCase => join(b"bearer ", b""),
            Spelling::Doubled => join(b"Bearer Bearer ", b""),
            Spelling::Newline => join(b"Bearer ", b"\\n"),
            Spelling::Basic => {
                let encoded = Zeroizing::new(STANDARD.encode(join(b"api_key:", b"").as_slice()));
                Zeroizing::new([b"Basic ", encoded.as_bytes()].concat())
            }
        };
        let mut value = HeaderValue::from_bytes(&bytes).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    /// Takes out of a text what it holds of the credential: a hop may echo what it was sent.
    pub(super) fn veil(&self, text: &str) -> String {
        // The scheme is no secret, and stands in half of all sentences.
        let schemes: [&[u8]; 3] = [b"Bearer ", b"Basic ", b"Authorization:"];
        let is_secret = |window: &[u8]| {
            !schemes.iter().any(|scheme| memchr::memmem::find(scheme, window.trim_ascii()).is_some())
                && memchr::memmem::find(&self.secret, window).is_some()
        };
        let bytes = text.as_bytes();
        let mut hidden = vec![false; bytes.len()];
        for (at, window) in bytes.windows(WINDOW).enumerate() {
            if is_secret(window) {
                hidden.iter_mut().skip(at).take(WINDOW).for_each(|byte| *byte = true);
            }
        }
        let mut shown = String::new();
        for (at, character) in text.char_indices() {
            match hidden.get(at) {
                Some(true) if !shown.ends_with('█') => shown.push('█'),
                Some(true) => {}
                _ => shown.push(character),
            }
        }
        shown
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TOKEN: &str = "glsa_yscW25imSKJIuav8zF37RZmnbiDvB05G_fcaaf58a";

    fn credential(text: &str) -> Credential {
        Credential::read(text.as_bytes(), &HashKey::from_bytes([7; 16]), 0)
    }

    #[test]
    fn a_token_is_sent_behind_its_scheme_however_the_file_spells_it() {
        for text in [TOKEN.to_owned(), format!("{TOKEN}\n"), format!("Authorization: bearer {TOKEN}\r\n")] {
            let read = credential(&text);
            assert_eq!(read.value.as_ref().unwrap().as_bytes(), format!("Bearer {TOKEN}").as_bytes(), "{text}");
            assert!(read.facts.problem.is_none());
        }
        assert!(credential(TOKEN.split_at(30).0).facts.problem.is_some());
        assert!(credential("").value.is_none());
        assert_eq!(credential("Basic dTpw").value.unwrap().as_bytes(), b"Basic dTpw");
    }

    #[test]
    fn each_damage_is_one_that_the_proxy_knows() {
        let read = credential(TOKEN);
        for spelling in Spelling::ALL {
            let value = read.spelt(spelling).unwrap();
            let found = judge(&[value.as_bytes()], &[], Repair::On);
            assert_eq!(found.identity.as_deref(), Some(TOKEN.as_bytes()), "{spelling:?}");
            assert!(value.is_sensitive());
        }
        assert!(credential("Basic dTpw").spelt(Spelling::Bare).is_none());
    }

    #[test]
    fn what_a_hop_echoes_is_veiled() {
        let read = credential(TOKEN);
        assert_eq!(read.veil(&format!("got Bearer {TOKEN}, sorry")), "got █, sorry");
        assert_eq!(read.veil("the scheme Bearer and Basic api"), "the scheme Bearer and Basic api");
    }

    proptest! {
        #[test]
        fn no_eight_bytes_remain(before in "\\PC{0,12}", from in 0usize..38, length in 8usize..46, after in "\\PC{0,12}") {
            let read = credential(TOKEN);
            let piece = TOKEN.get(from..(from + length).min(TOKEN.len())).unwrap();
            let shown = read.veil(&format!("{before}{piece}{after}"));
            for window in TOKEN.as_bytes().windows(8) {
                prop_assert!(memchr::memmem::find(shown.as_bytes(), window).is_none());
            }
        }

        #[test]
        fn what_holds_nothing_is_untouched(text in "[a-f ]{0,60}") {
            prop_assert_eq!(credential(TOKEN).veil(&text), text);
        }
    }
}
