//! A chain to be doctored: hops in front of the proxy, the proxy, hops behind it, a Grafana that answers as 11.0 does.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::captures::{answer_bytes, exchanges};
use crate::support::hops::{Manners, hop};
use crate::support::origin::Seen;
use crate::support::{Origin, Program, TOKEN};

const NONE: &str =
    r#"{"extra":null,"message":"Unauthorized","messageId":"auth.unauthorized","statusCode":401,"traceID":""}"#;
const UNKNOWN: &str = r#"{"message":"Unauthorized","traceID":""}"#;
const PASSWORD: &str = r#"{"extra":null,"message":"Invalid username or password","messageId":"password-auth.failed","statusCode":401,"traceID":""}"#;

/// What Grafana answers to the right token, instead of its organisation.
#[derive(Clone, Default)]
pub struct Grafana {
    pub to_token: Option<Vec<u8>>,
    pub health: Option<&'static str>,
    pub anonymous: bool,
    pub organisation: Option<u32>,
}

impl Grafana {
    /// Answers the token as a real server did in this recording.
    pub fn recorded(version: &str, id: &str) -> Self {
        let fits = |exchange: &&Value| exchange["grafana"] == version && exchange["id"] == id;
        let exchanges = exchanges();
        let found = exchanges.iter().find(fits).unwrap_or_else(|| panic!("{version} {id} was not recorded"));
        Self { to_token: Some(answer_bytes(&found["response"], false)), ..Self::default() }
    }

    pub fn start(self) -> Origin {
        Origin::new(move |seen, stream| {
            let answer = self.answer(seen);
            stream.write_all(&answer).is_ok()
        })
    }

    fn answer(&self, seen: &Seen) -> Vec<u8> {
        let mut line = seen.lines[0].split(' ');
        let (method, path) = (line.next().unwrap(), line.next().unwrap());
        let given = seen.header("authorization");
        let basic = format!("Basic {}", STANDARD.encode(format!("api_key:{TOKEN}")));
        let known = given.as_ref().is_some_and(|value| *value == format!("Bearer {TOKEN}") || *value == basic);
        if path == "/api/health" && method == "GET" {
            return self.health.map_or_else(
                || json(200, "{\n  \"commit\": \"83b9528bce\",\n  \"database\": \"ok\",\n  \"version\": \"11.0.0\"\n}"),
                |raw| raw.as_bytes().to_vec(),
            );
        }
        if let (true, Some(answer)) = (known, &self.to_token) {
            return answer.clone();
        }
        let organisation = format!("{{\"id\":{},\"name\":\"Main Org.\"}}", self.organisation.unwrap_or(1));
        match (known || (self.anonymous && given.is_none()), path) {
            (true, "/api/org") => json(200, &organisation),
            (true, "/api/access-control/user/permissions") => {
                json(200, r#"{"orgs:read":[""],"dashboards:read":["dashboards:*"]}"#)
            }
            (true, "/api/live/ws") if seen.header("upgrade").is_some() => {
                // To the key that the doctor sends; HAProxy checks it.
                let accept = "Fjk6Mj4OJ3d6fdpxpPhh0QDNZpc=";
                format!("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n").into_bytes()
            }
            (true, "/api/live/ws") => {
                b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 12\r\n\r\nBad Request\n".to_vec()
            }
            (true, _) => json(404, r#"{"message":"Not found"}"#),
            (false, _) => json(401, refusal(given.as_deref(), seen.header("cookie").as_deref())),
        }
    }
}

fn refusal(given: Option<&str>, cookie: Option<&str>) -> &'static str {
    match given {
        Some(value) if value.starts_with("Bearer gl") => UNKNOWN,
        Some(value) if value.starts_with("Basic ") => PASSWORD,
        None if cookie.is_some_and(|cookie| cookie.contains("grafana_session=")) => UNKNOWN,
        _ => NONE,
    }
}

/// As Grafana's middleware writes it.
pub fn json(status: u16, body: &str) -> Vec<u8> {
    let date = httpdate::fmt_http_date(std::time::SystemTime::now());
    format!(
        "HTTP/1.1 {status} X\r\nCache-Control: no-store\r\nContent-Type: application/json; charset=UTF-8\r\n\
         X-Content-Type-Options: nosniff\r\nX-Frame-Options: deny\r\nX-Xss-Protection: 1; mode=block\r\nDate: {date}\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// One set-up, and what must be said of it.
pub struct Case {
    pub name: &'static str,
    pub front: Option<Manners>,
    pub back: Option<Manners>,
    pub grafana: Grafana,
    pub proxy: bool,
    pub direct: bool,
    pub token: Option<String>,
    pub proxy_arguments: Vec<&'static str>,
    pub arguments: Vec<String>,
    pub code: &'static str,
    /// What the verdict must hold: in what was found, the reason or the next step.
    pub holds: &'static str,
}

impl Case {
    pub fn new(name: &'static str, code: &'static str, holds: &'static str) -> Self {
        Self {
            name,
            front: None,
            back: None,
            grafana: Grafana::default(),
            proxy: true,
            direct: true,
            token: Some(format!("{TOKEN}\n")),
            proxy_arguments: Vec::new(),
            arguments: Vec::new(),
            code,
            holds,
        }
    }

    pub fn front(self, manners: Manners) -> Self {
        Self { front: Some(manners), ..self }
    }

    pub fn back(self, manners: Manners) -> Self {
        Self { back: Some(manners), ..self }
    }

    pub fn grafana(self, grafana: Grafana) -> Self {
        Self { grafana, ..self }
    }

    pub fn without_proxy(self) -> Self {
        Self { proxy: false, ..self }
    }

    pub fn without_direct(self) -> Self {
        Self { direct: false, ..self }
    }

    pub fn without_token(self) -> Self {
        Self { token: None, ..self }
    }

    pub fn token(self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self }
    }

    pub fn proxy(self, arguments: &[&'static str]) -> Self {
        Self { proxy_arguments: arguments.to_vec(), ..self }
    }

    pub fn arguments(self, arguments: &[&str]) -> Self {
        Self { arguments: arguments.iter().map(|argument| (*argument).to_owned()).collect(), ..self }
    }

    /// Builds the chain, and says what the doctor has said of it, where that is not what it should say.
    pub fn run(self) -> Result<(), String> {
        let origin = self.grafana.clone().start();
        let mut end = origin.address;
        if let Some(manners) = &self.back {
            end = hop(end, manners.clone());
        }
        let program = self.proxy.then(|| Program::before(&format!("http://{end}"), &self.proxy_arguments));
        end = program.as_ref().map_or(end, |program| program.data);
        if let Some(manners) = &self.front {
            end = hop(end, manners.clone());
        }
        let direct = self.direct.then_some(origin.address);
        let said = consult(&format!("http://{end}"), direct, self.token.as_deref(), &self.arguments);
        said.check(self.name, self.code, self.holds)
    }
}

/// Runs each, and tells of all that were judged wrong.
pub fn run_all(cases: Vec<Case>) {
    let wrong: Vec<String> = cases.into_iter().filter_map(|case| case.run().err()).collect();
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// What the doctor has said.
pub struct Said {
    pub steps: Vec<Value>,
    pub last: Value,
    pub code: i32,
    pub everything: String,
}

/// Asks the real program.
pub fn consult(url: &str, direct: Option<SocketAddr>, token: Option<&str>, more: &[String]) -> Said {
    let mut command = Command::new(crate::support::binary());
    command.args(["doctor", "--url", url, "-o", "json", "--hold", "300ms"]);
    if let Some(direct) = direct {
        command.args(["--direct", &format!("http://{direct}")]);
    }
    if token.is_some() {
        command.args(["--token-file", "-"]);
    }
    let mut child =
        command.args(more).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // Wrong usage reads nothing.
    let _ = child.stdin.take().unwrap().write_all(token.unwrap_or_default().as_bytes());
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let mut lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let last = lines.pop().unwrap_or_default();
    let everything = format!("{text}{}", String::from_utf8_lossy(&output.stderr));
    Said { steps: lines, last, code: output.status.code().unwrap(), everything }
}

impl Said {
    pub fn check(&self, name: &str, code: &str, holds: &str) -> Result<(), String> {
        for window in TOKEN.as_bytes()[5..].windows(8) {
            let window = std::str::from_utf8(window).unwrap();
            assert!(!self.everything.contains(window), "{name}: the token is shown:\n{}", self.everything);
        }
        let verdict = &self.last["verdict"];
        let fails = verdict["weight"] == "fail";
        let told = ["found", "reason", "next"].map(|member| verdict[member].as_str().unwrap_or_default()).join(" | ");
        let shown =
            || format!("{name}: {} ({told}), not {code} ({holds}); all:\n{}\n", verdict["code"], self.everything);
        let fits = verdict["code"] == code
            && told.contains(holds)
            && self.code == i32::from(fails)
            && self.last["healthy"] == !fails
            && self.last["requests"].as_u64().is_some_and(|requests| requests <= 30)
            && fails == self.steps.iter().any(|step| step["state"] == "fail");
        if fits { Ok(()) } else { Err(shown()) }
    }
}

/// Answers whatever comes with these bytes, and closes.
pub fn answering(bytes: &'static str) -> Origin {
    Origin::new(move |_, stream: &mut TcpStream| stream.write_all(bytes.as_bytes()).is_err())
}
