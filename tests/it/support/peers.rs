//! Other people's proxies from packages, each with the configuration that a test writes; ended with the test.

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Where a program is, or a word that its test is skipped.
pub fn installed(name: &str, package: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into()]);
    let found = folders.map(|folder| folder.join(name)).find(|file| file.is_file());
    if found.is_none() {
        eprintln!("skipped: {name} is not installed (Debian: {package})");
    }
    found
}

/// A running proxy of somebody else.
pub struct Peer {
    child: Child,
    pub url: String,
    _folder: tempfile::TempDir,
}

impl Peer {
    /// nginx with this inside `server`; `USERS` is a file with a user `admin`. `None`, here and below: not installed.
    pub fn nginx(inside: &str) -> Option<Self> {
        Self::nginx_with("", inside)
    }

    /// The same, with this inside `http`.
    pub fn nginx_with(outside: &str, inside: &str) -> Option<Self> {
        let program = installed("nginx", "nginx")?;
        Some(Self::start(inside, |inside, place, port| {
            let configuration = format!(
                "daemon off; master_process off; pid {place}/pid; error_log stderr crit; events {{ }}\n\
                 http {{ access_log off; client_body_temp_path {place}/a; proxy_temp_path {place}/b; \
                 fastcgi_temp_path {place}/c; uwsgi_temp_path {place}/d; scgi_temp_path {place}/e; {outside}\n\
                 server {{ listen 127.0.0.1:{port}; {inside} }} }}\n"
            );
            let mut command = Command::new(program);
            command.arg("-c").arg(write(place, &configuration));
            command
        }))
    }

    /// HAProxy with this in a section that listens.
    pub fn haproxy(inside: &str) -> Option<Self> {
        let program = installed("haproxy", "haproxy")?;
        Some(Self::start(inside, |inside, place, port| {
            let configuration = format!(
                "defaults\n  mode http\n  timeout connect 5s\n  timeout client 60s\n  timeout server 60s\n\
                 listen test\n  bind 127.0.0.1:{port}\n  {}\n",
                inside.replace("; ", "\n  ")
            );
            let mut command = Command::new(program);
            // In the foreground, and quiet.
            command.args(["-db", "-q", "-f"]).arg(write(place, &configuration));
            command
        }))
    }

    /// Apache with this in the server's section; `USERS` as above, `PLACE` is a folder of the test's own.
    pub fn apache(inside: &str) -> Option<Self> {
        let program = installed("apache2", "apache2")?;
        let modules = "/usr/lib/apache2/modules";
        let loaded: String = [
            "mpm_event",
            "authn_core",
            "authn_file",
            "authz_core",
            "authz_user",
            "auth_basic",
            "headers",
            "rewrite",
            "proxy",
            "proxy_http",
            "cgid",
            "alias",
            "env",
        ]
        .map(|name| format!("LoadModule {name}_module {modules}/mod_{name}.so\n"))
        .concat();
        Some(Self::start(inside, |inside, place, port| {
            // Started as root, it wants somebody to become.
            let configuration = format!(
                "ServerRoot {place}\nServerName localhost\nListen 127.0.0.1:{port}\nPidFile {place}/pid\nErrorLog {place}/log\n\
                 LogLevel crit\n{loaded}ScriptSock {place}/cgi\nUser www-data\nGroup www-data\n{inside}\n"
            );
            let mut command = Command::new(program);
            command.args(["-DFOREGROUND", "-f"]).arg(write(place, &configuration));
            command
        }))
    }

    /// Prometheus, which scrapes these every second, with these rules.
    pub fn prometheus(targets: &[String], rules: &Path) -> Option<Self> {
        let program = installed("prometheus", "prometheus")?;
        let targets = targets.join(",");
        Some(Self::start(rules.to_str().unwrap(), |rules, place, port| {
            let configuration = format!(
                "global: {{ scrape_interval: 1s, evaluation_interval: 1s }}\nrule_files: [{rules}]\n\
                 scrape_configs: [{{ job_name: proxy, static_configs: [{{ targets: [{targets}] }}] }}]\n"
            );
            let mut command = Command::new(program);
            command.arg("--config.file").arg(write(place, &configuration)).args(["--log.level", "error"]);
            command
                .arg(format!("--storage.tsdb.path={place}/data"))
                .arg(format!("--web.listen-address=127.0.0.1:{port}"));
            command
        }))
    }

    fn start(inside: &str, command: impl FnOnce(&str, &str, u16) -> Command) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().to_str().unwrap();
        // Apache serves as another user than the one who made the folder.
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(place, open).unwrap();
        std::fs::write(folder.path().join("users"), "admin:{PLAIN}admin\n").unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let inside = inside.replace("USERS", &format!("{place}/users")).replace("PLACE", place);
        let mut command = command(&inside, place, port);
        let mut child = command.stderr(Stdio::inherit()).spawn().unwrap();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(child.try_wait().unwrap().is_none(), "it did not start: {command:?}");
            std::thread::yield_now();
        }
        Self { child, url: format!("http://127.0.0.1:{port}"), _folder: folder }
    }
}

fn write(place: &str, configuration: &str) -> PathBuf {
    let file = Path::new(place).join("configuration");
    std::fs::write(&file, configuration).unwrap();
    file
}

impl Drop for Peer {
    fn drop(&mut self) {
        // Politely, since HAProxy and Apache end processes of their own.
        let id = rustix::process::Pid::from_child(&self.child);
        let _ = rustix::process::kill_process(id, rustix::process::Signal::TERM);
        let _ = self.child.wait();
    }
}
