//! Instructions for one decision, apart from all input and output: `cargo bench --bench decide`.
//!
//! Runs itself under valgrind's callgrind with few and with many decisions; the difference, divided by the difference of
//! the counts, holds neither start nor end, and repeats to a per cent on any machine. Without valgrind it says so.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a benchmark may fail by panicking"
)]

use std::env;
use std::hint::black_box;
use std::num::NonZeroU32;
use std::process::Command;
use std::time::Duration;

use grafana_token_proxy::domain::caller::Callers;
use grafana_token_proxy::domain::decide::{Asked, Policy, address_key, decide};
use grafana_token_proxy::domain::fields::Fields;
use grafana_token_proxy::domain::head::Head;
use grafana_token_proxy::domain::limit::{Rate, Settings};
use grafana_token_proxy::domain::path_rule::{Costs, PathRules};
use grafana_token_proxy::domain::token::HashKey;
use grafana_token_proxy::domain::{client, credential, org};
use grafana_token_proxy::limits::Limits;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};

const TOKEN: &str = "glsa_yscW25imSKJIuav8zF37RZmnbiDvB05G_fcaaf58a";
const FEW: u64 = 1_000;
const MANY: u64 = 11_000;

/// A name, the `Authorization` value, and the target.
fn scenarios() -> Vec<(&'static str, Option<String>, &'static str)> {
    vec![
        ("canonical token", Some(format!("Bearer {TOKEN}")), "/api/dashboards/uid/cIBgcSjkk"),
        ("bare token", Some(TOKEN.to_owned()), "/api/dashboards/uid/cIBgcSjkk"),
        ("three repairs", Some(format!("bearer \"{TOKEN}\\n\"")), "/api/dashboards/uid/cIBgcSjkk"),
        ("no credential", None, "/login"),
        ("exempt path", None, "/public/build/app.js"),
        (
            "organisation in the query",
            Some(format!("Bearer {TOKEN}")),
            "/api/search?type=dash-db&targetOrgId=2&limit=50",
        ),
    ]
}

fn run(name: &str, count: u64) {
    let scenarios = scenarios();
    let (_, authorization, target) = scenarios.iter().find(|(found, ..)| *found == name).expect("a scenario");
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("host", "grafana.example.com"),
        ("user-agent", "python-requests/2.31.0"),
        ("accept-encoding", "gzip, deflate"),
        ("accept", "application/json"),
        ("connection", "keep-alive"),
    ] {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    if let Some(value) = authorization {
        headers.insert("authorization", value.parse().unwrap());
    }
    let rate = Rate { period: Duration::from_nanos(1), burst: NonZeroU32::MAX };
    let exempt = ["/api/health".to_owned(), "/metrics".to_owned(), "/public/".to_owned()];
    let limits = Limits::new(&Settings { exempt: exempt.to_vec(), ..Settings::new(rate, rate, 100_000) });
    let policy = Policy {
        authorization: credential::Settings::default(),
        org: org::Settings { default: Some(1), ..Default::default() },
        clients: client::Settings::default(),
        callers: Callers::default(),
        exempt: PathRules::new(&exempt),
        costs: Costs::default(),
        hash_key: HashKey::from_bytes([7; 16]),
    };
    let uri: Uri = target.parse().unwrap();
    let fields = Fields::from(&headers);
    for _ in 0..count {
        let head = Head::collect(black_box(&fields), &[]);
        let asked = Asked { method: &Method::GET, uri: &uri, head: &head, peer: [127, 0, 0, 1].into() };
        let found = decide(asked, &policy, |_| None);
        assert!(black_box(&found).refusal.is_none());
        let address = || address_key(found.client, &policy.hash_key);
        let checked = found.ask.map(|ask| limits.check(&ask, address)).unwrap_or_default();
        assert!(black_box(&checked).decision.is_none_or(|decision| decision.is_admitted()));
    }
}

/// Instructions that callgrind counts for `count` decisions.
fn count(name: &str, count: u64) -> Option<u64> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(env::current_exe().unwrap())
        .args(["--decisions", name, &count.to_string()])
        .output()
        .ok()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let line = said.lines().find(|line| line.contains("Collected"))?;
    line.rsplit(' ').next()?.parse().ok()
}

fn main() {
    let arguments: Vec<String> = env::args().collect();
    if let Some(at) = arguments.iter().position(|argument| argument == "--decisions") {
        return run(&arguments[at + 1], arguments[at + 2].parse().unwrap());
    }
    println!("{:<28} instructions for a decision", "scenario");
    for (name, ..) in scenarios() {
        match count(name, FEW).zip(count(name, MANY)) {
            Some((few, many)) => println!("{name:<28} {}", (many - few) / (MANY - FEW)),
            None => println!("{name:<28} skipped: valgrind is not installed (Debian: valgrind)"),
        }
    }
}
