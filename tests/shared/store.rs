//! A real `redis-server` on a free port of this machine, gone when it is dropped.

use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use grafana_token_proxy::limits::shared::{Address, DEADLINE, Lease, Settings, Shared, State};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// Whether the server can be had here. Says so where it cannot.
pub(crate) fn installed() -> bool {
    let found = Command::new("redis-server").arg("--version").stdout(Stdio::null()).status().is_ok();
    if !found {
        eprintln!("skipped: redis-server is not installed");
    }
    found
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

pub(crate) struct Store {
    child: Child,
    pub(crate) port: u16,
    pub(crate) folder: TempDir,
    options: Vec<String>,
    password: Option<String>,
}

impl Store {
    pub(crate) fn start(options: &[&str]) -> Self {
        Self::with_folder(tempfile::tempdir().unwrap(), options)
    }

    /// The same with files that were laid out before.
    pub(crate) fn with_folder(folder: TempDir, options: &[&str]) -> Self {
        let options: Vec<String> = options.iter().map(|option| (*option).to_owned()).collect();
        let password = options.iter().position(|option| option == "--requirepass").map(|at| options[at + 1].clone());
        // Another process may take a port between our look and the server's: try another then.
        for _ in 0..5 {
            let port = free_port();
            let mut child = spawn(&folder, port, &options);
            if answers(port, password.as_deref(), &mut child) {
                return Self { child, port, folder, options, password };
            }
            let _ = (child.kill(), child.wait());
        }
        panic!("redis-server does not start: {}", fs::read_to_string(folder.path().join("log")).unwrap_or_default());
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts again on the same port, with nothing in memory.
    pub(crate) fn restart(&mut self) {
        self.child = spawn(&self.folder, self.port, &self.options);
        assert!(answers(self.port, self.password.as_deref(), &mut self.child));
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    pub(crate) fn query<T: redis::FromRedisValue>(&self, words: &[&str]) -> T {
        let mut connection = connect(self.port, self.password.as_deref()).unwrap();
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]).query(&mut connection).unwrap()
    }

    /// Scripts that were run.
    pub(crate) fn scripts_run(&self) -> u64 {
        let text: String = self.query(&["INFO", "commandstats"]);
        let calls = |line: &str| -> Option<u64> {
            line.strip_prefix("cmdstat_eval")?.split_once(":calls=")?.1.split(',').next()?.parse().ok()
        };
        text.lines().filter_map(calls).sum()
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        let _ = (self.child.kill(), self.child.wait());
    }
}

fn spawn(folder: &TempDir, port: u16, options: &[String]) -> Child {
    let path = folder.path().to_str().unwrap();
    // With TLS, the plain port is of no use but to the test.
    Command::new("redis-server")
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
        .args(["--dir", path, "--logfile", &format!("{path}/log"), "--unixsocket", &format!("{path}/socket")])
        .args(options.iter().map(|option| option.replace("FOLDER", path)))
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

fn connect(port: u16, password: Option<&str>) -> redis::RedisResult<redis::Connection> {
    let credentials = password.map(|password| format!(":{password}@")).unwrap_or_default();
    redis::Client::open(format!("redis://{credentials}127.0.0.1:{port}/"))?.get_connection()
}

fn answers(port: u16, password: Option<&str>, child: &mut Child) -> bool {
    until(|| {
        child.try_wait().unwrap().is_some()
            || connect(port, password).is_ok_and(|mut open| redis::cmd("PING").exec(&mut open).is_ok())
    });
    child.try_wait().unwrap().is_none()
}

/// Looks again and again until something holds; for 20 seconds at most.
pub(crate) fn until(mut holds: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !holds() {
        assert!(begin.elapsed() < Duration::from_secs(20), "it does not come to pass");
        std::thread::sleep(Duration::from_millis(2));
    }
}

pub(crate) fn settings(url: &str, lease: Lease) -> Settings {
    Settings {
        address: Address::parse(url).unwrap(),
        authorities: None,
        lease,
        deadline: DEADLINE,
        max_tracked: 10_000,
    }
}

/// A replica that has found the store, with the deadline of the product: where the store fails.
pub(crate) fn replica(url: &str, lease: Lease) -> Shared {
    connected(settings(url, lease))
}

/// The same with patience: where the store does not fail, a busy machine must not look as if it did.
pub(crate) fn patient(url: &str, lease: Lease) -> Shared {
    connected(Settings { deadline: Duration::from_secs(5), ..settings(url, lease) })
}

pub(crate) fn connected(settings: Settings) -> Shared {
    let shared = Shared::start(settings).unwrap();
    until(|| shared.connected());
    assert_eq!(shared.state(), State::Shared);
    shared
}
