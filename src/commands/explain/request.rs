//! What is known of the request behind a pasted answer.

use std::path::Path;

use http::{HeaderMap, HeaderValue, Method, Uri, header};
use zeroize::Zeroizing;

use super::super::secret_input;
use super::paste::PastedRequest;
use crate::domain::credential::{AuthForm, Repair, judge};
use crate::domain::fields::Fields;
use crate::domain::head::{AuthFacts, Head, OrgFacts, Reading, RequestFacts, SignInFacts, Spelling};
use crate::domain::org::{self, OrgMode};
use crate::domain::token::{TokenFacts, TokenKind};

/// The facts, and which of them are no more than defaults.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) facts: RequestFacts,
    /// Method and path are known.
    pub(super) knows_target: bool,
    /// What was sent as credential is known, be it nothing.
    pub(super) knows_credential: bool,
    /// The token itself was seen: its damage, if any, is known, too.
    pub(super) knows_token: bool,
}

/// The words of `--authorization`: what the log says in `auth_sent`, and the session cookie.
pub(super) const FORMS: [&str; 8] =
    ["none", "bearer", "bare_token", "basic", "basic_api_key", "jwt", "other", "session_cookie"];

/// The request as far as it was told: head by head, with `authorization` one of [`FORMS`].
#[derive(Default)]
pub(super) struct Told {
    pub(super) target: Option<(Method, Uri)>,
    pub(super) headers: HeaderMap,
    pub(super) authorization: Option<String>,
    /// The whole head is there: what it does not hold was not sent.
    pub(super) whole: bool,
}

impl Told {
    /// Takes what `curl -v` showed; what was said by flags stands.
    pub(super) fn take_pasted(&mut self, request: PastedRequest) {
        self.whole = true;
        self.target.get_or_insert((request.method, request.uri));
        let own = std::mem::take(&mut self.headers);
        let pasted = request.headers.iter().filter(|(name, _)| !own.contains_key(*name));
        self.headers = own.iter().chain(pasted).map(|(name, value)| (name.clone(), value.clone())).collect();
    }

    /// Takes the credential in a file: a whole value, or a token, which is sent behind `Bearer `.
    pub(super) fn take_credential(&mut self, file: &Path) -> Result<(), String> {
        let text = secret_input::read(file).map_err(|error| format!("{} cannot be read: {error}", file.display()))?;
        let value = secret_input::header_value(&text);
        let bare = judge(&[value], &[], Repair::Off).received == AuthForm::BareToken;
        let as_bearer = bare && self.authorization.as_deref() != Some("bare_token");
        let mut line = Zeroizing::new(Vec::with_capacity(value.len() + 7));
        if as_bearer {
            line.extend_from_slice(b"Bearer ");
        }
        line.extend_from_slice(value);
        let value = HeaderValue::from_bytes(&line);
        let mut value = value.map_err(|_| "the file holds what no header can hold: more than one line".to_owned())?;
        value.set_sensitive(true);
        self.headers.insert(header::AUTHORIZATION, value);
        Ok(())
    }

    /// The facts that Grafana had. `through_proxy`: the answer came through us, so the credential had been repaired.
    pub(super) fn facts(self, through_proxy: bool) -> Asked {
        let (knows_target, target) = (self.target.is_some(), self.target.unwrap_or_default());
        let (method, uri) = target;
        let fields = Fields::from(&self.headers);
        let head = Head::collect(&fields, &[]);
        let lines = &head.authorization;
        let repair = if through_proxy { Repair::On } else { Repair::Off };
        let found = judge(lines, &[], repair);
        let mut auth = AuthFacts::from(&found);
        let mut session = false;
        let mut knows_token = !lines.is_empty();
        if let (true, Some(form)) = (lines.is_empty(), &self.authorization) {
            auth = supposed(form);
            session = form == "session_cookie";
        } else if lines.iter().any(|line| is_blackened(line)) {
            // What stands there now was not sent: only the form is known.
            knows_token = false;
            auth = AuthFacts { spelling: found.spelling, ..supposed(form_of(found.sent)) };
        }
        let mut facts = RequestFacts::gather(
            &method,
            &uri,
            &head,
            SignInFacts::as_received(&head, &uri),
            auth,
            organisation(&head, &uri),
        );
        facts.session_cookie |= session;
        facts.reading = if knows_target { Reading::Whole } else { Reading::Nothing };
        let knows_credential = self.whole || self.authorization.is_some() || !lines.is_empty();
        Asked { facts, knows_target, knows_credential, knows_token }
    }
}

/// Whether somebody has made a credential unreadable before it was pasted, as everybody should.
fn is_blackened(value: &[u8]) -> bool {
    const MARKS: [&[u8]; 9] =
        [b"***", b"...", "…".as_bytes(), b"xxxx", b"redacted", b"hidden", b"removed", b"secret", b"\xe2\x96\x88"];
    let value = value.to_ascii_lowercase();
    MARKS.iter().any(|mark| memchr::memmem::find(&value, mark).is_some())
}

/// The form of a value whose credential was made unreadable.
const fn form_of(sent: AuthForm) -> &'static str {
    match sent {
        AuthForm::None => "none",
        AuthForm::Bearer => "bearer",
        AuthForm::BareToken => "bare_token",
        AuthForm::Basic => "basic",
        AuthForm::BasicApiKey => "basic_api_key",
        AuthForm::Jwt => "jwt",
        AuthForm::Other => "other",
    }
}

fn organisation(head: &Head<'_>, uri: &Uri) -> OrgFacts {
    let settings = org::Settings { mode: OrgMode::Off, ..org::Settings::default() };
    let named = head.organisation.first().map(|value| String::from_utf8_lossy(value).into_owned());
    let named = named.or_else(|| uri.query().and_then(org::target_org));
    let received = named.map(|named| named.chars().take(32).collect::<String>().into());
    match org::decide(&head.organisation, uri.path(), uri.query(), None, &settings) {
        Ok(found) => OrgFacts { received, sent: found.sent, by: found.by },
        Err(_) => OrgFacts { received, ..OrgFacts::default() },
    }
}

/// The facts of a credential of which nothing but the form is known: as whole as can be.
pub(super) fn supposed(form: &str) -> AuthFacts {
    let whole = Some(TokenFacts { kind: TokenKind::ServiceAccount, damage: None, org: None });
    let jwt = Some(TokenFacts { kind: TokenKind::Jwt, damage: None, org: None });
    let (form, spelling, token) = match form {
        "bearer" => (AuthForm::Bearer, Spelling::Exact, whole),
        "bare_token" => (AuthForm::BareToken, Spelling::Inexact, whole),
        "basic" => (AuthForm::Basic, Spelling::Exact, None),
        "basic_api_key" => (AuthForm::BasicApiKey, Spelling::Exact, whole),
        "jwt" => (AuthForm::Jwt, Spelling::Exact, jwt),
        "other" => (AuthForm::Other, Spelling::Inexact, None),
        _ => return AuthFacts::default(),
    };
    AuthFacts { received: form, sent: form, spelling, token, ..AuthFacts::default() }
}

/// Reads `GET /api/org`, a path alone, or a whole URL.
pub(super) fn parse_target(text: &str) -> Result<(Method, Uri), String> {
    let text = text.trim();
    let (method, target) = match text.split_once(' ') {
        Some((method, target)) => (method, target.trim()),
        None => ("GET", text),
    };
    let method = Method::from_bytes(method.as_bytes()).map_err(|_| "the method is none".to_owned())?;
    let target = target.split_once(' ').map_or(target, |(target, _)| target);
    let uri: Uri = target.parse().map_err(|_| "the target is no path and no URL".to_owned())?;
    if !uri.path().starts_with('/') {
        return Err("the target begins with no `/`".to_owned());
    }
    Ok((method, uri))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "glsa_yscW25imSKJIuav8zF37RZmnbiDvB05G_fcaaf58a";

    #[test]
    fn targets_are_read_in_every_habit() {
        for text in ["GET /api/org?x=1", "/api/org?x=1", "http://h:1/api/org?x=1", " GET  /api/org?x=1 HTTP/1.1"] {
            let (method, uri) = parse_target(text).unwrap();
            assert_eq!((method.as_str(), uri.path(), uri.query()), ("GET", "/api/org", Some("x=1")), "{text}");
        }
        assert_eq!(parse_target("PUT /x").unwrap().0, "PUT");
        for text in ["", "GET api/org", "G@T /x", "GET /\u{7f}"] {
            assert!(parse_target(text).is_err(), "{text}");
        }
    }

    #[test]
    fn nothing_told_is_nothing_known() {
        let asked = Told::default().facts(false);
        assert!(!asked.knows_target && !asked.knows_credential && asked.facts.reading == Reading::Nothing);
    }

    #[test]
    fn a_file_with_a_token_is_sent_behind_bearer() {
        let folder = tempfile::tempdir().unwrap();
        for (content, form, damaged) in [
            (format!("{TOKEN}\n"), AuthForm::Bearer, false),
            (format!("Authorization: Bearer {TOKEN}\r\n"), AuthForm::Bearer, false),
            (format!("bearer {TOKEN}"), AuthForm::Bearer, false),
            (format!("Bearer {}", TOKEN.split_at(30).0), AuthForm::Bearer, true),
            ("Basic dTpw".to_owned(), AuthForm::Basic, false),
        ] {
            let file = folder.path().join("credential");
            std::fs::write(&file, &content).unwrap();
            let mut told = Told::default();
            told.take_credential(&file).unwrap();
            let asked = told.facts(false);
            assert!(asked.knows_credential);
            assert_eq!(asked.facts.auth.sent, form, "{content}");
            assert_eq!(asked.facts.auth.token.is_some_and(|token| token.damage.is_some()), damaged, "{content}");
            let repaired = content.starts_with("bearer");
            assert_eq!(asked.facts.auth.spelling == Spelling::Inexact, repaired, "{content}");
        }
    }

    #[test]
    fn a_credential_that_was_made_unreadable_is_not_taken_for_damaged() {
        for (value, form) in [
            ("Bearer ***", AuthForm::Bearer),
            ("Bearer glsa_yscW...", AuthForm::Bearer),
            ("Bearer <redacted>", AuthForm::Bearer),
            ("Bearer [HIDDEN]", AuthForm::Bearer),
            ("bearer glsa_xxxxxxxx", AuthForm::Bearer),
        ] {
            let headers = HeaderMap::from_iter([(header::AUTHORIZATION, HeaderValue::from_static(value))]);
            let asked = Told { headers, whole: true, ..Told::default() }.facts(false);
            assert!(asked.knows_credential && !asked.knows_token, "{value}");
            let AuthFacts { sent, token, spelling, .. } = asked.facts.auth;
            assert_eq!((sent, token.and_then(|token| token.damage)), (form, None), "{value}");
            assert_eq!(spelling == Spelling::Inexact, value.starts_with('b'), "{value}");
        }
    }

    #[test]
    fn of_two_lines_both_are_taken_and_flags_stand() {
        let pair = |name: &'static str, value: &'static str| {
            (name.parse::<http::HeaderName>().unwrap(), HeaderValue::from_static(value))
        };
        let headers =
            HeaderMap::from_iter([pair("cookie", "a=1"), pair("cookie", "grafana_session=1"), pair("host", "a")]);
        let own = HeaderMap::from_iter([pair("host", "b")]);
        let mut told = Told { headers: own, ..Told::default() };
        told.take_pasted(PastedRequest { method: Method::GET, uri: Uri::from_static("/"), headers });
        assert_eq!(told.headers.get("host").unwrap(), "b");
        assert!(told.facts(false).facts.session_cookie);
    }

    #[test]
    fn a_pasted_request_says_what_was_not_sent() {
        let mut headers = HeaderMap::new();
        headers.insert("x-grafana-org-id", HeaderValue::from_static("2"));
        let mut told = Told::default();
        told.take_pasted(PastedRequest { method: Method::GET, uri: Uri::from_static("/api/org"), headers });
        let asked = told.facts(false);
        assert!(asked.knows_target && asked.knows_credential && asked.facts.reading == Reading::Whole);
        assert_eq!((asked.facts.auth.sent, asked.facts.org.sent), (AuthForm::None, Some(2)));
    }
}
