//! The report: for eyes, for programs, and to paste.

use serde_json::{Value, json};

use super::found::{Found, Refusals, Row, Who};
use crate::commands::output::Paint;
use crate::commands::rows::wrap;
use crate::config::values::rate;
use crate::domain::demand::{Need, Suggestion, Verdict};
use crate::domain::limit::Rate;

/// Callers that are shown to eyes.
const SHOWN: usize = 40;

/// For eyes.
pub(super) fn text(found: &Found, paint: &Paint) -> String {
    let callers = plural(found.rows.len() as u64, "caller");
    let mut text = format!("{} of {callers}", plural(found.requests, "request"));
    if let Some((first, last)) = &found.span {
        text.push_str(&format!(", {first} to {last}"));
    }
    text.push_str("\n\n");
    text.push_str(&table(found, paint));
    if let Some(more) = found.rows.len().checked_sub(SHOWN).filter(|more| *more > 0) {
        text.push_str(&format!("and {more} more, which need less: -o json tells them all\n"));
    }
    text.push('\n');
    text.push_str(&refusals(found));
    text.push_str(&format!("\n{}\n{}", paint.bold("To paste, with room for half as much again:"), yaml(found)));
    let mut notes = found.notes.clone();
    let skipped: Vec<String> =
        found.skipped.iter().filter(|(_, count)| *count > 0).map(|(what, count)| format!("{what}: {count}")).collect();
    if !skipped.is_empty() {
        notes.push(format!("not counted: {}", skipped.join(", ")));
    }
    if !notes.is_empty() {
        text.push('\n');
    }
    for note in notes {
        text.push_str("note: ");
        wrap(&mut text, &note, 6);
    }
    text
}

fn table(found: &Found, paint: &Paint) -> String {
    let with_peaks = found.rows.iter().any(|row| row.peaks.is_some());
    let mut head = vec!["caller", "kind", "requests"];
    if with_peaks {
        head.extend(["in 1 s", "in 60 s"]);
    }
    head.extend(["needs", "with headroom"]);
    let mut lines = vec![head.into_iter().map(str::to_owned).collect::<Vec<_>>()];
    for row in found.rows.iter().take(SHOWN) {
        let who = match &row.name {
            Some(name) => format!("{name} ({})", row.who.label()),
            None => row.who.label().to_owned(),
        };
        let mut line =
            vec![who, row.kind.clone().unwrap_or_else(|| row.who.class().to_owned()), row.requests.to_string()];
        if with_peaks {
            let (second, minute) = row.peaks.unwrap_or_default();
            line.extend([second.to_string(), minute.to_string()]);
        }
        line.extend([row.suggestion, row.suggestion.map(Suggestion::with_headroom)].map(|told| match told {
            Some(told) => format!("{}/s, {}", told.per_second, told.burst),
            None if row.requests == 0 => "nothing".to_owned(),
            None => "more".to_owned(),
        }));
        lines.push(line);
    }
    let mut widths = Vec::new();
    for line in &lines {
        widths.resize(widths.len().max(line.len()), 0);
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = cell.chars().count().max(*width);
        }
    }
    let numbers = if with_peaks { 2..5 } else { 2..3 };
    let mut text = String::new();
    for (number, line) in lines.iter().enumerate() {
        let cells = line.iter().zip(&widths).enumerate().map(|(column, (cell, width))| {
            if numbers.contains(&column) { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
        });
        let line = cells.collect::<Vec<_>>().join("  ");
        text.push_str(&if number == 0 { paint.bold(line.trim_end()) } else { line.trim_end().to_owned() });
        text.push('\n');
    }
    text
}

/// What the limit that is asked about would have done.
fn refusals(found: &Found) -> String {
    let has_addresses = found.rows.iter().any(|row| matches!(row.who, Who::Address(_)));
    let mut limit = in_words(&found.token_limit);
    if has_addresses && found.client_limit != found.token_limit {
        limit.push_str(&format!(" (addresses: {})", in_words(&found.client_limit)));
    }
    let hit: Vec<&Row> = found.rows.iter().filter(|row| !row.refusals.is_none()).collect();
    if hit.is_empty() {
        return format!("A limit of {limit} would have refused nothing.\n");
    }
    let mut text = format!("A limit of {limit} would have refused:\n");
    for row in hit.iter().take(SHOWN) {
        let who = row.name.as_deref().unwrap_or(row.who.label());
        let what = match &row.refusals {
            Refusals::Counted(count, first) => {
                let first = first.as_ref().map(|first| format!(", first at {first}")).unwrap_or_default();
                format!("{}{first}", plural(*count, "request"))
            }
            Refusals::Judged(Verdict::Surely) => "at least one request".to_owned(),
            Refusals::Judged(_) => "perhaps: it lies between the rates that the proxy measures".to_owned(),
        };
        text.push_str(&format!("  {who}: {what}\n"));
    }
    if let Some(more) = hit.len().checked_sub(SHOWN).filter(|more| *more > 0) {
        text.push_str(&format!("  and {more} more\n"));
    }
    text
}

fn in_words(limit: &Rate) -> String {
    format!("{} with a burst of {}", rate::print(limit.period), limit.burst)
}

/// Limits under which nobody here would have been refused: one for all who have no name, one for each who has.
pub(super) fn yaml(found: &Found) -> String {
    let of = |wanted: &dyn Fn(&Row) -> bool| {
        let rows = || found.rows.iter().filter(|row| wanted(row));
        let told = rows().filter_map(|row| row.suggestion).map(Suggestion::with_headroom);
        // The most of both: whoever needs less of either is refused no more than before.
        let told = told.reduce(|one, other| Suggestion {
            per_second: one.per_second.max(other.per_second),
            burst: one.burst.max(other.burst),
        })?;
        let first = rows().find(|row| row.suggestion.is_some())?;
        Some((format!("{{ rate: {}/s, burst: {} }}", told.per_second, told.burst), first.who.label()))
    };
    let is_address = |row: &Row| matches!(row.who, Who::Address(_));
    let mut text = String::new();
    let token = of(&|row| !is_address(row) && row.name.is_none());
    let client = of(&is_address);
    if token.is_some() || client.is_some() {
        text.push_str("limits:\n");
    }
    for (key, told) in [("per_token", token), ("per_client", client)] {
        if let Some((limit, most)) = told {
            text.push_str(&format!("  {key}: {limit} # {most} needs the most\n"));
        }
    }
    let mut names: Vec<&str> = found.rows.iter().filter_map(|row| row.name.as_deref()).collect();
    names.sort_unstable();
    names.dedup();
    let mut head = "tokens: # each limit goes to the entry that its token has there\n";
    for name in names {
        // A token may have had several fingerprints.
        if let Some((limit, _)) = of(&|row| row.name.as_deref() == Some(name)) {
            text.push_str(std::mem::take(&mut head));
            let name = serde_json::to_string(name).unwrap_or_default();
            text.push_str(&format!("  - name: {name}\n    limit: {limit}\n"));
        }
    }
    text
}

/// For programs.
pub(super) fn json(found: &Found) -> String {
    let limit = |limit: &Rate| json!({ "rate": rate::print(limit.period), "burst": limit.burst });
    let told = |told: Suggestion| json!({ "rate": format!("{}/s", told.per_second), "burst": told.burst });
    let need = |need: &Need| json!({ "rate": format!("{}/s", need.per_second), "burst": need.burst });
    let row = |row: &Row| {
        json!({
            "class": row.who.class(),
            "caller": row.who.label(),
            "name": row.name,
            "kind": row.kind,
            "requests": row.requests,
            "first": row.span.0,
            "last": row.span.1,
            "most_in_1s": row.peaks.map(|peaks| peaks.0),
            "most_in_60s": row.peaks.map(|peaks| peaks.1),
            "needs": row.suggestion.map(told),
            "with_headroom": row.suggestion.map(Suggestion::with_headroom).map(told),
            "ladder": row.needs.iter().map(need).collect::<Vec<_>>(),
            "limit_refuses": match &row.refusals {
                Refusals::Counted(count, first) => json!({ "any": *count > 0, "requests": count, "first": first }),
                Refusals::Judged(verdict) => json!({ "any": match verdict {
                    Verdict::Never => Some(false),
                    Verdict::Surely => Some(true),
                    Verdict::Unknown => None,
                } }),
            },
        })
    };
    let skipped: serde_json::Map<String, Value> =
        found.skipped.iter().map(|(what, count)| (what.replace(' ', "_"), (*count).into())).collect();
    let report = json!({
        "first": found.span.as_ref().map(|span| &span.0),
        "last": found.span.as_ref().map(|span| &span.1),
        "requests": found.requests,
        "limit": { "per_token": limit(&found.token_limit), "per_client": limit(&found.client_limit) },
        "callers": found.rows.iter().map(row).collect::<Vec<_>>(),
        "yaml": yaml(found),
        "skipped": skipped,
        "notes": found.notes,
    });
    format!("{report:#}\n")
}

fn plural(count: u64, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}
