//! A request that is passed on allocates little: the whole program in this process, under an allocator that counts. Client and
//! upstream are loops over buffers of their own, so that what is counted is the proxy's.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    reason = "a test fails by panicking"
)]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

const TOKEN: &str = "glsa_yscW25imSKJIuav8zF37RZmnbiDvB05G_fcaaf58a";
const WARM: usize = 300;
const COUNTED: usize = 2000;
const ANSWER: &[u8] =
    b"HTTP/1.1 200 OK\r\nCache-Control: no-store\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";

/// Answers each head that ends in a piece of its own, without a single allocation.
fn upstream() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            stream.set_nodelay(true).unwrap();
            std::thread::spawn(move || {
                let mut buffer = [0; 8192];
                while stream.read(&mut buffer).is_ok_and(|count| buffer[..count].ends_with(b"\r\n\r\n")) {
                    stream.write_all(ANSWER).unwrap();
                }
            });
        }
    });
    address
}

/// The program as its users start it, with these arguments; where it listens.
fn start(upstream: SocketAddr, more: &[&str]) -> SocketAddr {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let common = [
        "grafana-token-proxy",
        "run",
        "--workers",
        "1",
        "--telemetry",
        "off",
        "--admin",
        "off",
        "--log-level",
        "error",
    ];
    let own = ["--listen".to_owned(), address.to_string(), "--upstream".to_owned(), format!("http://{upstream}")];
    let arguments: Vec<String> = common.into_iter().chain(more.iter().copied()).map(str::to_owned).chain(own).collect();
    std::thread::spawn(move || grafana_token_proxy::commands::execute(arguments.into_iter().map(Into::into), []));
    while TcpStream::connect(address).is_err() {
        std::thread::yield_now();
    }
    address
}

fn exchange(stream: &mut TcpStream, request: &[u8], buffer: &mut [u8]) {
    stream.write_all(request).unwrap();
    let mut filled = 0;
    while !buffer[..filled].ends_with(b"\r\n\r\n{}") {
        let count = stream.read(&mut buffer[filled..]).unwrap();
        assert!(count > 0, "closed");
        filled += count;
    }
    assert!(buffer.starts_with(b"HTTP/1.1 200"));
}

#[test]
fn an_accepted_request_allocates_no_more_than_it_must() {
    let _profiler = dhat::Profiler::builder().testing().build();
    let upstream = upstream();
    let wide = ["--rate", "1000000/s", "--burst", "1000000"];
    let mut told = Vec::new();
    for (name, most, more, lines) in [
        ("a token", 9, &[][..], format!("Authorization: Bearer {TOKEN}\r\n")),
        ("a token that is repaired", 10, &[], format!("authorization: {TOKEN}%0A\r\n")),
        ("an organisation", 9, &["--org", "1"], format!("Authorization: Bearer {TOKEN}\r\n")),
    ] {
        let address = start(upstream, &[&wide[..], more].concat());
        let request = format!(
            "GET /api/dashboards/uid/cIBgcSjkk HTTP/1.1\r\nHost: grafana.example.com\r\nUser-Agent: python-requests/2.32.3\r\n\
             Accept: */*\r\n{lines}\r\n"
        );
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        let mut buffer = [0; 8192];
        (0..WARM).for_each(|_| exchange(&mut stream, request.as_bytes(), &mut buffer));
        let before = dhat::HeapStats::get().total_blocks;
        (0..COUNTED).for_each(|_| exchange(&mut stream, request.as_bytes(), &mut buffer));
        let blocks = (dhat::HeapStats::get().total_blocks - before) as f64 / COUNTED as f64;
        println!("{name}: {blocks:.2} allocations for a request");
        told.push((name, blocks, most));
    }
    for (name, blocks, most) in told {
        // What timers and other threads allocate meanwhile is a few for thousands of requests.
        assert!(blocks < f64::from(most) + 0.5, "{name}: {blocks:.2} allocations for a request, more than {most}");
    }
}
