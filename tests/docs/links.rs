//! Links and anchors of all Markdown files lead somewhere.

use std::collections::HashSet;
use std::fs;
use std::path::PathBuf;

use super::{pages_in, root};

fn files() -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(root()).unwrap().flatten().map(|entry| entry.path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "md"));
    for folder in ["docs", "deploy", "benches", "fuzz"] {
        files.extend(
            pages_in(&root().join(folder)).into_iter().filter(|path| !path.iter().any(|part| part == "target")),
        );
    }
    files
}

/// The text without fenced blocks and without code in a line: what looks like a link there is none.
fn prose(text: &str) -> String {
    let mut inside = false;
    let mut prose = String::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            inside = !inside;
        } else if !inside {
            for (at, part) in line.split('`').enumerate() {
                // What stands in backticks is kept for headings, and loses its brackets.
                prose.push_str(&if at % 2 == 1 { part.replace("](", "] (") } else { part.to_owned() });
            }
            prose.push('\n');
        }
    }
    prose
}

/// The anchors of a page, as GitHub makes them of its headings, and those that are named.
fn anchors(text: &str) -> HashSet<String> {
    let mut anchors = HashSet::new();
    for line in prose(text).lines() {
        if line.starts_with('#') {
            let words = line.trim_start_matches('#').trim().to_lowercase();
            let kept = words.chars().filter(|character| character.is_alphanumeric() || " -_".contains(*character));
            let anchor: String = kept.map(|character| if character == ' ' { '-' } else { character }).collect();
            anchors.insert(anchor);
        }
        for part in line.split("<a id=\"").skip(1) {
            anchors.extend(part.split('"').next().map(str::to_owned));
        }
    }
    anchors
}

fn targets(text: &str) -> Vec<String> {
    let prose = prose(text);
    prose.split("](").skip(1).filter_map(|rest| rest.split(')').next()).map(str::to_owned).collect()
}

#[test]
fn every_link_leads_somewhere() {
    let mut followed = 0;
    let mut broken = Vec::new();
    for file in files() {
        let text = fs::read_to_string(&file).unwrap();
        for target in targets(&text).into_iter().filter(|target| !target.contains("://")) {
            let (path, anchor) = target.split_once('#').unwrap_or((&target, ""));
            let leads = if path.is_empty() { file.clone() } else { file.parent().unwrap().join(path) };
            followed += 1;
            let there = leads.exists();
            let anchored =
                anchor.is_empty() || fs::read_to_string(&leads).is_ok_and(|text| anchors(&text).contains(anchor));
            if !there || !anchored {
                broken.push(format!("{}: {target}", file.strip_prefix(root()).unwrap().display()));
            }
        }
    }
    assert!(broken.is_empty(), "these links lead nowhere:\n{}", broken.join("\n"));
    assert!(followed > 100, "{followed} links");
}

#[test]
fn every_page_stands_in_the_index() {
    let index = fs::read_to_string(root().join("docs/README.md")).unwrap();
    let linked = targets(&index);
    for page in pages_in(&root().join("docs")) {
        let name = page.file_name().unwrap().to_str().unwrap();
        let listed = linked.iter().any(|target| target.split('#').next() == Some(name));
        assert!(name == "README.md" || listed, "docs/README.md does not name {name}");
    }
}

/// "Held by `cargo test --test it limits`": a promise whose test is gone is held by nothing.
#[test]
fn every_test_that_a_page_names_exists() {
    let mut named = 0;
    for file in files() {
        let text = fs::read_to_string(&file).unwrap();
        for command in text.split("cargo test --test it ").skip(1) {
            let filters = command.split(['`', '\n']).next().unwrap().trim_start_matches("-- ");
            for filter in filters.split_whitespace() {
                let module = filter.split("::").next().unwrap();
                let there = root().join(format!("tests/it/{module}.rs")).exists()
                    || root().join("tests/it").join(module).is_dir();
                assert!(there, "{}: no test is called {filter}", file.display());
                named += 1;
            }
        }
    }
    assert!(named > 30, "{named} tests are named");
}

#[test]
fn anchors_are_made_as_github_makes_them() {
    let text = "# The `doctor`, in short\n\n```sh\n# no heading [x](nowhere)\n```\n<a id=\"own-name\"></a>\n## A [link](there.md#x)\n`a](b)`\n";
    let found = anchors(text);
    assert!(found.contains("the-doctor-in-short") && found.contains("own-name") && !found.contains("no-heading"));
    assert_eq!(targets(text), ["there.md#x"]);
}
