//! What holds for the configuration as a whole.

use std::ffi::OsString;

use proptest::prelude::*;

use super::effective::{Effective, load, load_text};
use super::file::SourceFile;
use super::print::print;
use super::{arguments, keys};
use crate::domain::limit::Mode;

fn from_text(text: &str) -> Effective {
    load_text(&SourceFile { name: "gtp.yaml".into(), text: text.to_owned() })
}

fn from_line(arguments: &[&str], variables: &[(&str, &str)]) -> Effective {
    let command = clap::Command::new("test").arg(arguments::config_file()).args(arguments::settings());
    let matches = command.try_get_matches_from(["test"].iter().chain(arguments)).unwrap();
    load(&matches, variables.iter().map(|(name, value)| (OsString::from(name), OsString::from(value))))
}

fn summaries(effective: &Effective) -> Vec<String> {
    effective.mistakes.iter().map(ToString::to_string).collect()
}

/// The example of the contract, but for the keys whose value it leaves open.
const CONTRACT: &str = r#"
listen: 0.0.0.0:3001
workers: auto
telemetry: 0.0.0.0:9091
admin: 127.0.0.1:9092
upstream:
  url: http://127.0.0.1:3000
  connect_timeout: 2s
  response_timeout: 60s
authorization:
  repair: on
  restore_from: []
org:
  default: null
  mode: fill
  learn: off
  by_host: {}
limits:
  mode: enforce
  per_token: { rate: 100/s, burst: 200 }
  per_client: { rate: 50/s, burst: 100 }
  auth_failures: { rate: 30/m, burst: 30 }
  exempt: [/api/health, /metrics, /public/]
  max_tracked: 100000
  in_flight_per_token: null
  cost: {}
  shared: null
  shared_lease: auto
  shared_failure: local
tokens: []
clients:
  trusted_proxies: []
  proxy_protocol: off
  identity_headers: []
tls: null
http:
  max_head: 32KiB
  max_headers: 100
  max_body: null
  head_timeout: 10s
  body_timeout: 30s
  max_in_flight: 1024
  idle_timeout: 75s
  max_connections: 10000
  h2c: off
log: { format: auto, level: info, requests: refused }
shutdown: { delay: 0s, grace: 25s }
"#;

#[test]
fn the_example_of_the_contract_is_the_default() {
    let written = from_text(CONTRACT);
    assert_eq!(summaries(&written), Vec::<String>::new());
    assert_eq!(print(&written, false), print(&from_text(""), false));
}

#[test]
fn a_limit_is_switched_off_by_one_word() {
    let effective = from_text("limits: { auth_failures: off, per_token: { rate: 5/s } }");
    assert_eq!(summaries(&effective), Vec::<String>::new());
    assert_eq!(effective.config.limits.auth_failures.mode, Some(Mode::Off));
    assert_eq!(effective.config.limits.per_token.mode, None);
    assert_eq!(from_text("limits: off").errors().count(), 1);
}

#[test]
fn replicas_that_share_a_store_must_hash_alike() {
    let text = "limits: { shared: \"redis://proxy:hunter2hunter2@redis.example.com\" }";
    let told = summaries(&from_text(text)).concat();
    assert!(told.contains("needs GTP_FINGERPRINT_KEY") && !told.contains("hunter2"), "{told}");
    let url = ("GTP_LIMITS_SHARED", "rediss://proxy:hunter2hunter2@redis.example.com/3");
    let effective = from_line(&[], &[url, ("GTP_FINGERPRINT_KEY", "0123456789abcdef0123456789abcdef")]);
    assert_eq!(summaries(&effective), Vec::<String>::new());
    let printed = print(&effective, true);
    assert!(
        printed.contains("shared: \"rediss://redis.example.com:6379/3\"")
            || printed.contains("rediss://redis.example.com:6379/3"),
        "{printed}"
    );
    assert!(!printed.contains("hunter2"), "{printed}");
    let wrong = summaries(&from_text("limits: { shared: \"http://:hunter2hunter2@redis\" }")).concat();
    assert!(wrong.contains("must begin with redis://") && !wrong.contains("hunter2"), "{wrong}");
}

#[test]
fn costs_are_keys_and_values() {
    let effective = from_text("limits: { cost: { /api/ds/query: 2, /render/: 10 } }");
    assert_eq!(summaries(&effective), Vec::<String>::new());
    let printed = print(&effective, false);
    assert!(printed.contains("  cost: { /api/ds/query: 2, /render/: 10 }\n"), "{printed}");
    assert_eq!(from_text(&printed).config.limits.cost, effective.config.limits.cost);
    let dear = from_text("limits: { cost: { /x: 10 }, per_token: { burst: 5 } }");
    assert!(summaries(&dear).concat().contains("more than a full budget"), "{:?}", summaries(&dear));
    assert!(summaries(&from_text("limits: { cost: { /x: fast } }")).concat().contains("no whole number"));
}

#[test]
fn each_listener_has_a_port_of_its_own_and_the_console_is_not_for_everybody() {
    for (text, key) in [
        ("telemetry: 0.0.0.0:3001", "telemetry"),
        ("admin: 127.0.0.1:3001", "admin"),
        ("admin: 127.0.0.1:9091", "admin"),
        ("upstream: { url: http://127.0.0.1:9092 }", "upstream.url"),
    ] {
        let keys: Vec<String> = from_text(text).errors().map(|mistake| mistake.key.clone()).collect();
        assert_eq!(keys, [key], "{text}");
    }
    for (text, warnings) in
        [("admin: 0.0.0.0:9092", 1), ("admin: 10.0.0.1:9092", 1), ("admin: \"[::1]:9092\"", 0), ("admin: off", 0)]
    {
        let effective = from_text(text);
        assert_eq!((effective.errors().count(), effective.warnings().count()), (0, warnings), "{text}");
    }
}

#[test]
fn a_flag_beats_the_environment_which_beats_the_file_which_beats_the_default() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gtp.yaml");
    std::fs::write(&path, "limits:\n  per_token: { rate: 1/s, burst: 11 }\n  per_client: { rate: 4/s }\n").unwrap();
    let file = path.to_str().unwrap();
    let variables =
        [("GTP_CONFIG", file), ("GTP_LIMITS_PER_TOKEN_RATE", "2/s"), ("GTP_RATE", "9/s"), ("GTP_BURST", "22")];
    let effective = from_line(&["--limits-per-token-rate", "3/s"], &variables);
    assert_eq!(summaries(&effective), Vec::<String>::new());
    let printed = print(&effective, true);
    let line = |name: &str, nth: usize| {
        let found = printed.lines().filter(|line| line.trim_start().starts_with(name)).nth(nth).unwrap();
        found.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(line("rate:", 0), "rate: 3/s # flag --rate");
    assert_eq!(line("burst:", 0), "burst: 22 # env GTP_BURST");
    assert_eq!(line("rate:", 1), format!("rate: 4/s # file {file}:3:23"));
    assert_eq!(line("burst:", 1), "burst: 100 # default");
    let whole_name = from_line(&[], &variables);
    assert!(print(&whole_name, true).contains("# env GTP_LIMITS_PER_TOKEN_RATE"));
}

#[test]
fn every_key_can_be_set_by_flag_variable_and_file() {
    for key in keys::all() {
        let (flag, variable) = (format!("--{}", key.flag()), key.variable());
        let value = if key.default.is_empty() { "[]" } else { key.default };
        assert_eq!(summaries(&from_line(&[&flag, value], &[])), Vec::<String>::new());
        let origin = from_line(&[&flag, value], &[]).origins.of(key.path).to_string();
        assert!(origin.starts_with("flag --"), "{origin}");
        let origin = from_line(&[], &[(&variable, value)]).origins.of(key.path).to_string();
        assert_eq!(origin, format!("env {variable}"));
    }
}

#[test]
fn clashes_and_loops_are_errors_with_their_place() {
    for (text, expected) in [
        ("telemetry: 127.0.0.1:3001", "gtp.yaml:1:12: error: telemetry: `127.0.0.1:3001` takes the port"),
        ("listen: 127.0.0.1:9091", "gtp.yaml:1:9: error: telemetry: `0.0.0.0:9091` takes the port"),
        ("listen: [0.0.0.0:1, '[::]:1']", "gtp.yaml:1:9: error: listen: `[::]:1` takes the port of 0.0.0.0:1"),
        ("listen: []", "gtp.yaml:1:9: error: listen is empty"),
        (
            "upstream: { url: 'http://localhost:3001' }",
            "gtp.yaml:1:18: error: upstream.url: `http://localhost:3001` is this proxy",
        ),
        (
            "upstream: { url: 'http://[::1]:9091/' }",
            "gtp.yaml:1:18: error: upstream.url: `http://[::1]:9091` is this proxy",
        ),
        ("listen: 0.0.0.0:3000", "gtp.yaml:1:9: error: upstream.url: `http://127.0.0.1:3000` is this proxy"),
    ] {
        let effective = from_text(text);
        assert_eq!(effective.errors().count(), 1, "{text}: {:?}", summaries(&effective));
        assert!(summaries(&effective)[0].starts_with(expected), "{text}: {:?}", summaries(&effective));
    }
    for text in [
        "listen: 127.0.0.1:3001\nupstream: { url: 'http://10.0.0.1:3001' }",
        "listen: 10.0.0.1:9091\ntelemetry: 10.0.0.2:9091",
    ] {
        assert_eq!(summaries(&from_text(text)), Vec::<String>::new(), "{text}");
    }
}

#[test]
fn settings_that_cancel_each_other_are_warnings() {
    for text in [
        "org: { mode: pin }",
        "org: { mode: off, default: 2 }",
        "clients: { trusted_proxies: [0.0.0.0/0] }",
        "clients: { identity_headers: [X-WEBAUTH-USER] }",
        "limits: { exempt: [/] }",
    ] {
        let effective = from_text(text);
        assert_eq!((effective.errors().count(), effective.warnings().count()), (0, 1), "{text}");
    }
    assert_eq!(summaries(&from_text("org: { mode: pin, by_host: { a.example.com: 2 } }")), Vec::<String>::new());
}

#[test]
fn the_fingerprint_key_is_taken_and_never_shown() {
    let secret = "correct horse battery staple";
    let effective = from_line(&[], &[("GTP_FINGERPRINT_KEY", secret)]);
    assert!(effective.config.fingerprint_key.is_some());
    let all = format!("{effective:?}{}{}", print(&effective, true), summaries(&effective).concat());
    assert!(all.contains("GTP_FINGERPRINT_KEY") && !all.contains("horse") && !all.contains("battery"));
    assert_eq!(from_line(&[], &[("GTP_FINGERPRINT_KEY", "short")]).warnings().count(), 1);
}

#[test]
fn wrong_usage_is_told_from_a_wrong_configuration() {
    assert!(from_line(&["--rate", "x"], &[]).is_wrong_usage());
    assert!(!from_line(&["--rate", "x"], &[("GTP_BURST", "x")]).is_wrong_usage());
    assert!(!from_line(&[], &[]).is_wrong_usage());
}

#[test]
fn unreadable_files_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    let latin = folder.path().join("latin.yaml");
    std::fs::write(&latin, b"listen: 0.0.0.0:1\nlog: { level: \xe4 }\n").unwrap();
    for (path, expected) in [
        (latin.to_str().unwrap(), "is not UTF-8 text: see line 2"),
        (folder.path().to_str().unwrap(), "cannot be read"),
        ("no/such/file.yaml", "cannot be read"),
    ] {
        let effective = from_line(&["--config", path], &[]);
        assert!(summaries(&effective)[0].contains(expected), "{:?}", summaries(&effective));
        assert!(!effective.is_wrong_usage());
    }
}

prop_compose! {
    fn some_settings()(
        port in 1u16..2000,
        v6: std::net::Ipv6Addr,
        rate in 1u32..100_000,
        unit in "[smh]",
        burst in 1u32..1_000_000,
        head in 8_192u64..1_048_576,
        body in proptest::option::of(1u64..1 << 40),
        timeout in 1u64..86_400_000,
        org in proptest::option::of(1i32..),
        workers in proptest::option::of(1u16..=1024),
        path in "(/[a-zA-Z0-9_~:!$&'()+,=@-]{1,8}){1,3}/?",
        header in "x-[a-z][a-z0-9!#$%&'*+^_`|~-]{0,12}",
        prefix in 1u8..=32,
    ) -> String {
        let null = |value: Option<String>, word: &str| value.unwrap_or_else(|| word.to_owned());
        format!(
            "listen: [\"[{v6}]:{port}\", 127.0.0.1:2001]\nworkers: {}\nlimits:\n  per_token: {{ rate: {rate}/{unit}, \
             burst: {burst} }}\n  exempt: [{path:?}]\nhttp: {{ max_head: {head}, max_body: {}, head_timeout: {timeout}ms }}\n\
             org: {{ default: {} }}\nauthorization: {{ restore_from: [{header:?}] }}\n\
             clients: {{ trusted_proxies: [128.0.0.0/{prefix}] }}\n",
            null(workers.map(|number| number.to_string()), "auto"),
            null(body.map(|number| number.to_string()), "null"),
            null(org.map(|number| number.to_string()), "null"),
        )
    }
}

proptest! {
    #[test]
    fn what_is_printed_reads_back_the_same(text in some_settings()) {
        let first = from_text(&text);
        prop_assert_eq!(first.errors().count(), 0, "{}{:?}", text, summaries(&first));
        let printed = print(&first, true);
        let second = from_text(&printed);
        prop_assert_eq!(second.errors().count(), 0, "{}", printed);
        prop_assert_eq!(print(&second, false), print(&first, false));
    }

    #[test]
    fn no_file_panics(text in "((listen|limits|http|rate|org|upstream|url|tokens|exempt|x)(: |:\n  |: \\[|: \\{ )?|[-a-z0-9:/.,&*\\]}\"'# \n]){0,40}") {
        let effective = from_text(&text);
        for mistake in &effective.mistakes {
            prop_assert!(!mistake.cure().is_empty());
        }
        let _ = print(&effective, true);
    }

    #[test]
    fn no_value_panics(index in 0usize..40, value in "\\PC{1,30}") {
        let key = keys::all().nth(index % keys::all().count()).unwrap();
        let effective = from_line(&[], &[(&key.variable(), &value)]);
        let _ = summaries(&effective);
    }

    #[test]
    fn a_token_in_any_place_is_never_printed(index in 0usize..40, secret in "[A-Za-z0-9]{32}") {
        let key = keys::all().nth(index % keys::all().count()).unwrap();
        let token = format!("glsa_{secret}_01234567");
        let text = format!("{token}: {token}\nlog: {token}\n<<: {token}\n");
        let effective = from_line(&[], &[(&key.variable(), &token), ("GTP_CONFI", &token)]);
        let both = summaries(&effective).concat() + &summaries(&from_text(&text)).concat() + &print(&effective, true);
        for window in secret.as_bytes().windows(8) {
            prop_assert!(!both.contains(std::str::from_utf8(window).unwrap()), "{}", both);
        }
    }
}
