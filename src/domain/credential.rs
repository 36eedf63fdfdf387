//! The one credential in a head: find, judge, repair, re-emit; the list of changes.

use std::borrow::Cow;

use super::token::TokenFacts;

/// What `authorization.repair` asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Repair {
    /// Repair what is damaged.
    #[default]
    On,
    /// Report what would be repaired, change nothing.
    Observe,
    /// Change nothing, report nothing.
    Off,
}

/// How credentials are treated.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Whether damaged spellings are repaired.
    pub repair: Repair,
    /// Headers that carry the credential around a hop which strips `Authorization`, in order of preference.
    pub restore_from: Vec<http::HeaderName>,
}

/// The shape of an `Authorization` header: what `auth_received` and `auth_sent` say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum AuthForm {
    /// No header, or nothing in it.
    #[default]
    None,
    /// `Bearer …` in any spelling.
    Bearer,
    /// A token without a scheme.
    BareToken,
    /// `Basic` with a user and a password.
    Basic,
    /// `Basic api_key:<token>`.
    BasicApiKey,
    /// A JWT, with `Bearer` or without.
    Jwt,
    /// Anything else (`Token …`, `Negotiate …`).
    Other,
}

impl AuthForm {
    /// The name in logs and headers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Bearer => "bearer",
            Self::BareToken => "bare_token",
            Self::Basic => "basic",
            Self::BasicApiKey => "basic_api_key",
            Self::Jwt => "jwt",
            Self::Other => "other",
        }
    }
}

/// One repair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[allow(missing_docs, reason = "the names are the contract's; each is described in the reference")]
pub enum Change {
    BearerAdded,
    SchemeCase,
    SchemeReplaced,
    SchemeDeduplicated,
    WhitespaceTrimmed,
    NewlineTrimmed,
    QuotesRemoved,
    ColonRemoved,
    DuplicateDropped,
    BasicApiKeyToBearer,
    Restored,
    NominationIgnored,
}

impl Change {
    /// Every change, in the order of the contract.
    pub const ALL: [Self; 12] = [
        Self::BearerAdded,
        Self::SchemeCase,
        Self::SchemeReplaced,
        Self::SchemeDeduplicated,
        Self::WhitespaceTrimmed,
        Self::NewlineTrimmed,
        Self::QuotesRemoved,
        Self::ColonRemoved,
        Self::DuplicateDropped,
        Self::BasicApiKeyToBearer,
        Self::Restored,
        Self::NominationIgnored,
    ];

    /// The name in logs, metrics and headers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::BearerAdded => "bearer_added",
            Self::SchemeCase => "scheme_case",
            Self::SchemeReplaced => "scheme_replaced",
            Self::SchemeDeduplicated => "scheme_deduplicated",
            Self::WhitespaceTrimmed => "whitespace_trimmed",
            Self::NewlineTrimmed => "newline_trimmed",
            Self::QuotesRemoved => "quotes_removed",
            Self::ColonRemoved => "colon_removed",
            Self::DuplicateDropped => "duplicate_dropped",
            Self::BasicApiKeyToBearer => "basic_api_key_to_bearer",
            Self::Restored => "restored",
            Self::NominationIgnored => "nomination_ignored",
        }
    }
}

/// The set of repairs made to one request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changes(u16);

impl Changes {
    /// Adds one.
    pub const fn insert(&mut self, change: Change) {
        self.0 |= 1 << change as u16;
    }

    /// Whether `change` was made.
    pub const fn contains(self, change: Change) -> bool {
        self.0 & (1 << change as u16) != 0
    }

    /// Whether nothing was changed.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The changes in the order of the contract.
    pub fn iter(self) -> impl Iterator<Item = Change> {
        Change::ALL.into_iter().filter(move |change| self.contains(*change))
    }
}

/// What becomes of the `Authorization` header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outward<'h> {
    /// There is none, and none is sent.
    Absent,
    /// All lines go on as they came.
    AsReceived,
    /// One line with these bytes replaces all that came.
    Replace(Cow<'h, [u8]>),
    /// Two different credentials: refused.
    Conflict,
}

/// What one look at the credential lines of a head has found.
#[derive(Clone, Debug)]
pub struct Judgement<'h> {
    /// The form as it came.
    pub received: AuthForm,
    /// The form as it is sent on.
    pub sent: AuthForm,
    /// What was repaired; under `observe`, what would have been.
    pub changes: Changes,
    /// The token that Grafana gets to see, where there is one (also inside `Basic api_key:…`).
    pub token: Option<TokenFacts>,
    /// The credential in its canonical spelling, the same for every spelling and in every mode: what buckets and
    /// fingerprints are made from. For a token, the token alone; else the whole value. `None` without a credential.
    pub identity: Option<Cow<'h, [u8]>>,
    /// What becomes of the header.
    pub outward: Outward<'h>,
}

/// Judges the values of all `Authorization` lines, in order, and of the `restore_from` carriers that may be believed.
pub fn judge<'h>(lines: &[&'h [u8]], carriers: &[&'h [u8]], repair: Repair) -> Judgement<'h> {
    let _ = (carriers, repair);
    let first = lines.first().copied();
    Judgement {
        received: AuthForm::None,
        sent: AuthForm::None,
        changes: Changes::default(),
        token: None,
        identity: first.map(Cow::Borrowed),
        outward: if first.is_some() { Outward::AsReceived } else { Outward::Absent },
    }
}
