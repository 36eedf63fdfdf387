//! The page about the log names what the sources write.

use std::fs;
use std::path::Path;

use super::root;

/// What stands in quotes after `start`, in all sources of a folder.
fn quoted_after(folder: &Path, start: &str, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            quoted_after(&path, start, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let quoted = text.split(start).skip(1).filter_map(|rest| rest.split('"').next());
            found.extend(quoted.map(str::to_owned));
        }
    }
}

#[test]
fn every_key_and_event_of_the_log_is_explained() {
    let page = fs::read_to_string(root().join("docs/logs.md")).unwrap();
    let mut events = Vec::new();
    quoted_after(&root().join("src"), "event = \"", &mut events);
    let mut keys = Vec::new();
    for start in ["keys.put(\"", "keys.put_some(\"", "keys.put_text(\""] {
        quoted_after(&root().join("src/telemetry"), start, &mut keys);
    }
    assert!(events.len() >= 15 && keys.len() >= 25, "{events:?}\n{keys:?}");
    for word in events.iter().chain(&keys) {
        assert!(page.contains(&format!("`{word}`")), "docs/logs.md does not name {word}");
    }
}
