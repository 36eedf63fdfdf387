//! What each reason means, and a list of all.

use std::process::ExitCode;

use crate::commands::output::{self, Paint};
use crate::commands::rows::row;
use crate::config::nearest::nearest;
use crate::domain::reason::{Reason, Source};

/// Explains one reason. An unknown one is wrong usage, and the nearest is named.
pub(super) fn explain(written: &str) -> ExitCode {
    let code = written.trim().to_ascii_lowercase().replace('-', "_");
    if let Some(reason) = Reason::ALL.iter().copied().find(|reason| reason.code() == code) {
        return output::print(&describe(reason, &Paint::of_stdout()));
    }
    let cure = match nearest(&code, Reason::ALL.iter().map(|reason| reason.code())) {
        Some(meant) => format!("did you mean {meant}? explain without a reason lists all"),
        None => "explain without a reason lists all".to_owned(),
    };
    output::complain(&format!("`{written}` is not a known reason"), &cure);
    ExitCode::from(2)
}

fn describe(reason: Reason, paint: &Paint) -> String {
    let statuses: Vec<String> = reason.statuses().iter().map(ToString::to_string).collect();
    let source = format!("{}: {}", reason.source().name(), who(reason.source()));
    let rows = [
        ("status", if statuses.is_empty() { "none: the connection ends".to_owned() } else { statuses.join(", ") }),
        ("source", source),
        ("cause", reason.cause().to_owned()),
        ("cure", reason.cure().to_owned()),
        ("versions", reason.versions().to_owned()),
        ("doc", reason.doc_url()),
    ];
    let mut text = format!("{}: {}\n\n", paint.bold(reason.code()), reason.title());
    for (name, value) in rows {
        text.push_str(&row(name, &value));
    }
    let proof = reason.proof();
    // Whole, to be copied.
    text.push_str(&format!("\n  Once it is mended, this shows\n  {}:\n\n    {}\n", proof.shows, proof.command));
    let names =
        [("$P", "the proxy"), ("$M", "its telemetry"), ("$G", "Grafana"), ("$A", "the line `Authorization: …`")];
    let used = names.iter().filter(|(name, _)| proof.command.contains(name));
    let meanings: Vec<String> = used.map(|(name, meaning)| format!("{name}: {meaning}")).collect();
    if !meanings.is_empty() {
        text.push_str(&format!("\n  {}\n", meanings.join("; ")));
    }
    text
}

/// Who refused, in words.
pub(super) const fn who(source: Source) -> &'static str {
    match source {
        Source::Proxy => "this proxy refused",
        Source::Grafana => "Grafana itself refused",
        Source::Datasource => "a datasource or plugin behind Grafana refused",
        Source::Hop => "something between this proxy and Grafana refused",
        Source::Client => "the client's bytes could not be read",
    }
}

/// All reasons, by who refuses.
pub(super) fn list(paint: &Paint) -> String {
    let widest = Reason::ALL.iter().map(|reason| reason.code().len()).max().unwrap_or(0);
    let mut text = String::new();
    let mut source = None;
    for reason in Reason::ALL.iter().copied() {
        if source != Some(reason.source()) {
            let gap = if source.is_some() { "\n" } else { "" };
            text.push_str(&format!(
                "{gap}{}\n",
                paint.bold(&format!("{}: {}", reason.source().name(), who(reason.source())))
            ));
            source = Some(reason.source());
        }
        text.push_str(&format!("  {:widest$}  {}\n", reason.code(), reason.title()));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::rows::WIDTH;

    #[test]
    fn every_reason_is_described_within_the_width() {
        for reason in Reason::ALL.iter().copied() {
            let text = describe(reason, &Paint::of_stdout());
            assert!(text.contains(reason.code()) && text.contains(reason.title()), "{text}");
            for line in text.lines().filter(|line| !line.contains("http") && !line.starts_with("    ")) {
                assert!(line.chars().count() <= WIDTH, "{line}");
            }
        }
    }

    #[test]
    fn the_list_holds_every_reason_once() {
        let text = list(&Paint::of_stdout());
        for reason in Reason::ALL {
            let line = format!("  {} ", reason.code());
            assert_eq!(text.matches(&line).count(), 1, "{}", reason.code());
        }
    }
}
