//! Real programs as clients and as hops, from packages; a missing one is said, and its test skipped.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::support::peers::{Peer, installed};
use crate::support::{Origin, Program, TOKEN, get};

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

fn nginx_before(origin: &Origin, inside: &str) -> Option<Peer> {
    Peer::nginx(&format!("location / {{ proxy_pass {}; {inside} }}", origin.url()))
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
    let Some(nginx) = nginx_before(&origin, "auth_basic \"Restricted\"; auth_basic_user_file USERS;") else { return };
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
    let Some(nginx) = nginx_before(&origin, "proxy_set_header Authorization \"\";") else { return };
    let program = Program::before(&nginx.url, &[]);
    let answer = get(program.data, "/api/org", &[&format!("Authorization: Bearer {TOKEN}")]);
    assert_eq!(origin.last().header("authorization"), None);
    assert_eq!((answer.status, answer.reason()), (401, Some("credential_not_recognised")));
    let line = program.refusal(answer.header("x-request-id").unwrap());
    assert!(line["hint"].as_str().unwrap().contains("between"), "{line}");
}

/// Python with the libraries that `./test` installs, or a word that its test is skipped.
fn library(name: &str) -> Option<PathBuf> {
    let found = std::env::var_os("GTP_CLIENTS").map(|folder| PathBuf::from(folder).join("bin").join(name));
    let found = found.filter(|file| file.is_file());
    if found.is_none() {
        eprintln!("skipped: {name} with its libraries is not installed (./test installs them)");
    }
    found
}

/// Runs a script, and returns what it prints.
fn run(command: &mut Command, script: &str) -> String {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{error}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Knows tokens, refuses passwords, and answers as Grafana does.
fn grafana() -> Origin {
    Origin::new(|seen, stream| {
        let (status, body) = match seen.header("authorization") {
            Some(value) if value.starts_with("Bearer ") => ("200 OK", r#"{"id":1,"name":"Main Org."}"#),
            Some(_) => (
                "401 Unauthorized",
                r#"{"message":"Invalid username or password","messageId":"password-auth.failed","statusCode":401,"traceID":""}"#,
            ),
            None => (
                "401 Unauthorized",
                r#"{"message":"Unauthorized","messageId":"auth.unauthorized","statusCode":401,"traceID":""}"#,
            ),
        };
        let length = body.len();
        write!(
            stream,
            "HTTP/1.1 {status}\r\nCache-Control: no-store\r\nContent-Type: application/json; charset=UTF-8\r\n\
             X-Content-Type-Options: nosniff\r\nContent-Length: {length}\r\n\r\n{body}"
        )
        .is_ok()
    })
}

#[test]
fn a_netrc_that_replaces_the_token_is_found_out() {
    let Some(python) = library("python") else { return };
    let origin = grafana();
    let program = Program::before(&origin.url(), &[]);
    let mut netrc = tempfile::NamedTempFile::new().unwrap();
    netrc.write_all(b"machine 127.0.0.1 login admin password old\n").unwrap();
    let script = format!(
        "import requests\n\
         answer = requests.get('http://{}/api/org', headers={{'Authorization': 'Bearer {TOKEN}'}})\n\
         print(answer.status_code, answer.headers.get('X-Token-Proxy-Reason'), answer.headers['X-Request-Id'])\n",
        program.data
    );
    let said = run(Command::new(&python).env("NETRC", netrc.path()), &script);
    let [status, reason, id] = said.split_whitespace().collect::<Vec<_>>()[..] else { panic!("{said}") };
    assert_eq!((status, reason), ("401", "password_wrong"));
    let line = program.refusal(id);
    assert!(line["detail"].as_str().unwrap().contains(".netrc"), "{line}");
    assert!(line["hint"].as_str().unwrap().contains("trust_env = False"), "{line}");
    // Without that file the same call goes through.
    assert!(run(Command::new(&python).env("NETRC", "/nowhere"), &script).starts_with("200 None"));
}

#[test]
fn the_python_client_of_grafana_works_and_its_errors_are_ours_to_explain() {
    let Some(python) = library("python") else { return };
    let origin = grafana();
    let program = Program::before(&origin.url(), &["--rate", "1/h", "--burst", "1"]);
    let script = format!(
        "from grafana_client import GrafanaApi, TokenAuth\n\
         from grafana_client.client import GrafanaClientError\n\
         grafana = GrafanaApi.from_url('http://{}', credential=TokenAuth('{TOKEN}'))\n\
         print(grafana.organization.get_current_organization()['name'])\n\
         try:\n    grafana.organization.get_current_organization()\n\
         except GrafanaClientError as error:\n    print(error.status_code, error.message)\n",
        program.data
    );
    let said = run(&mut Command::new(&python), &script);
    assert!(said.starts_with("Main Org.\n429 "), "{said}");
    // The client shows the body's message, so that is where the explanation must be.
    assert!(said.contains("Token over its rate"), "{said}");
    assert_eq!(origin.last().all("authorization"), [format!("Bearer {TOKEN}")]);
}

#[test]
fn the_mcp_server_of_grafana_works() {
    let Some(server) = library("mcp-grafana") else { return };
    let origin = Origin::answering("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n[]");
    let program = Program::before(&origin.url(), &[]);
    let mut child = Command::new(server)
        .args(["-t", "stdio"])
        .env("GRAFANA_URL", format!("http://{}", program.data))
        .env("GRAFANA_SERVICE_ACCOUNT_TOKEN", TOKEN)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    for line in [
        r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2024-11-05","capabilities":{},"clientInfo":{"name":"test","version":"1"}}}"#,
        r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#,
        r#"{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"search_dashboards","arguments":{"query":"x"}}}"#,
    ] {
        writeln!(input, "{line}").unwrap();
    }
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().unwrap()));
    let answer = lines.find(|line| line.as_ref().is_ok_and(|line| line.contains("\"id\":2"))).unwrap().unwrap();
    drop(input);
    let _ = child.wait();
    assert!(answer.contains("dashboards") && !answer.contains("isError"), "{answer}");
    assert!(origin.seen().iter().any(|seen| seen.lines[0].starts_with("GET /api/search?")));
    assert_eq!(origin.last().all("authorization"), [format!("Bearer {TOKEN}")]);
}

#[test]
fn fetch_of_node_works_with_keep_alive_streams_and_refusals() {
    let Some(node) = installed("node", "nodejs") else { return };
    let origin = grafana();
    let program = Program::before(&origin.url(), &[]);
    let script = format!(
        "const url = 'http://{}/api/org';\n\
         const ask = async (options) => {{ const answer = await fetch(url, options); \
         return [answer.status, answer.headers.get('x-token-proxy-reason'), (await answer.json()).message ?? 'fine'].join(' '); }};\n\
         (async () => {{ const headers = {{ Authorization: '{TOKEN}' }};\n\
         console.log(await ask({{ headers }}));\n\
         console.log(await ask({{}}));\n\
         console.log(await ask({{ headers, method: 'POST', duplex: 'half', body: new Blob(['x'.repeat(100000)]).stream() }})); }})();\n",
        program.data
    );
    let said = run(&mut Command::new(node), &script);
    assert_eq!(said, "200  fine\n401 credential_missing Unauthorized\n200  fine\n");
    assert_eq!(origin.last().body.len(), 100_000);
}
