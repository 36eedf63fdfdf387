//! The one credential in a head: find, judge, repair, re-emit; the list of changes.

mod basic;
mod change;
mod compared;
mod peel;
mod reading;
mod scheme;
mod sent;

use std::borrow::Cow;
use std::fmt;

use smallvec::SmallVec;

pub use self::change::{Change, Changes};
pub use self::compared::{Compared, compared_of_identity};
use self::reading::{Reading, read};
use self::sent::Sent;
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

/// What becomes of the `Authorization` header.
#[derive(Clone, PartialEq, Eq)]
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

/// Never shows the credential.
impl fmt::Debug for Outward<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Absent => "Absent",
            Self::AsReceived => "AsReceived",
            Self::Replace(_) => "Replace(…)",
            Self::Conflict => "Conflict",
        })
    }
}

/// What one look at the credential lines of a head has found.
#[derive(Clone)]
pub struct Judgement<'h> {
    /// The form as it came, judged after outer blanks and quotes. What a carrier brought is not counted.
    pub received: AuthForm,
    /// The form as it is sent on: what Grafana makes of the first line.
    pub sent: AuthForm,
    /// How the line that is sent on is spelt. Means nothing where `sent` is `None` and there was no line.
    pub spelling: Spelling,
    /// What was repaired; under `observe`, what would have been.
    pub changes: Changes,
    /// The token that Grafana gets to see, where there is one (also inside `Basic api_key:…`), as it stands behind the
    /// scheme. Where Grafana takes the value for no credential: the token that was meant.
    pub token: Option<TokenFacts>,
    /// User or password of the `Basic` value that is sent is a token, which Grafana will try as a password in vain.
    pub basic_holds_token: bool,
    /// The credential in its canonical spelling, the same for every spelling and in every mode: what buckets and
    /// fingerprints are made from. For a token, the token alone; for `Basic`, `Basic ` and the decoded pair; else the
    /// whole value. `None` where nothing is sent.
    pub identity: Option<Cow<'h, [u8]>>,
    /// What becomes of the header.
    pub outward: Outward<'h>,
    /// The value of the first carrier that holds another credential than `Authorization`, which wins over it.
    pub passed_over: Option<&'h [u8]>,
}

/// Never shows the credential.
impl fmt::Debug for Judgement<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Judgement")
            .field("received", &self.received)
            .field("sent", &self.sent)
            .field("spelling", &self.spelling)
            .field("changes", &self.changes)
            .field("token", &self.token)
            .field("basic_holds_token", &self.basic_holds_token)
            .field("outward", &self.outward)
            .finish_non_exhaustive()
    }
}

/// What Grafana reads a token behind.
const CANONICAL: &[u8] = b"Bearer ";

/// Judges the values of all `Authorization` lines, in order, and of the `restore_from` carriers that may be believed, in
/// order of preference.
///
/// An `Authorization` that holds something wins over every carrier. Restoring is configured by itself, so it also happens
/// under [`Repair::Off`], byte for byte; under [`Repair::Observe`] it is only reported.
pub fn judge<'h>(lines: &[&'h [u8]], carriers: &[&'h [u8]], repair: Repair) -> Judgement<'h> {
    let mut judgement = judge_lines(lines, carriers, repair);
    if !carriers.is_empty() {
        judgement.passed_over = passed_over(lines, carriers);
    }
    judgement
}

/// The first carrier that holds another credential than `Authorization`, where that holds one.
fn passed_over<'h>(lines: &[&'h [u8]], carriers: &[&'h [u8]]) -> Option<&'h [u8]> {
    // A hop that passes both on usually copied one to the other.
    let mut others = carriers.iter().filter(|carrier| !lines.contains(carrier)).peekable();
    others.peek()?;
    let own: Readings<'h> = lines.iter().flat_map(|line| read(line)).collect();
    let first = own.first()?;
    others.find(|carrier| read(carrier).iter().any(|reading| !reading.is_same_as(first))).copied()
}

fn judge_lines<'h>(lines: &[&'h [u8]], carriers: &[&'h [u8]], repair: Repair) -> Judgement<'h> {
    if let [line] = lines
        && let Some(judgement) = judge_canonical(line)
    {
        return judgement;
    }
    let own: Readings<'h> = lines.iter().flat_map(|line| read(line)).collect();
    if own.is_empty()
        && let Some(carrier) = carriers.iter().find(|carrier| !read(carrier).is_empty())
    {
        return restore(lines, carrier, repair);
    }
    let received = own.first().map_or(AuthForm::None, |reading| reading.form);
    let (outward, changes) = merge(lines, &own);
    // Without repair Grafana reads the first line and ignores the others.
    let first = own.into_iter().next().map(|reading| reading.identity);
    let outward = match (lines, repair) {
        ([], _) => Outward::Absent,
        (_, Repair::On) => outward,
        (_, Repair::Observe | Repair::Off) => Outward::AsReceived,
    };
    let changes = if repair == Repair::Off { Changes::default() } else { changes };
    conclude(lines, received, outward, changes, first)
}

type Readings<'h> = SmallVec<[Reading<'h>; 2]>;

/// The usual case costs no allocation: one line, `Bearer `, and a token whose checksum holds.
fn judge_canonical<'h>(line: &'h [u8]) -> Option<Judgement<'h>> {
    let token = line.strip_prefix(CANONICAL)?;
    let facts = TokenFacts::of_service_account(token).filter(TokenFacts::is_sound)?;
    Some(Judgement {
        received: AuthForm::Bearer,
        sent: AuthForm::Bearer,
        spelling: Spelling::Exact,
        changes: Changes::default(),
        token: Some(facts),
        basic_holds_token: false,
        identity: Some(Cow::Borrowed(token)),
        outward: Outward::AsReceived,
        passed_over: None,
    })
}

/// What repair makes of the lines: one of them, spelt canonically where that is ours to do.
fn merge<'h>(lines: &[&'h [u8]], own: &[Reading<'h>]) -> (Outward<'h>, Changes) {
    let Some(first) = own.first() else {
        // Nothing in any line: Grafana takes several for one.
        return match lines {
            [line, _, ..] => (Outward::Replace(Cow::Borrowed(line)), dropped()),
            _ => (Outward::AsReceived, Changes::default()),
        };
    };
    if own.iter().any(|other| !other.is_same_as(first)) {
        return (Outward::Conflict, Changes::default());
    }
    let kept = own.iter().find(|reading| reading.is_canonical()).unwrap_or(first);
    let mut changes = kept.changes;
    if lines.len() > 1 || own.len() > 1 {
        changes.extend(dropped());
    }
    if changes.is_empty() {
        return (Outward::AsReceived, changes);
    }
    (Outward::Replace(kept.spelt()), changes)
}

fn dropped() -> Changes {
    [Change::DuplicateDropped].into_iter().collect()
}

/// The credential came around a hop that strips `Authorization`.
fn restore<'h>(lines: &[&'h [u8]], carrier: &'h [u8], repair: Repair) -> Judgement<'h> {
    let own = read(carrier);
    let (repaired, mut changes) = merge(&[carrier], &own);
    changes.insert(Change::Restored);
    let outward = match repair {
        Repair::On if repaired == Outward::AsReceived => Outward::Replace(Cow::Borrowed(carrier)),
        Repair::On => repaired,
        Repair::Observe if lines.is_empty() => Outward::Absent,
        Repair::Observe => Outward::AsReceived,
        Repair::Off => {
            changes = [Change::Restored].into_iter().collect();
            Outward::Replace(Cow::Borrowed(carrier))
        }
    };
    // Where it is only reported, Grafana sees no credential, and the request counts as one without.
    let identity = own.into_iter().next().map(|reading| reading.identity).filter(|_| repair != Repair::Observe);
    conclude(lines, AuthForm::None, outward, changes, identity)
}

fn conclude<'h>(
    lines: &[&'h [u8]],
    received: AuthForm,
    outward: Outward<'h>,
    changes: Changes,
    identity: Option<Cow<'h, [u8]>>,
) -> Judgement<'h> {
    let sent = match &outward {
        Outward::Absent | Outward::Conflict => Sent::default(),
        Outward::AsReceived => lines.first().map_or_else(Sent::default, |line| Sent::of(line)),
        Outward::Replace(value) => Sent::of(value),
    };
    let Sent { form, spelling, token, basic_holds_token } = sent;
    let passed_over = None;
    Judgement { received, sent: form, spelling, changes, token, basic_holds_token, identity, outward, passed_over }
}

#[cfg(test)]
mod tests;
