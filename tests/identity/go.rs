//! Go itself, as the judge of what Go reads.

use std::collections::HashMap;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

/// The first version with PBKDF2 in its standard library.
const LEAST: (u32, u32) = (1, 24);

/// Whether Go is installed and new enough, or a line that the test is skipped.
pub(crate) fn is_installed() -> bool {
    let version = Command::new("go").args(["env", "GOVERSION"]).env("GOTOOLCHAIN", "local").output();
    let version = version.map(|out| String::from_utf8_lossy(&out.stdout).trim().to_owned()).unwrap_or_default();
    let mut numbers = version.trim_start_matches("go").split('.').map(|number| number.parse().unwrap_or(0));
    let found = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if found < LEAST {
        println!("skipped: Go {}.{} or later is not installed (found: {version:?})", LEAST.0, LEAST.1);
    }
    found >= LEAST
}

/// What Go answers to each case.
pub(crate) fn answers(cases: &[String]) -> Vec<String> {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/go/identity");
    let mut go = Command::new("go")
        .args(["run", "."])
        .current_dir(program)
        .env("GOTOOLCHAIN", "local")
        // Versions of Go before this limit read any number of cookies, and so do we.
        .env("GODEBUG", "httpcookiemaxnum=0")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = go.stdin.take().unwrap();
    let text = cases.iter().map(|case| format!("{case}\n")).collect::<String>();
    let writer = thread::spawn(move || input.write_all(text.as_bytes()).unwrap());
    let output = go.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(output.status.success(), "the program in Go failed");
    let answers: Vec<String> = String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect();
    assert_eq!(answers.len(), cases.len());
    answers
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Two things of which each has exactly one of the other.
#[derive(Default)]
pub(crate) struct Pairs(HashMap<String, String>, HashMap<String, String>);

impl Pairs {
    /// Fails where either was seen with another.
    pub(crate) fn insert(&mut self, one: &str, other: &str, shown: &str) {
        let known = self.0.entry(one.to_owned()).or_insert_with(|| other.to_owned());
        assert_eq!(known, other, "one canonical form, two hashes: {shown}");
        let known = self.1.entry(other.to_owned()).or_insert_with(|| one.to_owned());
        assert_eq!(known, one, "one hash, two canonical forms: {shown}");
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}
