//! The pages that are made from the table of reasons are fresh. `UPDATE_REFERENCE=1 cargo test --test reference` makes
//! them anew.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

#[path = "reference/examples.rs"]
mod examples;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use grafana_token_proxy::domain::reason::Reason;

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn statuses(reason: Reason) -> String {
    reason.statuses().iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn table() -> String {
    let mut text = "| reason | says | status | who refused |\n|---|---|---|---|\n".to_owned();
    for reason in Reason::ALL {
        let (code, anchor) = (reason.code(), reason.anchor());
        writeln!(
            text,
            "| [`{code}`](#{anchor}) | {} | {} | {} |",
            reason.title(),
            statuses(*reason),
            reason.source().name()
        )
        .unwrap();
    }
    text
}

const HEAD: &str = "# Reasons

Made from the table in `src/domain/reason`; a test keeps it fresh. The same texts: `grafana-token-proxy explain REASON`.

Each refusal carries its reason in the header `X-Token-Proxy-Reason`, in `Proxy-Status`, in the log line's `reason`, and
in the metric `grafana_token_proxy_refusals_total`. The log line's `hint` says the next step for that very request.

The lines of the log below are the program's own, for requests and answers made up for this page. In the commands that
prove a cure, `$P` is the proxy's URL, `$M` the URL of its telemetry listener, `$G` Grafana's own, and `$A` the header as
the client sends it:

<!-- needs: grafana -->
```sh
P=http://127.0.0.1:3001 M=http://127.0.0.1:9091 G=http://127.0.0.1:3000 A=\"Authorization: Bearer $(cat token)\"
```
";

fn reference() -> String {
    let lines = examples::lines();
    let mut text = format!("{HEAD}\n{}", table());
    for reason in Reason::ALL {
        let usual = statuses(*reason);
        write!(
            text,
            "\n<a id=\"{}\"></a>\n## `{}`: {}\n\n* Status: {}\n* Who refused: {}\n* Versions of Grafana: {}\n\n\
             **What it looks like.**\n\n```json\n{}\n```\n\n**Why it happens.** {}\n\n**How to mend it.** {}\n\n\
             **How to prove that it is mended.** This shows {}:\n\n<!-- needs: grafana -->\n```sh\n{}\n```\n",
            reason.anchor(),
            reason.code(),
            reason.title(),
            if usual.is_empty() { "none: the connection ends" } else { &usual },
            reason.source().name(),
            reason.versions(),
            lines[reason.code()],
            reason.cause(),
            reason.cure(),
            reason.proof().shows,
            reason.proof().command,
        )
        .unwrap();
    }
    text
}

/// Compares a file with what it must be, or makes it so.
fn hold(name: &str, wanted: &str) {
    let file = path(name);
    if std::env::var_os("UPDATE_REFERENCE").is_some() {
        fs::write(&file, wanted).unwrap();
    }
    assert!(
        fs::read_to_string(&file).unwrap() == wanted,
        "{name} is stale: UPDATE_REFERENCE=1 cargo test --test reference"
    );
}

#[test]
fn the_reference_of_reasons_is_fresh() {
    hold("docs/reasons.md", &reference());
}

/// The commands are shell, the lines JSON, and each link of `doc` leads to a section.
#[test]
fn what_the_reference_shows_is_sound() {
    let text = fs::read_to_string(path("docs/reasons.md")).unwrap();
    assert!(!text.contains("glsa_y") && !text.contains("0123456789"), "no token, made up or not");
    for reason in Reason::ALL {
        let (_, anchor) =
            reason.doc_url().split_once('#').map(|(page, anchor)| (page.to_owned(), anchor.to_owned())).unwrap();
        assert_eq!(text.matches(&format!("<a id=\"{anchor}\"></a>")).count(), 1, "{anchor}");
        assert_eq!(text.matches(&format!("\"reason\":\"{}\"", reason.code())).count(), 1, "{reason}");
        let command = reason.proof().command;
        let checked = std::process::Command::new("sh").args(["-n", "-c", command]).status().unwrap();
        assert!(checked.success(), "{command}");
    }
}

#[test]
fn the_readme_counts_them_rightly() {
    let readme = fs::read_to_string(path("README.md")).unwrap();
    assert!(readme.contains(&format!("[{} reasons](docs/reasons.md)", Reason::ALL.len())));
}
