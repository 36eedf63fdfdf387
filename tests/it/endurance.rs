//! What must hold for long and under load. Short here; `GTP_ROUNDS` and `GTP_SLOW` make them as long as they were for the
//! figures of the README.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crate::support::program::PATIENCE;
use crate::support::wire::{connect, read_answer};
use crate::support::{Origin, Program, get};

fn number(variable: &str, default: usize) -> usize {
    std::env::var(variable).map_or(default, |text| text.parse().unwrap())
}

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: g\r\n\r\n";

/// Sends requests over one connection after the other; new ones for as long as the program is ready, as a load balancer
/// does. A request whose connection was used before, and was closed before a byte of the answer came, may be repeated
/// (RFC 9112 §9.3.1); how often that was. Any other loss fails.
fn keep_asking(address: SocketAddr, served: &AtomicUsize, leaving: &AtomicBool) -> usize {
    let mut repeated = 0;
    while !leaving.load(Relaxed) {
        let mut stream = connect(address);
        let mut fresh = true;
        loop {
            let sent = stream.write_all(REQUEST).is_ok();
            let Some(answer) = sent.then(|| read_answer(&mut stream, &mut Vec::new(), false)).flatten() else {
                assert!(!fresh, "a request on a fresh connection was lost");
                repeated += 1;
                break;
            };
            assert_eq!((answer.status, answer.text().as_str()), (200, "{}"));
            served.fetch_add(1, Relaxed);
            fresh = false;
            if answer.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close")) {
                break;
            }
        }
    }
    repeated
}

#[test]
fn nothing_is_lost_when_the_program_is_told_to_end_under_load() {
    let origin = Origin::ok();
    let rounds = number("GTP_ROUNDS", 5);
    let (served, mut repeated) = (AtomicUsize::new(0), 0);
    for _ in 0..rounds {
        let limits = ["--limits-per-client-rate", "100000/s", "--limits-per-client-burst", "100000"];
        let mut program = Program::before(&origin.url(), &[&limits[..], &["--shutdown-delay", "200ms"]].concat());
        let (address, before, leaving) = (program.data, served.load(Relaxed), AtomicBool::new(false));
        std::thread::scope(|scope| {
            let clients: Vec<_> = (0..4).map(|_| scope.spawn(|| keep_asking(address, &served, &leaving))).collect();
            while served.load(Relaxed) < before + 100 {
                std::thread::yield_now();
            }
            program.signal("TERM");
            while get(program.telemetry, "/readyz", &[]).status == 200 {
                std::thread::yield_now();
            }
            leaving.store(true, Relaxed);
            repeated += clients.into_iter().map(|client| client.join().unwrap()).sum::<usize>();
            assert_eq!(program.wait(), Some(0));
        });
    }
    println!("{} requests over {rounds} ends of the program, none lost, {repeated} repeated", served.load(Relaxed));
}

/// Ways to hold a connection without need.
const KINDS: [&str; 5] = ["silent", "one byte", "partial head", "stalled body", "slow reader"];

fn hold(kind: usize, address: SocketAddr) -> TcpStream {
    let mut stream = connect(address);
    let bytes: &[u8] = match kind {
        0 => b"",
        1 => b"G",
        2 => b"GET / HTTP/1.1\r\nHost: g\r\nX-",
        3 => b"POST / HTTP/1.1\r\nHost: g\r\nContent-Length: 100\r\n\r\nabc",
        _ => b"GET /large HTTP/1.1\r\nHost: g\r\n\r\n",
    };
    stream.write_all(bytes).unwrap();
    stream
}

#[test]
fn slow_clients_are_closed_and_cost_the_others_nothing() {
    let count = number("GTP_SLOW", 250);
    raise_descriptors();
    let origin = Origin::new(|seen, stream| {
        if seen.lines[0].contains("/large") {
            // More than all buffers on the way hold.
            let piece = vec![b'x'; 1 << 20];
            let _ = write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", 64 << 20);
            return (0..64).all(|_| stream.write_all(&piece).is_ok());
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").is_ok()
    });
    let deadline = if count > 1000 { "60s" } else { "1s" };
    let arguments = [
        ["--http-head-timeout", deadline],
        ["--http-body-timeout", deadline],
        ["--limits-per-client-rate", "100000/s"],
        ["--limits-per-client-burst", "100000"],
        ["--http-max-in-flight", "100000"],
        ["--upstream-response-timeout", "120s"],
    ];
    let program = Program::before(&origin.url(), arguments.as_flattened());
    let began = Instant::now();
    let held: Vec<(usize, TcpStream)> = (0..count).map(|number| (number % 5, hold(number % 5, program.data))).collect();
    let done = AtomicBool::new(false);
    let healthy = std::thread::scope(|scope| {
        let healthy = scope.spawn(|| {
            let (mut count, mut stream) = (0, connect(program.data));
            while !done.load(Relaxed) {
                stream.write_all(REQUEST).unwrap();
                assert_eq!(read_answer(&mut stream, &mut Vec::new(), false).unwrap().status, 200);
                count += 1;
            }
            count
        });
        // All are closed: the gauge falls to the healthy one.
        let end = Instant::now() + PATIENCE * 6;
        while program.metric("grafana_token_proxy_connections_active").unwrap() > 1.0 {
            assert!(Instant::now() < end, "slow connections are still held");
            std::thread::sleep(Duration::from_millis(20));
        }
        println!(
            "{count} slow clients gone {:.1} s after the first came (deadline {deadline})",
            began.elapsed().as_secs_f32()
        );
        done.store(true, Relaxed);
        healthy.join().unwrap()
    });
    println!("{healthy} healthy requests meanwhile, each served");
    for (kind, mut stream) in held {
        let mut rest = Vec::new();
        // What was said before the end, if anything, is an explanation; a large answer breaks off.
        let _ = stream.read_to_end(&mut rest);
        let text = String::from_utf8_lossy(&rest[..rest.len().min(400)]).into_owned();
        match KINDS[kind] {
            "silent" => assert_eq!(text, ""),
            "one byte" | "partial head" => {
                assert!(text.starts_with("HTTP/1.1 408") && text.contains("head_timeout"), "{text}")
            }
            "stalled body" => assert!(text.starts_with("HTTP/1.1 408") && text.contains("body_timeout"), "{text}"),
            _ => assert!(rest.len() < 64 << 20, "the whole of it was sent"),
        }
    }
    assert_eq!(get(program.data, "/", &[]).status, 200);
}

/// As many files as the system allows.
fn raise_descriptors() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }).unwrap();
}

#[test]
fn no_core_file_can_be_written() {
    let origin = Origin::ok();
    let program = Program::before(&origin.url(), &[]);
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", program.id())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"], "{core}");
    // What the program tells of itself it can still read.
    assert!(program.metric("process_open_fds").unwrap() > 3.0);
}

#[test]
fn without_descriptors_it_waits_and_goes_on() {
    let origin = Origin::ok();
    let mut command = std::process::Command::new("sh");
    command.args(["-c", "ulimit -n 64; exec \"$0\" \"$@\"", crate::support::binary(), "run"]);
    command.args(["--upstream", &origin.url(), "--listen", "127.0.0.1:0", "--telemetry", "127.0.0.1:0"]);
    command.args(["--admin", "127.0.0.1:0", "--workers", "2", "--log-format", "json"]);
    let program = Program::start(command);
    let used = || {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", program.id())).unwrap();
        let fields: Vec<u64> =
            stat.rsplit(')').next().unwrap().split_whitespace().filter_map(|n| n.parse().ok()).collect();
        // Behind the state: the eleventh and twelfth number are ticks of a hundredth of a second.
        fields[10] + fields[11]
    };
    let held: Vec<TcpStream> = (0..100).map(|_| TcpStream::connect(program.data).unwrap()).collect();
    program.wait_for_line(|line| line["event"] == "accept_failed");
    let before = used();
    std::thread::sleep(Duration::from_secs(1));
    // Whoever spins takes a hundred for each worker.
    assert!(used() - before < 50, "it spins: {} ticks", used() - before);
    let told = program.lines().iter().filter(|line| line.contains("accept_failed")).count();
    assert!(told <= 2, "{told} lines say the same");
    drop(held);
    // Those that were accepted have to be closed, and then the others come.
    assert_eq!(get(program.data, "/", &[]).status, 200);
}

#[test]
fn an_idle_connection_that_gave_its_buffers_back_serves_on() {
    let origin = Origin::ok();
    let mut program = Program::before(&origin.url(), &["--http-idle-timeout", "4s"]);
    let (mut idle, mut split, mut silent) = (connect(program.data), connect(program.data), connect(program.data));
    let mut pending = Vec::new();
    for stream in [&mut idle, &mut split, &mut silent] {
        stream.write_all(REQUEST).unwrap();
        assert_eq!(read_answer(stream, &mut Vec::new(), false).unwrap().status, 200);
    }
    // Longer than a connection keeps its buffers for, shorter than it may be idle.
    std::thread::sleep(Duration::from_millis(2500));
    // A whole request and the beginning of another; the rest of it comes later.
    idle.write_all(&[REQUEST, &REQUEST[..9]].concat()).unwrap();
    assert_eq!(read_answer(&mut idle, &mut pending, false).unwrap().status, 200);
    idle.write_all(&REQUEST[9..]).unwrap();
    assert_eq!(read_answer(&mut idle, &mut pending, false).unwrap().status, 200);
    for byte in REQUEST {
        split.write_all(&[*byte]).unwrap();
    }
    assert_eq!(read_answer(&mut split, &mut Vec::new(), false).unwrap().status, 200);
    // What is damaged is refused as ever.
    split.write_all(b"GET /\n\n").unwrap();
    let answer = read_answer(&mut split, &mut Vec::new(), false).unwrap();
    assert_eq!((answer.status, answer.reason()), (400, Some("newline_in_head")));
    // Who says nothing is closed all the same, without a word.
    let mut rest = Vec::new();
    silent.read_to_end(&mut rest).unwrap();
    assert_eq!(rest, b"");
    // The end of the process does not wait for one that waits.
    let mut last = connect(program.data);
    last.write_all(REQUEST).unwrap();
    assert_eq!(read_answer(&mut last, &mut Vec::new(), false).unwrap().status, 200);
    std::thread::sleep(Duration::from_millis(2300));
    program.signal("TERM");
    last.read_to_end(&mut rest).unwrap();
    assert_eq!((rest.len(), program.wait()), (0, Some(0)));
}
