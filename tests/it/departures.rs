//! Who leaves in the middle frees what was held: the connection, Grafana's, and the place among those in flight.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use crate::support::wire::connect;
use crate::support::{Origin, Program};

/// Begins an answer that goes on for as long as somebody reads it, and says nothing more.
fn endless() -> Origin {
    Origin::new(|_, stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n").unwrap();
        // Until the proxy closes.
        let _ = stream.read(&mut [0; 64]);
        false
    })
}

/// Grafana, which answers before it has the whole body, and waits for the rest.
fn hasty() -> std::net::SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            thread::spawn(move || {
                let mut piece = [0; 4096];
                assert!(stream.read(&mut piece).unwrap() > 0);
                stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n").unwrap();
                while stream.read(&mut piece).is_ok_and(|count| count > 0) {}
            });
        }
    });
    address
}

fn read_until(stream: &mut TcpStream, end: &str) {
    let (mut seen, mut piece) = (Vec::new(), [0; 4096]);
    while !String::from_utf8_lossy(&seen).contains(end) {
        let count = stream.read(&mut piece).unwrap();
        assert!(count > 0, "{}", String::from_utf8_lossy(&seen));
        seen.extend_from_slice(&piece[..count]);
    }
}

fn is_forgotten(program: &Program) {
    let patience = Instant::now() + Duration::from_secs(20);
    for name in [
        "grafana_token_proxy_http_requests_in_flight",
        "grafana_token_proxy_connections_active",
        "grafana_token_proxy_upstream_connections{state=\"busy\"}",
    ] {
        while program.metric(name) != Some(0.0) {
            assert!(Instant::now() < patience, "{name} is {:?}", program.metric(name));
            thread::sleep(Duration::from_millis(20));
        }
    }
}

#[test]
fn a_client_that_leaves_a_stream_is_noticed_also_behind_bytes_of_its_next_request() {
    let program = Program::before(&endless().url(), &[]);
    for behind in ["", "G", "GET /next HTTP/1.1\r\nHost: g\r\n\r\n", &"x".repeat(20_000)] {
        let mut stream = connect(program.data);
        stream.write_all(format!("GET /events HTTP/1.1\r\nHost: g\r\n\r\n{behind}").as_bytes()).unwrap();
        read_until(&mut stream, "first");
        assert_eq!(program.metric("grafana_token_proxy_http_requests_in_flight"), Some(1.0));
        drop(stream);
        is_forgotten(&program);
    }
}

#[test]
fn a_client_that_leaves_its_upload_under_way_ends_the_answer_to_it() {
    let program = Program::before(&format!("http://{}", hasty()), &[]);
    for (framing, part) in [("Content-Length: 20", "0123456789"), ("Transfer-Encoding: chunked", "a\r\n0123456789\r\n")]
    {
        let mut stream = connect(program.data);
        stream.write_all(format!("POST /x HTTP/1.1\r\nHost: g\r\n{framing}\r\n\r\n{part}").as_bytes()).unwrap();
        read_until(&mut stream, "first");
        drop(stream);
        is_forgotten(&program);
    }
}
