//! Invented credentials by the thousand, and a rollout behind one address. `GTP_STRANGERS` makes them as many as they were
//! for the README.

use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use super::standin::{Grafana, Settings};
use super::{bearer, known, until};
use crate::support::wire::{connect, read_answer};
use crate::support::{Program, TOKEN, get, sound_token};

fn strangers() -> u64 {
    std::env::var("GTP_STRANGERS").map_or(4_000, |text| text.parse().unwrap())
}

/// Sends requests over one connection, many at once; how many were answered 200.
fn flood(address: SocketAddr, lines: impl Iterator<Item = String>) -> usize {
    const AT_ONCE: usize = 50;
    let (mut stream, mut pending) = (connect(address), Vec::new());
    let requests: Vec<String> =
        lines.map(|line| format!("GET /api/org HTTP/1.1\r\nHost: g\r\n{line}\r\n\r\n")).collect();
    let mut served = 0;
    for some in requests.chunks(AT_ONCE) {
        stream.write_all(some.concat().as_bytes()).unwrap();
        for _ in some {
            let status = read_answer(&mut stream, &mut pending, false).unwrap().status;
            assert!(matches!(status, 200 | 401 | 429), "{status}");
            served += usize::from(status == 200);
        }
    }
    served
}

fn resident(program: &Program) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", program.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

/// One invented credential of each kind.
fn invented(kind: &str, number: u64) -> String {
    let jwt = || {
        let payload = URL_SAFE_NO_PAD.encode(format!(r#"{{"sub":"user-{number}"}}"#));
        format!("{}.{payload}.c2ln", URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256"}"#))
    };
    match kind {
        "token" => bearer(&sound_token(number)),
        "session" => format!("Cookie: grafana_session={number:032x}"),
        "user" => format!("Authorization: Basic {}", STANDARD.encode(format!("admin:guess-{number}"))),
        _ => format!("X-JWT-Assertion: {}", jwt()),
    }
}

#[test]
fn invented_credentials_of_every_kind_stay_within_their_addresss_budget() {
    let each = strangers();
    for anonymous in [false, true] {
        let grafana = Grafana::new(Settings { anonymous, ..known(&["RZmnbiDvB05G_fcaaf58a", "good-session"]) });
        let limits = ["--limits-per-client-rate", "50/s", "--limits-per-client-burst", "100"];
        let program =
            Program::before(&grafana.origin.url(), &[&limits[..], &["--rate", "1/h", "--burst", "1000000"]].concat());
        let served = |line: &str| get(program.data, "/api/org", &[line]).status == 200;
        let session = "Cookie: grafana_session=good-session";
        until("the token is not accepted", || (0..5).all(|_| served(&bearer(TOKEN))));
        until("the session is not accepted", || (0..5).all(|_| served(session)));
        for kind in ["token", "session", "user", "jwt"] {
            for beside in [false, true].into_iter().filter(|beside| !beside || kind != "session") {
                flood(program.data, (0..200).map(|number| invented(kind, 1 << 40 | number)));
                let (before, count, began) = (resident(&program), grafana.count(), Instant::now());
                thread::scope(|scope| {
                    for part in 0..2u64 {
                        let address = program.data;
                        scope.spawn(move || {
                            let numbers = (0..each).filter(move |number| number % 2 == part);
                            let with = move |line: String| if beside { format!("{line}\r\n{session}") } else { line };
                            flood(address, numbers.map(move |number| with(invented(kind, number))))
                        });
                    }
                });
                let (seconds, reached) = (began.elapsed().as_secs_f64(), grafana.count() - count);
                let grown = resident(&program).saturating_sub(before);
                let due = 100.0 + 50.0 * seconds;
                println!(
                    "{each} × {kind}, anonymous {anonymous}, beside a session {beside}: {reached} reached Grafana in \
                     {seconds:.1} s (due {due:.0}), {:.1} MiB more",
                    grown as f64 / 1_048_576.0
                );
                assert!(reached as f64 <= due + 1.0, "{reached} reached Grafana, {due:.0} were due: {kind}, {beside}");
                assert!(grown < 8 << 20, "{grown} bytes more");
                assert!(
                    (0..5).all(|_| served(&bearer(TOKEN)) && served(session)),
                    "the established ones pay for {kind}"
                );
            }
        }
    }
}

#[test]
fn a_rollout_behind_one_address_hurts_nobody() {
    const CALLERS: u64 = 1000;
    let secrets: Vec<String> =
        (0..CALLERS).map(|number| sound_token(number).split_once('_').unwrap().1.to_owned()).collect();
    let texts: Vec<&str> = secrets.iter().map(String::as_str).collect();
    let grafana = Grafana::new(Settings { takes: Duration::from_millis(5), ..known(&texts) });
    let program = Program::before(&grafana.origin.url(), &[]);
    let (worst, accepted) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let began = Instant::now();
    thread::scope(|scope| {
        for part in 0..40u64 {
            let (program, worst, accepted) = (&program, &worst, &accepted);
            scope.spawn(move || {
                let (mut stream, mut pending) = (connect(program.data), Vec::new());
                let mut refused = [0usize; (CALLERS / 40) as usize];
                // Two requests a second each, for six seconds.
                for turn in 0..12u32 {
                    for (place, count) in refused.iter_mut().enumerate() {
                        let line = bearer(&sound_token(part * (CALLERS / 40) + place as u64));
                        let request = format!("GET /api/org HTTP/1.1\r\nHost: g\r\n{line}\r\n\r\n");
                        stream.write_all(request.as_bytes()).unwrap();
                        let status = read_answer(&mut stream, &mut pending, false).unwrap().status;
                        assert!(matches!(status, 200 | 429), "{status}");
                        *count += usize::from(status == 429);
                        if turn == 11 && status == 200 {
                            accepted.fetch_add(1, SeqCst);
                        }
                    }
                    let due = began + Duration::from_millis(500) * (turn + 1);
                    thread::sleep(due.saturating_duration_since(Instant::now()));
                }
                worst.fetch_max(refused.into_iter().max().unwrap(), SeqCst);
            });
        }
    });
    println!("{CALLERS} callers behind one address: at worst {} refusals", worst.load(SeqCst));
    assert_eq!(accepted.load(SeqCst), CALLERS as usize);
    assert!(worst.load(SeqCst) <= 3, "a caller was refused {} times", worst.load(SeqCst));
    let line = program.wait_for_line(|line| line["event"] == "one_client_address");
    assert!(line["hint"].as_str().unwrap().contains("clients.trusted_proxies"), "{line}");
    let said = program.lines().iter().filter(|line| line.contains("one_client_address")).count();
    assert_eq!(said, 1);
}

#[test]
fn under_a_flood_of_bad_tokens_a_new_one_that_waits_as_told_is_served() {
    let grafana = Grafana::new(known(&["RZmnbiDvB05G_fcaaf58a"]));
    let program = Program::before(&grafana.origin.url(), &[]);
    let stop = std::sync::atomic::AtomicBool::new(false);
    thread::scope(|scope| {
        let (program, stop) = (&program, &stop);
        let flooding = scope.spawn(move || {
            let mut number = 0;
            while !stop.load(SeqCst) {
                flood(program.data, (number..number + 100).map(|number| bearer(&sound_token(number))));
                number += 100;
                thread::sleep(Duration::from_millis(20));
            }
            number
        });
        thread::sleep(Duration::from_millis(500));
        let mut refused = 0;
        loop {
            let answer = get(program.data, "/api/org", &[&bearer(TOKEN)]);
            if answer.status == 200 {
                break;
            }
            refused += 1;
            assert!(refused <= 2, "refused {refused} times: {:?}", answer.reason());
            thread::sleep(Duration::from_secs(answer.header("retry-after").unwrap().parse().unwrap()));
        }
        stop.store(true, SeqCst);
        println!("refused {refused} times under a flood of {} tokens", flooding.join().unwrap());
    });
}
