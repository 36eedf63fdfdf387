//! Exchanges recorded with real Grafana servers, replayed through real sockets: each gets its reason, and every answer
//! passes byte for byte. All of `../shared/captures` where it is there, else the subset in `tests/captures`.

use std::io::Write;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::support::wire::{connect, read_answer};
use crate::support::{Origin, Program, ask};

fn folder() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let all = root.join("../shared/captures");
    if all.is_dir() { all } else { root.join("tests/captures") }
}

pub fn exchanges() -> Vec<Value> {
    let mut files: Vec<_> = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|end| end == "jsonl"));
    // A version without a file in `tests/captures` is one whose refusals are not explained yet.
    let known = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/captures");
    files.retain(|path| known.join(path.file_name().unwrap()).is_file());
    files.sort();
    let texts = files.iter().map(|path| std::fs::read_to_string(path).unwrap());
    texts.flat_map(|text| text.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<_>>()).collect()
}

fn body_of(part: &Value) -> Vec<u8> {
    match part["body_base64"].as_str() {
        Some(text) => STANDARD.decode(text).unwrap(),
        None => part["body"].as_str().unwrap_or_default().as_bytes().to_vec(),
    }
}

fn pairs(part: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    part["headers"]
        .as_array()
        .map(|list| list.iter().map(|pair| (text(&pair[0]), text(&pair[1]))).collect())
        .unwrap_or_default()
}

/// Header text as the bytes that were on the wire: Latin-1 where it fits, else UTF-8.
fn wire(text: &str) -> Vec<u8> {
    match text.chars().map(|c| u8::try_from(u32::from(c))).collect::<Result<Vec<u8>, _>>() {
        Ok(bytes) => bytes,
        Err(_) => text.as_bytes().to_vec(),
    }
}

fn request_bytes(request: &Value) -> Vec<u8> {
    if let Some(raw) = request["raw_base64"].as_str() {
        return STANDARD.decode(raw).unwrap();
    }
    let body = body_of(request);
    let mut bytes =
        format!("{} {} HTTP/1.1\r\n", request["method"].as_str().unwrap(), request["target"].as_str().unwrap())
            .into_bytes();
    let mut framed = false;
    for (name, value) in pairs(request) {
        framed |= name.eq_ignore_ascii_case("content-length");
        bytes.extend_from_slice(format!("{name}: ").as_bytes());
        bytes.extend_from_slice(&wire(&value));
        bytes.extend_from_slice(b"\r\n");
    }
    if !framed && !body.is_empty() {
        bytes.extend_from_slice(format!("Content-Length: {}\r\n", body.len()).as_bytes());
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(&body);
    bytes
}

/// The answer on the wire, its framing made to fit where the recording cut the body.
pub fn answer_bytes(answer: &Value, head_only: bool) -> Vec<u8> {
    let body = body_of(answer);
    let phrase = answer["reason_phrase"].as_str().unwrap_or("");
    let mut bytes = format!("HTTP/1.1 {} {phrase}\r\n", answer["status"]).into_bytes();
    let mut chunked = false;
    for (name, value) in pairs(answer) {
        chunked |= name.eq_ignore_ascii_case("transfer-encoding");
        let length = name.eq_ignore_ascii_case("content-length") && !head_only;
        let value = if length { body.len().to_string().into_bytes() } else { wire(&value) };
        bytes.extend_from_slice(format!("{name}: ").as_bytes());
        bytes.extend_from_slice(&value);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"\r\n");
    if head_only {
    } else if chunked {
        if !body.is_empty() {
            bytes.extend_from_slice(format!("{:x}\r\n", body.len()).as_bytes());
            bytes.extend_from_slice(&body);
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(b"0\r\n\r\n");
    } else {
        bytes.extend_from_slice(&body);
    }
    bytes
}

fn closes(answer: &Value, head_only: bool) -> bool {
    let headers = pairs(answer);
    let has = |wanted: &str| headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(wanted));
    let status = answer["status"].as_u64().unwrap();
    // Closing behind an answer that looks as if another could follow would lose the next request to a race.
    let framed = head_only || has("content-length") || has("transfer-encoding") || matches!(status, 204 | 304);
    !framed
        || headers
            .iter()
            .any(|(name, value)| name.eq_ignore_ascii_case("connection") && value.eq_ignore_ascii_case("close"))
}

#[test]
fn every_recorded_refusal_gets_its_reason_and_passes_untouched() {
    let current: Arc<Mutex<(Vec<u8>, bool)>> = Arc::default();
    let answers = Arc::clone(&current);
    let origin = Origin::new(move |_, stream: &mut TcpStream| {
        let (bytes, closes) = answers.lock().unwrap().clone();
        stream.write_all(&bytes).is_ok() && !closes
    });
    let program = Program::before(
        &origin.url(),
        // As recorded: nothing repaired, nothing limited, the caller trusted like the recorder was.
        &[
            "--authorization-repair",
            "off",
            "--org-mode",
            "off",
            "--limits-auth-failures-mode",
            "off",
            "--rate",
            "1000000/s",
            "--burst",
            "1000000",
            "--limits-per-client-rate",
            "1000000/s",
            "--limits-per-client-burst",
            "1000000",
            "--clients-trusted-proxies",
            "127.0.0.1/32",
            "--clients-identity-headers",
            "X-WEBAUTH-USER,X-WEBAUTH-NAME,X-WEBAUTH-EMAIL",
        ],
    );
    let exchanges = exchanges();
    let mut wrong = Vec::new();
    let mut stream = connect(program.data);
    let mut pending = Vec::new();
    for exchange in &exchanges {
        let (request, response) = (&exchange["request"], &exchange["response"]);
        let bytes = request_bytes(request);
        let expected = exchange["expect"]["reason"].as_str();
        let id = format!("{} {}", exchange["grafana"].as_str().unwrap(), exchange["id"].as_str().unwrap());
        if request["raw_base64"].is_string() {
            // Heads that Go's parser is lenient about (a lone LF, a folded line) are refused by us all the same.
            let reason = ask(program.data, &bytes).and_then(|answer| answer.reason().map(str::to_owned));
            let fits = if expected.is_some() { reason.as_deref() == expected } else { reason.is_some() };
            if !fits {
                wrong.push(format!("{id}: {reason:?}, not {expected:?}"));
            }
            continue;
        }
        let head_only = request["method"] == "HEAD";
        let upgraded = response["status"] == 101;
        *current.lock().unwrap() = (answer_bytes(response, head_only), closes(response, head_only) || upgraded);
        stream.write_all(&bytes).unwrap();
        let Some(answer) = read_answer(&mut stream, &mut pending, head_only || upgraded) else {
            panic!("{id}: no answer")
        };
        if answer.reason() != expected {
            wrong.push(format!("{id}: {:?}, not {expected:?}", answer.reason()));
        }
        assert_eq!(u64::from(answer.status), response["status"].as_u64().unwrap(), "{id}");
        if !head_only && !upgraded && !matches!(answer.status, 204 | 304) {
            assert!(answer.body == body_of(response), "{id}: the body was changed");
        }
        if upgraded || answer.header("connection") == Some("close") {
            stream = connect(program.data);
            pending.clear();
        }
    }
    println!("{} exchanges replayed from {}", exchanges.len(), folder().display());
    assert!(exchanges.len() > 500);
    assert!(
        wrong.is_empty(),
        "{} of {} wrong:\n{}",
        wrong.len(),
        exchanges.len(),
        wrong[..wrong.len().min(30)].join("\n")
    );
}
