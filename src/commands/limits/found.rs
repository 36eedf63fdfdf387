//! What was found out about callers, wherever it comes from: what a report is made of.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::line::Caller;
use super::tally::{Tallies, Tally};
use crate::domain::demand::{Need, Suggestion, Verdict, suggest};
use crate::domain::limit::Rate;
use crate::telemetry::timestamp;

/// A shorter log is said to be short.
const SHORT: Duration = Duration::from_secs(3600);

/// Everything.
#[derive(Debug)]
pub(super) struct Found {
    /// The first and the last request.
    pub span: Option<(String, String)>,
    /// Requests that are told of below.
    pub requests: u64,
    /// What was compared with: of credentials, and of addresses.
    pub token_limit: Rate,
    pub client_limit: Rate,
    /// The neediest first.
    pub rows: Vec<Row>,
    /// What a reader has to know.
    pub notes: Vec<String>,
    /// What was left aside, and why.
    pub skipped: Vec<(&'static str, u64)>,
}

/// One caller.
#[derive(Debug)]
pub(super) struct Row {
    pub who: Who,
    pub name: Option<String>,
    pub kind: Option<String>,
    pub requests: u64,
    /// The first and the last one.
    pub span: (Option<String>, Option<String>),
    /// The most in a second, and in a minute.
    pub peaks: Option<(u32, u32)>,
    pub needs: Vec<Need>,
    pub suggestion: Option<Suggestion>,
    pub refusals: Refusals,
}

/// What has a bucket.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Who {
    Token(String),
    Credential(String),
    Address(String),
}

/// What the limit would have done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refusals {
    /// So many, the first at.
    Counted(u64, Option<String>),
    /// Only the ladder is known.
    Judged(Verdict),
}

impl Who {
    /// As it is shown.
    pub(super) fn label(&self) -> &str {
        match self {
            Self::Token(label) | Self::Credential(label) | Self::Address(label) => label,
        }
    }

    /// As a program tells them apart.
    pub(super) const fn class(&self) -> &'static str {
        match self {
            Self::Token(_) => "token",
            Self::Credential(_) => "credential",
            Self::Address(_) => "address",
        }
    }
}

impl Refusals {
    /// Whether there is something to tell.
    pub(super) const fn is_none(&self) -> bool {
        matches!(self, Self::Counted(0, _) | Self::Judged(Verdict::Never))
    }
}

impl Row {
    fn of((caller, tally): (Caller, Tally)) -> Self {
        let who = match caller {
            Caller::Token(print) => Who::Token(print),
            Caller::Credential(form, address) => Who::Credential(format!("{form} from {address}")),
            Caller::Address(address) if address.is_ipv6() => Who::Address(format!("{address}/64")),
            Caller::Address(address) => Who::Address(address.to_string()),
        };
        let needs = tally.demand.needs().to_vec();
        Self {
            who,
            name: tally.name,
            kind: tally.kind,
            requests: tally.requests,
            span: (Some(moment(tally.first)), Some(moment(tally.last))),
            peaks: Some((tally.second.most(), tally.minute.most())),
            suggestion: suggest(&needs),
            needs,
            refusals: Refusals::Counted(tally.bucket.refused, tally.bucket.first.map(moment)),
        }
    }

    fn rank(&self) -> (u32, u32) {
        self.suggestion.map_or((u32::MAX, u32::MAX), |suggestion| (suggestion.per_second, suggestion.burst))
    }
}

impl Found {
    /// What a log tells.
    pub(super) fn in_log(tallies: Tallies) -> Self {
        let (measure, counts) = (tallies.measure.clone(), tallies.counts.clone());
        let callers = tallies.into_callers();
        let ends = callers.iter().filter(|(_, tally)| tally.requests > 0);
        let ends = ends.map(|(_, tally)| (tally.first, tally.last));
        let ends = ends.reduce(|one, other| (one.0.min(other.0), one.1.max(other.1)));
        let mut notes = Vec::new();
        let mut note = |wanted: bool, text: String| {
            if wanted {
                notes.push(text);
            }
        };
        note(
            counts.starts > 1,
            format!(
                "the proxy was started {} times in this log: unless GTP_FINGERPRINT_KEY is set, each start gives a \
                 token another fingerprint, and the token stands here more than once, with a part of its requests each",
                counts.starts
            ),
        );
        note(
            counts.suppressed > 0,
            format!(
                "{} refusals were left out of the log and only counted: when exactly they came is estimated",
                counts.suppressed
            ),
        );
        note(
            counts.beyond > 0,
            format!(
                "{} requests came from further callers: only the first {} are told apart",
                counts.beyond,
                callers.len()
            ),
        );
        let span = ends.map(|(first, last)| Duration::from_nanos(last - first));
        note(
            span.is_some_and(|span| span < SHORT),
            format!(
                "the log spans {}: what happens once a day is not in it",
                span.map_or_else(String::new, |span| match span.as_secs() {
                    0..=1 => "a moment".to_owned(),
                    seconds @ 2..=119 => format!("{seconds} s"),
                    seconds => format!("{} minutes", seconds / 60),
                })
            ),
        );
        note(
            callers.iter().any(|(caller, _)| matches!(caller, Caller::Address(_))),
            "a session cookie has a limit of its own, and the log does not tell sessions apart: their requests stand \
             here with their address"
                .to_owned(),
        );
        let mut found = Self {
            span: ends.map(|(first, last)| (moment(first), moment(last))),
            requests: callers.iter().map(|(_, tally)| tally.requests).sum(),
            token_limit: measure.token,
            client_limit: measure.client,
            rows: callers.into_iter().map(Row::of).collect(),
            notes,
            skipped: vec![
                ("refused before the limits", counts.early),
                ("exempt paths", counts.exempt),
                ("other lines", counts.others),
            ],
        };
        found.sort();
        found
    }

    /// The neediest first.
    pub(super) fn sort(&mut self) {
        self.rows.sort_by(|one, other| other.rank().cmp(&one.rank()).then_with(|| one.who.cmp(&other.who)));
        if self.rows.iter().any(|row| row.requests > 0 && row.suggestion.is_none()) {
            self.notes.push(
                "what needs `more` asked for more at once than any limit gives: the lines to paste refuse some of it"
                    .to_owned(),
            );
        }
    }
}

fn moment(nanos: u64) -> String {
    timestamp(UNIX_EPOCH.checked_add(Duration::from_nanos(nanos)).unwrap_or(SystemTime::UNIX_EPOCH))
}
