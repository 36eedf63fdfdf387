//! The console's API: what it tells, whom it tells it, and what it costs those who do not read.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::program::PATIENCE;
use crate::support::wire::connect;
use crate::support::{Answer, Origin, Program, TOKEN, ask, get};

const EXPIRED: &str = r#"{"message":"Expired API key","messageId":"api-key.expired","statusCode":401,"traceID":""}"#;

/// Refuses the token where the path says so.
fn grafana() -> Origin {
    Origin::new(|seen, stream| {
        let (status, body) =
            if seen.lines[0].contains("/expired") { ("401 Unauthorized", EXPIRED) } else { ("200 OK", "[]") };
        let length = body.len();
        write!(stream, "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}")
            .is_ok()
    })
}

fn json(address: SocketAddr, path: &str) -> Value {
    let answer = get(address, path, &[]);
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")), "{}", answer.text());
    serde_json::from_str(&answer.text()).unwrap()
}

fn refuse(program: &Program, path: &str) -> Answer {
    let answer = get(program.data, path, &[&format!("Authorization: Bearer {TOKEN}")]);
    assert!(answer.reason().is_some());
    answer
}

/// Waits until the console knows of so many refusals.
fn settled(admin: SocketAddr, last: u64) -> Value {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let told = json(admin, "/api/refusals");
        if told["last"].as_u64().unwrap() >= last {
            return told;
        }
        assert!(Instant::now() < deadline, "the console does not know of {last} refusals: {told}");
    }
}

/// A reader of the stream, and what has come.
struct Reader {
    stream: std::net::TcpStream,
    seen: String,
}

impl Reader {
    fn follow(admin: SocketAddr, query: &str, line: &str) -> Self {
        let mut stream = connect(admin);
        write!(stream, "GET /api/refusals/stream{query} HTTP/1.1\r\nHost: {admin}\r\n{line}\r\n").unwrap();
        let mut reader = Self { stream, seen: String::new() };
        reader.until("retry: 2000");
        reader
    }

    fn until(&mut self, wanted: &str) -> &str {
        let mut piece = [0; 4096];
        while !self.seen.contains(wanted) {
            let count = self.stream.read(&mut piece).unwrap();
            assert!(count > 0, "closed before `{wanted}`: {}", self.seen);
            self.seen.push_str(&String::from_utf8_lossy(&piece[..count]));
        }
        &self.seen
    }
}

#[test]
fn refusals_are_told_as_in_the_log_and_filtered() {
    let origin = grafana();
    let program = Program::before(&origin.url(), &[]);
    let admin = program.admin.unwrap();
    let id = refuse(&program, "/api/expired").header("x-request-id").unwrap().to_owned();
    assert_eq!(ask(program.data, "GET / HTTP/1.1\r\n\r\n").unwrap().status, 400);
    let told = settled(admin, 2);
    let log = program.refusal(&id);
    let record = &told["refusals"][1];
    for (key, value) in log.as_object().unwrap() {
        assert_eq!(&record[key], value, "{key}");
    }
    assert_eq!((&record["seq"], &told["kept"]), (&1.into(), &2.into()));
    let minutes = told["minutes"].as_array().unwrap();
    assert_eq!(minutes.len(), 60);
    let sum = |reason: &str| minutes.iter().filter_map(|minute| minute["counts"][reason].as_u64()).sum::<u64>();
    assert_eq!((sum("token_expired"), sum("head_malformed")), (1, 1));
    let count = |query: &str| json(admin, &format!("/api/refusals?{query}"))["refusals"].as_array().unwrap().len();
    let print = log["token_fingerprint"].as_str().unwrap();
    for (query, wanted) in [
        ("reason=token_expired", 1),
        ("status=400", 1),
        ("source=client", 1),
        ("source=hop", 0),
        (&format!("token={print}"), 1),
        ("token=nobody", 0),
        ("path=/api/*", 1),
        ("path=/api", 0),
        ("limit=1", 1),
        ("last=1", 1),
        ("reason=&status=&path=", 2),
    ] {
        assert_eq!(count(query), wanted, "{query}");
    }
    for query in ["reason=x", "status=x", "other=1"] {
        let answer = get(admin, &format!("/api/refusals?{query}"), &[]);
        assert_eq!(answer.status, 400);
        assert!(serde_json::from_str::<Value>(&answer.text()).unwrap()["error"].is_string());
    }
}

#[test]
fn tokens_show_their_last_outcome_and_what_is_left_to_them() {
    let origin = grafana();
    let program = Program::before(&origin.url(), &["--rate", "1/m", "--burst", "5"]);
    let admin = program.admin.unwrap();
    assert_eq!(get(program.data, "/api/org", &[&format!("Authorization: {TOKEN}")]).status, 200);
    refuse(&program, "/api/expired");
    let told = json(admin, "/api/tokens");
    let token = &told["tokens"][0];
    assert_eq!(told["tokens"].as_array().unwrap().len(), 1);
    assert_eq!(
        (&token["last_reason"], &token["last_status"], &token["is_refused"]),
        (&"token_expired".into(), &401.into(), &true.into())
    );
    assert_eq!((&token["served"], &token["refused"]), (&1.into(), &1.into()));
    // A look takes nothing.
    for _ in 0..3 {
        assert_eq!(
            json(admin, "/api/tokens")["tokens"][0]["limit"],
            serde_json::json!({"policy": "token", "remaining": 3, "burst": 5})
        );
    }
}

#[test]
fn the_configuration_is_shown_with_who_set_it() {
    let origin = grafana();
    let program = Program::before(&origin.url(), &["--org", "7"]);
    let told = json(program.admin.unwrap(), "/api/config");
    let find = |key: &str| told["config"].as_array().unwrap().iter().find(|row| row["key"] == key).unwrap().clone();
    assert_eq!((&find("org.default")["value"], &find("org.default")["origin"]), (&"7".into(), &"flag --org".into()));
    assert_eq!(find("http.max_headers")["origin"], "default");
}

#[test]
fn a_stream_tells_what_comes_and_what_was_missed() {
    let origin = grafana();
    let program = Program::before(&origin.url(), &[]);
    let admin = program.admin.unwrap();
    refuse(&program, "/api/expired/one");
    settled(admin, 1);
    let mut fresh = Reader::follow(admin, "", "");
    let mut again = Reader::follow(admin, "?reason=token_expired", "Last-Event-ID: 0\r\n");
    let mut other = Reader::follow(admin, "?source=proxy", "Last-Event-ID: 0\r\n");
    assert!(again.until("/api/expired/one").contains("-1\nevent: refusal\ndata: {\"seq\":1,"));
    refuse(&program, "/api/expired/two");
    assert!(!fresh.until("/api/expired/two").contains("/api/expired/one"));
    again.until("/api/expired/two");
    assert_eq!(ask(program.data, "TRACE / HTTP/1.1\r\nHost: g\r\n\r\n").unwrap().reason(), Some("method_refused"));
    assert!(!other.until("method_refused").contains("token_expired"));
    // Of another life of the program: all that is kept, and that it is another.
    let told = settled(admin, 3);
    let mut stale = Reader::follow(admin, "?last=1-3", "");
    let since = told["since"].as_str().unwrap();
    let all = stale.until("method_refused");
    assert!(all.contains(&format!("event: restart\ndata: {{\"since\":\"{since}\"}}")), "{all}");
    assert!(all.contains("/api/expired/one") && all.contains("/api/expired/two"), "{all}");
    let cursor = told["cursor"].as_str().unwrap().to_owned();
    let mut exact = Reader::follow(admin, &format!("?last={cursor}"), "");
    refuse(&program, "/api/expired/three");
    let all = exact.until("/api/expired/three");
    assert!(!all.contains("restart") && !all.contains("gap") && !all.contains("method_refused"), "{all}");
}

#[test]
fn readers_are_bounded_and_one_that_does_not_read_holds_nobody_up() {
    let origin = grafana();
    let program = Program::before(&origin.url(), &["--rate", "100000/s", "--burst", "100000"]);
    let admin = program.admin.unwrap();
    let readers: Vec<_> = (0..16).map(|_| Reader::follow(admin, "", "")).collect();
    let answer = get(admin, "/api/refusals/stream", &[]);
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("5")));
    // Nobody reads: requests are answered all the same, and each is counted.
    for _ in 0..2000 {
        refuse(&program, "/api/expired");
    }
    settled(admin, 2000);
    let told = json(admin, "/api/refusals");
    assert!(told["refusals"].as_array().unwrap().len() < 1000, "a flood takes all the room");
    drop(readers);
    // Their places come back.
    let deadline = Instant::now() + Duration::from_secs(20);
    while get(admin, "/api/refusals/stream?last=x", &[]).status != 400 || !has_room(admin) {
        assert!(Instant::now() < deadline, "places are not given back");
        refuse(&program, "/api/expired");
    }
}

fn has_room(admin: SocketAddr) -> bool {
    let mut stream = connect(admin);
    write!(stream, "GET /api/refusals/stream HTTP/1.1\r\nHost: {admin}\r\n\r\n").unwrap();
    let mut piece = [0; 12];
    stream.read_exact(&mut piece).unwrap();
    &piece == b"HTTP/1.1 200"
}

#[test]
fn only_who_sits_here_may_ask_and_nothing_changes() {
    let origin = grafana();
    let program = Program::before(&origin.url(), &[]);
    let admin = program.admin.unwrap();
    for path in ["/", "/api/refusals", "/api/refusals/stream", "/api/tokens", "/api/config", "/page.js", "/else"] {
        for host in ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:9092"] {
            let answer = ask(admin, format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n")).unwrap();
            assert_eq!(answer.status, 403, "{path} {host}");
            assert!(answer.text().contains("rebinding") && !answer.text().contains("refusals"), "{}", answer.text());
        }
        let answer = ask(admin, format!("GET http://evil.example{path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")).unwrap();
        assert_eq!(answer.status, 403, "{path}");
        for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
            let answer = ask(
                admin,
                format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nOrigin: http://evil.example\r\n\r\n"),
            )
            .unwrap();
            assert_eq!((answer.status, answer.header("allow")), (405, Some("GET, HEAD")), "{method} {path}");
        }
    }
    for path in ["/", "/api/refusals", "/api/tokens", "/api/config", "/page.js", "/page.css", "/else"] {
        let answer = get(admin, path, &["Origin: http://evil.example"]);
        assert_eq!(answer.header("access-control-allow-origin"), None, "{path}");
        let policy = answer.header("content-security-policy").unwrap();
        for part in ["default-src 'none'", "script-src 'self';", "style-src 'self';", "frame-ancestors 'none'"] {
            assert!(policy.contains(part) && !policy.contains("unsafe"), "{policy}");
        }
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    }
    let script = get(admin, "/page.js", &[]);
    let tag = format!("If-None-Match: {}", script.header("etag").unwrap());
    assert_eq!(get(admin, "/page.js", &[&tag]).status, 304);
    assert_eq!(ask(admin, format!("HEAD / HTTP/1.1\r\nHost: {admin}\r\n\r\n")).unwrap().status, 200);
}

#[test]
fn the_console_can_be_switched_off() {
    let origin = grafana();
    let program = Program::before(&origin.url(), &["--admin", "off"]);
    assert_eq!(program.admin, None);
    refuse(&program, "/api/expired");
}
