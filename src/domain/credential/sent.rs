//! How Grafana reads a value as it stands, damage and all.

use super::basic::Pair;
use super::peel::trim_as_go;
use super::reading::{Reading, is_ours};
use super::{AuthForm, CANONICAL, Spelling};
use crate::domain::token::{TokenFacts, TokenKind};

/// What Grafana makes of a value.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sent {
    pub(super) form: AuthForm,
    pub(super) spelling: Spelling,
    pub(super) token: Option<TokenFacts>,
    pub(super) basic_holds_token: bool,
}

impl Sent {
    /// Reads a value byte for byte as Grafana does (its `HasPrefix(h, "Bearer ")`, Go's `BasicAuth`), after Go's server
    /// has trimmed it.
    pub(super) fn of(value: &[u8]) -> Self {
        let value = trim_as_go(value);
        if let Some(token) = value.strip_prefix(CANONICAL) {
            return Self::bearer(TokenFacts::of(token), Spelling::Exact);
        }
        if value.is_empty() {
            return Self::default();
        }
        if let Some((scheme, rest)) = value.split_at_checked(6)
            && scheme.eq_ignore_ascii_case(b"basic ")
        {
            return Self::basic(scheme == b"Basic ", rest);
        }
        if value.eq_ignore_ascii_case(b"basic") {
            return Self { form: AuthForm::Other, spelling: Spelling::Empty, ..Self::default() };
        }
        Self::not_understood(value)
    }

    fn bearer(token: TokenFacts, spelling: Spelling) -> Self {
        let form = if token.kind == TokenKind::Jwt { AuthForm::Jwt } else { AuthForm::Bearer };
        Self { form, spelling, token: Some(token), basic_holds_token: false }
    }

    fn basic(exact: bool, encoded: &[u8]) -> Self {
        let spelling = if exact { Spelling::Exact } else { Spelling::Inexact };
        let Some(pair) = Pair::decode(encoded) else {
            let basic_holds_token = is_ours(encoded);
            return Self { form: AuthForm::Other, spelling: Spelling::Inexact, token: None, basic_holds_token };
        };
        let basic_holds_token = pair.holds_token();
        match pair.api_key() {
            Some(token) => {
                Self { form: AuthForm::BasicApiKey, spelling, token: Some(TokenFacts::of(token)), basic_holds_token }
            }
            None => Self { form: AuthForm::Basic, spelling, token: None, basic_holds_token },
        }
    }

    /// What Grafana does not take for a credential: what it was meant to be still says what to mend.
    fn not_understood(value: &[u8]) -> Self {
        let Some(reading) = Reading::of(value) else {
            return Self { spelling: Spelling::Empty, ..Self::default() };
        };
        let form = match reading.form {
            // Damaged so that Go does not take it for Basic either.
            AuthForm::Basic | AuthForm::BasicApiKey => AuthForm::Other,
            form => form,
        };
        let token = reading.is_token.then(|| TokenFacts::of(&reading.identity));
        Self { form, spelling: Spelling::Inexact, token, basic_holds_token: false }
    }
}
