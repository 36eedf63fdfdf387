//! The pages that are made from the table of reasons are fresh. `UPDATE_REFERENCE=1 cargo test --test reference` makes
//! them anew.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use grafana_token_proxy::domain::reason::Reason;

const BEGIN: &str = "<!-- reasons: made from the code -->\n";
const END: &str = "<!-- end of reasons -->\n";

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
            "| [`{code}`](docs/reasons.md#{anchor}) | {} | {} | {} |",
            reason.title(),
            statuses(*reason),
            reason.source().name()
        )
        .unwrap();
    }
    text
}

fn reference() -> String {
    let mut text = "# Reasons\n\nMade from the table in `src/domain/reason/table.rs`; a test keeps it fresh. The same texts: \
                    `grafana-token-proxy explain REASON`.\n\nEach refusal carries its reason in the header \
                    `X-Token-Proxy-Reason`, in `Proxy-Status`, in the log line's `reason`, and in the metric \
                    `grafana_token_proxy_refusals_total`. The log line's `hint` says the next step for that very request.\n"
        .to_owned();
    for reason in Reason::ALL {
        write!(
            text,
            "\n<a id=\"{}\"></a>\n## `{}`: {}\n\n* Status: {}\n* Who refused: {}\n\n**Why it happens.** {}\n\n**How to mend it.** {}\n",
            reason.anchor(),
            reason.code(),
            reason.title(),
            statuses(*reason),
            reason.source().name(),
            reason.cause(),
            reason.cure()
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

#[test]
fn the_table_in_the_readme_is_fresh() {
    let readme = fs::read_to_string(path("README.md")).unwrap();
    let (before, rest) = readme.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    hold("README.md", &format!("{before}{BEGIN}{}{END}{after}", table()));
}

#[test]
fn links_of_the_pages_lead_somewhere() {
    for page in ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"] {
        let text = fs::read_to_string(path(page)).unwrap();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = target.split('#').next().unwrap();
            if !file.is_empty() && !file.contains("://") {
                assert!(path(file).exists(), "{page} leads to {file}, which is not there");
            }
        }
    }
}
