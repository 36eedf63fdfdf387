//! The labelled requests of AWS http_desync_guardian: what it calls severe is refused by us, what it calls ambiguous is
//! refused or made unambiguous, what it calls compliant is served.

use serde_json::Value;

use crate::recorder::{Client, Framing, Heard, Reading, Recorder, broken_invariants};
use crate::support::Program;

/// What the body of a request looks like to whoever reads a request's end too early.
const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: g\r\nX-Filler: ";

/// One labelled request, on the wire.
struct Labelled {
    name: String,
    head: Vec<u8>,
    body: Vec<u8>,
    /// The data of the body, without its framing.
    data: Vec<u8>,
    is_head: bool,
}

impl Labelled {
    fn read(line: &str) -> Self {
        let case: Value = serde_json::from_str(line).unwrap();
        let word = |name: &str| case[name].as_str().unwrap().to_owned();
        let fields: Vec<(String, String)> = case["headers"].as_array().unwrap().iter().map(field).collect();
        let mut first = format!("{} {}", word("method"), word("uri"));
        if !word("version").is_empty() {
            first.push(' ');
            first.push_str(&word("version"));
        }
        let mut head = first + "\r\n";
        // The corpus leaves it out: no verdict may be for want of it.
        if !fields.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            head.push_str("Host: g\r\n");
        }
        for (name, value) in &fields {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        let (data, body) = body_for(&fields);
        Self { name: word("name"), head: head.into_bytes(), body, data, is_head: word("method") == "HEAD" }
    }

    /// Sends it from an address of its own, and hears what comes.
    fn ask(&self, program: &Program, source: u32) -> (Client, Option<Heard>) {
        let mut client = Client::from(source, program.data);
        client.send(&[self.head.as_slice(), &self.body].concat());
        let heard = client.hear(self.is_head);
        (client, heard)
    }
}

fn field(pair: &Value) -> (String, String) {
    (pair[0].as_str().unwrap().to_owned(), pair[1].as_str().unwrap().to_owned())
}

/// A body as whoever believes in one of the fields awaits it: its data, and the same with framing.
fn body_for(fields: &[(String, String)]) -> (Vec<u8>, Vec<u8>) {
    let looks_like = |name: &str, wanted: &str| {
        let letters: String = name.chars().filter(char::is_ascii_alphabetic).collect();
        letters.eq_ignore_ascii_case(wanted)
    };
    let value = |wanted: &str| fields.iter().find(|(name, _)| looks_like(name, wanted)).map(|(_, value)| value);
    if value("transferencoding").is_some() {
        let data = format!("{SMUGGLED}{}\r\n\r\n", "x".repeat(40)).into_bytes();
        let chunked = [format!("{:x}\r\n", data.len()).as_bytes(), &data, b"\r\n0\r\n\r\n"].concat();
        return (data, chunked);
    }
    let digits = value("contentlength").map(|value| value.chars().filter(char::is_ascii_digit).collect::<String>());
    let length =
        digits.and_then(|digits| digits.parse::<usize>().ok()).filter(|length| *length <= 8_000_000).unwrap_or(0);
    let mut data = SMUGGLED.as_bytes().to_vec();
    data.resize(length, b'x');
    (data.clone(), data)
}

fn cases(lines: &str) -> Vec<Labelled> {
    lines.lines().map(Labelled::read).collect()
}

/// What went upstream is this request and nothing else, and the next one on the connection is answered for itself.
fn assert_alone(case: &Labelled, seen: &Reading, client: &mut Client, recorder: &Recorder) {
    assert_eq!(broken_invariants(seen), [] as [&str; 0], "{}", case.name);
    match seen.framing {
        Framing::Absent => assert_eq!(seen.body, b"", "{}", case.name),
        Framing::Sized | Framing::Chunked => assert_eq!(seen.body, case.data, "{}", case.name),
    }
    client.send(b"GET /after HTTP/1.1\r\nHost: g\r\n\r\n");
    // Where we took no body for one, its bytes were the next request, and malformed: then the connection is at its end.
    if let Some(next) = client.hear(false) {
        let target = next.recorded().map(|index| recorder.reading(index).target);
        let refused = next.status == 400 && next.reason().is_some() && seen.framing == Framing::Absent;
        assert!(refused || target.as_deref() == Some(b"/after"), "{}: {next:?} {target:?}", case.name);
    }
}

/// Runs one file of the corpus: which were refused by us, and how many went upstream, alone and sound.
fn run(lines: &str) -> (Vec<String>, usize) {
    let recorder = Recorder::start();
    let program = Program::before(&recorder.url(), &[]);
    let (mut refused, mut served) = (Vec::new(), 0);
    for (source, case) in (1..).zip(cases(lines)) {
        let before = recorder.records().len();
        let (mut client, heard) = case.ask(&program, source);
        match heard.as_ref().map(|heard| (heard, heard.recorded())) {
            Some((heard, Some(index))) => {
                assert_eq!((heard.status, index), (200, before), "{}", case.name);
                assert_alone(&case, &recorder.reading(index), &mut client, &recorder);
                served += 1;
            }
            Some((heard, None)) => {
                assert!(heard.status >= 400 && heard.reason().is_some(), "{}: {heard:?}", case.name);
                let rest = client.rest();
                // A head that could not be read has no method: what was to be a HEAD gets a body, too.
                let body = if case.is_head { heard.field("content-length").unwrap().parse().unwrap() } else { 0 };
                assert!(rest.is_empty() || rest.len() == body, "{}: something follows the refusal", case.name);
                assert_eq!(recorder.records().len(), before, "{}: refused, and sent all the same", case.name);
                refused.push(case.name);
            }
            None => {
                assert_eq!(recorder.records().len(), before, "{}: closed, and sent all the same", case.name);
                refused.push(case.name);
            }
        }
    }
    let smuggled = recorder.records().iter().any(|record| record.bytes.starts_with(b"GET /smuggled"));
    assert!(!smuggled, "the data of a body became a request");
    (refused, served)
}

/// Compliant requests that we refuse all the same. A list of codings is legal, and read in as many ways as there are
/// servers: only `chunked` alone is taken. A fragment never travels in a target, and an empty target is none.
const REFUSED_THOUGH_COMPLIANT: [&str; 9] = [
    "Correct TE OK",
    "Transfer-Encoding: identity and chunked OK",
    "Multiple transfer encoding headers in a single request OK",
    "TE with custom parameters OK",
    "Different Transfer-Encoding headers",
    "Different Transfer-Encoding headers combined",
    "Transfer-Encoding with a param: chunked;custom_param",
    "Compliant URL",
    "Empty URI",
];

#[test]
fn severe_requests_are_refused() {
    let (refused, served) = run(include_str!("../corpus/desync/severe.jsonl"));
    println!("AWS corpus, Severe: {}/{} refused", refused.len(), refused.len() + served);
    assert_eq!((refused.len(), served), (58, 0));
}

#[test]
fn ambiguous_requests_are_refused_or_made_unambiguous() {
    let (refused, served) = run(include_str!("../corpus/desync/ambiguous.jsonl"));
    let refused = refused.len();
    println!("AWS corpus, Ambiguous: {}/58 safe ({refused} refused, {served} made unambiguous)", refused + served);
    assert_eq!(refused + served, 58);
}

#[test]
fn compliant_requests_are_served() {
    let (mut refused, served) = run(include_str!("../corpus/desync/compliant.jsonl"));
    println!("AWS corpus, Compliant: {served}/{} served, the others refused on purpose", refused.len() + served);
    refused.sort_unstable();
    let mut expected = REFUSED_THOUGH_COMPLIANT.map(str::to_owned);
    expected.sort_unstable();
    assert_eq!((refused, served), (expected.to_vec(), 19));
}

#[test]
fn acceptable_requests_are_served_or_refused_whole() {
    let (refused, served) = run(include_str!("../corpus/desync/acceptable.jsonl"));
    println!("AWS corpus, Acceptable: {served}/{} served, the others refused", refused.len() + served);
    assert_eq!(refused.len() + served, 15);
}
