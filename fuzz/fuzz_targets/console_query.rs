//! The query of a request to the console: it is told what is wrong with it, or gets what fits it, as JSON.
#![no_main]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use grafana_token_proxy::admin::{Console, InForce, Reload};
use grafana_token_proxy::config::effective::load_text;
use grafana_token_proxy::config::file::SourceFile;
use grafana_token_proxy::domain::head::RequestFacts;
use grafana_token_proxy::domain::reason::Reason;
use grafana_token_proxy::limits::Limits;
use grafana_token_proxy::telemetry::ring::Ring;
use grafana_token_proxy::telemetry::{Log, LogSettings, Metrics, Recorder, Refusal, Sources};
use libfuzzer_sys::fuzz_target;

const PATHS: [&str; 4] = ["/api/org", "/api/dashboards/uid/x", "/", "/api/ds/query"];

fn console() -> SocketAddr {
    let config = load_text(&SourceFile { name: "proxy.yaml".into(), text: String::new() }).config;
    let ring = Some(Ring::default());
    let (log, guard) = Log::start(LogSettings::default(), Box::new(std::io::sink()), false, false, ring).unwrap();
    std::mem::forget(guard);
    let recorder = Recorder::new(Metrics::new(Sources::default()), log);
    for (reason, path) in Reason::ALL.iter().zip(PATHS.iter().cycle()) {
        let facts = RequestFacts { uri: path.parse().unwrap(), ..RequestFacts::default() };
        let refusal = Refusal::unread(*reason, 401, "x".into(), "y".into());
        recorder.refused(Refusal { facts, ..refusal });
    }
    let in_force = InForce {
        limits: Arc::new(Limits::new(&config.limits)),
        callers: Vec::new(),
        config: Vec::new(),
        upstream: String::new(),
        hash: String::new(),
        since: SystemTime::now(),
        attempt: None,
    };
    let console = Console::new(recorder, Arc::new(ArcSwap::from_pointee(in_force)), Reload::channel().0).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async { console.serve(tokio::net::TcpListener::from_std(listener).unwrap()).await });
    });
    std::thread::sleep(Duration::from_millis(200));
    address
}

static CONNECTION: LazyLock<Mutex<BufReader<TcpStream>>> =
    LazyLock::new(|| Mutex::new(BufReader::new(TcpStream::connect(console()).unwrap())));

/// The status of an answer, and its body.
fn ask(path: &str, query: &str) -> (u16, Vec<u8>) {
    let mut stream = CONNECTION.lock().unwrap();
    let request = format!("GET {path}?{query} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n");
    stream.get_mut().write_all(request.as_bytes()).unwrap();
    let (mut status, mut length) = (0, 0);
    loop {
        let mut line = String::new();
        assert!(stream.read_line(&mut line).unwrap() > 0, "the console closed the connection on {query}");
        let line = line.trim_end().to_ascii_lowercase();
        if let Some(rest) = line.strip_prefix("http/1.1 ") {
            status = rest.split(' ').next().unwrap().parse().unwrap();
        } else if let Some(value) = line.strip_prefix("content-length: ") {
            length = value.parse().unwrap();
        } else if line.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).unwrap();
    (status, body)
}

/// As a browser writes it: what may not stand in a target is escaped.
fn encoded(data: &[u8]) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.*=&%+/:".contains(&byte);
    data.iter().map(|byte| if plain(*byte) { char::from(*byte).to_string() } else { format!("%{byte:02x}") }).collect()
}

fuzz_target!(|data: &[u8]| {
    if data.len() > 2000 {
        return;
    }
    let query = encoded(data);
    let (status, body) = ask("/api/refusals", &query);
    let value: serde_json::Value = serde_json::from_slice(&body).unwrap();
    if status == 400 {
        assert!(!value["error"].as_str().unwrap().contains(|c: char| c.is_control()), "{value}");
    } else {
        assert_eq!(status, 200, "{query}");
        let refusals = value["refusals"].as_array().unwrap();
        assert!(refusals.len() <= Reason::ALL.len());
        // Read independently of the code under test, where the query is plain.
        for name in ["reason", "source"] {
            let mut pairs = query.rsplit('&').filter_map(|pair| pair.split_once('='));
            let last = pairs.find(|(key, wanted)| *key == name && !wanted.is_empty());
            if let Some((_, wanted)) = last.filter(|_| !query.contains(['%', '+'])) {
                assert!(refusals.iter().all(|refusal| refusal[name] == *wanted), "{query}: {value}");
            }
        }
    }
    let (status, page) = ask("/", &query);
    assert_eq!(status, 200, "{query}");
    let page = String::from_utf8(page).unwrap();
    assert_eq!(page.matches("<script").count(), 1, "{query}");
});
