//! Ways that do not lead to Grafana; and how the doctor waits, and is used.

use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::process::Command;

use super::chain::{Grafana, answering, consult};
use crate::support::certificates::{Authority, encrypt};
use crate::support::{Origin, Program, TOKEN};

fn check(name: &str, url: &str, more: &[&str], code: &str, holds: &str) {
    let more: Vec<String> = more.iter().map(|argument| (*argument).to_owned()).collect();
    consult(url, None, Some(TOKEN), &more).check(name, code, holds).unwrap();
}

/// A port at which nothing listens.
fn nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

#[test]
fn what_does_not_lead_to_grafana_is_named() {
    let nothing = format!("http://{}", nobody());
    check("nothing listens", &nothing, &[], "nothing_listens", "refuses connections");
    check("no such name", "http://nowhere.invalid:3000", &[], "name_unknown", "nowhere.invalid");
    let page = answering("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 7\r\n\r\nwelcome");
    check("not Grafana", &page.url(), &[], "not_grafana", "answers 200");
    assert_eq!(page.count(), 1, "what is not Grafana gets one question");
    assert!(page.seen().iter().all(|seen| seen.header("authorization").is_none()), "and no token");
    let odd = answering("SSH-2.0-OpenSSH_9.6\r\n");
    check("not HTTP", &odd.url(), &[], "not_http", "something else");
    let closing = Origin::new(|_, _| false);
    check("closed", &closing.url(), &[], "connection_closed", "closed");
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    check("silent", &url, &["--timeout", "200ms"], "no_answer", "says nothing");
    let gateway = answering("HTTP/1.1 502 Bad Gateway\r\nServer: nginx\r\nContent-Length: 0\r\n\r\n");
    check("a hop reaches nothing", &gateway.url(), &[], "hop_cannot_reach", "`nginx`");
    let proxy = Program::before(&nothing, &[]);
    check(
        "the proxy reaches nothing",
        &format!("http://{}", proxy.data),
        &[],
        "grafana_unreachable",
        "upstream_unreachable",
    );
    let direct = nothing.trim_start_matches("http://").parse().unwrap();
    let said = consult(&format!("http://{}", proxy.data), Some(direct), Some(TOKEN), &[]);
    said.check("and --direct shows why", "nothing_listens", "refuses connections").unwrap();
    let unwell = Grafana {
        health: Some(
            "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json; charset=UTF-8\r\nContent-Length: 22\r\n\r\n{\"database\":\"failing\"}",
        ),
        ..Grafana::default()
    };
    check("Grafana is not well", &unwell.start().url(), &[], "grafana_unwell", "failing");
}

/// Speaks before it is spoken to, as HTTP servers do once they have seen the first bytes of TLS.
fn hasty(bytes: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut client in listener.incoming().map_while(Result::ok) {
            let _ = client.write_all(bytes.as_bytes());
            let _ = std::io::copy(&mut client, &mut std::io::sink());
        }
    });
    address
}

#[test]
fn redirects_are_not_followed() {
    let elsewhere =
        answering("HTTP/1.1 301 Moved\r\nLocation: http://grafana.example.com/api/health\r\nContent-Length: 0\r\n\r\n");
    check("to another host", &elsewhere.url(), &[], "redirected_elsewhere", "grafana.example.com");
    assert!(elsewhere.seen().iter().all(|seen| seen.header("authorization").is_none()));
    let secure = answering("HTTP/1.1 308 Moved\r\nLocation: https://127.0.0.1/api/health\r\nContent-Length: 0\r\n\r\n");
    check("to https", &secure.url(), &[], "redirected_to_https", "https://127.0.0.1/");
}

#[test]
fn tls_is_told_with_its_cause() {
    let authority = Authority::new();
    let grafana = Grafana::default().start();
    let file = authority.file();
    let believed = ["--ca-file", file.to_str().unwrap()];
    let url = |address: SocketAddr| format!("https://localhost:{}", address.port());
    let good = encrypt(grafana.address, &authority.issue("good", &["localhost"]), None);
    check("all well", &url(good), &believed, "proxy_not_seen", "");
    check("an unknown issuer", &url(good), &[], "tls_unknown_issuer", "authority of a test");
    let below = authority.intermediate();
    let whole = encrypt(grafana.address, &below.issue("whole", &["localhost"]).with_chain(&below), None);
    check("a whole chain", &url(whole), &believed, "proxy_not_seen", "");
    let cut = encrypt(grafana.address, &below.issue("cut", &["localhost"]), None);
    check("without the intermediate", &url(cut), &believed, "tls_unknown_issuer", "intermediate of a test");
    let wrong = encrypt(grafana.address, &below.issue("wrong", &["localhost"]).with_chain(&Authority::new()), None);
    check("with another's certificate", &url(wrong), &believed, "tls_unknown_issuer", "intermediate of a test");
    let other = encrypt(grafana.address, &authority.issue("other", &["grafana.example.com"]), None);
    check("another name", &url(other), &believed, "tls_wrong_name", "grafana.example.com");
    let expired = encrypt(grafana.address, &authority.issue_until("expired", &["localhost"], 2021), None);
    check("expired", &url(expired), &believed, "tls_expired", "has expired");
    let future = encrypt(grafana.address, &authority.issue_from("future", &["localhost"], 2120), None);
    check("not yet valid", &url(future), &believed, "tls_not_yet_valid", "not valid yet");
    check(
        "no TLS there",
        &url(hasty("HTTP/1.1 400 Bad Request\r\n\r\n")),
        &believed,
        "tls_missing",
        "not answered with TLS",
    );
    let plain = answering(
        "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: 48\r\n\r\nClient sent an HTTP request to an HTTPS server.\n",
    );
    check("TLS wanted", &plain.url(), &[], "tls_wanted", "HTTPS server");
    let count = grafana.count();
    check("nothing is sent to whom nobody believes", &url(other), &believed, "tls_wrong_name", "");
    assert_eq!(grafana.count(), count);
}

#[test]
fn it_waits_until_all_is_well() {
    let grafana = Grafana::default().start();
    let proxy = Program::before(&grafana.url(), &[]);
    // Reserved, and opened by a second thread once the doctor has been refused: nobody waits for a clock.
    let place = nobody();
    let data = proxy.data;
    let mut child = Command::new(crate::support::binary())
        .args(["doctor", "--url", &format!("http://{place}"), "--wait", "60s"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut told = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stderr.take().unwrap()), &mut told).unwrap();
    assert!(told.starts_with("not yet: nothing_listens"), "{told}");
    let listener = TcpListener::bind(place).unwrap();
    std::thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let server = std::net::TcpStream::connect(data).unwrap();
            let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            std::thread::spawn(move || std::io::copy(&mut from, &mut to));
            let (mut from, mut to) = (server, client);
            std::thread::spawn(move || {
                let _ = std::io::copy(&mut from, &mut to);
                to.shutdown(std::net::Shutdown::Both)
            });
        }
    });
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && text.contains("\nhealthy: Nothing is wrong on the way."), "{text}");
    assert!(!text.contains('\u{1b}'), "no colours in a pipe");
}

#[test]
fn wrong_usage_is_told_as_such() {
    let file = ["--token-file", "/nowhere/token"];
    for arguments in
        [&["--url", "ftp://x"][..], &["--url", "http://u:p@x"], &[], &["--url", "http://x", file[0], file[1]]]
    {
        let output = Command::new(crate::support::binary()).arg("doctor").args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
    let output = Command::new(crate::support::binary())
        .args(["doctor", "--url", "http://x", "--token-file", TOKEN])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.code() == Some(2) && said.contains("command line") && !said.contains(&TOKEN[5..20]),
        "{said}"
    );
}
