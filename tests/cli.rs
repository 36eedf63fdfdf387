//! The command line as a user meets it: the real binary, its two outputs and its exit code.

#![expect(clippy::unwrap_used, reason = "a test that cannot run has failed")]

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::process::{Command, Output, Stdio};

const TOKEN: &str = "glsa_yscW25imSKJIuav8zF37RZmnbiDvB05G_fcaaf58a";

fn program(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_grafana-token-proxy"))
        .args(arguments)
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cli"))
        .env_clear()
        // Where the run counts its lines, if somebody wants to know (tests/coverage).
        .envs(std::env::var_os("LLVM_PROFILE_FILE").map(|file| ("LLVM_PROFILE_FILE", file)))
        .envs(variables.iter().copied())
        .output()
        .unwrap()
}

/// The same with something on standard input.
fn fed(arguments: &[&str], variables: &[(&str, &str)], input: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_grafana-token-proxy"))
        .args(arguments)
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cli"))
        .env_clear()
        // Where the run counts its lines, if somebody wants to know (tests/coverage).
        .envs(std::env::var_os("LLVM_PROFILE_FILE").map(|file| ("LLVM_PROFILE_FILE", file)))
        .envs(variables.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A program that has refused its arguments reads nothing.
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}

fn text(output: &Output) -> String {
    let code = output.status.code().map_or_else(|| "none".to_owned(), |code| code.to_string());
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let part = |name: &str, text: &str| if text.is_empty() { String::new() } else { format!("--- {name}\n{text}") };
    format!("exit code {code}\n{}{}", part("standard output", &out), part("standard error", &err))
}

fn shown(arguments: &[&str], variables: &[(&str, &str)]) -> String {
    let text = text(&program(arguments, variables));
    assert!(!text.contains("yscW25im") && !text.contains("hunter2"), "a secret was printed:\n{text}");
    text
}

macro_rules! golden {
    ($name:literal, $text:expr) => {
        insta::with_settings!({ snapshot_path => "cli", prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!($name, $text);
        });
    };
}

#[test]
fn short_help_fits_one_screen() {
    let text = shown(&["-h"], &[]);
    let body: Vec<&str> = text.lines().skip(2).collect();
    assert!(body.len() <= 50, "{} lines", body.len());
    assert!(body.iter().all(|line| line.chars().count() <= 100));
    golden!("short_help", text);
}

#[test]
fn long_help_is_complete() {
    let text = shown(&["--help"], &[]);
    for key in grafana_token_proxy::config::keys::all() {
        assert!(text.contains(&format!("--{}", key.flag())), "{}", key.path);
        assert!(text.contains(&key.variable()), "{}", key.path);
    }
    golden!("long_help", text);
}

#[test]
fn each_command_has_help() {
    for command in [
        "run",
        "demo",
        "check",
        "config",
        "explain",
        "inspect",
        "doctor",
        "healthcheck",
        "limits",
        "migrate",
        "schema",
        "completions",
        "man",
    ] {
        let text = shown(&[command, "-h"], &[]);
        assert!(text.starts_with("exit code 0\n--- standard output\n"), "{text}");
        assert!(text.lines().skip(2).all(|line| line.chars().count() <= 100), "{text}");
        assert!(text.lines().count() <= 50, "{text}");
    }
}

#[test]
fn every_mistake_of_a_file_is_told_at_once() {
    golden!("check_mistakes", shown(&["check", "mistakes.yaml"], &[("GTP_RAT", "5/s"), ("GTP_LOG_LEVEL", "loud")]));
}

#[test]
fn broken_notation_is_told_its_place() {
    golden!("check_broken", shown(&["check", "broken.yaml"], &[]));
}

#[test]
fn check_tells_valid_from_invalid_from_wrong_usage() {
    assert_eq!(shown(&["check", "settings.yaml"], &[]), "exit code 0\n--- standard output\nsettings.yaml: ok\n");
    assert_eq!(shown(&["check"], &[]), "exit code 0\n--- standard output\nconfiguration: ok\n");
    let warned = shown(&["check", "--org-mode", "pin"], &[]);
    assert!(warned.contains("configuration: ok, 1 warning\n") && warned.starts_with("exit code 0"), "{warned}");
    assert!(shown(&["check"], &[("GTP_CONFIG", "mistakes.yaml")]).starts_with("exit code 1"));
    assert!(shown(&["check", "nowhere.yaml"], &[]).starts_with("exit code 1"));
    assert!(shown(&["check", "--rate", "fast"], &[]).starts_with("exit code 2"));
    assert!(shown(&["check", "a.yaml", "b.yaml"], &[]).starts_with("exit code 2"));
}

#[test]
fn a_wrong_configuration_never_starts() {
    for arguments in
        [&["--config", "mistakes.yaml"][..], &["run", "--config", "mistakes.yaml"], &["demo", "-c", "mistakes.yaml"]]
    {
        let text = shown(arguments, &[]);
        assert!(text.starts_with("exit code 1") && text.contains("mistakes.yaml:2:1: error:"), "{text}");
    }
    assert!(shown(&["--upstream", "grafana"], &[]).starts_with("exit code 2"));
}

#[test]
fn config_shows_who_set_each_value() {
    let arguments = ["config", "--origin", "--config", "settings.yaml", "--burst", "75"];
    golden!(
        "config_origin",
        shown(&arguments, &[("GTP_LOG_FORMAT", "logfmt"), ("GTP_FINGERPRINT_KEY", "hunter2hunter2hunter2")])
    );
}

#[test]
fn the_schema_is_golden() {
    let output = program(&["schema"], &[]);
    let schema: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    for key in grafana_token_proxy::config::keys::all() {
        let pointer = format!("/properties/{}", key.path.replace('.', "/properties/"));
        assert!(schema.pointer(&pointer).is_some_and(|found| found["description"] == key.help), "{}", key.path);
    }
    golden!("schema", text(&output));
}

#[test]
fn explain_knows_every_reason_and_suggests_for_others() {
    for reason in grafana_token_proxy::domain::reason::Reason::ALL {
        let text = shown(&["explain", reason.code()], &[]);
        assert!(text.starts_with("exit code 0") && text.contains(reason.code()), "{text}");
    }
    assert!(shown(&["explain", "Token-Expired"], &[]).starts_with("exit code 0"));
    let unknown = shown(&["explain", "token_expird"], &[]);
    assert!(unknown.starts_with("exit code 2") && unknown.contains("did you mean token_expired?"), "{unknown}");
    assert!(shown(&["explain"], &[]).contains("token_rate_limited"));
}

fn answer(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/tests/cli/answers/{name}.txt", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn explained(name: &str, more: &[&str]) -> String {
    let text = text(&fed(&[&["explain", "-"], more].concat(), &[], &answer(name)));
    assert!(!text.contains("yscW25im") && !text.contains("hunter2"), "a secret was printed:\n{text}");
    text
}

#[test]
fn explain_reads_a_pasted_answer() {
    golden!("explain_vague", explained("vague", &[]));
    golden!("explain_permission", explained("permission", &["--request", "GET /api/users"]));
    golden!("explain_hop", explained("hop", &[]));
    golden!("explain_limited", explained("limited", &[]));
    golden!("explain_verbose", explained("verbose", &[]));
    let verbose = String::from_utf8(answer("verbose")).unwrap().replace(TOKEN, "***").replace("bearer", "Bearer");
    golden!("explain_blackened", text(&fed(&["explain", "-"], &[], verbose.as_bytes())));
    golden!("explain_json", explained("vague", &["--authorization", "none", "-o", "json"]));
    golden!("explain_served", explained("served", &[]));
}

#[test]
fn explain_takes_an_answer_by_flags() {
    let body = ["--status", "401", "--body", "answers/body.json"];
    let flags = ["--header", "Cache-Control: no-store", "--request", "GET /api/org", "--authorization", "bearer"];
    golden!("explain_flags", shown(&[&["explain"][..], &body, &flags].concat(), &[]));
    let vague = shown(&["explain", "--status", "401"], &[]);
    assert!(vague.starts_with("exit code 0") && vague.contains("unauthorized_unexplained"), "{vague}");
    let piped = fed(&["explain", "--status", "401", "--body", "-"], &[], b"{\"message\":\"Expired API key\"}");
    assert!(text(&piped).contains("token_expired"));
    let alone = fed(&["explain", "-"], &[], b"{\"messageId\":\"api-key.expired\",\"statusCode\":401}");
    assert!(text(&alone).contains("token_expired"), "a body that names its status is enough");
    let piped = fed(&["explain", "-", "--status", "401"], &[], b"{\"message\":\"Expired API key\"}");
    assert!(text(&piped).contains("token_expired"));
}

#[test]
fn explain_tells_wrong_usage_without_repeating_secrets() {
    let header = format!("Authorization {TOKEN}");
    for arguments in [
        &["explain", "--status", "four"][..],
        &["explain", "--request", "GET /api/org"],
        &["explain", "token_expired", "--status", "401"],
        &["explain", "--status", "401", "--body", "nowhere.json"],
        &["explain", "--status", "401", "--request", "api/org"],
        &["explain", "--status", "401", "--header", &header],
        &["explain", "--status", "401", "--request-header", &header],
        &["explain", "--status", "401", "--authorization", TOKEN],
        &["explain", "--status", TOKEN],
        &["explain", "--status", "401", "--credential-file", "nowhere.token"],
    ] {
        let text = shown(arguments, &[]);
        assert!(text.starts_with("exit code 2"), "{arguments:?}: {text}");
    }
    assert!(text(&fed(&["explain", "-"], &[], b"nothing of the kind")).starts_with("exit code 2"));
    let twice = fed(&["explain", "-", "--credential-file", "-"], &[], &answer("vague"));
    assert!(text(&twice).starts_with("exit code 2") && text(&twice).contains("cannot be read twice"));
}

fn inspected(input: &str, more: &[&str]) -> String {
    let variables = [("GTP_FINGERPRINT_KEY", "hunter2hunter2hunter2")];
    let text = text(&fed(&[&["inspect"], more].concat(), &variables, input.as_bytes()));
    assert!(!text.contains("yscW25im") && !text.contains("hunter2"), "a secret was printed:\n{text}");
    text
}

#[test]
fn the_doctor_tells_each_step_and_one_verdict() {
    golden!("doctor_help", shown(&["doctor", "-h"], &[]));
    // Reserved, so that no machine has a service there: TCP port 1 of the loopback address.
    let arguments = ["doctor", "--url", "http://127.0.0.1:1", "--token-file", "-"];
    let variables = [("GTP_FINGERPRINT_KEY", "a key of the tests")];
    golden!("doctor_text", text(&fed(&arguments, &variables, TOKEN.as_bytes())));
    golden!("doctor_json", text(&fed(&[&arguments[..], &["-o", "json"]].concat(), &variables, TOKEN.as_bytes())));
}

#[test]
fn inspect_says_what_a_credential_is_and_never_shows_it() {
    golden!("inspect_usable", inspected(&format!("Authorization: bearer {TOKEN}\n"), &[]));
    golden!("inspect_json", inspected(TOKEN, &["-", "-o", "json"]));
    golden!("inspect_cut", inspected(TOKEN.split_at(40).0, &[]));
    golden!("inspect_cloud", inspected("glc_eyJvIjoiMSIsIm4iOiJ4In0=", &[]));
    golden!(
        "inspect_jwt",
        inspected("Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIiwiZXhwIjoxNzAwMDAwMDAwfQ.c2ln", &["-o", "json"])
    );
    golden!("inspect_key", inspected("eyJrIjoiYyIsIm4iOiJjaSIsImlkIjozfQ==", &[]));
    golden!("inspect_conflict", inspected(&format!("Bearer {TOKEN}, Bearer {}", TOKEN.replace("25", "52")), &[]));
}

#[test]
fn inspect_reads_a_file_and_says_where_the_fingerprint_comes_from() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, TOKEN).unwrap();
    let text = shown(&["inspect", file.to_str().unwrap()], &[]);
    assert!(text.starts_with("exit code 0") && text.contains("random key"), "{text}");
    for arguments in [&["inspect", TOKEN][..], &["inspect", "nowhere.token"], &["inspect", "-o", "xml"]] {
        assert!(shown(arguments, &[]).starts_with("exit code 2"), "{arguments:?}");
    }
}

#[test]
fn no_error_prints_a_secret() {
    for arguments in [
        &["explain", TOKEN][..],
        &[TOKEN],
        &["--org", TOKEN],
        &["completions", TOKEN],
        &["check", TOKEN],
        &["--upstream", "http://admin:hunter2@grafana"],
        &["--upstream", "admin:hunter2@grafana"],
        &["config", "--limits-exempt", TOKEN],
    ] {
        let text = shown(arguments, &[]);
        assert!(!text.starts_with("exit code 0"), "{text}");
    }
}

#[test]
fn healthcheck_asks_the_configured_listener() {
    let serve = |answer: &'static str| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let length = stream.read(&mut [0; 1024]).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
            length
        });
        (address, server)
    };
    let (address, server) = serve("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let text = shown(&["healthcheck"], &[("GTP_TELEMETRY", &address)]);
    assert_eq!(text, format!("exit code 0\n--- standard output\nlive: http://{address}/livez\n"));
    assert!(server.join().unwrap() > 0);

    let (address, server) = serve("HTTP/1.1 503 Service Unavailable\r\n\r\n");
    let text = shown(&["healthcheck", "--telemetry", &address], &[]);
    assert!(text.starts_with("exit code 1") && text.contains("answers 503 Service Unavailable"), "{text}");
    assert!(server.join().unwrap() > 0);

    // Nothing listens on a port that was given back.
    let text = shown(&["healthcheck", "--telemetry", &address], &[]);
    assert!(text.starts_with("exit code 1") && text.contains("does not answer"), "{text}");
    assert!(shown(&["healthcheck", "--telemetry", "off"], &[]).starts_with("exit code 1"));
    let unread = shown(&["healthcheck", "--config", "nowhere.yaml"], &[]);
    assert!(unread.starts_with("exit code 1") && unread.contains("cannot be read"), "{unread}");

    // A file with mistakes elsewhere still names the listener, or need not.
    let (address, server) = serve("HTTP/1.1 200 OK\r\n\r\n");
    let text = shown(&["healthcheck", "--config", "broken.yaml", "--telemetry", &address], &[]);
    assert!(text.starts_with("exit code 0"), "{text}");
    assert!(server.join().unwrap() > 0);
}

#[test]
fn completions_and_the_manual_page_are_made_from_the_same_line() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let text = shown(&["completions", shell], &[]);
        assert!(text.starts_with("exit code 0") && text.contains("limits-per-client-rate"), "{shell}");
    }
    assert!(shown(&["completions", "csh"], &[]).starts_with("exit code 2"));
    let page = shown(&["man"], &[]);
    assert!(page.contains(".TH grafana-token-proxy 1") && page.contains("EXIT STATUS"), "{page}");
    assert!(page.contains("GTP_LIMITS_PER_TOKEN_RATE"));
}

#[test]
fn no_escape_sequence_reaches_a_pipe() {
    for arguments in [&["-h"][..], &["check", "mistakes.yaml"], &["explain"], &["bogus"]] {
        assert!(!shown(arguments, &[]).contains('\u{1b}'));
    }
}

#[test]
fn limits_are_suggested_from_a_log() {
    golden!("suggest_text", shown(&["limits", "suggest", "--from-log", "traffic.jsonl"], &[]));
    golden!(
        "suggest_json",
        shown(
            &[
                "limits",
                "suggest",
                "--from-log",
                "traffic.jsonl",
                "-o",
                "json",
                "--limit-rate",
                "2/s",
                "--limit-burst",
                "5"
            ],
            &[]
        )
    );
    let help = shown(&["limits", "suggest", "-h"], &[]);
    assert!(help.lines().count() <= 50 && help.lines().skip(2).all(|line| line.chars().count() <= 100), "{help}");
    golden!("suggest_help", help);
}

#[test]
fn a_log_may_be_packed_cut_and_prefixed() {
    let log = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cli/traffic.jsonl")).unwrap();
    let arguments = ["limits", "suggest", "--from-log", "-"];
    let wanted = text(&fed(&arguments, &[], &log));
    assert!(wanted.starts_with("exit code 0\n--- standard output\n157 requests of 5 callers"), "{wanted}");
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packer.write_all(&log).unwrap();
    let packed = packer.finish().unwrap();
    assert_eq!(text(&fed(&arguments, &[], &packed)), wanted);
    let cut = text(&fed(&arguments, &[], &packed[..packed.len() - 9]));
    assert!(cut.starts_with("exit code 0") && cut.contains("note: the log was read as far as it can be"), "{cut}");
    let prefixed: String =
        String::from_utf8(log).unwrap().lines().map(|line| format!("grafana-1 proxy {line}\n")).collect();
    assert_eq!(text(&fed(&arguments, &[], prefixed.as_bytes())), wanted);
}

#[test]
fn what_tells_of_no_demand_is_said_to() {
    let from = |input: &str| text(&fed(&["limits", "suggest", "--from-log", "-"], &[], input.as_bytes()));
    let refusal = r#"{"timestamp":"2026-11-23T08:11:40.500Z","event":"request_refused","reason":"token_rate_limited","client":"10.0.0.9"}"#;
    let exempt =
        r#"{"timestamp":"2026-11-23T08:11:40.500Z","event":"request_served","path":"/metrics","client":"10.0.0.9"}"#;
    let all = [
        from(refusal),
        from(exempt),
        from("nothing of ours\n"),
        from(""),
        shown(&["limits", "suggest", "--from-log", "nowhere.jsonl"], &[]),
        shown(&["limits", "suggest", "--from-log", "traffic.jsonl", "--admin", "http://127.0.0.1:1"], &[]),
        shown(&["limits", "suggest", "--from-log", "traffic.jsonl", "--limit-rate", "5", "--limit-burst", "2"], &[]),
        shown(&["limits", "suggest", "--from-log", "traffic.jsonl", "--limit-rate", "5/s"], &[]),
        shown(&["limits", "suggest", "--admin", "off"], &[]),
    ];
    golden!("suggest_wrong", all.join("\n"));
    let named = shown(&["limits", "suggest", "--from-log", "traffic.jsonl"], &[("GTP_ADMIN", "http://127.0.0.1:1")]);
    assert!(named.starts_with("exit code 0"), "{named}");
}

/// One answer of a console, whatever is asked.
fn console(answer: serde_json::Value) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 4096]);
        let answer = answer.to_string();
        let head =
            format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", answer.len());
        stream.write_all((head + &answer).as_bytes()).unwrap();
    });
    address
}

#[test]
fn limits_are_suggested_by_a_running_proxy() {
    let ladder = serde_json::json!([{ "rate": "1/s", "burst": null }, { "rate": "10/s", "burst": 35 }, { "rate": "500/s", "burst": 30 }]);
    let token = serde_json::json!({
        "fingerprint": "1d387206b650", "name": null, "kind": "service_account", "last_seen": "2026-11-23T09:00:00.000Z",
        "demand": { "requests": 70, "since": "2026-11-23T08:00:00.000Z", "needs": ladder },
    });
    let limits = serde_json::json!({ "per_token": { "rate": "100/s", "burst": 25 } });
    let ask = |answer| text(&program(&["limits", "suggest", "--admin", &console(answer)], &[]));
    golden!("suggest_admin", ask(serde_json::json!({ "tokens": [token], "limits": limits })));
    let nobody = "127.0.0.1:1";
    for (said, code) in [
        (
            ask(serde_json::json!({ "tokens": [{ "fingerprint": "1d387206b650" }] })),
            "does not tell what its callers need",
        ),
        (ask(serde_json::json!({ "tokens": [] })), "has seen no token yet"),
        (ask(serde_json::json!({ "hello": 1 })), "is no console"),
        (text(&program(&["limits", "suggest", "--admin", nobody], &[])), "no console answers"),
    ] {
        assert!(said.starts_with("exit code 1\n--- standard error\nerror: ") && said.contains(code), "{said}");
    }
}
