//! TLS on both sides, with the clients that people have; certificates are replaced under them.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

use serde_json::Value;

use crate::support::certificates::{Authority, Pair, encrypt};
use crate::support::peers::installed;
use crate::support::wire::connect;
use crate::support::{Origin, Program, TOKEN, get};

fn program(origin: &Origin, pair: &Pair, arguments: &[&str]) -> Program {
    let all = [&pair.arguments("--tls-cert-file", "--tls-key-file"), arguments].concat();
    Program::before(&origin.url(), &all)
}

/// What curl says, and whether it was content.
fn curl(program: &Program, authority: &Authority, arguments: &[&str]) -> Option<(bool, String)> {
    let curl = installed("curl", "curl")?;
    let url = format!("https://localhost:{}/api/org", program.data.port());
    let output = Command::new(curl)
        .args(["-sS", "-i", "--max-time", "20", "--cacert", authority.file().to_str().unwrap()])
        .args(["-H", &format!("Authorization: Bearer {TOKEN}")])
        .args(arguments)
        .arg(url)
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    Some((output.status.success(), String::from_utf8_lossy(&said).into_owned()))
}

#[test]
fn clients_speak_tls_1_2_and_1_3_and_grafana_learns_of_it() {
    let (origin, authority) = (Origin::ok(), Authority::new());
    let program = program(&origin, &authority.issue("server", &["localhost"]), &[]);
    for version in [&["--tlsv1.2", "--tls-max", "1.2"][..], &["--tlsv1.3"], &["--http1.1"]] {
        let Some((ok, said)) = curl(&program, &authority, version) else { return };
        assert!(ok && said.contains(" 200"), "{version:?}: {said}");
    }
    assert_eq!(origin.last().all("x-forwarded-proto"), ["https"]);
    assert_eq!(origin.last().all("authorization"), [format!("Bearer {TOKEN}")]);
    let Some((ok, said)) = curl(&program, &authority, &["--tls-max", "1.1"]) else { return };
    assert!(!ok, "{said}");
    let line = program.wait_for_line(|line| line["reason"] == "tls_failed");
    assert_eq!((&line["source"], &line["client"]), (&"client".into(), &"127.0.0.1".into()));
    assert!(line["detail"].as_str().unwrap().contains("handshake"), "{line}");
}

#[test]
fn large_bodies_pass_both_ways() {
    let (origin, authority) = (Origin::new(echo), Authority::new());
    let grafana = encrypt(origin.address, &authority.issue("grafana", &["localhost"]), None);
    let pair = authority.issue("server", &["localhost"]);
    let ca = authority.file();
    let upstream = format!("https://localhost:{}", grafana.port());
    let all = [&pair.arguments("--tls-cert-file", "--tls-key-file")[..], &["--upstream-ca-file", ca.to_str().unwrap()]];
    let program = Program::before(&upstream, &all.concat());
    let file = authority.folder().join("body");
    let body: Vec<u8> = (0..5_000_000_u32).map(|number| (number % 251) as u8).collect();
    std::fs::write(&file, &body).unwrap();
    let (upload, out) = (format!("@{}", file.display()), authority.folder().join("out"));
    for more in [&[][..], &["-H", "Transfer-Encoding: chunked"]] {
        let arguments = [&["--data-binary", &upload, "-o", out.to_str().unwrap()], more].concat();
        let Some((ok, said)) = curl(&program, &authority, &arguments) else { return };
        assert!(ok, "{said}");
        let got = std::fs::read(&out).unwrap();
        assert!(got.ends_with(&body), "{} bytes came back", got.len());
    }
}

fn echo(seen: &crate::support::origin::Seen, stream: &mut TcpStream) -> bool {
    write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", seen.body.len()).is_ok()
        && stream.write_all(&seen.body).is_ok()
}

#[test]
fn client_certificates_are_asked_for() {
    let (origin, authority, stranger) = (Origin::ok(), Authority::new(), Authority::new());
    let server = authority.issue("server", &["localhost"]);
    let (client, other) = (authority.issue("client", &["ci"]), stranger.issue("client", &["ci"]));
    let ca = authority.file();
    for (auth, own, none, foreign) in [("required", true, false, false), ("optional", true, true, false)] {
        let program =
            program(&origin, &server, &["--tls-client-auth", auth, "--tls-client-ca-file", ca.to_str().unwrap()]);
        for (arguments, wanted) in [
            (client.arguments("--cert", "--key").to_vec(), own),
            (vec![], none),
            (other.arguments("--cert", "--key").to_vec(), foreign),
        ] {
            let Some((ok, said)) = curl(&program, &authority, &arguments) else { return };
            assert_eq!(ok, wanted, "{auth} {arguments:?}: {said}");
        }
    }
}

#[test]
fn plain_http_on_a_tls_port_is_told_what_to_do() {
    let (origin, authority) = (Origin::ok(), Authority::new());
    let program = program(&origin, &authority.issue("server", &["localhost"]), &[]);
    let answer = get(program.data, "/api/org", &[]);
    assert_eq!((answer.status, answer.reason()), (400, Some("tls_failed")));
    assert!(answer.text().contains("https://"), "{}", answer.text());
    assert_eq!(program.refusal(answer.header("x-request-id").unwrap())["reason"], "tls_failed");
    assert_eq!(origin.count(), 0);
}

#[test]
fn who_stalls_in_the_handshake_is_closed_and_holds_nobody_up() {
    let (origin, authority) = (Origin::ok(), Authority::new());
    let program = program(&origin, &authority.issue("server", &["localhost"]), &["--tls-handshake-timeout", "300ms"]);
    let silent = connect(program.data);
    let mut partial = connect(program.data);
    partial.write_all(&[0x16, 3, 1, 2]).unwrap();
    if let Some((ok, said)) = curl(&program, &authority, &[]) {
        assert!(ok, "{said}");
    }
    for mut stream in [silent, partial] {
        // Closed, however; a read with a deadline of the test's own would fail otherwise.
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
        assert!(rest.len() < 64, "{rest:?}");
    }
    program.wait_for_line(|line| line["reason"] == "tls_failed" && line["detail"].as_str().unwrap().contains("longer"));
}

#[test]
fn grafana_behind_tls_is_believed_by_its_certificate_alone() {
    let (origin, authority, stranger) = (Origin::ok(), Authority::new(), Authority::new());
    let grafana = encrypt(origin.address, &authority.issue("grafana", &["grafana.test"]), None);
    let url = format!("https://127.0.0.1:{}", grafana.port());
    let (ca, other) = (authority.file(), stranger.file());
    let (ca, other) = (ca.to_str().unwrap(), other.to_str().unwrap());
    let name = ["--upstream-server-name", "grafana.test"];
    for (arguments, status) in [
        (vec!["--upstream-ca-file", ca, name[0], name[1]], 200),
        (vec!["--upstream-ca-file", ca], 502),
        (vec!["--upstream-ca-file", other, name[0], name[1]], 502),
        (vec![name[0], name[1]], 502),
    ] {
        let program = Program::before(&url, &[&arguments[..], &["--workers", "1"]].concat());
        let answer = get(program.data, "/api/org", &[]);
        assert_eq!(answer.status, status, "{arguments:?}: {}", answer.text());
        if status == 502 {
            assert_eq!(answer.reason(), Some("upstream_unreachable"));
            assert!(answer.text().contains("upstream.ca_file"), "{}", answer.text());
            let line = program.refusal(answer.header("x-request-id").unwrap());
            assert!(line["detail"].as_str().unwrap().contains("certificate"), "{line}");
        } else {
            // The second request goes over the same connection.
            assert_eq!(get(program.data, "/api/org", &[]).status, 200);
        }
    }
    assert!(origin.seen().iter().all(|seen| seen.connection == origin.last().connection));
}

#[test]
fn grafana_may_ask_who_we_are() {
    let (origin, authority) = (Origin::ok(), Authority::new());
    let grafana = encrypt(origin.address, &authority.issue("grafana", &["localhost"]), Some(&authority));
    let (url, ca) = (format!("https://localhost:{}", grafana.port()), authority.file());
    let client = authority.issue("proxy", &["proxy"]);
    let ca = ["--upstream-ca-file", ca.to_str().unwrap()];
    let with = [&client.arguments("--upstream-client-cert-file", "--upstream-client-key-file"), &ca[..]].concat();
    assert_eq!(get(Program::before(&url, &with).data, "/api/org", &[]).status, 200);
    assert_eq!(get(Program::before(&url, &ca).data, "/api/org", &[]).status, 502);
}

#[test]
fn wrong_files_are_told_before_anything_serves() {
    let authority = Authority::new();
    let (one, other) = (authority.issue("one", &["a"]), authority.issue("other", &["b"]));
    let check = |arguments: &[&str]| {
        let mut command = Command::new(crate::support::binary());
        let output = command.arg("check").args(arguments).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    };
    let certificate = one.certificate.to_str().unwrap();
    let mixed = Pair { certificate: one.certificate.clone(), key: other.key.clone() };
    for (arguments, wanted) in [
        (mixed.arguments("--tls-cert-file", "--tls-key-file").to_vec(), "does not belong to the certificate"),
        (vec!["--tls-cert-file", certificate], "needs tls.key_file"),
        (vec!["--tls-cert-file", certificate, "--tls-key-file", "/nowhere"], "cannot be read"),
        (vec!["--tls-cert-file", certificate, "--tls-key-file", certificate], "holds no private key"),
        (vec!["--tls-client-auth", "required"], "asks for TLS"),
        (vec!["--upstream-ca-file", certificate], "upstream.url is not https"),
        (vec!["--upstream", "https://g", "--upstream-ca-file", one.key.to_str().unwrap()], "holds no certificate"),
    ] {
        let (code, text) = check(&arguments);
        assert!(code != Some(0) && text.contains(wanted), "{arguments:?}: {text}");
        let key = std::fs::read_to_string(&one.key).unwrap();
        assert!(!key.lines().skip(1).any(|line| text.contains(line)), "{text}");
    }
    assert_eq!(check(&one.arguments("--tls-cert-file", "--tls-key-file")).0, Some(0));
}

#[test]
fn certificates_are_replaced_under_load_and_a_wrong_pair_changes_nothing() {
    let (origin, authority) = (Origin::ok(), Authority::new());
    let server = authority.issue("server", &["localhost"]);
    let program = program(&origin, &server, &[]);
    let admin = program.admin.unwrap();
    let reload = || {
        let request = format!("POST /-/reload HTTP/1.1\r\nHost: {admin}\r\nContent-Length: 0\r\n\r\n");
        let answer = crate::support::ask(admin, request).unwrap();
        serde_json::from_str::<Value>(&answer.text()).unwrap()
    };
    let rounds: usize = std::env::var("GTP_ROUNDS").map_or(10, |rounds| rounds.parse().unwrap());
    if installed("curl", "curl").is_none() {
        return;
    }
    let (done, shaken) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Relaxed) {
                let (ok, said) = curl(&program, &authority, &[]).unwrap();
                assert!(ok && said.contains(" 200"), "{said}");
                shaken.fetch_add(1, Relaxed);
            }
        });
        for round in 0..rounds {
            // Handshakes with each pair, and one that spans the change.
            let begun = shaken.load(Relaxed);
            while shaken.load(Relaxed) < begun + 2 {
                std::thread::yield_now();
            }
            let before = std::fs::read(&server.key).unwrap();
            if round % 2 == 0 {
                authority.issue("server", &["localhost"]);
                let outcome = reload();
                assert_eq!(outcome["ok"], true, "{outcome}");
            } else {
                // The certificate of one pair and the key of another: as between the two writes of a bad script.
                std::fs::write(&server.key, std::fs::read(authority.issue("other", &["x"]).key).unwrap()).unwrap();
                let outcome = reload();
                assert_eq!(outcome["ok"], false);
                assert!(outcome["mistakes"][0].as_str().unwrap().contains("does not belong"), "{outcome}");
                std::fs::write(&server.key, before).unwrap();
            }
        }
        done.store(true, Relaxed);
    });
    println!("{} handshakes over {rounds} replacements", shaken.load(Relaxed));
    assert!(program.lines().iter().all(|line| !line.contains("tls_failed")));
}

#[test]
fn the_end_of_the_certificate_is_told_and_follows_a_reload() {
    let (origin, authority) = (Origin::ok(), Authority::new());
    let pair = authority.issue_until("server", &["localhost"], 2121);
    let program = program(&origin, &pair, &["--admin", "127.0.0.1:0"]);
    let told = || {
        let text = get(program.telemetry, "/metrics", &[]).text();
        let line = text.lines().find(|line| line.starts_with("grafana_token_proxy_tls_certificate_expiry"));
        line.and_then(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
    };
    assert_eq!(told(), Some(4_765_132_800), "the first of January 2121");
    let next = authority.issue_until("next", &["localhost"], 2122);
    std::fs::copy(&next.key, &pair.key).unwrap();
    std::fs::copy(&next.certificate, &pair.certificate).unwrap();
    while told() != Some(4_796_668_800) {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let plain = Program::before(&origin.url(), &[]);
    assert!(!get(plain.telemetry, "/metrics", &[]).text().contains("\ngrafana_token_proxy_tls_certificate_expiry"));
}
