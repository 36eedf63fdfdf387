//! Unix sockets on both sides, and the PROXY protocol in front.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Duration;

use crate::support::wire::{connect, read_answer};
use crate::support::{Origin, Program, TOKEN};

/// Passes what comes to a Unix socket on to an address.
fn hop(path: &std::path::Path, target: SocketAddr) {
    let listener = UnixListener::bind(path).unwrap();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let (client, server) = (client.unwrap(), TcpStream::connect(target).unwrap());
            let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            std::thread::spawn(move || std::io::copy(&mut from, &mut to));
            std::thread::spawn(move || std::io::copy(&mut { server }, &mut { client }));
        }
    });
}

#[test]
fn both_sides_may_be_unix_sockets() {
    let origin = Origin::ok();
    let folder = tempfile::tempdir().unwrap();
    let (grafana, own) = (folder.path().join("grafana.sock"), folder.path().join("proxy.sock"));
    hop(&grafana, origin.address);
    let listen = format!("127.0.0.1:0,unix:{}", own.display());
    let mut command = std::process::Command::new(crate::support::binary());
    command.args(["run", "--upstream", &format!("unix:{}", grafana.display()), "--listen", &listen]);
    command.args(["--telemetry", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--workers", "2", "--log-format", "json"]);
    let program = Program::start(command);
    for number in 0..6 {
        let mut stream = UnixStream::connect(&own).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let head = format!("GET /{number} HTTP/1.1\r\nHost: g\r\nAuthorization: {TOKEN}\r\nConnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    let seen = origin.last();
    assert_eq!(
        (seen.all("authorization"), seen.all("x-forwarded-for")),
        (vec![format!("Bearer {TOKEN}")], vec!["127.0.0.1".into()])
    );
    assert_eq!(crate::support::get(program.data, "/", &[]).status, 200);
}

fn program(origin: &Origin, trusted: &str) -> Program {
    Program::before(
        &origin.url(),
        &["--clients-proxy-protocol", "on", "--clients-trusted-proxies", trusted, "--http-head-timeout", "1s"],
    )
}

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: g\r\n\r\n";

#[test]
fn trusted_hops_say_who_the_client_is_in_either_version() {
    let origin = Origin::ok();
    let program = program(&origin, "127.0.0.0/8");
    let mut v2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x21\0\x24".to_vec();
    v2.extend([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7]);
    v2.extend([0; 16]);
    v2.extend([0x1f, 0x90, 0, 80]);
    let local = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0".to_vec();
    for (header, client) in [
        (b"PROXY TCP4 192.0.2.7 10.0.0.1 56324 443\r\n".to_vec(), "192.0.2.7"),
        (b"PROXY UNKNOWN\r\n".to_vec(), "127.0.0.1"),
        (v2, "2001:db8::7"),
        (local, "127.0.0.1"),
    ] {
        // In one piece, and byte by byte.
        for step in [4096, 1] {
            let mut stream = connect(program.data);
            stream.set_nodelay(true).unwrap();
            for piece in [header.as_slice(), REQUEST].concat().chunks(step) {
                stream.write_all(piece).unwrap();
            }
            assert_eq!(read_answer(&mut stream, &mut Vec::new(), false).unwrap().status, 200, "{client}");
            assert_eq!(origin.last().all("x-forwarded-for"), [client]);
        }
    }
}

#[test]
fn what_is_no_proxy_header_is_not_served_and_strangers_send_none() {
    let origin = Origin::ok();
    let trusting = program(&origin, "127.0.0.0/8");
    for bytes in [REQUEST.to_vec(), b"PROXY TCP4 192.0.2.7\r\n".to_vec(), b"PROX".to_vec(), vec![]] {
        let mut stream = connect(trusting.data);
        stream.write_all(&bytes).unwrap();
        let answer = read_answer(&mut stream, &mut Vec::new(), false).unwrap_or_else(|| panic!("{bytes:?}"));
        assert_eq!((answer.status, answer.reason()), (400, Some("head_malformed")), "{bytes:?}");
        assert_eq!(stream.read(&mut [0; 9]).unwrap_or(0), 0, "{bytes:?}");
    }
    assert_eq!(origin.count(), 0);
    let line = trusting.wait_for_line(|line| line["reason"] == "head_malformed");
    assert!(line["detail"].as_str().unwrap().starts_with("The PROXY header of a trusted hop"), "{line}");
    // From others no header is expected, and one is no HTTP.
    let wary = program(&origin, "10.0.0.0/8");
    assert_eq!(crate::support::get(wary.data, "/", &[]).status, 200);
    let second = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x07\x0a\0\0\x01\xdc\x04\x01\xbb";
    for header in [&b"PROXY TCP4 192.0.2.7 10.0.0.1 56324 443\r\n"[..], second] {
        let answer = crate::support::ask(wary.data, [header, REQUEST].concat()).unwrap();
        assert_eq!(answer.status, 400);
        assert!(answer.text().contains("clients.proxy_protocol"), "{}", answer.text());
    }
}
