//! What goes wrong behind us has its own status, reason and hint; nothing is delivered twice.

use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::support::origin::Seen;
use crate::support::wire::{connect, read_answer};
use crate::support::{Origin, Program, ask, get};

#[test]
fn each_failure_has_its_own_answer() {
    let dead = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let program = Program::before(&format!("http://{dead}"), &[]);
    let answer = get(program.data, "/x", &[]);
    assert_eq!((answer.status, answer.reason()), (502, Some("upstream_unreachable")));
    assert!(
        !answer.text().contains("127.0.0.1") && !answer.text().contains("os error"),
        "internals are shown: {}",
        answer.text()
    );
    let line = program.refusal(answer.header("x-request-id").unwrap());
    assert!(line["detail"].as_str().unwrap().contains(&dead.to_string()), "the operator is not told where: {line}");

    for (bytes, status, reason) in [
        ("", 502, "upstream_reset"),
        ("HTTP/1.1 200 O", 502, "upstream_reset"),
        ("SSH-2.0-OpenSSH_9.2\r\n", 502, "upstream_malformed"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", 502, "upstream_malformed"),
        ("HTTP/1.1 200 OK\r\nBad Header\r\n\r\n", 502, "upstream_malformed"),
        ("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n", 502, "upstream_malformed"),
    ] {
        let origin = Origin::new(move |_, stream| {
            stream.write_all(bytes.as_bytes()).unwrap();
            false
        });
        let program = Program::before(&origin.url(), &[]);
        let answer = get(program.data, "/x", &[]);
        assert_eq!((answer.status, answer.reason()), (status, Some(reason)), "{bytes:?}");
        assert_eq!(program.refusal(answer.header("x-request-id").unwrap())["level"], "error");
    }

    let mute = TcpListener::bind("127.0.0.1:0").unwrap();
    let program =
        Program::before(&format!("http://{}", mute.local_addr().unwrap()), &["--upstream-response-timeout", "200ms"]);
    let answer = get(program.data, "/x", &[]);
    assert_eq!((answer.status, answer.reason()), (504, Some("upstream_timeout")));
}

#[test]
fn a_truncated_body_is_broken_off_not_ended() {
    let origin = Origin::new(|_, stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this").unwrap();
        false
    });
    let program = Program::before(&origin.url(), &[]);
    let mut stream = connect(program.data);
    stream.write_all(b"GET /x HTTP/1.1\r\nHost: g\r\n\r\n").unwrap();
    assert!(read_answer(&mut stream, &mut Vec::new(), false).is_none(), "a broken answer looked whole");
}

/// Closes each connection after one answer, without saying so.
fn forgetful() -> (Origin, &'static AtomicUsize) {
    static POSTS: AtomicUsize = AtomicUsize::new(0);
    let origin = Origin::new(|seen, stream| {
        if seen.lines[0].starts_with("POST") {
            POSTS.fetch_add(1, Ordering::SeqCst);
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").unwrap();
        false
    });
    (origin, &POSTS)
}

#[test]
fn a_stale_connection_costs_no_get_and_doubles_no_post() {
    let (origin, posts) = forgetful();
    let program = Program::before(&origin.url(), &["--workers", "1"]);
    for _ in 0..50 {
        assert_eq!(get(program.data, "/x", &[]).status, 200);
    }
    let mut sent = 0;
    for _ in 0..50 {
        let answer = ask(program.data, "POST /x HTTP/1.1\r\nHost: g\r\nContent-Length: 2\r\n\r\nhi").unwrap();
        assert!(matches!(answer.status, 200 | 502), "{}", answer.status);
        sent += 1;
    }
    assert!(posts.load(Ordering::SeqCst) <= sent, "a POST was delivered twice");
}

#[test]
fn a_restarted_upstream_is_found_again_at_once() {
    let first = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = first.local_addr().unwrap();
    let program = Program::before(&format!("http://{address}"), &[]);
    drop(first);
    assert_eq!(get(program.data, "/x", &[]).status, 502);
    let again = TcpListener::bind(address).unwrap();
    let serving = std::thread::spawn(move || {
        let (mut stream, _) = again.accept().unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let mut piece = [0; 4096];
        let _ = std::io::Read::read(&mut stream, &mut piece);
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
    });
    assert_eq!(get(program.data, "/x", &[]).status, 200);
    serving.join().unwrap();
}

#[test]
fn bytes_behind_an_answer_never_become_the_next_answer() {
    let origin = Origin::answering(
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
    );
    let program = Program::before(&origin.url(), &["--workers", "1"]);
    for _ in 0..10 {
        let answer = get(program.data, "/x", &[]);
        assert!(answer.text() != "evil", "another's answer was served");
    }
}

#[test]
fn a_request_lost_on_a_pooled_connection_goes_out_once_more_as_it_was_or_not_at_all() {
    let lost = || {
        Origin::new(|seen, stream| {
            // The first connection answers once, and is then closed with the next request on it.
            if seen.connection == 0 && seen.lines[0].contains("/second") {
                return false;
            }
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").is_ok()
        })
    };
    let origin = lost();
    let program = Program::before(&origin.url(), &["--workers", "1", "--org", "7", "--rate", "1/h", "--burst", "9"]);
    assert_eq!(get(program.data, "/first", &[]).status, 200);
    let lines = [
        "Authorization: bearer glsa_yscW25imSKJIuav8zF37RZmnbiDvB05G_fcaaf58a",
        "Cookie: a=1",
        "Connection: X-Gone",
        "X-Gone: 1",
    ];
    let answer = get(program.data, "/second?x=%20y", &lines);
    assert_eq!(
        (answer.status, answer.header("ratelimit").unwrap().starts_with("\"token\";r=8;")),
        (200, true),
        "the repetition was charged"
    );
    let seen: Vec<_> = origin.seen().into_iter().filter(|seen| seen.lines[0].contains("/second")).collect();
    assert_eq!(seen.len(), 2);
    let sorted = |lines: &[String]| {
        let mut lines = lines.to_vec();
        lines.sort();
        lines
    };
    assert_eq!(sorted(&seen[0].lines), sorted(&seen[1].lines), "the repetition differs");
    assert_eq!(seen[1].header("x-request-id").as_deref(), answer.header("x-request-id"));

    let origin = lost();
    let program = Program::before(&origin.url(), &["--workers", "1"]);
    assert_eq!(get(program.data, "/first", &[]).status, 200);
    let answer = ask(program.data, "POST /second HTTP/1.1\r\nHost: g\r\nContent-Length: 2\r\n\r\nhi").unwrap();
    assert_eq!((answer.status, answer.reason()), (502, Some("upstream_reset")));
    assert_eq!(origin.count(), 2, "a POST was delivered twice");
}

#[test]
fn a_request_behind_a_lost_one_is_never_taken_for_it() {
    let origin = Origin::new(|seen, stream| {
        let path = seen.lines[0].split(' ').nth(1).unwrap().to_owned();
        if seen.connection == 0 && path == "/lost" {
            // Long enough for the request behind this one to have been read.
            std::thread::sleep(Duration::from_millis(300));
            return false;
        }
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{path}", path.len()).is_ok()
    });
    let program = Program::before(&origin.url(), &["--workers", "1"]);
    assert_eq!(get(program.data, "/first", &[]).status, 200);
    let mut client = connect(program.data);
    client.write_all(b"GET /lost HTTP/1.1\r\nHost: g\r\n\r\n").unwrap();
    while origin.count() < 2 {
        std::thread::yield_now();
    }
    client.write_all(b"GET /behind HTTP/1.1\r\nHost: g\r\n\r\n").unwrap();
    let mut pending = Vec::new();
    // It goes out once more as itself, and the one behind it after that.
    assert_eq!(read_answer(&mut client, &mut pending, false).unwrap().text(), "/lost");
    assert_eq!(read_answer(&mut client, &mut pending, false).unwrap().text(), "/behind");
    assert_eq!(origin.seen().iter().filter(|seen| seen.lines[0].contains("/lost")).count(), 2);
    assert_eq!(origin.seen().iter().filter(|seen| seen.lines[0].contains("/behind")).count(), 1);
}

/// Says which origin it is, and wants each request on a connection of its own.
fn named(name: &'static str) -> impl Fn(&Seen, &mut TcpStream) -> bool + Send + Sync + 'static {
    move |_, stream| {
        let head = format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", name.len());
        let _ = stream.write_all(format!("{head}{name}").as_bytes());
        false
    }
}

#[test]
fn a_name_that_moves_is_followed_with_the_next_connection() {
    let may = Command::new("unshare").args(["-rm", "true"]).status().is_ok_and(|status| status.success());
    if !may {
        return println!("skipped: this system lets nobody have an /etc/hosts of one's own (unshare -rm)");
    }
    let hosts = tempfile::NamedTempFile::new().unwrap();
    let point_to = |address: &str| std::fs::write(hosts.path(), format!("{address} grafana.test\n")).unwrap();
    let before = Origin::new(named("before"));
    let moved = SocketAddr::from(([127, 0, 0, 2], before.address.port()));
    let _after = Origin::at(moved, named("after"));
    point_to("127.0.0.1");
    let mut command = Command::new("unshare");
    command.args(["-rm", "sh", "-c", "mount --bind \"$0\" /etc/hosts && exec \"$@\"", hosts.path().to_str().unwrap()]);
    command.args([crate::support::binary(), "run", "--listen", "127.0.0.1:0", "--telemetry", "127.0.0.1:0"]);
    command.args(["--admin", "127.0.0.1:0", "--log-format", "json"]);
    command.args(["--upstream", &format!("http://grafana.test:{}", before.address.port())]);
    let program = Program::start(command);
    let answer = || {
        let answer = get(program.data, "/api/org", &[]);
        (answer.status, answer.text())
    };
    assert_eq!(answer(), (200, "before".to_owned()));
    point_to("127.0.0.2");
    assert_eq!(answer(), (200, "after".to_owned()));
    point_to("127.0.0.1");
    assert_eq!(answer(), (200, "before".to_owned()));
    // A name that is gone is an upstream that is gone, until it is back.
    std::fs::write(hosts.path(), "").unwrap();
    assert_eq!(answer().0, 502);
    point_to("127.0.0.2");
    assert_eq!(answer(), (200, "after".to_owned()));
}
