//! The law of the tree, read from the sources.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

/// All source files with their text.
fn sources() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![root.clone()];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                found.push((path.strip_prefix(&root).unwrap().to_owned(), fs::read_to_string(&path).unwrap()));
            }
        }
    }
    assert!(found.len() > 30, "the sources were not found");
    found
}

/// The modules in the order of `lib.rs`.
fn order() -> Vec<String> {
    let lib = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).unwrap();
    lib.lines().filter_map(|line| Some(line.strip_prefix("pub mod ")?.strip_suffix(';')?.to_owned())).collect()
}

fn module_of(path: &Path) -> String {
    let first = path.components().next().unwrap().as_os_str().to_str().unwrap();
    first.strip_suffix(".rs").unwrap_or(first).to_owned()
}

/// The code of a file without comments and without its unit tests.
fn code(text: &str) -> String {
    let text = text.split("\n#[cfg(test)]\nmod tests {").next().unwrap();
    text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

fn is_test(path: &Path) -> bool {
    path.file_stem().is_some_and(|name| name == "tests")
}

/// The modules that a text names behind `crate::`.
fn used(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    for piece in text.split("crate::").skip(1) {
        let group = piece.strip_prefix('{').map(|rest| rest.split('}').next().unwrap_or_default());
        let list = group.unwrap_or(piece);
        let parts: Vec<&str> = if group.is_some() { list.split(',').collect() } else { vec![list] };
        for part in parts {
            let name: String = part.trim().chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect();
            if !name.is_empty() {
                names.push(name);
            }
        }
    }
    names
}

#[test]
fn a_module_uses_only_those_above_it() {
    let order = order();
    let rank = |name: &str| order.iter().position(|module| module == name);
    let mut broken = Vec::new();
    for (path, text) in sources() {
        let Some(own) = rank(&module_of(&path)) else { continue };
        for name in used(&code(&text)) {
            if rank(&name).is_some_and(|other| other > own) {
                broken.push(format!("{} uses {name}, which stands below it", path.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn the_test_above_sees_what_is_used() {
    assert_eq!(
        used("use crate::body::Body; crate::{app, domain::x}; crate::proxy"),
        ["body", "app", "domain", "proxy"]
    );
    assert!(order().len() >= 11 && order()[0] == "domain");
}

#[test]
fn the_domain_is_pure() {
    let forbidden = [
        "tokio",
        "hyper",
        "tracing",
        "async ",
        "await",
        "Instant::now",
        "SystemTime::now",
        "std::fs",
        "std::env",
        "std::thread",
        "TcpStream",
        "println!",
        "std::io",
    ];
    let mut broken = Vec::new();
    for (path, text) in sources() {
        if module_of(&path) != "domain" || is_test(&path) {
            continue;
        }
        let code = code(&text);
        broken.extend(
            forbidden.iter().filter(|word| code.contains(**word)).map(|word| format!("{}: {word}", path.display())),
        );
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn only_config_reads_the_environment() {
    let reads = |text: &str| ["env::var", "env::args", "env::vars"].iter().any(|call| text.contains(call));
    let broken: Vec<_> = sources()
        .into_iter()
        .filter(|(path, text)| !matches!(module_of(path).as_str(), "config" | "main") && reads(&code(text)))
        .map(|(path, _)| path)
        .collect();
    assert!(broken.is_empty(), "{broken:?}");
}

#[test]
fn files_stay_readable() {
    for (path, text) in sources() {
        let lines = text.lines().count();
        assert!(lines <= 600, "{} has {lines} lines", path.display());
        assert!(text.starts_with("//!") || is_test(&path), "{} does not say what it is", path.display());
    }
    let main = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/main.rs")).unwrap();
    assert!(main.lines().count() <= 40, "main.rs is more than arguments → command → exit code");
}
