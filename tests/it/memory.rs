//! What was seen before is told where one answer cannot tell: as likely, in detail and hint, never in the reason.

use std::io::Write;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use serde_json::Value;

use crate::support::{Answer, Origin, Program, TOKEN, get};

const HEADERS: &str = "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nX-Frame-Options: deny\r\nX-Xss-Protection: 1; mode=block\r\nContent-Type: application/json; charset=UTF-8\r\n";
const OK: (u16, &str) = (200, "{}");
const UNKNOWN: (u16, &str) = (401, "{\"message\":\"Unauthorized\",\"traceID\":\"\"}\n");
const EXPIRED: (u16, &str) = (
    401,
    "{\"extra\":null,\"message\":\"Expired API key\",\"messageId\":\"api-key.expired\",\"statusCode\":401,\"traceID\":\"\"}\n",
);
const MISMATCH: (u16, &str) = (
    401,
    "{\"extra\":null,\"message\":\"API key does not belong to the requested organization\",\"messageId\":\"api-key.organization-mismatch\",\"statusCode\":401,\"traceID\":\"\"}\n",
);
const WRONG_PASSWORD: (u16, &str) = (
    401,
    "{\"extra\":null,\"message\":\"Invalid username or password\",\"messageId\":\"password-auth.failed\",\"statusCode\":401,\"traceID\":\"\"}\n",
);
const FORBIDDEN: (u16, &str) = (
    403,
    "{\"accessErrorId\":\"ACE0123456789\",\"message\":\"You'll need additional permissions to perform this action. Permissions needed: folders:read\",\"title\":\"Access denied\"}\n",
);

/// A program before an origin whose next answers the test chooses.
struct Story {
    program: Program,
    next: Arc<Mutex<(u16, &'static str)>>,
}

impl Story {
    fn new(arguments: &[&str]) -> Self {
        let next = Arc::new(Mutex::new(OK));
        let answer = Arc::clone(&next);
        let origin = Origin::new(move |_, stream| {
            let (status, body) = *answer.lock().unwrap();
            let location = if status == 302 { "Location: /login\r\n" } else { "" };
            write!(stream, "HTTP/1.1 {status} X\r\n{HEADERS}{location}Content-Length: {}\r\n\r\n{body}", body.len())
                .is_ok()
        });
        Self { program: Program::before(&origin.url(), arguments), next }
    }

    fn ask(&self, answer: (u16, &'static str), path: &str, lines: &[&str]) -> Answer {
        *self.next.lock().unwrap() = answer;
        get(self.program.data, path, lines)
    }

    /// Asks, and returns the log line, whose reason must be this.
    fn refused(&self, answer: (u16, &'static str), lines: &[&str], reason: &str) -> Line {
        let answer = self.ask(answer, "/api/folders", lines);
        assert_eq!(answer.reason(), Some(reason));
        let line = self.program.refusal(answer.header("x-request-id").unwrap());
        assert_eq!(line["reason"], reason, "{line}");
        Line(line)
    }
}

struct Line(Value);

impl Line {
    fn detail(&self) -> &str {
        self.0["detail"].as_str().unwrap()
    }

    fn hint(&self) -> &str {
        self.0["hint"].as_str().unwrap()
    }

    fn says(&self, what: &str) {
        assert!(self.detail().contains(what), "not {what:?} in {}", self.0);
    }
}

fn bearer() -> String {
    format!("Authorization: Bearer {TOKEN}")
}

fn basic(user: &str, password: &str) -> String {
    let pair = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
    format!("Authorization: Basic {pair}")
}

#[test]
fn a_token_that_worked_and_is_unknown_now_was_likely_deleted() {
    let story = Story::new(&[]);
    assert_eq!(story.ask(OK, "/api/org", &[&bearer()]).reason(), None);
    let line = story.refused(UNKNOWN, &[&bearer()], "token_unknown");
    line.says("This token was accepted until ");
    line.says("likely deleted since, or Grafana's database was restored");
    assert!(line.hint().contains("look first at what was deleted or restored"), "{}", line.hint());
    // In another spelling it is the same token.
    let line = story.refused(EXPIRED, &[&format!("Authorization: bearer \"{TOKEN}\"")], "token_expired");
    line.says("likely expired since");
}

#[test]
fn a_token_that_was_never_accepted_is_told_so() {
    let story = Story::new(&[]);
    // Answers that everybody gets prove nothing, and neither does another's success.
    story.ask(OK, "/api/org", &["Authorization: Bearer glsa_FnSKvJZ2aEgeGMW8QrJj6FKzGnIuZTjR_00000000"]);
    let line = story.refused(UNKNOWN, &[&bearer()], "token_unknown");
    line.says("no request with this token was seen to be accepted");
    assert!(!line.detail().contains("never worked"), "a young memory claims too much: {}", line.detail());
    story.ask(OK, "/api/org", &[&bearer()]);
    story.refused(UNKNOWN, &[&bearer()], "token_unknown").says("likely good, and Grafana could not look it up");
}

#[test]
fn a_mismatch_names_the_organisation_that_worked() {
    let story = Story::new(&[]);
    story.ask(OK, "/api/org", &[&bearer(), "X-Grafana-Org-Id: 2"]);
    let line = story.refused(MISMATCH, &[&bearer(), "X-Grafana-Org-Id: 1"], "org_mismatch");
    line.says("accepted in organisation 2 until ");
    line.says("likely belongs there, not to organisation 1");
    assert!(line.hint().contains("organisation 2 worked until "), "{}", line.hint());
}

#[test]
fn six_wrong_passwords_likely_lock_the_user() {
    let story = Story::new(&[]);
    let secret = "correct horse battery staple";
    story.ask(OK, "/api/org", &[&basic("alice", secret)]);
    for attempt in 0..5 {
        let line = story.refused(WRONG_PASSWORD, &[&basic("alice", &format!("guess {attempt}"))], "password_wrong");
        line.says("accepted with another password");
        assert!(!line.detail().contains("locked"), "{}", line.detail());
    }
    // Grafana does not tell users apart by case.
    let line = story.refused(WRONG_PASSWORD, &[&basic("Alice", secret)], "password_wrong");
    line.says("the user is likely locked");
    assert!(line.hint().contains("try once after "), "{}", line.hint());
    // Another user is not locked by that.
    let line = story.refused(WRONG_PASSWORD, &[&basic("bob", secret)], "password_wrong");
    assert!(!line.detail().contains("likely locked"), "{}", line.detail());
    let everything = story.program.lines().join("\n") + &story.program.metrics();
    for name in ["alice", "Alice", "bob", secret, "guess"] {
        assert!(!everything.contains(name), "{name} is told");
    }
}

#[test]
fn a_password_that_worked_was_likely_changed() {
    let story = Story::new(&[]);
    story.ask(OK, "/api/org", &[&basic("alice", "secret-1")]);
    let line = story.refused(WRONG_PASSWORD, &[&basic("alice", "secret-1")], "password_wrong");
    line.says("likely no slip, but the password was changed or the user disabled since");
    let line = story.refused(WRONG_PASSWORD, &[&basic("alice", "secret-2")], "password_wrong");
    line.says("likely mistyped or out of date");
}

#[test]
fn a_cookie_beside_a_bad_token_is_likely_what_was_judged() {
    let cookie = "Cookie: grafana_session=0123456789abcdef0123456789abcdef";
    let story = Story::new(&[]);
    // Alone: beside a cookie, a success would say nothing of the token.
    story.ask(OK, "/api/org", &[&bearer()]);
    story.refused(FORBIDDEN, &[&bearer(), cookie], "permission_missing").says("an accepted token wins over a cookie");
    story.refused(EXPIRED, &[&bearer()], "token_expired");
    for _ in 0..2 {
        // Neither a success nor a refusal beside the cookie makes the token good again.
        story.ask(OK, "/api/org", &[&bearer(), cookie]);
        let line = story.refused(FORBIDDEN, &[&bearer(), cookie], "permission_missing");
        line.says("as `token_expired`: likely it passed over the token here and judged the session cookie's user");
        assert!(line.hint().contains("replace the token first"), "{}", line.hint());
    }
}

#[test]
fn an_expired_token_that_is_forbidden_is_likely_anonymous() {
    let story = Story::new(&[]);
    story.refused(EXPIRED, &[&bearer()], "token_expired");
    story.ask(OK, "/api/org", &[&bearer()]);
    let line = story.refused(FORBIDDEN, &[&bearer()], "permission_missing");
    line.says("judged the anonymous visitor");
    assert!(!line.detail().contains("was accepted until"), "an expired token was not accepted: {}", line.detail());
}

#[test]
fn anonymous_access_puts_a_forbidden_in_doubt() {
    let story = Story::new(&[]);
    story.ask(OK, "/api/health", &[]);
    let line = story.refused(FORBIDDEN, &[&bearer()], "permission_missing");
    assert!(!line.detail().contains("nonymous access"), "everybody may ask for the health: {}", line.detail());
    story.ask(OK, "/api/search", &[]);
    let line = story.refused(FORBIDDEN, &[&bearer()], "permission_missing");
    line.says("Anonymous access is likely on");
    assert!(line.hint().contains("`GET /api/user`"), "{}", line.hint());
}

#[test]
fn a_page_that_sends_to_the_login_is_explained_by_what_the_api_said() {
    let story = Story::new(&[]);
    story.refused(EXPIRED, &[&bearer()], "token_expired");
    let answer = story.ask((302, ""), "/d/abc/x", &[&bearer()]);
    assert_eq!(answer.reason(), Some("redirected_to_login"));
    let line = Line(story.program.refusal(answer.header("x-request-id").unwrap()));
    line.says("as `token_expired`: likely that is the cause here, too");
    assert!(line.hint().contains("begin with `token_expired`"), "{}", line.hint());
}

#[test]
fn what_we_refuse_ourselves_needs_no_past() {
    let story = Story::new(&["--rate", "1/m", "--burst", "1"]);
    story.ask(OK, "/api/org", &[&bearer()]);
    let line = story.refused(OK, &[&bearer()], "token_rate_limited");
    assert!(!line.detail().contains("accepted"), "{}", line.detail());
}
