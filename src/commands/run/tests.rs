//! What only the program itself can be made to show: a fault of ours in one request, and a silence of minutes.

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

/// Answers `{}` to whatever comes, head by head, and falls silent in the middle of `/api/silent`.
fn upstream() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            std::thread::spawn(move || {
                let (mut stream, mut piece) = (stream.unwrap(), [0; 8192]);
                while let Ok(count @ 1..) = stream.read(&mut piece) {
                    let silent = piece[..count].starts_with(b"GET /api/silent");
                    let length = if silent { "9" } else { "2" };
                    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{{}}");
                    stream.write_all(answer.as_bytes()).unwrap();
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

/// The program as it is run, with one worker.
fn start(page: &Page) -> (App, crate::telemetry::LogGuard, SocketAddr) {
    let upstream = format!("http://{}", upstream());
    let flags = ["grafana-token-proxy", "run", "--listen", "127.0.0.1:0", "--upstream", &upstream, "--workers", "1"];
    let rest = ["--telemetry", "off", "--admin", "off", "--upstream-response-timeout", "1s"];
    let matches = crate::commands::command_line().get_matches_from(flags.iter().chain(&rest));
    let effective = effective::load(matches.subcommand_matches("run").unwrap(), []);
    let (log, guard) = start_log(&effective.config, Box::new(page.clone()), false).unwrap();
    let app = App::start(&effective.config, log).unwrap();
    let Some(crate::server::Endpoint::Tcp(address)) = app.listening.first().cloned() else { panic!("no port") };
    (app, guard, address)
}

#[test]
fn an_answer_that_falls_silent_is_broken_off_and_another_is_not() {
    let (_app, _guard, address) = start(&Page::default());
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(b"GET /api/silent HTTP/1.1\r\nHost: g\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\n{}"), "{answer}");
    assert!(ask(&mut TcpStream::connect(address).unwrap(), "/api/org").starts_with("HTTP/1.1 200 "));
}

#[test]
fn a_panic_in_one_request_fails_that_one_alone() {
    let page = Page::default();
    let usual = std::panic::take_hook();
    let (app, guard, address) = start(&page);
    let recorder = app.recorder().clone();
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
