//! What is printed: a line for each step as it is done, then the verdict. As text, or as JSON lines.

use anstyle::AnsiColor;
use serde_json::{Map, Value, json};

use super::judge::{Finding, Verdict};
use super::observations::Role;
use super::step::Told;
use super::verdict::{Code, Weight};
use crate::commands::output::Paint;
use crate::commands::rows::{row, wrap};

/// Where the texts of the steps begin.
const INDENT: usize = 28;

/// A step for eyes.
pub(super) fn step(told: &Told, paint: &Paint) -> String {
    let role = told.role.map_or("", Role::name);
    // Colour has a length of its own, which no column may count.
    let mut text = format!("{:<5} {role:<6} {:<13}  ", told.weight.name(), told.step.name());
    wrap(&mut text, &told.found, INDENT);
    if let Some(again) = told.again.as_ref().filter(|_| told.weight > Weight::Ok) {
        // A command is to be copied: it stays on one line.
        text.push_str(&format!("{}$ {again}\n", " ".repeat(INDENT)));
    }
    match text.strip_prefix(told.weight.name()) {
        Some(rest) => format!("{}{rest}", coloured(told.weight, paint)),
        None => text,
    }
}

fn coloured(weight: Weight, paint: &Paint) -> String {
    let colour = match weight {
        Weight::Ok => AnsiColor::Green,
        Weight::Warn => AnsiColor::Yellow,
        Weight::Fail => AnsiColor::Red,
    };
    paint.with(colour.on_default().bold(), weight.name())
}

/// The verdict for eyes.
pub(super) fn verdict(verdict: &Verdict, requests: usize, paint: &Paint) -> String {
    let code = verdict.code();
    let mut text = format!("\n{}: {}\n", paint.bold(code.name()), code.means());
    let finding = verdict.finding.as_ref();
    if let Some(finding) = finding {
        let place =
            finding.role.map(|role| format!("--{}, {}: ", role.name(), finding.step.name())).unwrap_or_default();
        text.push_str(&row("found", &format!("{place}{}", sentence(&finding.detail))));
        if let Some(reason) = finding.reason {
            text.push_str(&row("reason", &format!("{reason}: {}", reason.title())));
        }
    }
    text.push_str(&row("next", finding.map_or(code.next(), |finding| &finding.next)));
    if let Some(reason) = finding.and_then(|finding| finding.reason) {
        text.push_str(&row("doc", &reason.doc_url()));
    }
    for other in &verdict.others {
        let role = other.role.map(|role| format!(" (--{})", role.name())).unwrap_or_default();
        text.push_str(&row("also", &format!("{}{role}: {}", other.code.name(), sentence(&other.detail))));
    }
    text.push_str(&row("sent", &format!("{requests} request{}", if requests == 1 { "" } else { "s" })));
    text
}

/// A step for programs.
pub(super) fn step_json(told: &Told) -> String {
    let line = json!({
        "step": told.step.name(),
        "way": told.role.map(Role::name),
        "state": told.weight.name(),
        "found": told.found,
        "again": told.again,
    });
    format!("{line}\n")
}

/// The verdict for programs: the last line.
pub(super) fn verdict_json(verdict: &Verdict, requests: usize) -> String {
    let (code, finding) = (verdict.code(), verdict.finding.as_ref());
    let mut members = Map::new();
    members.insert("code".to_owned(), code.name().into());
    members.insert("weight".to_owned(), code.weight().name().into());
    members.insert("means".to_owned(), code.means().into());
    let mut put = |name: &str, value: Option<Value>| members.insert(name.to_owned(), value.unwrap_or_default());
    put("way", finding.and_then(|finding| finding.role).map(|role| role.name().into()));
    put("step", finding.map(|finding| finding.step.name().into()));
    put("found", finding.map(|finding| sentence(&finding.detail).into()));
    put("reason", finding.and_then(|finding| finding.reason).map(|reason| reason.code().into()));
    put("doc", finding.and_then(|finding| finding.reason).map(|reason| reason.doc_url().into()));
    put("next", Some(finding.map_or(code.next(), |finding| &finding.next).into()));
    let also = |other: &Finding| json!({ "code": other.code.name(), "way": other.role.map(Role::name), "found": other.detail });
    let line = json!({
        "verdict": members,
        "also": verdict.others.iter().map(also).collect::<Vec<_>>(),
        "healthy": is_healthy(code),
        "requests": requests,
    });
    format!("{line}\n")
}

/// Warnings do not fail a pipeline.
pub(super) fn is_healthy(code: Code) -> bool {
    code.weight() < Weight::Fail
}

/// A clause with a capital and a full stop.
pub(super) fn sentence(clause: &str) -> String {
    let mut characters = clause.chars();
    let first = characters.next().map(|first| first.to_ascii_uppercase());
    let end = if clause.ends_with(['.', '?', '!']) { "" } else { "." };
    first.into_iter().chain(characters).chain(end.chars()).collect()
}
