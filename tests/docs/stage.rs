//! Where the commands of a page are run: a folder of their own, ports of their own, a stand-in for Grafana.

use std::fs;
use std::net::TcpStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::grafana;
use super::ports::{free, names_after, replace_port};

/// How long a command may take, and how long one that serves may take to begin.
const PATIENCE: Duration = Duration::from_secs(90);

/// The ports that the pages speak of; the first is Grafana's, which the stand-in serves.
const PORTS: [u16; 5] = [3000, 3001, 9091, 9092, 6379];

/// Paths of mounted files that the pages speak of: they are looked for in the folder.
const MOUNTED: [&str; 3] = ["/etc/gtp/", "/var/run/secrets/", "/etc/grafana-token-proxy/"];

/// Programs without which a block is skipped.
const TOOLS: [&str; 5] = ["curl", "jq", "openssl", "redis-server", "promtool"];

pub(crate) struct Stage {
    folder: tempfile::TempDir,
    ports: Vec<(u16, u16)>,
    serving: Option<Child>,
    /// Assignments hold for the commands after them, as in the terminal of a reader.
    assignments: String,
}

impl Stage {
    pub(crate) fn set() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listeners: Vec<_> = PORTS.iter().map(|_| free()).collect();
        let ports = PORTS.iter().zip(&listeners).map(|(port, own)| (*port, own.local_addr().unwrap().port())).collect();
        grafana::serve(listeners.into_iter().next().unwrap());
        let stage = Self { folder, ports, serving: None, assignments: String::new() };
        stage.write("token", grafana::TOKEN);
        stage.write(".curlrc", "silent\nshow-error\n");
        let bin = stage.path().join("bin");
        fs::create_dir_all(&bin).unwrap();
        let program = env!("CARGO_BIN_EXE_grafana-token-proxy");
        std::os::unix::fs::symlink(program, bin.join("grafana-token-proxy")).unwrap();
        stage
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file of the page; what it says about ports and mounted files is turned to those of this stage.
    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path().join(name);
        fs::write(&path, self.turned(text)).unwrap();
        path
    }

    /// The text with the ports and mounted files of this stage, which are made.
    pub(crate) fn turned(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (port, own) in &self.ports {
            text = replace_port(&text, *port, *own);
        }
        for mount in MOUNTED {
            for name in names_after(&text, mount) {
                self.mount(&format!("{mount}{name}"));
            }
            text = text.replace(mount, &format!("{}{mount}", self.path().display()));
        }
        text
    }

    /// What was printed, with the ports and the folder that the page speaks of.
    pub(crate) fn turned_back(&self, text: &str) -> String {
        let mut text = text.replace(&self.path().display().to_string(), "");
        for (port, own) in &self.ports {
            text = replace_port(&text, *own, *port);
        }
        text
    }

    /// Makes a mounted file: a certificate and its key where it is called so, else a token.
    fn mount(&self, name: &str) {
        let path = self.path().join(name.trim_start_matches('/'));
        if path.exists() {
            return;
        }
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let is = |wanted: &str| path.extension().is_some_and(|extension| extension == wanted);
        if is("crt") || is("key") {
            let (key, certificate) = (path.with_extension("key"), path.with_extension("crt"));
            let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
            fs::write(key, made.signing_key.serialize_pem()).unwrap();
            fs::write(certificate, made.cert.pem()).unwrap();
        } else {
            // Each name is another token: two callers with one token are a mistake.
            fs::write(&path, format!("a-secret-of-the-documentation-{}", name.replace('/', "-"))).unwrap();
        }
    }

    /// The programs that this text calls and that are not there.
    pub(crate) fn missing(text: &str) -> Vec<&'static str> {
        let words: Vec<&str> = text.split(|character: char| !character.is_alphanumeric() && character != '-').collect();
        let absent = |tool: &&'static str| {
            words.contains(tool)
                && !Command::new("sh")
                    .args(["-c", &format!("command -v {tool}")])
                    .stdout(Stdio::null())
                    .status()
                    .unwrap()
                    .success()
        };
        TOOLS.iter().copied().filter(absent).collect()
    }

    fn command(&mut self, text: &str) -> Command {
        let text = self.turned(text);
        let script = format!("set -e\n{}{text}", self.assignments);
        // `NAME=value program` holds for that program alone.
        let is_assignment = |line: &&str| {
            let name = line.split_once('=').filter(|(_, value)| !value.contains(" grafana-token-proxy "));
            name.is_some_and(|(name, _)| {
                !name.is_empty() && name.chars().all(|character| character.is_ascii_uppercase() || character == '_')
            })
        };
        for line in text.lines().filter(is_assignment) {
            self.assignments.push_str(line);
            self.assignments.push('\n');
        }
        let mut command = Command::new("timeout");
        command.args([&PATIENCE.as_secs().to_string(), "sh", "-c", &script]).current_dir(self.path());
        let path = format!("{}:{}", self.path().join("bin").display(), std::env::var("PATH").unwrap());
        let port = |port: u16| format!("127.0.0.1:{}", self.port(port));
        command.env_clear().env("PATH", path).env("HOME", self.path()).env("TMPDIR", self.path());
        command.envs([("GTP_LISTEN", port(3001)), ("GTP_TELEMETRY", port(9091)), ("GTP_ADMIN", port(9092))]);
        command.envs(std::env::var_os("LLVM_PROFILE_FILE").map(|file| ("LLVM_PROFILE_FILE", file)));
        command.stdin(Stdio::null());
        command
    }

    fn port(&self, wanted: u16) -> u16 {
        self.ports.iter().find(|(port, _)| *port == wanted).unwrap().1
    }

    /// Runs the commands to their end.
    pub(crate) fn run(&mut self, text: &str) -> Output {
        self.command(text).output().unwrap()
    }

    /// Starts what serves, and waits until it does.
    pub(crate) fn serve(&mut self, text: &str) {
        self.end();
        let output = self.path().join("serving.log");
        let log = fs::File::create(&output).unwrap();
        let mut command = self.command(text);
        // No time limit of its own, and a group of its own, by which it is ended.
        let script = command.get_args().last().unwrap().to_owned();
        let mut shell = Command::new("sh");
        shell.args(["-c".as_ref(), script.as_os_str()]).current_dir(self.path()).env_clear();
        shell.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        shell.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).process_group(0);
        command = shell;
        self.serving = Some(command.spawn().unwrap());
        let demo = text.contains("grafana-token-proxy demo");
        let address = ("127.0.0.1", self.port(if text.contains("grafana-token-proxy") { 3001 } else { 6379 }));
        let deadline = Instant::now() + PATIENCE;
        loop {
            let said = fs::read_to_string(&output).unwrap_or_default();
            let ready = if demo { said.contains("Serving until") } else { TcpStream::connect(address).is_ok() };
            if ready {
                return;
            }
            let ended = self.serving.as_mut().unwrap().try_wait().unwrap();
            assert!(ended.is_none() && Instant::now() < deadline, "{text}\ndoes not serve: {ended:?}\n{said}");
            thread::yield_now();
        }
    }

    /// Ends what serves, and waits until all of it is gone: the next one takes its ports and files.
    fn end(&mut self) {
        let Some(mut child) = self.serving.take() else { return };
        let group = format!("-{}", child.id());
        let signal = |name: &str| {
            let told = Command::new("kill").args([name, "--", &group]).stderr(Stdio::null()).status();
            told.is_ok_and(|status| status.success())
        };
        signal("-TERM");
        let _ = child.wait();
        let deadline = Instant::now() + PATIENCE;
        while signal("-0") {
            if Instant::now() > deadline {
                signal("-KILL");
            }
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.end();
    }
}
