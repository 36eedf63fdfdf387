//! What the proxy passes on is read alike by others: thousands of damaged requests go through it to an upstream that keeps
//! the raw bytes, and `httparse` and Python's HTTP server read those again. They find the same requests with the same
//! credential, organisation, framing and length as the proxy says it sent.
//!
//! `GTP_SEED` repeats a run or begins another; `GTP_MUTANTS` makes it longer.

mod mutant;

use grafana_token_proxy::domain::identity::{Canonical, canonical};
use std::collections::{BTreeMap, HashMap};
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use serde_json::{Value, json};

use crate::recorder::{Client, Heard, Reading, Recorded, Recorder, broken_invariants, own_address, read};
use crate::support::Program;
use mutant::{Chance, mutant};

/// Clients at once: most of the time goes into waiting for mutants that lost their end.
const CLIENTS: u64 = 64;

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

/// Each has an address of its own; the network has 16 million.
fn source(number: u64) -> u32 {
    1 + (number % 16_000_000) as u32
}

fn caller(number: u64) -> Ipv4Addr {
    own_address(source(number))
}

/// One connection: what was sent, and the answers.
struct Conversation {
    number: u64,
    sent: Vec<u8>,
    heard: Vec<Heard>,
}

impl Conversation {
    fn hold(number: u64, seed: u64, program: &Program) -> Self {
        let mut chance = Chance::new(seed ^ number.wrapping_mul(0xd134_2543_de82_ef95));
        let sent = mutant(&mut chance);
        let mut client = Client::from(source(number), program.data);
        client.send(&sent);
        let heard = std::iter::from_fn(|| client.hear(false)).collect();
        Self { number, sent, heard }
    }

    /// The requests of this connection that went upstream, with their answers.
    fn passed(&self) -> impl Iterator<Item = (&Heard, usize)> {
        self.heard.iter().filter_map(|heard| Some((heard, heard.recorded()?)))
    }

    /// Status, reason and which request upstream it answers.
    fn summary(&self) -> Vec<(u16, Option<&str>, Option<usize>)> {
        self.heard.iter().map(|heard| (heard.status, heard.reason(), heard.recorded())).collect()
    }

    fn shown(&self) -> String {
        format!("mutant {}: {:?}", self.number, String::from_utf8_lossy(&self.sent))
    }
}

fn converse(count: u64, seed: u64, program: &Program) -> Vec<Conversation> {
    let (next, done) = (AtomicU64::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Relaxed);
                    if number >= count {
                        return;
                    }
                    let conversation = Conversation::hold(number, seed, program);
                    done.lock().unwrap().push(conversation);
                }
            });
        }
    });
    done.into_inner().unwrap()
}

/// Bytes as text that keeps each of them.
fn text(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

/// What all readers must agree about.
fn summary(reading: &Reading) -> Value {
    let every = |name: &str| reading.all(name).into_iter().map(text).collect::<Vec<_>>();
    json!([
        reading.method,
        every("authorization"),
        every("x-grafana-org-id"),
        format!("{:?}", reading.framing),
        reading.body.len()
    ])
}

/// The requests of a stream as `httparse` reads them; what it cannot read ends the list.
fn reread(stream: &[u8]) -> Vec<Value> {
    let (mut found, mut at) = (Vec::new(), 0);
    while at < stream.len() {
        let mut fields = [httparse::EMPTY_HEADER; 200];
        let mut request = httparse::Request::new(&mut fields);
        let size = match request.parse(&stream[at..]) {
            Ok(httparse::Status::Complete(size)) => size,
            Ok(httparse::Status::Partial) => break,
            Err(error) => {
                found.push(json!(error.to_string()));
                break;
            }
        };
        let every = |name: &str| {
            let fields = request.headers.iter().filter(|field| field.name.eq_ignore_ascii_case(name));
            fields.map(|field| text(field.value)).collect::<Vec<_>>()
        };
        let (lengths, codings) = (every("content-length"), every("transfer-encoding"));
        let rest = &stream[at + size..];
        let body = match (&lengths[..], &codings[..]) {
            ([], []) => Some(("Absent", 0, 0)),
            ([length], []) => {
                let length = length.parse().unwrap();
                (rest.len() >= length).then_some(("Sized", length, length))
            }
            ([], [_]) => chunks(rest).map(|(data, size)| ("Chunked", data, size)),
            _ => Some(("several", 0, rest.len())),
        };
        let Some((framing, length, taken)) = body else { break };
        found.push(json!([
            request.method.unwrap(),
            every("authorization"),
            every("x-grafana-org-id"),
            framing,
            length
        ]));
        at += size + taken;
    }
    found
}

/// How much data the chunks hold, and how long they are; nothing where they do not end.
fn chunks(bytes: &[u8]) -> Option<(usize, usize)> {
    let (mut data, mut at) = (0, 0);
    loop {
        let Ok(httparse::Status::Complete((line, size))) = httparse::parse_chunk_size(&bytes[at..]) else {
            return None;
        };
        at += line;
        if size == 0 {
            let mut fields = [httparse::EMPTY_HEADER; 200];
            return match httparse::parse_headers(&bytes[at..], &mut fields) {
                Ok(httparse::Status::Complete((size, _))) => Some((data, at + size)),
                _ => None,
            };
        }
        data += size as usize;
        at += size as usize + 2;
        bytes.get(..at)?;
    }
}

/// The same by Python; nothing, and a word about it, where there is none.
fn reread_by_python(streams: &[Vec<u8>]) -> Option<Vec<Vec<Value>>> {
    if !Command::new("python3").arg("--version").output().is_ok_and(|output| output.status.success()) {
        println!("skipped: python3 is not installed, so that only httparse reads again");
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("streams");
    let prefixed: Vec<u8> =
        streams.iter().flat_map(|stream| [&(stream.len() as u64).to_le_bytes(), stream.as_slice()].concat()).collect();
    std::fs::write(&file, prefixed).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/differential/reread.py");
    let output = Command::new("python3").arg(script).arg(&file).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).unwrap();
    Some(lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

/// What the proxy says it sent, where it was asked: `X-Token-Proxy-Saw`.
fn said(heard: &Heard) -> Option<HashMap<&str, &str>> {
    Some(heard.field("x-token-proxy-saw")?.split("; ").filter_map(|pair| pair.split_once('=')).collect())
}

/// Holds what the proxy said against what went upstream.
fn check_said(said: &HashMap<&str, &str>, seen: &Reading, tokens: &mut BTreeMap<String, String>) -> Result<(), String> {
    // A zero in front changes no number.
    let number = |value: &[u8]| text(value).parse::<u32>().map_or_else(|_| text(value), |org| org.to_string());
    let organisations: Vec<String> = seen.all("x-grafana-org-id").into_iter().map(number).collect();
    let expected: Vec<String> = said.get("org_sent").map(|org| (*org).to_owned()).into_iter().collect();
    // Where the target names it, no header does.
    let in_target = |org: &String| organisations.is_empty() && text(&seen.target).contains(&format!("rgId={org}"));
    // A header that names no organisation (`3, 9`, `0`) passes beside a target that names one: Grafana goes by the target.
    let is_beside = organisations.iter().all(|org| !org.parse::<u32>().is_ok_and(|org| org > 0))
        && expected.iter().any(|org| text(&seen.target).contains(&format!("rgId={org}")));
    // What is below zero passes as it came, and is no organisation that could be told.
    let is_none = expected.is_empty() && organisations.iter().all(|org| org.parse::<i64>().is_ok_and(|org| org < 0));
    if organisations != expected && !expected.iter().any(in_target) && !is_beside && !is_none {
        return Err(format!("organisation {organisations:?}, said {expected:?}"));
    }
    // An empty value is none, and so is a scheme alone, or a blank of another alphabet.
    let credentials = seen.all("authorization");
    let is_none = |value: &&[u8]| {
        let said = !value.iter().any(u8::is_ascii_graphic);
        said || [&b"bearer"[..], b"basic"].contains(&&*value.to_ascii_lowercase())
    };
    if credentials.iter().all(is_none) != (said["auth_sent"] == "none") {
        return Err(format!("{} credentials, said {}", credentials.len(), said["auth_sent"]));
    }
    if let (Some(print), [credential]) = (said.get("fingerprint"), &credentials[..]) {
        // One fingerprint has one token, however it was spelled: not every spelling is repaired.
        let credential = text(credential);
        let is_scheme = |word: &str| ["bearer", "basic"].contains(&word.to_ascii_lowercase().as_str());
        let is_gap = |mark: char| mark.is_whitespace() || [':', ',', '=', '"', '\'', '`'].contains(&mark);
        let words = credential.split(is_gap).filter(|word| !is_scheme(word));
        let token = words.collect::<String>();
        // A byte that is no text parts scheme and token, too.
        let behind = token.get(..6).filter(|scheme| is_scheme(scheme)).and_then(|_| token.get(6..));
        let parted = behind.filter(|rest| rest.starts_with(|mark: char| !mark.is_ascii_alphanumeric()));
        let token = parted.map_or_else(|| token.clone(), str::to_owned);
        let known = tokens.entry((*print).to_owned()).or_insert_with(|| token.clone());
        // Two keys whose bytes are no text decode to the same replacement characters: to Grafana they are one.
        let padded = |text: &str| format!("{text}{}", "=".repeat((4 - text.len() % 4) % 4));
        let (one, other) = (padded(known), padded(&token));
        let is_one_key = matches!(canonical(one.as_bytes()), Canonical::LegacyKey(_))
            && canonical(one.as_bytes()) == canonical(other.as_bytes());
        if *known != token && !is_one_key {
            return Err(format!("{print} is {known:?} and {token:?}"));
        }
    }
    Ok(())
}

/// Holds what the client sent against what went upstream, as long as the strict reading can follow the client; how many
/// requests that were.
fn check_meant(conversation: &Conversation, records: &[Recorded]) -> Result<usize, String> {
    let mut rest = conversation.sent.as_slice();
    let mut compared = 0;
    for heard in conversation.heard.iter().filter(|heard| heard.status != 100) {
        // Chunk extensions, other versions, blank lines: legal, and beyond it.
        let Ok(Some((meant, size))) = read(rest) else { break };
        rest = &rest[size..];
        // Refused: after some refusals the connection goes on.
        let Some(index) = heard.recorded() else { continue };
        let seen = records[index].reading.as_ref().unwrap().as_ref().unwrap();
        let same_target = seen.target == meant.target || !meant.target.starts_with(b"/");
        if seen.method != meant.method || !same_target || seen.body != meant.body {
            return Err(format!("request {compared} became {seen:?}"));
        }
        let changed = said(heard).is_none_or(|said| said.contains_key("changes"));
        if !changed && seen.all("authorization") != meant.all("authorization") {
            return Err(format!("request {compared} has another credential: {seen:?}"));
        }
        compared += 1;
    }
    Ok(compared)
}

#[test]
fn others_read_what_is_passed_on_as_it_was_meant() {
    let (seed, count) = (number("GTP_SEED", 20_260_101), number("GTP_MUTANTS", 10_000));
    println!("differential: GTP_SEED={seed} GTP_MUTANTS={count}");
    let recorder = Recorder::start();
    let plenty = [["--rate", "100000/s"], ["--burst", "100000"]].concat();
    let patience = ["--http-head-timeout", "2s", "--http-body-timeout", "2s", "--http-idle-timeout", "2s"];
    let arguments = [&plenty[..], &patience, &["--org", "2"]].concat();
    let program = Program::before(&recorder.url(), &arguments);
    let conversations = converse(count, seed, &program);
    let records = recorder.records();
    let mut differences = Vec::new();

    // Each request upstream is the answer to one of a client, and the upstream could read it.
    let mut answered = vec![0; records.len()];
    let (mut compared, mut told, mut refused) = (0, 0, 0);
    let mut tokens = BTreeMap::new();
    for conversation in &conversations {
        for (heard, index) in conversation.passed() {
            answered[index] += 1;
            let Some(Ok(seen)) = &records[index].reading else { continue };
            let mut check = || {
                let id = heard.field("x-request-id").unwrap_or_default();
                if seen.all("x-request-id") != [id.as_bytes()] {
                    return Err(format!("the answer's id is {id}"));
                }
                let said = said(heard);
                told += usize::from(said.is_some());
                said.map_or(Ok(()), |said| check_said(&said, seen, &mut tokens))
            };
            let broken = broken_invariants(seen);
            if let Err(difference) = check() {
                differences.push(format!("{}: {difference}", conversation.shown()));
            }
            if !broken.is_empty() {
                differences.push(format!("{}: {broken:?}", conversation.shown()));
            }
        }
        refused += usize::from(conversation.heard.iter().any(|heard| heard.reason().is_some()));
        match check_meant(conversation, &records) {
            Ok(count) => compared += count,
            Err(difference) => differences.push(format!("{}: {difference}", conversation.shown())),
        }
    }
    for (record, answers) in records.iter().zip(answered) {
        let whole = record.reading.is_some();
        if answers != usize::from(whole) || matches!(&record.reading, Some(Err(_))) {
            let bytes = String::from_utf8_lossy(&record.bytes).into_owned();
            let asked =
                conversations.iter().find(|asked| bytes.contains(&format!("x-real-ip: {}\r", caller(asked.number))));
            let asked = asked.map(|asked| format!("{}, heard {:?}", asked.shown(), asked.summary()));
            differences.push(format!("{answers} answers to {bytes:?}: {asked:?}"));
        }
    }

    // The same streams, read by others.
    let mut streams = BTreeMap::<usize, (Vec<u8>, Vec<Value>)>::new();
    for record in &records {
        let (bytes, summaries) = streams.entry(record.connection).or_default();
        bytes.extend_from_slice(&record.bytes);
        summaries.extend(record.reading.iter().flatten().map(summary));
    }
    let (streams, summaries): (Vec<_>, Vec<_>) = streams.into_values().unzip();
    let python = reread_by_python(&streams);
    for (number, (stream, expected)) in streams.iter().zip(&summaries).enumerate() {
        let others = [("httparse", Some(reread(stream))), ("python", python.as_ref().map(|all| all[number].clone()))];
        for (name, found) in others {
            if found.is_some_and(|found| found != *expected) {
                differences.push(format!("{name} reads otherwise: {:?}", String::from_utf8_lossy(stream)));
            }
        }
    }
    let passed = summaries.iter().map(Vec::len).sum::<usize>();
    println!(
        "differential: {count} mutants, {refused} with a refusal; {passed} requests upstream, {compared} compared with what \
         the client meant, {told} with what the proxy said, all read again by {}; {} differences",
        if python.is_some() { "httparse and Python" } else { "httparse" },
        differences.len()
    );
    differences.truncate(20);
    assert!(differences.is_empty(), "seed {seed}:\n{}", differences.join("\n"));
    // Neither everything refused nor everything passed: then nothing would have been shown.
    let count = count as usize;
    assert!(passed > count / 2 && refused > count / 10 && compared > count / 4 && told > count / 10);
}
