//! What Grafana sees in one `Authorization` value, which it compares byte for byte.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::trim::trim;
use super::{AuthForm, Changes, Judgement, Outward, Spelling};
use crate::domain::token::{TokenFacts, TokenKind};

/// A value as it stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct AsSent {
    pub(super) form: AuthForm,
    pub(super) spelling: Spelling,
    pub(super) token: Option<TokenFacts>,
}

impl AsSent {
    pub(super) fn of(value: &[u8]) -> Self {
        let value = value.trim_ascii();
        if let Some(token) = value.strip_prefix(b"Bearer ") {
            let facts = TokenFacts::of(token);
            let form = if facts.kind == TokenKind::Jwt { AuthForm::Jwt } else { AuthForm::Bearer };
            return Self { form, spelling: Spelling::Exact, token: Some(facts) };
        }
        let bare = trim(value, &mut Changes::default());
        if bare.is_empty() {
            return Self { form: AuthForm::None, spelling: Spelling::Exact, token: None };
        }
        if bare.eq_ignore_ascii_case(b"bearer") || bare.eq_ignore_ascii_case(b"basic") {
            let bearer = bare.eq_ignore_ascii_case(b"bearer");
            let form = if bearer { AuthForm::Bearer } else { AuthForm::Basic };
            return Self { form, spelling: Spelling::Empty, token: None };
        }
        if starts_with_ignoring_case(value, b"basic ") {
            return Self::basic(value);
        }
        if starts_with_ignoring_case(bare, b"bearer") && !bare.get(6).is_some_and(u8::is_ascii_alphanumeric) {
            return Self { form: AuthForm::Bearer, spelling: Spelling::Inexact, token: None };
        }
        Self::without_scheme(value, bare)
    }

    fn basic(value: &[u8]) -> Self {
        let exact = if value.starts_with(b"Basic ") { Spelling::Exact } else { Spelling::Inexact };
        let encoded = value.get(6..).unwrap_or_default().trim_ascii();
        let Some(mut pair) = STANDARD.decode(encoded).ok().filter(|pair| pair.contains(&b':')) else {
            return Self { form: AuthForm::Other, spelling: Spelling::Inexact, token: None };
        };
        let found = match pair.strip_prefix(b"api_key:") {
            Some(token) => Self { form: AuthForm::BasicApiKey, spelling: exact, token: Some(TokenFacts::of(token)) },
            None => Self { form: AuthForm::Basic, spelling: exact, token: None },
        };
        zeroize::Zeroize::zeroize(&mut pair);
        found
    }

    /// The form is judged behind blanks and quotes; what Grafana reads is not.
    fn without_scheme(value: &[u8], bare: &[u8]) -> Self {
        let form = match TokenFacts::of(bare).kind {
            TokenKind::Jwt => AuthForm::Jwt,
            TokenKind::Unknown => AuthForm::Other,
            _ => AuthForm::BareToken,
        };
        Self { form, spelling: Spelling::Inexact, token: Some(TokenFacts::of(value)) }
    }

    /// A judgement of a value that goes on as it came.
    pub(super) const fn judgement<'h>(self) -> Judgement<'h> {
        Judgement {
            received: self.form,
            sent: self.form,
            spelling: self.spelling,
            changes: Changes(0),
            token: self.token,
            identity: None,
            outward: Outward::AsReceived,
        }
    }
}

fn starts_with_ignoring_case(value: &[u8], start: &[u8]) -> bool {
    value.get(..start.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(start))
}
