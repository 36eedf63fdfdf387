//! `watch`: what was, what comes, on a terminal and in a pipe, over a lost connection.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Instant;

use serde_json::Value;

use crate::support::program::PATIENCE;
use crate::support::{Origin, Program, ask, binary, get};

fn program() -> (Origin, Program) {
    let origin = Origin::ok();
    let program = Program::before(&origin.url(), &[]);
    (origin, program)
}

fn refuse(program: &Program, method: &str) {
    let answer = ask(program.data, format!("{method} /{method} HTTP/1.1\r\nHost: g\r\n\r\n")).unwrap();
    assert_eq!(answer.reason(), Some("method_refused"));
}

fn settled(admin: SocketAddr, last: u64) {
    let deadline = Instant::now() + PATIENCE;
    while !get(admin, "/api/refusals", &[]).text().contains(&format!("\"last\":{last}")) {
        assert!(Instant::now() < deadline, "the console does not know of {last} refusals");
    }
}

struct Watch {
    child: Child,
    out: BufReader<std::process::ChildStdout>,
}

impl Watch {
    fn start(admin: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new(binary());
        command.args(["watch", "--admin", admin]).args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        Self { child, out }
    }

    fn line(&mut self) -> Value {
        let mut line = String::new();
        self.out.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
    }

    fn interrupt(mut self) -> (ExitStatus, String) {
        let id = i32::try_from(self.child.id()).unwrap();
        Command::new("kill").args(["-INT", &id.to_string()]).status().unwrap();
        let mut error = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut error).unwrap();
        (self.child.wait().unwrap(), error)
    }
}

#[test]
fn a_pipe_gets_json_lines_of_what_was_and_what_comes() {
    let (_origin, program) = program();
    let admin = program.admin.unwrap();
    refuse(&program, "TRACE");
    refuse(&program, "CONNECT");
    settled(admin, 2);
    let mut watch = Watch::start(&admin.to_string(), &["--last", "1"]);
    assert_eq!(watch.line()["seq"], 2);
    refuse(&program, "TRACE");
    let record = watch.line();
    assert_eq!(
        (&record["seq"], &record["reason"], &record["path"]),
        (&3.into(), &"method_refused".into(), &"/TRACE".into())
    );
    let (status, error) = watch.interrupt();
    assert_eq!((status.code(), error.as_str()), (Some(0), ""));
}

#[test]
fn filters_are_the_console_s() {
    let (_origin, program) = program();
    let admin = format!("http://{}", program.admin.unwrap());
    let mut watch = Watch::start(&admin, &["--path", "/TR*", "--status", "405", "--reason", "method_refused"]);
    // It follows once it has the console's answer; what came before is among the last.
    refuse(&program, "CONNECT");
    refuse(&program, "TRACE");
    assert_eq!(watch.line()["path"], "/TRACE");
    watch.interrupt();
}

#[test]
fn a_lost_connection_is_taken_up_again_without_a_gap() {
    let (_origin, program) = program();
    // A hop that can be cut: everything between watch and console goes through it.
    let hop = Hop::to(program.admin.unwrap());
    refuse(&program, "TRACE");
    settled(program.admin.unwrap(), 1);
    let mut watch = Watch::start(&format!("http://{}", hop.address), &[]);
    assert_eq!(watch.line()["seq"], 1);
    refuse(&program, "TRACE");
    assert_eq!(watch.line()["seq"], 2);
    hop.cut();
    refuse(&program, "TRACE");
    refuse(&program, "TRACE");
    assert_eq!((watch.line()["seq"].clone(), watch.line()["seq"].clone()), (3.into(), 4.into()));
    let (status, error) = watch.interrupt();
    assert_eq!(status.code(), Some(0));
    assert!(error.contains("trying again") && error.contains("following again"), "{error}");
}

#[test]
fn a_restart_of_the_proxy_hides_nothing_and_is_told() {
    let origin = Origin::ok();
    let admin = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let start = || Program::before(&origin.url(), &["--admin", &admin.to_string()]);
    let program = start();
    refuse(&program, "TRACE");
    settled(admin, 1);
    let mut watch = Watch::start(&admin.to_string(), &[]);
    assert_eq!(watch.line()["seq"], 1);
    drop(program);
    // As many refusals as before: by their numbers alone nobody could tell.
    let program = start();
    refuse(&program, "CONNECT");
    refuse(&program, "TRACE");
    let (one, two) = (watch.line(), watch.line());
    assert_eq!((&one["seq"], &one["path"]), (&1.into(), &"/CONNECT".into()));
    assert_eq!((&two["seq"], &two["path"]), (&2.into(), &"/TRACE".into()));
    let (status, error) = watch.interrupt();
    assert_eq!(status.code(), Some(0));
    assert!(error.contains("the proxy was started anew at 2"), "{error}");
}

#[test]
fn nobody_left_to_read_ends_it() {
    let (_origin, program) = program();
    let admin = program.admin.unwrap();
    for command in ["exec true", "exec head -n 1"] {
        refuse(&program, "TRACE");
        let line = format!("{} watch --admin {admin} | {{ {command}; }}", binary());
        let mut shell = Command::new("sh").args(["-c", &line]).stdout(Stdio::null()).spawn().unwrap();
        let deadline = Instant::now() + PATIENCE;
        while shell.try_wait().unwrap().is_none() {
            assert!(Instant::now() < deadline, "`{line}` goes on with nobody to read it");
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }
}

#[test]
fn where_nothing_answers_it_says_so_and_what_to_do() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (admin, code, wanted) in [
        (nobody.to_string(), 1, "kubectl port-forward"),
        ("ftp://x".to_owned(), 2, "http://127.0.0.1:9092"),
        ("off".to_owned(), 2, "the console is off"),
    ] {
        let output = Command::new(binary()).args(["watch", "--admin", &admin]).output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{error}");
        assert!(error.contains(wanted), "{error}");
    }
    let (_origin, program) = program();
    let admin = program.admin.unwrap().to_string();
    let output = Command::new(binary()).args(["watch", "--admin", &admin, "--reason", "nope"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().contains("token_expired"));
}

#[test]
fn a_terminal_gets_columns_and_colour() {
    if !Path::new("/usr/bin/tmux").exists() {
        println!("skipped: tmux is not installed");
        return;
    }
    let (_origin, program) = program();
    let admin = program.admin.unwrap();
    refuse(&program, "TRACE");
    settled(admin, 1);
    let terminal = Terminal::start(&format!("env -u NO_COLOR {} watch --admin {admin}", binary()));
    let shown = terminal.wait_for("/TRACE", false);
    let line = shown.lines().find(|line| line.contains("/TRACE")).unwrap();
    assert!(line.contains(" 405 proxy      method_refused ") && line.contains("127.0.0.1"), "{shown}");
    assert!(line.chars().count() <= 100, "{shown}");
    refuse(&program, "CONNECT");
    let coloured = terminal.wait_for("/CONNECT", true);
    assert!(coloured.contains("\u{1b}[34m"), "{coloured}");
    let plain = Terminal::start(&format!("env NO_COLOR=1 {} watch --admin {admin}", binary()));
    assert!(!plain.wait_for("/CONNECT", true).contains("\u{1b}[34m"));
}

/// A real terminal of 100 columns.
struct Terminal(String);

impl Terminal {
    fn start(command: &str) -> Self {
        static NUMBER: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let terminal = Self(format!("gtp-test-{}-{number}", std::process::id()));
        terminal.tell(&["-f", "/dev/null", "new-session", "-d", "-x", "100", "-y", "30", command]);
        terminal
    }

    fn tell(&self, arguments: &[&str]) -> String {
        let output = Command::new("tmux").args(["-L", &self.0]).args(arguments).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    fn wait_for(&self, wanted: &str, colours: bool) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let shown = self.tell(if colours { &["capture-pane", "-p", "-e"] } else { &["capture-pane", "-p"] });
            if shown.contains(wanted) {
                return shown;
            }
            assert!(Instant::now() < deadline, "`{wanted}` was never shown:\n{shown}");
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.tell(&["kill-server"]);
    }
}

/// Passes bytes on, until it is cut.
struct Hop {
    address: SocketAddr,
    open: std::sync::Arc<std::sync::Mutex<Vec<std::net::TcpStream>>>,
}

impl Hop {
    fn to(target: SocketAddr) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let open = std::sync::Arc::<std::sync::Mutex<Vec<std::net::TcpStream>>>::default();
        let kept = std::sync::Arc::clone(&open);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let client = client.unwrap();
                let server = std::net::TcpStream::connect(target).unwrap();
                kept.lock().unwrap().extend([client.try_clone().unwrap(), server.try_clone().unwrap()]);
                for (mut from, mut to) in [(client.try_clone().unwrap(), server.try_clone().unwrap()), (server, client)]
                {
                    std::thread::spawn(move || std::io::copy(&mut from, &mut to));
                }
            }
        });
        Self { address, open }
    }

    fn cut(&self) {
        for stream in self.open.lock().unwrap().drain(..) {
            let _ = stream.shutdown(std::net::Shutdown::Both);
        }
    }
}
