//! The real program, started on free ports, ended by its own process id.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

/// How long a test waits for something that must come.
pub const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Default)]
struct Output {
    lines: Mutex<Vec<String>>,
    grown: Condvar,
}

/// The program under test: what cargo has built, or another build of the same (`GTP_BINARY`), as a release is.
pub fn binary() -> &'static str {
    static NAMED: OnceLock<Option<String>> = OnceLock::new();
    let named = NAMED.get_or_init(|| std::env::var("GTP_BINARY").ok());
    named.as_deref().unwrap_or(env!("CARGO_BIN_EXE_grafana-token-proxy"))
}

/// A running `grafana-token-proxy run`.
pub struct Program {
    child: Child,
    output: Arc<Output>,
    pub data: SocketAddr,
    pub telemetry: SocketAddr,
    pub admin: Option<SocketAddr>,
}

impl Program {
    /// Starts the program before `upstream` with further arguments.
    pub fn before(upstream: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new(binary());
        command.args(["run", "--upstream", upstream, "--listen", "127.0.0.1:0", "--telemetry", "127.0.0.1:0"]);
        command.args(["--log-format", "json"]).args(arguments);
        for (flag, value) in [("--workers", "2"), ("--admin", "127.0.0.1:0")] {
            if !arguments.contains(&flag) {
                command.args([flag, value]);
            }
        }
        Self::start(command)
    }

    pub fn start(command: Command) -> Self {
        Self::start_with(command, &[])
    }

    /// Starts it with these variables.
    pub fn start_with(mut command: Command, variables: &[(&str, &str)]) -> Self {
        // What is meant for the tests is none of its settings.
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("GTP_")) {
            command.env_remove(name);
        }
        command.envs(variables.iter().copied());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let output = Arc::<Output>::default();
        collect(child.stdout.take().unwrap(), Arc::clone(&output));
        collect(child.stderr.take().unwrap(), Arc::clone(&output));
        let unset = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut program = Self { child, output, data: unset, telemetry: unset, admin: None };
        let line = program.wait_for_line(|line| line["event"] == "listening");
        program.data = line["data"].as_str().unwrap().split(',').next().unwrap().parse().unwrap();
        program.telemetry = line["telemetry"].as_str().unwrap().parse().unwrap();
        program.admin = line["admin"].as_str().unwrap().parse().ok();
        program
    }

    /// All lines written so far.
    pub fn lines(&self) -> Vec<String> {
        self.output.lines.lock().unwrap().clone()
    }

    /// Waits for a JSON line that fits.
    pub fn wait_for_line(&self, fits: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + PATIENCE;
        let mut lines = self.output.lines.lock().unwrap();
        let mut read = 0;
        loop {
            for line in &lines[read..] {
                if let Some(value) = serde_json::from_str::<Value>(line).ok().filter(&fits) {
                    return value;
                }
            }
            read = lines.len();
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "the line did not come; there are:\n{}", lines.join("\n"));
            lines = self.output.grown.wait_timeout(lines, left).unwrap().0;
        }
    }

    /// The log line of the request with this id.
    pub fn refusal(&self, request_id: &str) -> Value {
        self.wait_for_line(|line| line["event"] == "request_refused" && line["request_id"] == request_id)
    }

    /// What `/metrics` says now.
    pub fn metrics(&self) -> String {
        super::get(self.telemetry, "/metrics", &[]).text()
    }

    /// The value of one metric line, which begins with `name`.
    pub fn metric(&self, name: &str) -> Option<f64> {
        let text = self.metrics();
        let line = text.lines().find(|line| line.starts_with(name) && line[name.len()..].starts_with(' '))?;
        line.rsplit(' ').next()?.parse().ok()
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal by its name.
    pub fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args([format!("-{name}"), id]).status().unwrap().success());
    }

    /// Waits until the program has ended, and returns its exit code.
    pub fn wait(&mut self) -> Option<i32> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            thread::yield_now();
        }
        panic!("the program did not end");
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn collect(stream: impl std::io::Read + Send + 'static, output: Arc<Output>) {
    thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            output.lines.lock().unwrap().push(line);
            output.grown.notify_all();
        }
    });
}
