use super::super::effective::{Effective, load_text};
use super::super::file::SourceFile;
use super::super::print::print;
use super::*;

const TOKEN: &str = "glsa_yscW25imSKJIuav8zF37RZmnbiDvB05G_fcaaf58a";

fn loaded(text: &str) -> Effective {
    load_text(&SourceFile { name: "f".into(), text: text.to_owned() })
}

/// The only mistake of a configuration.
fn mistake(text: &str) -> String {
    let found = loaded(text).mistakes;
    assert_eq!(found.len(), 1, "{text}: {found:?}");
    found[0].to_string()
}

fn file(content: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), content).unwrap();
    file
}

#[test]
fn a_caller_is_what_is_written() {
    let (own, other) = (file(&format!("{TOKEN}\r\n")), file("Bearer glsa_Obg7mzxhfuYzSWPc5VVJE9PjpYbqVBRF_1b2e1a5e\n"));
    let effective = loaded(&format!(
        "limits: {{ per_token: {{ rate: 7/s, burst: 9 }} }}\ntokens:\n  - name: ci-bot\n    file: {}\n    org: 2\n    limit: \
         {{ rate: 10/s }}\n    allow: [GET  /api/dashboards/, '* /api/annotations']\n  - {{ name: reports, sha256: {} }}\n",
        own.path().display(),
        "ab".repeat(32),
    ));
    assert_eq!(effective.mistakes, []);
    let config = &effective.config;
    let (by, caller) = &config.callers[0];
    assert_eq!(*by, KnownBy::Token(Secret::new(TOKEN.into())));
    assert_eq!((&*caller.name, caller.org, caller.place), ("ci-bot", Some(2), 0));
    assert!(
        caller.may(&http::Method::GET, "/api/dashboards/x") && !caller.may(&http::Method::PUT, "/api/dashboards/x")
    );
    let burst = NonZeroU32::new(9).unwrap();
    assert_eq!(config.limits.overrides, [Some(Rate { period: Duration::from_millis(100), burst }), None]);
    assert_eq!(config.callers[1].0, KnownBy::Digest([0xab; 32]));
    // What is printed can be read again, and shows no token.
    let printed = print(&effective, false);
    assert!(printed.contains("  - name: ci-bot\n") && !printed.contains("yscW25"), "{printed}");
    assert_eq!(loaded(&printed).config.tokens, config.tokens);
    let sent =
        loaded(&format!("tokens: [{{ name: a, sha256: {}, send_file: {} }}]", "00".repeat(32), other.path().display()));
    assert!(sent.config.callers[0].1.send.as_ref().is_some_and(|token| token.reveal().starts_with(b"glsa_Obg7")));
}

#[test]
fn every_mistake_says_what_to_write() {
    let digest = "0".repeat(64);
    let with = |rest: &str| format!("tokens: [{{ name: ci, sha256: '{digest}', {rest} }}]");
    for (text, told) in [
        ("tokens: ci".to_owned(), "write a list"),
        ("tokens: [ci]".to_owned(), "holds an item without keys"),
        (format!("tokens: [{{ sha256: '{digest}' }}]"), "without a name"),
        (format!("tokens: [{{ name: other, sha256: '{digest}' }}]"), "callers without a name in metrics"),
        (format!("tokens: [{{ name: 'a b', sha256: '{digest}' }}]"), "is no name"),
        (format!("tokens: [{{ name: {TOKEN}, sha256: '{digest}' }}]"), "looks like a token"),
        ("tokens: [{ name: ci }]".to_owned(), "names no token"),
        ("tokens: [{ name: ci, sha256: 12 }]".to_owned(), "sha256sum"),
        ("tokens: [{ name: ci, file: /nowhere/token }]".to_owned(), "cannot be read"),
        (with("file: /nowhere/token"), "has a file and a sha256"),
        (with("limt: {}"), "did you mean limit?"),
        (with("limit: 10/s"), "write limit: {"),
        (with("limit: { rate: fast }"), "is not a rate"),
        (with("limit: { burst: 0 }"), "would refuse every request"),
        (with("limit: { brust: 1 }"), "known here: rate, burst"),
        (with("org: 0"), "is no organisation"),
        (with("allow: /api/"), "is no list"),
        (with("allow: [/api/]"), "is not a method and a path"),
        (with("allow: [get /api/]"), "write GET"),
        (with("allow: [GET /api/../x]"), "is no plain path"),
        (
            format!("tokens: [{{ name: a, sha256: '{digest}' }}, {{ name: b, sha256: '{digest}' }}]"),
            "is the token of a, too",
        ),
        (
            format!("tokens: [{{ name: a, sha256: '{digest}' }}, {{ name: a, sha256: '{}' }}]", "1".repeat(64)),
            "is the name of two callers",
        ),
    ] {
        let found = if text.contains("has a file") {
            String::new()
        } else {
            loaded(&text).mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
        };
        assert!(found.contains(told), "{text}: {found}");
        assert!(!found.contains("yscW25"), "{found}");
    }
}

#[test]
fn what_is_wrong_in_a_file_is_named_and_not_shown() {
    for (content, told) in [
        ("", "holds nothing"),
        ("  \n", "holds nothing"),
        ("hunter2\nhunter3\n", "more than one line"),
        ("hunter2 hunter3", "what no token is made of"),
        ("Bearer ", "without a token"),
    ] {
        let file = file(content);
        let found = mistake(&format!("tokens: [{{ name: ci, file: {} }}]", file.path().display()));
        assert!(found.contains(told) && !found.contains("hunter"), "{content:?}: {found}");
    }
    let cut = file("glsa_yscW25imSKJIuav8zF37\n");
    let found = mistake(&format!("tokens: [{{ name: ci, file: {} }}]", cut.path().display()));
    assert!(found.contains("warning") && found.contains("was cut off"), "{found}");
}
