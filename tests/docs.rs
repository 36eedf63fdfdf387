//! The documentation is run: each command in it that needs no more than this machine, each configuration, each link.
//!
//! A block of shell stands for itself and is run, or an HTML comment just before it says what it needs. The comments
//! are a small language, which `tests/docs/markdown.rs` lists. `GTP_PAGE=logs` runs the pages alone whose path holds it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test fails by panicking"
)]

#[path = "docs/grafana.rs"]
mod grafana;
#[path = "docs/links.rs"]
mod links;
#[path = "docs/logs.rs"]
mod logs;
#[path = "docs/markdown.rs"]
mod markdown;
#[path = "docs/metrics.rs"]
mod metrics;
#[path = "docs/page.rs"]
mod page;
#[path = "docs/ports.rs"]
mod ports;
#[path = "docs/stage.rs"]
mod stage;

use std::fs;
use std::path::{Path, PathBuf};

/// The folder that everything is relative to.
fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// All Markdown files of a folder, by name.
fn pages_in(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(pages_in(&path));
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The pages whose commands are run.
fn pages() -> Vec<PathBuf> {
    let mut pages = pages_in(&root().join("docs"));
    pages.push(root().join("README.md"));
    pages.extend(pages_in(&root().join("deploy")));
    pages
}
