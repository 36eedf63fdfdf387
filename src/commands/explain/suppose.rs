//! Explains an answer of whose request little is known: by supposing each request that may have led to it. What holds
//! under every one of them is shown by the answer itself; where they differ, the general reason stands, and each
//! specific one is named with the fact that it depends on.

use std::cmp::Ordering;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};

use super::request::{Asked, supposed};
use crate::domain::classify::{Answer, Verdict, classify};
use crate::domain::fields::Fields;
use crate::domain::head::{AuthFacts, OrgFacts, RequestFacts, Spelling};
use crate::domain::reason::Reason;
use crate::domain::token::{Damage, TokenFacts, TokenKind};

/// What is known of the answer.
pub(super) struct Seen {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    /// The head is whole: a header that it does not hold was not sent.
    pub(super) whole_head: bool,
    pub(super) body: Vec<u8>,
}

/// A reason, or none where it would be no refusal, and what would have to be so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) reason: Option<Reason>,
    pub(super) when: String,
}

/// What the answer shows.
#[derive(Debug)]
pub(super) struct Outcome {
    /// What holds, if anything: under each supposition, or the general reason.
    pub(super) verdict: Option<Verdict>,
    /// The reason is the same under each supposition.
    pub(super) agreed: bool,
    /// The reasons among which the answer does not choose; none where it does.
    pub(super) candidates: Vec<Candidate>,
    /// What less usual requests would make of it.
    pub(super) unless: Vec<Candidate>,
}

#[derive(Clone)]
struct Supposition {
    when: Vec<&'static str>,
    request: RequestFacts,
    headers: HeaderMap,
}

type Change = (&'static str, fn(&mut RequestFacts));

impl Supposition {
    fn verdict(&self, seen: &Seen) -> Option<Verdict> {
        classify(
            &self.request,
            &Answer { status: seen.status, headers: &Fields::from(&self.headers), body: &seen.body },
        )
    }

    fn with(&self, (when, change): Change) -> Self {
        let mut other = self.clone();
        other.when.extend((!when.is_empty()).then_some(when));
        change(&mut other.request);
        other
    }
}

/// Explains.
pub(super) fn explain(asked: &Asked, seen: &Seen) -> Outcome {
    let usual = suppositions(asked, seen);
    let judged: Vec<(&Supposition, Option<Verdict>)> = usual.iter().map(|case| (case, case.verdict(seen))).collect();
    let reasons: Vec<Option<Reason>> =
        judged.iter().map(|(_, verdict)| verdict.as_ref().map(|verdict| verdict.reason)).collect();
    let agreed = reasons.iter().all(|reason| Some(reason) == reasons.first());
    let verdicts: Vec<&Verdict> = judged.iter().filter_map(|(_, verdict)| verdict.as_ref()).collect();
    let mut candidates = if agreed { Vec::new() } else { distinct(&judged) };
    let verdict = if agreed { common(&verdicts) } else { general(seen.status) };
    let shown = verdict.as_ref().map(|verdict| verdict.reason);
    // The general reason stands already, whatever was sent.
    candidates.retain(|candidate| candidate.reason != shown);
    let known: Vec<Option<Reason>> = candidates.iter().map(|candidate| candidate.reason).chain([shown]).collect();
    let unless = unusual(asked, &usual, seen).into_iter().filter(|candidate| !known.contains(&candidate.reason));
    Outcome { verdict, agreed, candidates, unless: unless.collect() }
}

/// Those of `outcome` whose reason the proxy itself has named, joined: the reason is no supposition then.
pub(super) fn explain_named(reason: Reason, asked: &Asked, seen: &Seen) -> Option<Verdict> {
    let verdicts = suppositions(asked, seen).into_iter().filter_map(|case| case.verdict(seen));
    let verdicts: Vec<Verdict> = verdicts.filter(|verdict| verdict.reason == reason).collect();
    common(&verdicts.iter().collect::<Vec<_>>())
}

/// What several verdicts of one reason have in common: their first sentences, and the hint where it is the same.
fn common(verdicts: &[&Verdict]) -> Option<Verdict> {
    let (first, others) = verdicts.split_first()?;
    let mut shared = (*first).clone();
    for other in others {
        let same = shared.detail.split_inclusive(". ").zip(other.detail.split_inclusive(". "));
        shared.detail = same.take_while(|(one, other)| one.trim() == other.trim()).map(|(one, _)| one).collect();
        if shared.hint != other.hint {
            shared.hint.clear();
        }
        if shared.permission != other.permission {
            shared.permission = None;
        }
    }
    shared.detail.truncate(shared.detail.trim_end().len());
    if shared.hint.is_empty() {
        shared.hint = shared.reason.cure().to_owned();
    }
    Some(shared)
}

/// The reason that claims no more than the status.
fn general(status: StatusCode) -> Option<Verdict> {
    let reason = match status.as_u16() {
        401 => Reason::UnauthorizedUnexplained,
        403 => Reason::ForbiddenUnexplained,
        _ => return None,
    };
    let detail = "The answer alone does not tell why: it depends on what was sent.".to_owned();
    let hint =
        "Say what was sent: paste the output of `curl -v`, which shows the request beside the answer.".to_owned();
    Some(Verdict { reason, detail, hint, permission: None })
}

/// Each reason once, with the suppositions that ask for least.
fn distinct(judged: &[(&Supposition, Option<Verdict>)]) -> Vec<Candidate> {
    let mut found: Vec<(Reason, Vec<Vec<&'static str>>)> = Vec::new();
    for (case, verdict) in judged {
        let Some(verdict) = verdict else { continue };
        let when = least(case, verdict.reason, judged);
        match found.iter_mut().find(|(reason, _)| *reason == verdict.reason) {
            Some((_, known)) => match known.first().map_or(usize::MAX, Vec::len).cmp(&when.len()) {
                Ordering::Greater => *known = vec![when],
                Ordering::Equal if !known.contains(&when) => known.push(when),
                _ => {}
            },
            None => found.push((verdict.reason, vec![when])),
        }
    }
    let words = |ways: Vec<Vec<&'static str>>| {
        ways.into_iter().map(|when| when.join(", and ")).collect::<Vec<_>>().join("; or ")
    };
    found.into_iter().map(|(reason, ways)| Candidate { reason: Some(reason), when: words(ways) }).collect()
}

/// The facts of a supposition without those that make no difference.
fn least(case: &Supposition, reason: Reason, judged: &[(&Supposition, Option<Verdict>)]) -> Vec<&'static str> {
    let mut when = case.when.clone();
    for fact in &case.when {
        let rest: Vec<&'static str> = when.iter().copied().filter(|other| other != fact).collect();
        let mut others = judged.iter().filter(|(other, _)| rest.iter().all(|fact| other.when.contains(fact)));
        if !rest.is_empty() && others.all(|(_, verdict)| verdict.as_ref().is_some_and(|found| found.reason == reason)) {
            when = rest;
        }
    }
    when
}

/// Every usual request that may have led to the answer.
fn suppositions(asked: &Asked, seen: &Seen) -> Vec<Supposition> {
    let known = Supposition { when: Vec::new(), request: asked.facts.clone(), headers: seen.headers.clone() };
    let mut all = vec![known];
    let mut branch = |changes: &[Change]| {
        all = all.iter().flat_map(|case| changes.iter().map(|change| case.with(*change))).collect();
    };
    if !asked.knows_credential {
        branch(credentials(seen));
    }
    if !asked.knows_target {
        branch(targets(seen));
        if seen.status.is_redirection() {
            lead_to_the_same_path(&mut all, seen);
        }
    }
    if !seen.whole_head {
        all = all.into_iter().flat_map(heads).collect();
    }
    all
}

const NOTHING: Change = ("no credential was sent", |_| {});
const TOKEN: Change = ("a whole service account token was sent", |request| request.auth = supposed("bearer"));
const PASSWORD: Change = ("user and password were sent", |request| request.auth = supposed("basic"));
const SESSION: Change = ("only a session cookie was sent", |request| request.session_cookie = true);

/// The credentials that the answer may be about: it often says which kind it has refused.
fn credentials(seen: &Seen) -> &'static [Change] {
    let says = |words: &[&str]| words.iter().any(|word| says(&seen.body, word));
    if says(&["api key", "api-key.", "revoked token", "service account is disabled"]) {
        &[TOKEN]
    } else if says(&["username or password", "password-auth.", "basic auth header", "basic-auth.", "login-attempt."]) {
        &[PASSWORD]
    } else if matches!(seen.status.as_u16(), 403 | 429) {
        // Whom Grafana does not know, it answers 401, but for the visitor of an anonymous organisation.
        &[TOKEN, PASSWORD, SESSION]
    } else {
        &[NOTHING, TOKEN, PASSWORD, SESSION]
    }
}

const API: Change = ("", |request| request.uri = Uri::from_static("/api/endpoint"));
const PAGE: Change = ("", |request| request.uri = Uri::from_static("/page"));
const QUERY: Change = ("", |request| request.uri = Uri::from_static("/api/ds/query"));
const PROXIED: Change = ("the call went to a datasource through Grafana", |request| {
    request.uri = Uri::from_static("/api/datasources/proxy/uid/name/endpoint");
});
const METRICS: Change = ("`/metrics` was asked for", |request| request.uri = Uri::from_static("/metrics"));

/// The paths that may have been asked for. Redirects answer pages; a result of queries answers a query.
fn targets(seen: &Seen) -> &'static [Change] {
    let says_results = says(&seen.body, "\"results\"");
    match seen.status.as_u16() {
        300..=399 => &[PAGE],
        207 | 400 | 500 if says_results => &[QUERY],
        400 if says(&seen.body, "authentication to data source failed") => &[PROXIED],
        401 if seen.body.is_empty() && !seen.headers.contains_key(header::WWW_AUTHENTICATE) => &[API, PROXIED, METRICS],
        401 | 403 | 429 => &[API, PROXIED],
        _ => &[API],
    }
}

/// A redirect to another host may be one to the same path, or not.
fn lead_to_the_same_path(all: &mut Vec<Supposition>, seen: &Seen) {
    let location = seen.headers.get(header::LOCATION).and_then(|value| value.to_str().ok());
    let Some(path) = location.and_then(|location| location.parse::<Uri>().ok()).filter(|uri| uri.host().is_some())
    else {
        return;
    };
    let path = path.path().parse::<Uri>().unwrap_or_default();
    let same: Vec<Supposition> = all
        .iter()
        .map(|case| {
            let mut case = case.with(("the same path was asked for", |_| {}));
            case.request.uri = path.clone();
            case
        })
        .collect();
    all.extend(same);
}

/// The rest of a head of which only some lines were told: Grafana's own, or another's.
fn heads(case: Supposition) -> [Supposition; 2] {
    let mut grafana = case.clone();
    for (name, value) in [(header::CACHE_CONTROL, "no-store"), (header::X_CONTENT_TYPE_OPTIONS, "nosniff")] {
        put(&mut grafana.headers, name, value);
    }
    let mut other = case;
    put(&mut other.headers, header::DATE, "Thu, 01 Jan 1970 00:00:00 GMT");
    other.when.push("the answer has none of Grafana's headers");
    [grafana, other]
}

fn put(headers: &mut HeaderMap, name: HeaderName, value: &'static str) {
    headers.entry(name).or_insert(HeaderValue::from_static(value));
}

const DAMAGED: Change = ("the token is damaged (`inspect` says so)", |request| {
    request.auth = AuthFacts { spelling: request.auth.spelling, ..supposed("bearer") };
    request.auth.token =
        Some(TokenFacts { kind: TokenKind::ServiceAccount, damage: Some(Damage::Checksum), org: None });
});
const CLOUD: Change = ("it is a token of Grafana Cloud (`glc_…`)", |request| {
    request.auth = AuthFacts { spelling: request.auth.spelling, ..supposed("bearer") };
    request.auth.token = Some(TokenFacts { kind: TokenKind::CloudAccessPolicy, damage: None, org: None });
});
const BARE: Change = ("the token was sent without `Bearer `", |request| request.auth = supposed("bare_token"));
const BASIC_KEY: Change =
    ("the token was sent as `Basic api_key:<token>`", |request| request.auth = supposed("basic_api_key"));
const SCHEME: Change = ("there was nothing behind the scheme", |request| {
    request.auth = supposed("other");
    request.auth.spelling = Spelling::Empty;
});
const OTHER_ORG: Change = ("the request asked for an organisation", |request| {
    request.org = OrgFacts { received: Some("2".into()), sent: Some(2), ..OrgFacts::default() };
});
const SWITCH: Change = ("the request had `?orgId=`", |request| request.uri = Uri::from_static("/api/endpoint?orgId=2"));
const REMOVED: Change = ("`/api/auth/keys` was asked for", |request| request.uri = Uri::from_static("/api/auth/keys"));
const LOGIN: Change = ("the login page was asked for, which sends a signed-in browser home", |request| {
    request.uri = Uri::from_static("/login")
});
const LOGOUT: Change = ("it was a logout", |request| request.uri = Uri::from_static("/logout"));
const LIVE: Change = ("the call was to Grafana Live", |request| request.uri = Uri::from_static("/api/live/ws"));
const LOG: Change =
    ("the call was a browser's log", |request| request.uri = Uri::from_static("/log-grafana-javascript-agent"));
const APIS: Change = ("the call was under `/apis/`", |request| request.uri = Uri::from_static("/apis/group/v1"));
const HEALTH: Change = ("the call was a datasource's health check", |request| {
    request.uri = Uri::from_static("/api/datasources/uid/x/health");
});

/// What requests that are less usual would make of the answer.
fn unusual(asked: &Asked, usual: &[Supposition], seen: &Seen) -> Vec<Candidate> {
    let Some(first) = usual.first() else { return Vec::new() };
    let mut changes: Vec<Change> = Vec::new();
    let may_be_token = !asked.knows_credential || asked.facts.auth.token.is_some();
    if may_be_token && !asked.knows_token {
        changes.extend([DAMAGED, CLOUD]);
    }
    if !asked.knows_credential {
        changes.extend([BARE, BASIC_KEY, SCHEME]);
        if seen.status == 403 {
            changes.push(NOTHING);
        }
    }
    if !asked.knows_target {
        if seen.status.is_redirection() {
            changes.extend([LOGIN, LOGOUT, PROXIED]);
        }
        changes.extend([OTHER_ORG, SWITCH, REMOVED, LIVE, LOG, APIS, HEALTH]);
    }
    let mut found: Vec<Candidate> = Vec::new();
    for change in changes {
        let mut case = Supposition { when: Vec::new(), ..first.clone() };
        if change.0 == NOTHING.0 {
            case.request.auth = asked.facts.auth;
        }
        let case = case.with(change);
        let reason = case.verdict(seen).map(|verdict| verdict.reason);
        if !found.iter().any(|candidate| candidate.reason == reason) {
            found.push(Candidate { reason, when: case.when.join(", and ") });
        }
    }
    found
}

/// Whether the beginning of a body holds these words, in any case.
fn says(body: &[u8], words: &str) -> bool {
    let body = body.get(..4096).unwrap_or(body).to_ascii_lowercase();
    memchr::memmem::find(&body, words.as_bytes()).is_some()
}
