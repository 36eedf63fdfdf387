//! What the limits admit, counted: exact under load, true to what they tell, and bounded whatever strangers invent.
//! Short here; `GTP_SECONDS` and `GTP_STRANGERS` make the runs as long as they were for the README.

use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use crate::support::wire::{connect, read_answer};
use crate::support::{Origin, Program, TOKEN, get, sound_token as token};

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |text| text.parse().unwrap())
}

fn request(path: &str, token: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: g\r\nAuthorization: Bearer {token}\r\n\r\n")
}

/// One answer: a busy machine may hold up a request on its way to the proxy and its answer on the way back, so both moments
/// are kept, and of each the side is taken that makes a bound true however long that took.
#[derive(Clone, Copy)]
struct Told {
    sent: Instant,
    answered: Instant,
    admitted: bool,
}

/// How far a token was above what was due at most, and below what was due at least. The latter is known only where its bucket
/// cannot have been full for a while, which a client that rests gains nothing by.
fn misses(told: &[Told], rate: f64, burst: f64) -> (f64, Option<f64>) {
    let count = |some: &dyn Fn(&&Told) -> bool| told.iter().filter(some).count() as f64;
    let first = told.iter().map(|one| one.sent).min().unwrap();
    let last = told.iter().map(|one| one.answered).max().unwrap();
    let over = count(&|one| one.admitted) - (burst + rate * (last - first).as_secs_f64());
    let mut refused: Vec<_> = told.iter().filter(|one| !one.admitted).collect();
    refused.sort_by_key(|one| one.sent);
    // Whoever is refused has less than one left; full again it can be after this time, and not before.
    let rest = Duration::from_secs_f64((burst - 1.0) / rate);
    let never_full = refused.windows(2).all(|pair| pair[1].answered.saturating_duration_since(pair[0].sent) < rest);
    let Some((begin, end)) = refused.iter().map(|one| one.answered).min().zip(refused.last().map(|one| one.sent))
    else {
        return (over, None);
    };
    let least = rate * end.saturating_duration_since(begin).as_secs_f64();
    let under = least - count(&|one| one.admitted && one.answered >= begin);
    (over, never_full.then_some(under))
}

#[test]
fn each_token_gets_its_rate_and_its_burst_and_not_one_more_or_less() {
    const TOKENS: u64 = 200;
    let (rate, burst) = (4.0, 10.0);
    let seconds = number("GTP_SECONDS", 4);
    let origin = Origin::ok();
    let program = Program::before(&origin.url(), &["--rate", "4/s", "--burst", "10"]);
    let told: Vec<Mutex<Vec<Told>>> = (0..TOKENS).map(|_| Mutex::default()).collect();
    let end = Instant::now() + Duration::from_secs(seconds);
    thread::scope(|scope| {
        for connection in 0..64u64 {
            let (told, address) = (&told, program.data);
            scope.spawn(move || {
                let (mut stream, mut pending) = (connect(address), Vec::new());
                // Each connection sends all tokens, from another one on: connections and tokens cross.
                for turn in (connection * 3..).take_while(|_| Instant::now() < end) {
                    let which = turn % TOKENS;
                    let sent = Instant::now();
                    stream.write_all(request("/api/org", &token(which)).as_bytes()).unwrap();
                    let answer = read_answer(&mut stream, &mut pending, false).unwrap();
                    assert!(matches!(answer.status, 200 | 429), "{}", answer.status);
                    let one = Told { sent, answered: Instant::now(), admitted: answer.status == 200 };
                    told[which as usize].lock().unwrap().push(one);
                }
            });
        }
    });
    let (mut worst_over, mut worst_under, mut judged) = (f64::MIN, f64::MIN, 0);
    for (which, told) in told.iter().enumerate() {
        let (over, under) = misses(&told.lock().unwrap(), rate, burst);
        worst_over = worst_over.max(over);
        assert!(over < 1.0, "token {which}: {over:.2} more than due");
        let Some(under) = under else { continue };
        judged += 1;
        worst_under = worst_under.max(under);
        assert!(under < 1.0, "token {which}: {under:.2} less than due");
    }
    println!(
        "{TOKENS} tokens on 64 connections for {seconds} s: at worst {worst_over:+.2} above what was due, and, of {judged} \
         that never rested, {worst_under:+.2} below"
    );
    assert!(judged > 0, "no token was used without a rest");
    let refused =
        program.metric("grafana_token_proxy_ratelimit_decisions_total{policy=\"token\",decision=\"refused\"}");
    assert!(refused.unwrap() > 100.0, "nothing was at its limit");
}

#[test]
fn whoever_waits_as_long_as_told_succeeds() {
    let origin = Origin::ok();
    let program = Program::before(&origin.url(), &["--rate", "90/m", "--burst", "2"]);
    let outcomes: Vec<bool> = thread::scope(|scope| {
        let clients: Vec<_> = (0..100)
            .map(|number| {
                let address = program.data;
                scope.spawn(move || {
                    let credential = format!("Authorization: Bearer {}", token(number));
                    let ask = || get(address, "/api/org", &[&credential]);
                    let refused = loop {
                        let answer = ask();
                        if answer.status == 429 {
                            break answer;
                        }
                    };
                    thread::sleep(Duration::from_secs(refused.header("retry-after").unwrap().parse().unwrap()));
                    ask().status == 200
                })
            })
            .collect();
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    });
    let succeeded = outcomes.iter().filter(|outcome| **outcome).count();
    assert!(succeeded >= 99, "{succeeded} of 100 retries succeeded");
}

fn resident(program: &Program) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", program.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

/// Sends requests with these tokens over one connection, many at once.
fn flood(address: SocketAddr, tokens: impl Iterator<Item = u64>) {
    const AT_ONCE: usize = 100;
    let (mut stream, mut pending) = (connect(address), Vec::new());
    let tokens: Vec<u64> = tokens.collect();
    for some in tokens.chunks(AT_ONCE) {
        let requests: String = some.iter().map(|number| request("/api/org", &token(*number))).collect();
        stream.write_all(requests.as_bytes()).unwrap();
        for _ in some {
            let status = read_answer(&mut stream, &mut pending, false).unwrap().status;
            assert!(matches!(status, 401 | 429), "{status}");
        }
    }
}

#[test]
fn invented_tokens_take_little_room_and_no_budget_but_their_own() {
    let strangers = number("GTP_STRANGERS", 30_000);
    let origin = Origin::new(|seen, stream| {
        let answer: &[u8] = if seen.header("authorization").is_some_and(|value| value.contains(TOKEN)) {
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
        } else {
            b"HTTP/1.1 401 Unauthorized\r\nContent-Type: application/json\r\nContent-Length: 29\r\n\r\n{\"message\":\"Invalid API key\"}"
        };
        stream.write_all(answer).is_ok()
    });
    let program = Program::before(&origin.url(), &["--rate", "1/h", "--burst", "100"]);
    let known = || get(program.data, "/api/org", &[&format!("Authorization: Bearer {TOKEN}")]);
    let left =
        |answer: &crate::support::Answer| answer.header("ratelimit").unwrap().split(';').nth(1).unwrap().to_owned();
    assert_eq!((known().status, left(&known())), (200, "r=98".to_owned()));
    // What the first requests take stays taken.
    flood(program.data, 0..500);
    let before = resident(&program);
    let began = Instant::now();
    thread::scope(|scope| {
        for part in 0..4u64 {
            let address = program.data;
            scope.spawn(move || {
                flood(address, (1_000_000..1_000_000 + strangers).filter(move |number| number % 4 == part))
            });
        }
    });
    let grown = resident(&program).saturating_sub(before);
    println!("{strangers} invented tokens in {:.0?}: {:.1} MiB more", began.elapsed(), grown as f64 / 1_048_576.0);
    assert!(grown < 8 << 20, "{grown} bytes more");
    // Those that were under way when the limit was reached, and what is regained.
    let due = 200 + 2 * began.elapsed().as_secs() as usize;
    assert!(origin.count() < due, "{} of them reached Grafana", origin.count());
    let answer = known();
    assert_eq!((answer.status, left(&answer)), (200, "r=97".to_owned()), "the accepted token's bucket was lost");
    let tracked = program.metric("grafana_token_proxy_ratelimit_tracked").unwrap();
    assert!(tracked < 100_000.0, "{tracked}");
}
