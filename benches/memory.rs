//! Instructions that remembering an accepted request costs: `cargo bench --bench memory`.
//!
//! Counts as `benches/decide.rs` does: the difference of two runs under callgrind holds neither start nor end. The clock
//! reading is the exchange's own, so it is not part of it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a benchmark may fail by panicking"
)]

use std::env;
use std::hint::black_box;
use std::process::Command;
use std::time::{Duration, Instant};

use grafana_token_proxy::domain::fields::Fields;
use grafana_token_proxy::domain::past::Proof;
use grafana_token_proxy::domain::token::{HashKey, TokenKind};
use grafana_token_proxy::telemetry::Memory;
use grafana_token_proxy::telemetry::memory::{Caller, Sighting};
use http::{Method, StatusCode};

const FEW: u64 = 1_000;
const MANY: u64 = 101_000;

/// A name, how many tokens take turns, the path, and whether each token comes once a second.
const SCENARIOS: [(&str, usize, &str, bool); 5] = [
    ("one token", 1, "/api/dashboards/uid/cIBgcSjkk", false),
    ("one token, once a second", 1, "/api/dashboards/uid/cIBgcSjkk", true),
    ("a thousand tokens", 1_000, "/api/dashboards/uid/cIBgcSjkk", false),
    ("a path that proves nothing", 1, "/public/build/app.js", false),
    ("nobody", 0, "/login", false),
];

fn run(name: &str, count: u64) {
    let (_, tokens, path, every_second) = SCENARIOS.iter().find(|(found, ..)| *found == name).expect("a scenario");
    let hash_key = HashKey::from_bytes([7; 16]);
    let keys: Vec<_> = (0..*tokens).map(|number| hash_key.hash(1, &number.to_le_bytes())).collect();
    let began = Instant::now();
    let memory = Memory::new(began);
    for turn in 0..count {
        let at = if *every_second { began + Duration::from_secs(turn) } else { began };
        let caller = match keys.get(turn as usize % keys.len().max(1)) {
            Some(key) => {
                let kind = Some(TokenKind::ServiceAccount);
                Caller::Token(Sighting { key: *key, kind, name: None, organisation: Some(1), at })
            }
            None => Caller::Nobody,
        };
        let headers = Fields::default();
        let proof = || Proof::of(black_box(&Method::GET), black_box(StatusCode::OK), black_box(path), &headers);
        memory.served(black_box(&caller), false, true, at, proof);
    }
    // Filling the memory costs more than what is counted: it is the same in both runs.
    assert!(memory.tokens().len() <= keys.len());
}

/// Instructions that callgrind counts for `count` requests.
fn count(name: &str, count: u64) -> Option<u64> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(env::current_exe().unwrap())
        .args(["--requests", name, &count.to_string()])
        .output()
        .ok()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let line = said.lines().find(|line| line.contains("Collected"))?;
    line.rsplit(' ').next()?.parse().ok()
}

fn main() {
    let arguments: Vec<String> = env::args().collect();
    if let Some(at) = arguments.iter().position(|argument| argument == "--requests") {
        return run(&arguments[at + 1], arguments[at + 2].parse().unwrap());
    }
    println!("{:<28} instructions for a request", "scenario");
    for (name, ..) in SCENARIOS {
        match count(name, FEW).zip(count(name, MANY)) {
            Some((few, many)) => println!("{name:<28} {}", (many - few) / (MANY - FEW)),
            None => println!("{name:<28} skipped: valgrind is not installed (Debian: valgrind)"),
        }
    }
}
