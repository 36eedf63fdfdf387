//! The one credential in a head: find, judge, repair, re-emit; the list of changes.

mod candidate;
mod sent;
mod trim;

use std::borrow::Cow;

use smallvec::SmallVec;

use self::candidate::{Candidate, split};
use self::sent::AsSent;
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

/// How the `Authorization` value that Grafana was sent begins. Grafana compares bytes: it claims a token only behind
/// exactly `Bearer ` (or `Basic `, user `api_key`), so the form alone does not say what it saw.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Spelling {
    /// With exactly `Bearer ` or `Basic `, and something follows.
    #[default]
    Exact,
    /// With anything else: `bearer `, `Bearer:`, `Bearer` and a tab, a quote before the scheme, no scheme at all.
    Inexact,
    /// There is nothing but a scheme (`Bearer`, `Basic `).
    Empty,
}

/// What one look at the credential lines of a head has found.
#[derive(Clone, Debug)]
pub struct Judgement<'h> {
    /// The form as it came.
    pub received: AuthForm,
    /// The form as it is sent on.
    pub sent: AuthForm,
    /// How the value that is sent on (its first line) begins.
    pub spelling: Spelling,
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

impl Judgement<'_> {
    const NONE: Self = Self {
        received: AuthForm::None,
        sent: AuthForm::None,
        spelling: Spelling::Exact,
        changes: Changes(0),
        token: None,
        identity: None,
        outward: Outward::Absent,
    };
}

/// Judges the values of all `Authorization` lines, in order, and of the `restore_from` carriers that may be believed.
///
/// A credential of the request's own wins over any carrier. Under [`Repair::Observe`] a carrier is only reported; under
/// [`Repair::Off`] it is restored byte for byte: it was configured by name.
pub fn judge<'h>(lines: &[&'h [u8]], carriers: &[&'h [u8]], repair: Repair) -> Judgement<'h> {
    if let [line] = lines
        && let Some(judgement) = canonical(line)
    {
        return judgement;
    }
    let own = lines.iter().any(|line| !line.trim_ascii().is_empty());
    if own {
        return judge_lines(lines, repair);
    }
    match carriers.iter().find(|carrier| !carrier.trim_ascii().is_empty()) {
        Some(carrier) => restore(carrier, lines, repair),
        None if lines.is_empty() => Judgement::NONE,
        None => Judgement { outward: Outward::AsReceived, ..Judgement::NONE },
    }
}

/// The common case, without a copy: `Bearer ` and a token that needs nothing.
fn canonical(line: &[u8]) -> Option<Judgement<'_>> {
    let token = line.strip_prefix(b"Bearer ")?;
    let facts = TokenFacts::of(token);
    facts.is_sound().then(|| Judgement {
        received: AuthForm::Bearer,
        sent: AuthForm::Bearer,
        spelling: Spelling::Exact,
        changes: Changes::default(),
        token: Some(facts),
        identity: Some(Cow::Borrowed(token)),
        outward: Outward::AsReceived,
    })
}

fn judge_lines<'h>(lines: &[&'h [u8]], repair: Repair) -> Judgement<'h> {
    let as_sent = AsSent::of(lines.first().copied().unwrap_or_default());
    let mut candidates: SmallVec<[Candidate<'h>; 2]> = SmallVec::new();
    for line in lines {
        candidates.extend(split(line).map(Candidate::read));
    }
    candidates.retain(|candidate| !candidate.is_empty());
    let Some((first, others)) = candidates.split_first() else {
        // A scheme with nothing behind it: Grafana says what it thinks of that.
        return Judgement { outward: Outward::AsReceived, ..as_sent.judgement() };
    };
    let conflict = others.iter().any(|other| other.identity != first.identity);
    let mut changes = first.changes;
    if !others.is_empty() || lines.len() > 1 {
        changes.insert(Change::DuplicateDropped);
    }
    let kept = Judgement { identity: Some(first.identity.clone()), ..as_sent.judgement() };
    match repair {
        Repair::Off => Judgement { outward: Outward::AsReceived, ..kept },
        Repair::Observe if conflict => Judgement { outward: Outward::AsReceived, ..kept },
        Repair::Observe => Judgement { changes, outward: Outward::AsReceived, ..kept },
        Repair::On if conflict => Judgement { outward: Outward::Conflict, ..kept },
        Repair::On if changes.is_empty() => Judgement { outward: Outward::AsReceived, ..kept },
        Repair::On => repaired(first, changes, kept),
    }
}

fn repaired<'h>(first: &Candidate<'h>, changes: Changes, kept: Judgement<'h>) -> Judgement<'h> {
    let value = first.canonical();
    let sent = AsSent::of(&value);
    Judgement {
        sent: sent.form,
        spelling: sent.spelling,
        token: sent.token,
        changes,
        outward: Outward::Replace(value),
        ..kept
    }
}

fn restore<'h>(carrier: &&'h [u8], lines: &[&'h [u8]], repair: Repair) -> Judgement<'h> {
    let mut judgement = judge_lines(&[carrier], repair);
    judgement.received = AuthForm::None;
    judgement.changes.insert(Change::Restored);
    if repair == Repair::Observe {
        let outward = if lines.is_empty() { Outward::Absent } else { Outward::AsReceived };
        return Judgement { changes: judgement.changes, identity: judgement.identity, outward, ..Judgement::NONE };
    }
    if judgement.outward == Outward::AsReceived {
        judgement.outward = Outward::Replace(Cow::Borrowed(carrier));
    }
    judgement
}

#[cfg(test)]
mod tests;
