//! Fields of a request, separated by newlines: each makes one line in each format that a reader takes apart again, that
//! holds nothing a terminal acts on, and no token.
#![no_main]

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{LazyLock, Mutex, mpsc};
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use grafana_token_proxy::domain::head::RequestFacts;
use grafana_token_proxy::telemetry::{
    Log, LogFormat, LogSettings, Metrics, Recorder, RequestLines, ServedLine, Sources, redact,
};
use http::{HeaderValue, StatusCode, Uri};
use libfuzzer_sys::fuzz_target;

const SECRET: &str = "glsa_yscW25imSKJIuav8zF37RZmnbiDvB05G_fcaaf58a";

struct Sink(mpsc::Sender<Vec<u8>>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let _ = self.0.send(bytes.to_vec());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

type Pen = (LogFormat, Recorder, Mutex<mpsc::Receiver<Vec<u8>>>);

static PENS: LazyLock<Vec<Pen>> = LazyLock::new(|| {
    let pen = |format| {
        let (sender, receiver) = mpsc::channel();
        let settings = LogSettings { format, requests: RequestLines::All, ..LogSettings::default() };
        let (log, guard) = Log::start(settings, Box::new(Sink(sender)), false, false, None).unwrap();
        std::mem::forget(guard);
        (format, Recorder::new(Metrics::new(Sources::default()), log), Mutex::new(receiver))
    };
    [LogFormat::Json, LogFormat::Logfmt, LogFormat::Pretty].map(pen).into()
});

/// One whole line without its end, which may come in several writes.
fn read(receiver: &mpsc::Receiver<Vec<u8>>) -> String {
    let mut line = Vec::new();
    while !line.ends_with(b"\n") {
        line.extend(receiver.recv().unwrap());
    }
    line.pop();
    String::from_utf8(line).unwrap()
}

/// The pairs of a line, read independently of the code under test.
fn logfmt(mut line: &str) -> Vec<(&str, String)> {
    let mut pairs = Vec::new();
    while !line.is_empty() {
        let (key, rest) = line.split_once('=').unwrap();
        let mut quoted = serde_json::Deserializer::from_str(rest).into_iter::<String>();
        let (value, behind) = if rest.starts_with('"') {
            let value = quoted.next().unwrap().unwrap();
            (value, &rest[quoted.byte_offset()..])
        } else {
            let (value, _) = rest.split_once(' ').unwrap_or((rest, ""));
            (value.to_owned(), &rest[value.len()..])
        };
        pairs.push((key, value));
        line = behind.strip_prefix(' ').unwrap_or_else(|| {
            assert_eq!(behind, "");
            behind
        });
    }
    pairs
}

fuzz_target!(|data: &[u8]| {
    let mut fields = data.split(|byte| *byte == b'\n');
    let mut field = || fields.next().and_then(|bytes| HeaderValue::from_bytes(bytes).ok());
    let planted = |value: HeaderValue| HeaderValue::from_bytes(&[value.as_bytes(), SECRET.as_bytes()].concat()).ok();
    let id = field().unwrap_or(HeaderValue::from_static("1"));
    let kept = |value: HeaderValue| Bytes::copy_from_slice(value.as_bytes());
    let facts = RequestFacts {
        user_agent: field().map(kept),
        forwarded_for: field().and_then(planted).map(kept),
        uri: field().and_then(|target| Uri::try_from(target.as_bytes()).ok()).unwrap_or_default(),
        traceparent: field().map(kept),
        ..RequestFacts::default()
    };
    let line = ServedLine {
        at: UNIX_EPOCH + Duration::from_millis(data.len() as u64 * 1_234_567_891),
        facts: &facts,
        status: StatusCode::OK,
        request_id: &id,
        own_id: false,
        client: IpAddr::V4(Ipv4Addr::LOCALHOST),
        token_name: None,
        fingerprint: None,
        duration: Duration::from_micros(1234),
        upstream: None,
    };
    for (format, recorder, lines) in PENS.iter() {
        recorder.write_served(&line);
        let text = read(&lines.lock().unwrap());
        let acts = |c: char| c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        assert!(!text.contains(acts), "{text:?}");
        let leaks = SECRET.as_bytes().windows(8).any(|piece| text.as_bytes().windows(8).any(|other| piece == other));
        assert!(!leaks || holds_part(data), "{text:?}");
        let agent = match format {
            LogFormat::Json => {
                let read: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&text).unwrap();
                read.get("user_agent").map(|agent| agent.as_str().unwrap().to_owned())
            }
            LogFormat::Logfmt => {
                let read = logfmt(&text);
                read.iter().find(|(key, _)| *key == "user_agent").map(|(_, agent)| agent.clone())
            }
            LogFormat::Auto | LogFormat::Pretty => continue,
        };
        let sent = facts.user_agent.as_ref().map(|value| std::str::from_utf8(value));
        match sent {
            None => assert_eq!(agent, None),
            Some(Ok(sent)) if sent.len() <= 512 => assert_eq!(agent.unwrap(), redact(sent)),
            Some(_) => assert!(agent.unwrap().len() <= 512 + '…'.len_utf8()),
        }
    }
});

/// Bytes of a token that stand for themselves are no token.
fn holds_part(data: &[u8]) -> bool {
    SECRET.as_bytes().windows(8).any(|piece| data.windows(8).any(|other| piece == other))
}
