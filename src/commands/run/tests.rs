//! What a fault of ours in one request does to others: nothing.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::*;
use crate::config::effective;
use crate::proxy::PANICS;

const TOKEN: &str = "glsa_yscW25imSKJIuav8zF37RZmnbiDvB05G_fcaaf58a";

/// Eight bytes of it.
const SECRET: &str = "yscW25im";

/// A log that can be read.
#[derive(Clone, Default)]
struct Page(Arc<Mutex<Vec<u8>>>);

impl Page {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Answers `{}` to whatever comes, head by head.
fn upstream() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            std::thread::spawn(move || {
                let (mut stream, mut piece) = (stream.unwrap(), [0; 8192]);
                while stream.read(&mut piece).is_ok_and(|count| count > 0) {
                    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").unwrap();
                }
            });
        }
    });
    address
}

fn ask(stream: &mut TcpStream, path: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nHost: g\r\nAuthorization: Bearer {TOKEN}\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let (mut answer, mut piece) = (Vec::new(), [0; 4096]);
    while !answer.ends_with(b"}") && !answer.ends_with(b"}\n") {
        let count = stream.read(&mut piece).unwrap();
        assert!(count > 0, "closed");
        answer.extend_from_slice(&piece[..count]);
    }
    String::from_utf8(answer).unwrap()
}

#[test]
fn a_panic_in_one_request_fails_that_one_alone() {
    let upstream = format!("http://{}", upstream());
    let flags = ["grafana-token-proxy", "run", "--listen", "127.0.0.1:0", "--upstream", &upstream, "--workers", "1"];
    let off = ["--telemetry", "off", "--admin", "off"];
    let matches = crate::commands::command_line().get_matches_from(flags.iter().chain(&off));
    let effective = effective::load(matches.subcommand_matches("run").unwrap(), []);
    let page = Page::default();
    let usual = std::panic::take_hook();
    let (log, guard) = start_log(&effective.config, Box::new(page.clone()), false).unwrap();
    let app = App::start(&effective.config, log).unwrap();
    let recorder = app.recorder().clone();
    let Some(crate::server::Endpoint::Tcp(address)) = app.listening.first().cloned() else { panic!("no port") };
    let mut connections = [0; 3].map(|_| TcpStream::connect(address).unwrap());
    for connection in &mut connections {
        assert!(ask(connection, "/api/org").starts_with("HTTP/1.1 200 "));
    }
    for round in 0..3 {
        for (number, connection) in connections.iter_mut().enumerate() {
            let fails = number == 1;
            let answer = ask(connection, if fails { PANICS } else { "/api/org" });
            assert!(answer.starts_with(if fails { "HTTP/1.1 500 " } else { "HTTP/1.1 200 " }), "{round}: {answer}");
            assert_eq!(answer.contains("x-token-proxy-reason: internal_error\r\n"), fails, "{answer}");
            assert!(!answer.contains(SECRET), "{answer}");
        }
    }
    std::panic::set_hook(usual);
    let line = |name: &str| {
        let text = recorder.metrics().expose("").text;
        text.lines().find(|line| !line.starts_with('#') && line.contains(name)).unwrap_or_default().to_owned()
    };
    assert!(line("internal_error").ends_with(" 3"), "{}", line("internal_error"));
    // The last answer has come before what held it is gone.
    let patience = Instant::now() + Duration::from_secs(20);
    while !line("http_requests_in_flight").ends_with(" 0") {
        assert!(Instant::now() < patience, "{}", line("http_requests_in_flight"));
        std::thread::yield_now();
    }
    drop(guard);
    let told = page.text();
    assert!(told.contains("\"event\":\"panicked\"") && told.contains("\"reason\":\"internal_error\""), "{told}");
    assert!(told.contains("src/proxy/forward.rs"), "{told}");
    assert!(!told.contains(SECRET), "{told}");
}
