//! A real Chromium, driven over WebDriver (W3C), which is plain HTTP and JSON.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine as _;
use serde_json::{Value, json};

use super::program::PATIENCE;
use super::wire::read_answer;

/// A browser with one window.
pub struct Browser {
    driver: Child,
    address: SocketAddr,
    session: String,
}

impl Browser {
    /// Starts one; nothing, and a word about it, where there is none.
    pub fn start(width: u32, height: u32, scripts: bool) -> Option<Self> {
        let missing = ["chromium", "chromedriver"].into_iter().find(|name| !Path::new("/usr/bin").join(name).exists());
        if let Some(missing) = missing {
            println!("skipped: {missing} is not installed");
            return None;
        }
        // Several start at once here, and may choose the same port: then one of them ends, and chooses again.
        let (driver, port) = (0..5).find_map(|_| driver()).expect("chromedriver does not start");
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let mut browser = Self { driver, address, session: String::new() };
        let window = format!("--window-size={width},{height}");
        let options = json!({
            "args": ["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--disable-dev-shm-usage", window],
            "prefs": { "profile.managed_default_content_settings.javascript": if scripts { 1 } else { 2 } },
        });
        let wanted =
            json!({ "goog:chromeOptions": options, "goog:loggingPrefs": { "browser": "ALL", "performance": "ALL" } });
        let answer = browser.ask("POST", "/session", &json!({ "capabilities": { "alwaysMatch": wanted } }));
        browser.session = answer["sessionId"].as_str().expect("no session").to_owned();
        Some(browser)
    }

    fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let body = if method == "POST" { body.to_string() } else { String::new() };
        let address = self.address;
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        let answer = read_answer(&mut stream, &mut Vec::new(), false).expect("the driver does not answer");
        let value: Value = serde_json::from_slice(&answer.body).unwrap();
        assert!(value["value"]["error"].is_null(), "{method} {path}: {}", value["value"]);
        value["value"].clone()
    }

    fn tell(&self, what: &str, body: &Value) -> Value {
        self.ask("POST", &format!("/session/{}/{what}", self.session), body)
    }

    pub fn open(&self, url: &str) {
        self.tell("url", &json!({ "url": url }));
    }

    /// What an expression of the page comes to.
    pub fn look(&self, expression: &str) -> Value {
        self.tell("execute/sync", &json!({ "script": format!("return {expression}"), "args": [] }))
    }

    /// Waits until an expression is true.
    pub fn wait_for(&self, expression: &str) {
        let deadline = Instant::now() + PATIENCE;
        while self.look(expression) != true {
            assert!(Instant::now() < deadline, "never true: {expression}\n{}", self.look("document.body.innerText"));
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Presses and releases keys, one after the other.
    pub fn press(&self, keys: &str) {
        let actions: Vec<Value> = keys
            .chars()
            .flat_map(|key| [json!({ "type": "keyDown", "value": key }), json!({ "type": "keyUp", "value": key })])
            .collect();
        self.tell("actions", &json!({ "actions": [{ "type": "key", "id": "keyboard", "actions": actions }] }));
    }

    /// A command of the DevTools.
    pub fn develop(&self, command: &str, parameters: &Value) {
        self.tell("goog/cdp/execute", &json!({ "cmd": command, "params": parameters }));
    }

    /// The messages of a log: `browser` is the console, `performance` has all that was fetched.
    pub fn log(&self, name: &str) -> Vec<String> {
        let entries = self.tell("se/log", &json!({ "type": name }));
        entries.as_array().unwrap().iter().map(|entry| entry["message"].as_str().unwrap().to_owned()).collect()
    }

    /// Everything that was asked for over a network.
    pub fn fetched(&self) -> Vec<String> {
        let messages = self.log("performance");
        let requests = messages.iter().filter_map(|message| {
            let message = &serde_json::from_str::<Value>(message).unwrap()["message"];
            (message["method"] == "Network.requestWillBeSent")
                .then(|| message["params"]["request"]["url"].as_str().unwrap().to_owned())
        });
        requests.collect()
    }

    /// Keeps a picture of the window where `GTP_PICTURES` names a folder: to be looked at.
    pub fn picture(&self, name: &str) {
        let Some(folder) = std::env::var_os("GTP_PICTURES") else { return };
        let picture = self.ask("GET", &format!("/session/{}/screenshot", self.session), &Value::Null);
        let bytes = base64::engine::general_purpose::STANDARD.decode(picture.as_str().unwrap()).unwrap();
        std::fs::write(Path::new(&folder).join(format!("{name}.png")), bytes).unwrap();
    }
}

/// A driver, and where it listens.
fn driver() -> Option<(Child, u16)> {
    let mut command = Command::new("/usr/bin/chromedriver");
    let mut driver = command.arg("--port=0").stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let port = BufReader::new(driver.stdout.take().unwrap()).lines().find_map(|line| {
        line.unwrap().split_once("started successfully on port ")?.1.trim_end_matches('.').parse().ok()
    });
    if port.is_none() {
        let _ = driver.kill();
        let _ = driver.wait();
    }
    Some((driver, port?))
}

impl Drop for Browser {
    fn drop(&mut self) {
        if !self.session.is_empty() && !std::thread::panicking() {
            self.ask("DELETE", &format!("/session/{}", self.session), &Value::Null);
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}
