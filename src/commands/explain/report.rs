//! What is said about a pasted answer, in text and as JSON. Words of the answer are shown without what looks like a
//! secret: people paste whole heads.

use http::StatusCode;
use serde_json::{Value, json};

use super::reference::who;
use super::suppose::{Candidate, Outcome};
use crate::commands::output::Paint;
use crate::commands::rows::{row, wrap};
use crate::config::masking::mask;
use crate::domain::classify::Verdict;
use crate::domain::reason::{Reason, Source};
use crate::telemetry::redact;

/// What was found out about an answer.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) status: StatusCode,
    pub(super) outcome: Outcome,
    /// The proxy itself had named the reason.
    pub(super) named_by_proxy: bool,
    /// What was not told, and how to tell it.
    pub(super) missing: Vec<&'static str>,
}

impl Report {
    /// Whether there is something to explain.
    pub(super) const fn explains(&self) -> bool {
        self.outcome.verdict.is_some() || !self.outcome.candidates.is_empty()
    }

    pub(super) fn json(&self) -> String {
        let outcome = &self.outcome;
        let mut object =
            json!({ "status": self.status.as_u16(), "refused": self.explains(), "certain": self.is_certain() });
        if let (Some(verdict), Some(members)) = (&outcome.verdict, object.as_object_mut()) {
            let reason = verdict.reason;
            members.insert("reason".to_owned(), reason.code().into());
            members.insert("source".to_owned(), self.source().map_or(Value::Null, |source| source.name().into()));
            members.insert("title".to_owned(), reason.title().into());
            members.insert("detail".to_owned(), clean(&verdict.detail).into());
            members.insert("cause".to_owned(), reason.cause().into());
            members.insert("hint".to_owned(), clean(&verdict.hint).into());
            if let Some(permission) = &verdict.permission {
                members.insert("permission".to_owned(), clean(permission).into());
            }
            members.insert("doc".to_owned(), reason.doc_url().into());
            members.insert("named_by_proxy".to_owned(), self.named_by_proxy.into());
        }
        if let Some(members) = object.as_object_mut() {
            members.insert("candidates".to_owned(), candidates(&outcome.candidates));
            members.insert("unless".to_owned(), candidates(&outcome.unless));
            members.insert("missing".to_owned(), json!(self.missing));
        }
        format!("{object:#}\n")
    }

    /// No request that is usual or not would make another thing of the answer.
    const fn is_certain(&self) -> bool {
        self.outcome.agreed && self.outcome.unless.is_empty()
    }

    /// Who refused, where all that is possible agrees on that.
    fn source(&self) -> Option<Source> {
        let own = self.outcome.verdict.as_ref().map(|verdict| verdict.reason.source());
        let mut others = self.outcome.candidates.iter().map(|candidate| candidate.reason.map(Reason::source));
        own.filter(|_| others.all(|other| other == own))
    }

    pub(super) fn text(&self, paint: &Paint) -> String {
        let mut text = match &self.outcome.verdict {
            Some(verdict) => self.explained(verdict, paint),
            None if self.explains() => {
                format!("{}: the answer alone does not tell what it was.\n", paint.bold(self.status.as_str()))
            }
            None => format!(
                "{}: no refusal, as far as it shows: there is nothing to explain.\n",
                paint.bold(self.status.as_str())
            ),
        };
        list(&mut text, "It may be", &self.outcome.candidates);
        list(&mut text, "It would be something else", &self.outcome.unless);
        if !self.missing.is_empty() {
            text.push_str("\nNot told, and worth telling:\n");
            for missing in &self.missing {
                text.push_str("  ");
                wrap(&mut text, missing, 2);
            }
        }
        text
    }

    fn explained(&self, verdict: &Verdict, paint: &Paint) -> String {
        let reason = verdict.reason;
        let mut text = format!("{}: {}\n\n", paint.bold(reason.code()), reason.title());
        let source = match self.source() {
            Some(source) => format!("{}: {}", source.name(), who(source)),
            None => "not certain: the answer does not show who refused".to_owned(),
        };
        let named = if self.named_by_proxy { " (named by grafana-token-proxy itself)" } else { "" };
        text.push_str(&row("status", &format!("{}{named}", self.status.as_u16())));
        text.push_str(&row("source", &source));
        text.push_str(&row("what", &clean(&verdict.detail)));
        text.push_str(&row("why", reason.cause()));
        if let Some(permission) = &verdict.permission {
            text.push_str(&row("needs", &clean(permission)));
        }
        text.push_str(&row("next", &clean(&verdict.hint)));
        text.push_str(&row("doc", &reason.doc_url()));
        text
    }
}

fn candidates(list: &[Candidate]) -> Value {
    list.iter().map(|candidate| json!({ "reason": candidate.reason.map(Reason::code), "if": candidate.when })).collect()
}

fn list(text: &mut String, title: &str, candidates: &[Candidate]) {
    if candidates.is_empty() {
        return;
    }
    text.push_str(&format!("\n{title}:\n"));
    for candidate in candidates {
        text.push_str(&format!("  {:<25} ", candidate.reason.map_or("no refusal", Reason::code)));
        wrap(text, &format!("if {}", candidate.when), 28);
    }
}

/// Words of an answer without what looks like a secret or like an order to the terminal.
fn clean(words: &str) -> String {
    let words: String = words.chars().filter(|c| !c.is_control()).collect();
    redact(&mask(&words)).into_owned()
}
