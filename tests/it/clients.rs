//! Real programs as clients and as hops, from packages; a missing one is said, and its test skipped.

use std::io::Write;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use crate::support::{Origin, Program, TOKEN, get};

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

#[test]
fn curl_uploads_downloads_and_follows_the_words_of_a_refusal() {
    let Some(curl) = installed("curl", "curl") else { return };
    let origin = Origin::new(|seen, stream| {
        let body = format!("{} bytes", seen.body.len());
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).is_ok()
    });
    let program = Program::before(&origin.url(), &["--rate", "1/h", "--burst", "2"]);
    let url = format!("http://{}/api/upload", program.data);
    let ask = |arguments: &[&str]| {
        let mut command = Command::new(&curl);
        command.args(["-sS", "--max-time", "20", "-H", &format!("Authorization: {TOKEN}")]).args(arguments).arg(&url);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(&vec![b'x'; 3 * 1024 * 1024]).unwrap();
    // A body of this size makes curl ask first: Expect: 100-continue.
    assert_eq!(ask(&["--data-binary", &format!("@{}", file.path().display())]), "3145728 bytes");
    assert_eq!(ask(&["-H", "Transfer-Encoding: chunked", "--data-binary", "abc"]), "3 bytes");
    let refused = ask(&["-i"]);
    assert!(
        refused.starts_with("HTTP/1.1 429") && refused.contains("x-token-proxy-reason: token_rate_limited"),
        "{refused}"
    );
    assert_eq!(origin.last().all("authorization"), [format!("Bearer {TOKEN}")]);
}

/// A running nginx, ended with the test.
struct Nginx {
    child: Child,
    url: String,
    _folder: tempfile::TempDir,
}

impl Nginx {
    fn before(origin: &Origin, inside: &str) -> Option<Self> {
        let program = installed("nginx", "nginx")?;
        let folder = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let place = folder.path().display();
        std::fs::write(folder.path().join("users"), "admin:{PLAIN}admin\n").unwrap();
        let configuration = format!(
            "daemon off; master_process off; pid {place}/pid; error_log stderr crit; events {{ }}\n\
             http {{ access_log off; client_body_temp_path {place}/a; proxy_temp_path {place}/b; fastcgi_temp_path {place}/c; \
             uwsgi_temp_path {place}/d; scgi_temp_path {place}/e;\n\
             server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass {}; {} }} }} }}\n",
            origin.url(),
            inside.replace("USERS", &format!("{place}/users"))
        );
        let file = folder.path().join("nginx.conf");
        std::fs::write(&file, configuration).unwrap();
        let child = Command::new(program).arg("-c").arg(&file).stderr(Stdio::inherit()).spawn().unwrap();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            std::thread::yield_now();
        }
        Some(Self { child, url: format!("http://127.0.0.1:{port}"), _folder: folder })
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn unauthorized() -> Origin {
    let body = "{\"extra\":null,\"message\":\"Unauthorized\",\"messageId\":\"auth.unauthorized\",\"statusCode\":401,\"traceID\":\"\"}\n";
    Origin::answering(format!(
        "HTTP/1.1 401 Unauthorized\r\nCache-Control: no-store\r\nContent-Type: application/json; charset=UTF-8\r\nX-Content-Type-Options: nosniff\r\n\
         X-Frame-Options: deny\r\nX-Xss-Protection: 1; mode=block\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    ))
}

#[test]
fn a_real_nginx_that_asks_for_a_password_is_found_out() {
    let origin = Origin::ok();
    let Some(nginx) = Nginx::before(&origin, "auth_basic \"Restricted\"; auth_basic_user_file USERS;") else { return };
    let program = Program::before(&nginx.url, &[]);
    let answer = get(program.data, "/api/org", &[&format!("Authorization: Bearer {TOKEN}")]);
    assert_eq!((answer.status, answer.reason()), (401, Some("hop_unauthorized")));
    let line = program.refusal(answer.header("x-request-id").unwrap());
    assert!(line["detail"].as_str().unwrap().contains("nginx"), "{line}");
    assert_eq!(origin.count(), 0);
}

#[test]
fn a_real_nginx_that_eats_the_header_is_not_blamed_on_the_client() {
    let origin = unauthorized();
    let Some(nginx) = Nginx::before(&origin, "proxy_set_header Authorization \"\";") else { return };
    let program = Program::before(&nginx.url, &[]);
    let answer = get(program.data, "/api/org", &[&format!("Authorization: Bearer {TOKEN}")]);
    assert_eq!(origin.last().header("authorization"), None);
    assert_eq!((answer.status, answer.reason()), (401, Some("credential_not_recognised")));
    let line = program.refusal(answer.header("x-request-id").unwrap());
    assert!(line["hint"].as_str().unwrap().contains("between"), "{line}");
}
