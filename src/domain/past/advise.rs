//! (Past, reason) → what to add to a verdict.

use super::super::classify::Verdict;
use super::super::head::RequestFacts;
use super::super::reason::{Reason, Source};
use super::{Past, password, token};

/// What the past adds to a verdict.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Advice {
    /// Whole sentences.
    pub detail: Vec<String>,
    /// Where to look first: clauses that continue the hint.
    pub hint: Vec<String>,
}

impl Advice {
    pub(super) fn say(&mut self, sentence: impl Into<String>) {
        self.detail.push(sentence.into());
    }

    pub(super) fn point(&mut self, clause: impl Into<String>) {
        self.hint.push(clause.into());
    }

    /// Adds itself to a verdict, whose reason stays.
    pub fn add_to(self, verdict: &mut Verdict) {
        for sentence in self.detail {
            if !verdict.detail.is_empty() {
                verdict.detail.push(' ');
            }
            verdict.detail.push_str(&sentence);
        }
        for clause in self.hint {
            // The hint stays one sentence.
            let whole = verdict.hint.trim_end_matches('.').len();
            verdict.hint.truncate(whole);
            if whole > 0 {
                verdict.hint.push_str("; ");
            }
            verdict.hint.push_str(&clause);
            verdict.hint.push('.');
        }
    }
}

/// What the past makes likely about a refusal. Nothing where we refused ourselves: then nothing is in doubt.
pub fn advise(request: &RequestFacts, past: &Past, reason: Reason) -> Advice {
    let mut advice = Advice::default();
    if matches!(reason.source(), Source::Proxy | Source::Client) {
        return advice;
    }
    if let Some(token) = &past.token {
        token::advise(request, past, token, reason, &mut advice);
    }
    if let Some(user) = &past.user {
        password::advise(past, user, reason, &mut advice);
    }
    advice
}
