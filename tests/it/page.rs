//! The page in a real browser: live, filtered, by keyboard, without script, and indifferent to what strangers send.

use std::io::Write;

use serde_json::{Value, json};

use crate::support::browser::Browser;
use crate::support::{Origin, Program, TOKEN, ask, get};

const ENTER: &str = "\u{e007}";

/// Refuses by path, as Grafana does.
fn grafana() -> Origin {
    Origin::new(|seen, stream| {
        let (status, body) = match seen.lines[0].split(' ').nth(1).unwrap() {
            path if path.contains("/expired") => (
                "401 Unauthorized",
                r#"{"message":"Expired API key","messageId":"api-key.expired","statusCode":401,"traceID":""}"#,
            ),
            path if path.contains("/denied") => (
                "403 Forbidden",
                r#"{"accessErrorId":"ACE1","message":"You'll need additional permissions to perform this action. Permissions needed: users:read","title":"Access denied"}"#,
            ),
            _ => ("200 OK", "{}"),
        };
        let length = body.len();
        write!(stream, "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}")
            .is_ok()
    })
}

struct Scene {
    program: Program,
    page: String,
    _origin: Origin,
}

fn scene() -> Scene {
    let origin = grafana();
    let program = Program::before(&origin.url(), &["--org", "7"]);
    let page = format!("http://{}/", program.admin.unwrap());
    Scene { program, page, _origin: origin }
}

impl Scene {
    fn refuse(&self, path: &str, lines: &[&str]) {
        let mut all = vec![format!("Authorization: Bearer {TOKEN}")];
        all.extend(lines.iter().map(|line| (*line).to_owned()));
        let lines: Vec<&str> = all.iter().map(String::as_str).collect();
        assert!(get(self.program.data, path, &lines).reason().is_some(), "{path} was not refused");
    }

    /// Nothing on the console, and nothing asked of anybody else.
    fn is_calm(&self, browser: &Browser) {
        assert_eq!(browser.log("browser"), [""; 0]);
        let elsewhere: Vec<String> = browser
            .fetched()
            .into_iter()
            .filter(|url| !url.starts_with(&self.page) && !url.starts_with("data:"))
            .collect();
        assert!(elsewhere.is_empty(), "{elsewhere:?}");
    }
}

#[test]
fn refusals_arrive_live_are_filtered_and_open_by_keyboard() {
    let Some(browser) = Browser::start(1200, 900, true) else { return };
    let scene = scene();
    browser.open(&scene.page);
    browser.wait_for("document.querySelector('.empty')?.textContent.startsWith('Nothing was refused')");
    browser.wait_for("document.getElementById('live').dataset.state === 'live'");
    browser.picture("empty");
    scene.refuse("/api/expired", &[]);
    browser.wait_for(
        "document.querySelectorAll('#list > li').length === 1 && !document.querySelector('#refusals .empty')",
    );
    browser.wait_for("document.getElementById('summary')?.textContent === '1 refused: Token expired (1).'");
    for _ in 0..3 {
        scene.refuse("/api/denied", &["User-Agent: terraform/1.9"]);
    }
    browser.wait_for("document.querySelectorAll('#list > li').length === 4");
    assert!(
        browser
            .look("document.querySelector('#list > li').textContent")
            .as_str()
            .unwrap()
            .contains("permission_missing")
    );
    browser.wait_for("document.querySelectorAll('figure rect').length >= 2");
    browser.wait_for("document.querySelector('#tokens tbody tr td.bad, #tokens tbody tr .bad') !== null");

    // The keys move, open and close; a row that is open stays so when others come.
    browser.press("j");
    browser.press(ENTER);
    browser.wait_for("document.querySelector('#list > li > details').open");
    scene.refuse("/api/expired", &[]);
    browser.wait_for("document.querySelectorAll('#list > li').length === 5");
    browser.wait_for("document.querySelectorAll('#list > li')[1].firstElementChild.open");
    let told = browser.look("document.querySelectorAll('#list > li')[1].innerText");
    for wanted in
        ["users:read", "terraform/1.9", "Client", "Proxy", "Grafana", "service_account", "#permission-missing"]
    {
        assert!(told.as_str().unwrap().contains(wanted), "{wanted} is not in {told}");
    }
    browser.picture("open");
    browser.develop(
        "Emulation.setEmulatedMedia",
        &json!({ "features": [{ "name": "prefers-color-scheme", "value": "dark" }] }),
    );
    browser.picture("dark");
    assert!(browser.look("getComputedStyle(document.body).backgroundColor") == "rgb(17, 18, 23)");
    browser.press("\u{e00c}");
    browser.wait_for("document.querySelector('#list details[open]') === null");

    // Filters act at once, and stay in the address.
    browser.press("/");
    browser.press("/api/den*");
    browser
        .wait_for("document.querySelectorAll('#list > li').length === 3 && location.search === '?path=%2Fapi%2Fden*'");
    scene.refuse("/api/expired", &[]);
    scene.refuse("/api/denied", &[]);
    browser.wait_for("document.querySelectorAll('#list > li').length === 4");
    browser.look("(document.querySelector('select[name=reason]').value = 'token_expired', document.getElementById('filters').requestSubmit())");
    browser.wait_for("document.querySelector('#refusals .empty')?.textContent.includes('None of those')");

    // Paused, nothing moves.
    browser.look("document.querySelector('#filters a').click()");
    browser.wait_for("document.querySelectorAll('#list > li').length === 7");
    browser.look("document.getElementById('pause').click()");
    scene.refuse("/api/denied", &[]);
    let last = |wanted: u64| {
        format!("(async () => (await (await fetch('/api/refusals')).json()).last)().then((last) => last >= {wanted})")
    };
    browser.wait_for(&last(8));
    assert_eq!(browser.look("document.querySelectorAll('#list > li').length"), 7);
    browser.look("document.getElementById('pause').click()");
    browser.wait_for("document.querySelectorAll('#list > li').length === 8");
    scene.is_calm(&browser);
}

#[test]
fn what_strangers_send_is_shown_as_text() {
    let Some(browser) = Browser::start(1200, 900, true) else { return };
    let scene = scene();
    const HOSTILE: &str = "<img src=x onerror=document.title='owned'><script>document.title='owned'</script>\"'><b>";
    scene.refuse(
        "/api/denied?%3Cscript%3Ealert(1)%3C/script%3E",
        &[&format!("User-Agent: {HOSTILE}"), "X-Forwarded-For: <b>1"],
    );
    scene.refuse("/api/denied/%3Cscript%3E'onclick='document.title=1'&lt;b&gt;", &["X-Request-Id: \"><script>x"]);
    scene.refuse(&format!("/api/denied/{}", "x".repeat(3000)), &[]);
    browser.open(&scene.page);
    browser.wait_for("document.querySelectorAll('#list > li').length === 3");
    browser.look("document.querySelectorAll('#list details').forEach((row) => (row.open = true))");
    let told = browser.look("document.querySelector('#list').textContent");
    assert!(told.as_str().unwrap().contains(HOSTILE), "{told}");
    assert_eq!(browser.look("document.querySelectorAll('#list script, #list img, #list b b').length"), 0);
    assert_eq!(browser.look("document.title"), "Refusals · grafana-token-proxy");
    // Through the filters, too.
    browser
        .open(&format!("{}?path=%22%3E%3Cscript%3Edocument.title%3D'owned'%3C/script%3E&reason=%3Cb%3E", scene.page));
    browser.wait_for("document.querySelector('.wrong') !== null && document.querySelector('.wrong b') === null");
    assert_eq!(browser.look("document.title"), "Refusals · grafana-token-proxy");
    assert!(browser.look("document.documentElement.scrollWidth <= innerWidth") == Value::Bool(true));
    scene.is_calm(&browser);
}

#[test]
fn a_reload_that_failed_is_seen() {
    let Some(browser) = Browser::start(1200, 900, true) else { return };
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "org: { default: 1 }\n").unwrap();
    let origin = Origin::ok();
    let program = Program::before(&origin.url(), &["--config", file.path().to_str().unwrap()]);
    let admin = program.admin.unwrap();
    browser.open(&format!("http://{admin}/"));
    browser.wait_for("document.getElementById('reload')?.textContent.startsWith('In force since')");
    browser.wait_for("document.getElementById('live').dataset.state === 'live'");
    std::fs::write(file.path(), "org: { default: <b>1</b> }\n").unwrap();
    program.signal("HUP");
    program.wait_for_line(|line| line["event"] == "config_reload_failed");
    // A refusal makes the page look again.
    assert_eq!(ask(program.data, "TRACE / HTTP/1.1\r\nHost: g\r\n\r\n").unwrap().status, 405);
    browser.wait_for("document.getElementById('reload')?.textContent.includes('The last reload failed')");
    browser.wait_for("document.querySelector('#reload li')?.textContent.includes('org.default: `<b>1</b>`')");
    browser.picture("reload");
}

#[test]
fn a_narrow_window_needs_no_scrolling_sideways() {
    let Some(browser) = Browser::start(500, 1400, true) else { return };
    let scene = scene();
    browser.develop(
        "Emulation.setDeviceMetricsOverride",
        &json!({ "width": 400, "height": 1400, "deviceScaleFactor": 1, "mobile": true }),
    );
    scene.refuse(
        &format!("/api/denied/{}", "long-".repeat(200)),
        &["User-Agent: a-very-long-name-without-any-blank/1.2.3.4.5.6.7.8.9"],
    );
    scene.refuse("/api/expired", &[]);
    browser.open(&scene.page);
    browser.wait_for("innerWidth === 400 && document.querySelectorAll('#list > li').length === 2");
    browser.look("document.querySelectorAll('#list > li > details').forEach((row) => (row.open = true))");
    assert!(browser.look("document.documentElement.scrollWidth <= 400") == Value::Bool(true));
    browser.picture("narrow");
    scene.is_calm(&browser);
}

#[test]
fn without_script_everything_can_still_be_read_and_filtered() {
    let Some(browser) = Browser::start(1200, 900, false) else { return };
    let scene = scene();
    scene.refuse("/api/expired", &[]);
    scene.refuse("/api/denied", &[]);
    browser.open(&format!("{}?reason=token_expired", scene.page));
    // The driver's own scripts run all the same; the page's do not.
    browser.wait_for("document.querySelectorAll('#list > li').length === 1 && document.getElementById('live').hidden");
    assert_eq!(browser.look("document.querySelector('select[name=reason]').value"), "token_expired");
    let told = browser.look("document.querySelector('#list').textContent");
    assert!(told.as_str().unwrap().contains("api-key.expired"), "{told}");
    browser.picture("plain");
    scene.is_calm(&browser);
}
