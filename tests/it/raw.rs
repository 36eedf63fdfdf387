//! Raw HTTP/1 against the real program: hundreds of damaged and odd requests, made from tables. Each gets one answer, in
//! the words that the tables expect; nothing of a refused one goes upstream; each refusal is told in one line.

mod damaged;
mod odd;
mod pinned;

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use serde_json::Value;

use crate::recorder::{Client, Heard, Recorder, broken_invariants};
use crate::support::{Program, TOKEN};

/// One request and what it gets.
struct Case {
    name: String,
    bytes: Vec<u8>,
    gets: Gets,
}

enum Gets {
    /// One of these statuses with one of these reasons, and the end of the connection.
    Closed(&'static [u16], &'static [&'static str]),
    /// A refusal after which the connection goes on.
    Refused(u16, &'static str),
    /// The upstream's answer; it saw what the checks say.
    Served(Vec<Sees>),
}

/// What the upstream must have seen.
enum Sees {
    Target(String),
    Method(String),
    Body(Vec<u8>),
    /// All values of a field.
    Field(&'static str, Vec<String>),
    Trailers(Vec<&'static str>),
}

impl Case {
    fn new(name: impl Into<String>, bytes: impl AsRef<[u8]>, gets: Gets) -> Self {
        Self { name: name.into(), bytes: bytes.as_ref().to_vec(), gets }
    }

    fn closed(
        name: impl Into<String>,
        bytes: impl AsRef<[u8]>,
        statuses: &'static [u16],
        reasons: &'static [&'static str],
    ) -> Self {
        Self::new(name, bytes, Gets::Closed(statuses, reasons))
    }

    fn served(name: impl Into<String>, bytes: impl AsRef<[u8]>, sees: Vec<Sees>) -> Self {
        Self::new(name, bytes, Gets::Served(sees))
    }
}

/// What ran, and what it found.
#[derive(Default)]
struct Tally {
    cases: usize,
    broken: Vec<String>,
    /// Reason, status and name of each refusal, by its id.
    refusals: HashMap<String, (String, u16, String)>,
}

/// What follows on each connection that goes on: whoever lost the thread answers something else.
const AFTER: &[u8] = b"GET /after HTTP/1.1\r\nHost: g\r\nConnection: close\r\n\r\n";

/// How a request comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comes {
    /// Whole and first.
    Alone,
    /// In two pieces, cut anywhere.
    Cut,
    /// In one piece with a sound one before it.
    Behind,
}

const SOUND: &[u8] = b"GET /before HTTP/1.1\r\nHost: g\r\n\r\n";

fn run(cases: Vec<Case>, comes: Comes) -> usize {
    let recorder = Recorder::start();
    let mut program = Program::before(&recorder.url(), &["--rate", "100000/s", "--burst", "100000"]);
    let mut tally = Tally::default();
    for (source, case) in (1..).zip(cases) {
        tally.cases += 1;
        // One failure must not hide the next.
        if catch_unwind(AssertUnwindSafe(|| ask(&case, comes, source, &program, &recorder, &mut tally))).is_err() {
            tally.broken.push(format!("{}: {:?}", case.name, String::from_utf8_lossy(&case.bytes)));
        }
    }
    let shown = tally.broken.join("\n");
    assert!(tally.broken.is_empty(), "{comes:?}, {} of {}:\n{shown}", tally.broken.len(), tally.cases);
    check_log(&mut program, &tally);
    tally.cases
}

fn ask(case: &Case, comes: Comes, source: u32, program: &Program, recorder: &Recorder, tally: &mut Tally) {
    let before = recorder.count() + usize::from(comes == Comes::Behind);
    let mut client = Client::from(source, program.data);
    if comes == Comes::Behind {
        client.send(&[SOUND, &case.bytes].concat());
        let index = client.hear(false).and_then(|heard| heard.recorded()).expect("a sound request is not served");
        assert_eq!(recorder.reading(index).target, b"/before", "{}", case.name);
    } else {
        // Each at another place; the pause is only likely to part them, and nothing here depends on it.
        let at = if comes == Comes::Cut { case.bytes.len() * (1 + source as usize % 9) / 10 } else { 0 };
        let (front, back) = case.bytes.split_at(at);
        if !front.is_empty() {
            client.send(front);
            std::thread::sleep(Duration::from_millis(2));
        }
        client.send(back);
    }
    let heard = client.hear(case.bytes.starts_with(b"HEAD ")).unwrap_or_else(|| panic!("{}: closed", case.name));
    check(case, &heard, &mut client, recorder, tally);
    let expected = match &case.gets {
        Gets::Closed(..) => 0,
        Gets::Refused(..) => 1,
        Gets::Served(_) => 2,
    };
    assert_eq!(recorder.count() - before, expected, "{}: so many requests went upstream", case.name);
}

fn check(case: &Case, heard: &Heard, client: &mut Client, recorder: &Recorder, tally: &mut Tally) {
    let name = &case.name;
    let told = (heard.status, heard.reason());
    match &case.gets {
        Gets::Closed(statuses, reasons) => {
            let fits = statuses.contains(&told.0) && told.1.is_some_and(|reason| reasons.contains(&reason));
            assert!(fits, "{name}: {told:?} {:?}", String::from_utf8_lossy(&heard.body));
            let rest = client.rest();
            let shown = String::from_utf8_lossy(&rest);
            assert!(rest.is_empty(), "{name}: something follows the refusal: {shown:?}");
        }
        Gets::Refused(status, reason) => {
            assert_eq!(told, (*status, Some(*reason)), "{name}");
            assert_after(name, client, recorder);
        }
        Gets::Served(sees) => {
            assert_eq!(told, (200, None), "{name}: {:?}", String::from_utf8_lossy(&heard.body));
            let index = heard.recorded().expect("not answered by the upstream");
            check_seen(name, index, sees, recorder, tally);
            assert_after(name, client, recorder);
        }
    }
    if let Some(reason) = told.1 {
        let id = heard.field("x-request-id").unwrap_or_else(|| panic!("{name}: no id")).to_owned();
        let allow = heard.field("allow").is_some();
        assert_eq!(allow, heard.status == 405, "{name}: `Allow` belongs to 405");
        let known = tally.refusals.insert(id, (reason.to_owned(), heard.status, name.clone()));
        assert!(known.is_none(), "{name}: an id twice");
    }
}

/// The next request on the connection gets its own answer, and then nothing comes.
fn assert_after(name: &str, client: &mut Client, recorder: &Recorder) {
    client.send(AFTER);
    let next = client.hear(false).unwrap_or_else(|| panic!("{name}: the connection ended"));
    let index = next.recorded().unwrap_or_else(|| panic!("{name}: {next:?}"));
    assert_eq!(recorder.reading(index).target, b"/after", "{name}: the answers are mixed up");
    assert!(client.rest().is_empty(), "{name}: an answer too many");
}

fn check_seen(name: &str, index: usize, sees: &[Sees], recorder: &Recorder, tally: &mut Tally) {
    let seen = recorder.reading(index);
    tally.broken.extend(broken_invariants(&seen).into_iter().map(|broken| format!("{name}: {broken}")));
    // Every request of the tables that brings a credential brings this one.
    let credentials = seen.all("authorization");
    let canonical = format!("Bearer {TOKEN}").into_bytes();
    if credentials.iter().any(|value| **value != canonical) {
        tally.broken.push(format!("{name}: another credential"));
    }
    for sees in sees {
        match sees {
            Sees::Target(target) => assert_eq!(String::from_utf8_lossy(&seen.target), *target, "{name}"),
            Sees::Method(method) => assert_eq!(seen.method, *method, "{name}"),
            Sees::Body(body) => assert_eq!(seen.body, *body, "{name}"),
            Sees::Field(field, values) => {
                let found: Vec<_> = seen.all(field).into_iter().map(String::from_utf8_lossy).collect();
                assert_eq!(found, *values, "{name}: {field}");
            }
            Sees::Trailers(names) => {
                let found: Vec<_> = seen.trailers.iter().map(|(name, _)| name.as_str()).collect();
                assert_eq!(found, *names, "{name}: trailers");
            }
        }
    }
}

/// Each refusal has one line, which is JSON and blames the right side; no line tells a secret.
fn check_log(program: &mut Program, tally: &Tally) {
    for id in tally.refusals.keys() {
        program.refusal(id);
    }
    // Whatever would come late comes before the end.
    program.signal("TERM");
    assert_eq!(program.wait(), Some(0));
    let lines = program.lines();
    let mut told = HashMap::<String, usize>::new();
    for line in &lines {
        let value: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line:?}"));
        assert!(!line.bytes().any(|byte| byte < 0x20 || byte == 0x7f), "a control byte in {line:?}");
        let secret = &TOKEN.as_bytes()["glsa_".len()..];
        let leaks = secret.windows(8).any(|part| line.as_bytes().windows(8).any(|piece| piece == part));
        assert!(!leaks, "a secret in {line:?}");
        if value["event"] != "request_refused" {
            continue;
        }
        let id = value["request_id"].as_str().unwrap().to_owned();
        let found = tally.refusals.get(&id);
        let (reason, status, name) = found.unwrap_or_else(|| panic!("nobody was told of {line}"));
        assert_eq!((value["reason"].as_str(), value["status"].as_u64()), (Some(&**reason), Some((*status).into())));
        let source = if matches!(&**reason, "method_refused" | "org_override_refused" | "credential_conflict") {
            "proxy"
        } else {
            "client"
        };
        assert_eq!(value["source"], source, "{name}");
        *told.entry(id).or_default() += 1;
    }
    assert!(told.values().all(|times| *times == 1), "a refusal was told twice");
    assert_eq!(told.len(), tally.refusals.len(), "a refusal was not told");
}

#[test]
fn damaged_heads_and_bodies_are_refused() {
    for comes in [Comes::Alone, Comes::Cut, Comes::Behind] {
        let count = run(damaged::cases(), comes);
        println!("raw HTTP/1, damaged, {comes:?}: {count} cases, 0 invariants broken");
        assert!(count >= 300, "{count}");
    }
}

#[test]
fn odd_requests_are_served_without_what_must_not_pass() {
    for comes in [Comes::Alone, Comes::Cut, Comes::Behind] {
        let count = run(odd::cases(), comes);
        println!("raw HTTP/1, odd, {comes:?}: {count} cases, 0 invariants broken");
        assert!(count >= 100, "{count}");
    }
}

#[test]
fn a_disguised_target_matches_no_exemption() {
    let recorder = Recorder::start();
    let limits = ["--limits-per-client-rate", "1/h", "--limits-per-client-burst", "1"];
    let program = Program::before(&recorder.url(), &limits);
    let second = |source: u32, target: &str| {
        let mut client = Client::from(source, program.data);
        let request = format!("GET {target} HTTP/1.1\r\nHost: g\r\n\r\n");
        let mut ask = || {
            client.send(request.as_bytes());
            client.hear(false).expect("closed")
        };
        assert_eq!(ask().status, 200, "{target}");
        ask()
    };
    let sound = ["/api/health", "/metrics", "/public/x", "/public/build/x.js?a=//..;%2e"];
    for (source, target) in (1..).zip(sound) {
        assert_eq!(second(source, target).status, 200, "{target}");
    }
    let disguises = ["//", "/./", "/../", "/%2e/", "/%2E%2e/", "/%2f", "/%2F", "/%5c", "/%5C", "/;", ";/", "/\\"];
    let disguised =
        disguises.iter().flat_map(|disguise| [format!("/public{disguise}x"), format!("/public/x{disguise}y")]);
    let ends = ["/public/..", "/public/x/.", "/public/x/..", "/x/../public/y", "/public/%2e%2e"].map(str::to_owned);
    for (source, target) in (100..).zip(disguised.chain(ends)) {
        let answer = second(source, &target);
        assert_eq!((answer.status, answer.reason()), (429, Some("client_rate_limited")), "{target}");
    }
}

#[test]
fn what_is_refused_may_expect_nothing() {
    let recorder = Recorder::start();
    let program = Program::before(&recorder.url(), &[]);
    // Refused by its head, by its method, by its credentials: the refusal comes first, and no `100 Continue` before it.
    let heads = [
        ("POST", "Content-Length: 5\r\nContent-Length: 6", 400, "head_malformed"),
        ("TRACE", "Content-Length: 5", 405, "method_refused"),
        ("POST", "Content-Length: 5\r\nAuthorization: Bearer a\r\nAuthorization: Bearer b", 400, "credential_conflict"),
    ];
    for (source, (method, lines, status, reason)) in (1..).zip(heads) {
        for (further, body) in (0..).zip([&b""[..], b"hello"]) {
            let mut client = Client::from(source * 2 + further, program.data);
            let head = format!("{method} /x HTTP/1.1\r\nHost: g\r\nExpect: 100-continue\r\n{lines}\r\n\r\n");
            client.send(&[head.as_bytes(), body].concat());
            let heard = client.hear(false).expect("closed");
            assert_eq!((heard.status, heard.reason()), (status, Some(reason)), "{lines}");
        }
    }
    // What is not refused is asked for its body, and served.
    let mut client = Client::from(100, program.data);
    client.send(b"POST /x HTTP/1.1\r\nHost: g\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    assert_eq!(client.hear(false).expect("closed").status, 100);
    client.send(b"hello");
    let heard = client.hear(false).expect("closed");
    assert_eq!(recorder.reading(heard.recorded().unwrap()).body, b"hello");
    assert_eq!(recorder.count(), 1, "something of a refused request went upstream");
}

#[test]
fn the_body_of_a_refused_request_is_never_the_next_request() {
    let recorder = Recorder::start();
    let program = Program::before(&recorder.url(), &[]);
    let filler = b"GET /smuggled HTTP/1.1\r\nHost: g\r\n\r\n";
    // Below and above what is drained.
    for (source, size) in (1..).zip([filler.len(), 1000, 64 * 1024, 200 * 1024, 2 * 1024 * 1024]) {
        let head = format!("TRACE /x HTTP/1.1\r\nHost: g\r\nContent-Length: {size}\r\n\r\n");
        let mut body = filler.repeat(size / filler.len() + 1);
        body.truncate(size);
        let mut client = Client::from(source, program.data);
        client.send(&[head.as_bytes(), &body].concat());
        let heard = client.hear(false).expect("closed");
        assert_eq!((heard.status, heard.reason()), (405, Some("method_refused")), "{size}");
        client.send(AFTER);
        if let Some(next) = client.hear(false) {
            let index = next.recorded().unwrap_or_else(|| panic!("{size}: {next:?}"));
            assert_eq!(recorder.reading(index).target, b"/after", "{size}");
        }
    }
    assert!(recorder.records().iter().all(|record| record.bytes.starts_with(b"GET /after")), "a body became a request");
}

#[test]
fn what_follows_an_upgrade_without_101_is_judged_on_its_own() {
    let recorder = Recorder::start();
    let program = Program::before(&recorder.url(), &[]);
    let followers = [
        ("GET /next HTTP/1.1\r\nHost: g\r\n\r\n", None),
        ("POST /next HTTP/1.1\r\nHost: g\r\nContent-Length: 5\r\n\r\nhello", None),
        ("GET /next HTTP/1.1\nHost: g\r\n\r\n", Some("newline_in_head")),
        ("GET /next HTTP/1.1\r\n\r\n", Some("head_malformed")),
        ("POST /next HTTP/1.1\r\nHost: g\r\nContent-Length: 5, 5\r\n\r\nhello", Some("head_malformed")),
        ("\u{81}\u{5}hello", Some("head_malformed")),
    ];
    let mut source = 0;
    for upgrade in ["Upgrade: websocket", "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA", "Upgrade: x"] {
        for (further, reason) in followers {
            source += 1;
            let mut client = Client::from(source, program.data);
            let head = format!("GET /first HTTP/1.1\r\nHost: g\r\nConnection: Upgrade\r\n{upgrade}\r\n\r\n");
            client.send(format!("{head}{further}\r\n\r\n").as_bytes());
            let (first, next) = (client.hear(false).expect("closed"), client.hear(false).expect("closed"));
            assert_eq!(recorder.reading(first.recorded().unwrap()).target, b"/first", "{upgrade}");
            assert_eq!(next.reason(), reason, "{upgrade}: {further:?}");
            match next.recorded() {
                Some(index) => assert_eq!(recorder.reading(index).target, b"/next", "{upgrade}: {further:?}"),
                None => assert_eq!(next.status, 400, "{upgrade}: {further:?}"),
            }
        }
    }
}

#[test]
fn requests_in_one_piece_get_their_own_answers() {
    let recorder = Recorder::start();
    let program = Program::before(&recorder.url(), &[]);
    let firsts = [
        ("sound", "GET /sound HTTP/1.1\r\nHost: g\r\n\r\n", 200),
        ("sized", "POST /sound HTTP/1.1\r\nHost: g\r\nContent-Length: 5\r\n\r\nhello", 200),
        (
            "chunked",
            "POST /sound HTTP/1.1\r\nHost: g\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            200,
        ),
        ("missing", "GET /missing HTTP/1.1\r\nHost: g\r\n\r\n", 404),
        ("method", "TRACE / HTTP/1.1\r\nHost: g\r\n\r\n", 405),
        ("credentials", "GET / HTTP/1.1\r\nHost: g\r\nAuthorization: Bearer a\r\nAuthorization: Bearer b\r\n\r\n", 400),
        ("organisations", "GET / HTTP/1.1\r\nHost: g\r\nX-Grafana-Org-Id: 3\r\nX-Grafana-Org-Id: 4\r\n\r\n", 403),
    ];
    for (source, (name, first, status)) in (1..).zip(firsts) {
        let mut client = Client::from(source, program.data);
        client.send(&[first.as_bytes(), AFTER].concat());
        let heard = client.hear(false).unwrap_or_else(|| panic!("{name}: closed"));
        assert_eq!(heard.status, status, "{name}");
        let next = client.hear(false).unwrap_or_else(|| panic!("{name}: the next request has no answer"));
        assert_eq!(recorder.reading(next.recorded().unwrap()).target, b"/after", "{name}");
        assert!(client.rest().is_empty(), "{name}: an answer too many");
    }
}
