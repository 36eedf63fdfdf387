//! What is found out about a credential: by the very functions that judge it when it comes with a request.

use std::net::{IpAddr, Ipv4Addr};

use http::{HeaderMap, HeaderValue, Method, Uri, header};
use zeroize::Zeroizing;

use super::contents::{Claims, Contents};
use crate::commands::secret_input;
use crate::domain::caller::Callers;
use crate::domain::classify;
use crate::domain::credential::{self, AuthForm, Changes, Judgement, Repair};
use crate::domain::decide::{Asked, Policy, decide};
use crate::domain::fields::Fields;
use crate::domain::head::{AuthFacts, Head};
use crate::domain::path_rule::{Costs, PathRules};
use crate::domain::reason::Reason;
use crate::domain::token::{Damage, Fingerprint, HashKey, TokenFacts, TokenKind};
use crate::domain::{client, org};

/// Why it is not usable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::commands) struct Problem {
    pub(in crate::commands) reason: Reason,
    pub(in crate::commands) detail: String,
    pub(in crate::commands) hint: String,
}

/// What is known. Holds no secret.
#[derive(Clone, Debug, Default)]
pub(in crate::commands) struct Findings {
    pub(in crate::commands) received: AuthForm,
    pub(in crate::commands) sent: AuthForm,
    pub(in crate::commands) changes: Changes,
    pub(in crate::commands) token: Option<TokenFacts>,
    /// How long the credential is, in bytes, without its scheme.
    pub(in crate::commands) length: usize,
    pub(in crate::commands) fingerprint: Option<Fingerprint>,
    pub(in crate::commands) contents: Contents,
    pub(in crate::commands) problem: Option<Problem>,
    /// What else is worth knowing.
    pub(in crate::commands) remarks: Vec<String>,
}

impl Findings {
    /// Judges a text; `now` is in seconds since 1970.
    pub(in crate::commands) fn of(text: &[u8], key: &HashKey, now: i64) -> Self {
        if let [0xff, 0xfe, ..] | [0xfe, 0xff, ..] = text {
            return Self::hopeless(
                Reason::TokenMalformed,
                "the text is UTF-16, as PowerShell's `>` writes it: no header can hold that",
                "write the file anew as UTF-8 or ASCII: `Set-Content -Encoding ascii -NoNewline`",
            );
        }
        let line = secret_input::header_value(text);
        let mut value = line;
        while let [rest @ .., b'\r' | b'\n'] = value {
            value = rest;
        }
        let Some(headers) = head_with(value) else { return Self::no_header(value) };
        let mut findings = Self::judged(&headers, key, now);
        let taken = matches!(findings.sent, AuthForm::Bearer | AuthForm::Basic | AuthForm::BasicApiKey);
        // One word is meant to be a token: what is wrong with it, it says behind the scheme.
        if !taken
            && !value.contains(&b' ')
            && let Some(headers) = head_with(&Zeroizing::new([b"Bearer ", value].concat()))
        {
            let meant = Self::judged(&headers, key, now);
            findings =
                Self { received: findings.received, sent: findings.sent, fingerprint: findings.fingerprint, ..meant };
        }
        findings.remarks.extend(line_end(text).filter(|_| findings.is_usable()));
        findings
    }

    /// Whether Grafana may accept it, as far as it shows.
    pub(in crate::commands) const fn is_usable(&self) -> bool {
        self.problem.is_none()
    }

    fn hopeless(reason: Reason, detail: &str, hint: &str) -> Self {
        Self { problem: Some(Problem::new(reason, detail, hint)), ..Self::default() }
    }

    fn no_header(value: &[u8]) -> Self {
        if value.iter().any(|byte| matches!(byte, b'\r' | b'\n')) {
            return Self::hopeless(
                Reason::NewlineInHead,
                "a line break stands in the middle: the head of a request would end or break there",
                "leave one line, with the token or the value of `Authorization` and nothing else",
            );
        }
        Self::hopeless(
            Reason::HeadMalformed,
            "a control character stands in it, which no header may hold",
            "copy the token again: a terminal or an editor has added something to it",
        )
    }

    fn judged(headers: &HeaderMap, key: &HashKey, now: i64) -> Self {
        let policy = Policy {
            authorization: credential::Settings::default(),
            org: org::Settings::default(),
            clients: client::Settings::default(),
            callers: Callers::default(),
            exempt: PathRules::default(),
            costs: Costs::default(),
            hash_key: key.clone(),
        };
        let fields = Fields::from(headers);
        let head = Head::collect(&fields, &[]);
        let asked = Asked {
            method: &Method::GET,
            uri: &Uri::from_static("/api/org"),
            head: &head,
            peer: IpAddr::V4(Ipv4Addr::LOCALHOST),
        };
        let found = decide(asked, &policy, |_| None);
        let judged = &found.credential;
        let identity = judged.identity.as_deref().unwrap_or_default();
        let contents = judged.token.map(|token| Contents::of(token.kind, identity)).unwrap_or_default();
        let refused = found.refusal.map(|refused| Problem::new(refused.reason, &refused.detail, &refused.hint));
        let problem = refused.or_else(|| problem(judged, &contents, now));
        Self {
            received: judged.received,
            sent: judged.sent,
            changes: judged.changes,
            token: judged.token,
            length: if judged.token.is_some() { identity.len() } else { 0 },
            fingerprint: found.key.filter(|_| judged.token.is_some()).map(|key| key.fingerprint()),
            remarks: remarks_on(judged, headers, problem.is_some()),
            contents,
            problem,
        }
    }
}

impl Problem {
    fn new(reason: Reason, detail: &str, hint: &str) -> Self {
        Self { reason, detail: detail.to_owned(), hint: hint.to_owned() }
    }
}

fn head_with(value: &[u8]) -> Option<HeaderMap> {
    let mut value = HeaderValue::from_bytes(value).ok()?;
    value.set_sensitive(true);
    Some(HeaderMap::from_iter([(header::AUTHORIZATION, value)]))
}

/// What makes it unusable, as it would be sent.
fn problem(judged: &Judgement<'_>, contents: &Contents, now: i64) -> Option<Problem> {
    if judged.identity.is_none() {
        let (detail, hint) =
            ("there is nothing in it", "fill in the token: the variable or file it comes from is empty");
        return Some(Problem::new(Reason::CredentialMissing, detail, hint));
    }
    if judged.basic_holds_token && judged.sent == AuthForm::Basic {
        return Some(Problem::new(
            Reason::PasswordWrong,
            "user or password is a token, which Grafana tries as a password in vain",
            "send the token as `Authorization: Bearer <token>`",
        ));
    }
    if let Contents::Claims(claims) = contents {
        return out_of_date(claims, now);
    }
    // What was repaired is told by itself.
    let verdict = classify::judge_credential(AuthFacts { changes: Changes::default(), ..AuthFacts::from(judged) })?;
    let remains = verdict.hint.replace(", or set `authorization.repair: on`", "");
    Some(Problem { reason: verdict.reason, detail: verdict.detail, hint: remains })
}

/// A JWT's own times. Whether Grafana takes it at all, only its configuration says.
fn out_of_date(claims: &Claims, now: i64) -> Option<Problem> {
    if claims.expires_at.is_some_and(|time| time <= now) {
        return Some(Problem::new(
            Reason::JwtInvalid,
            "the JWT has expired",
            "ask whoever issued it for a new one; a program should use a service account token",
        ));
    }
    claims.not_before.filter(|time| *time > now).map(|_| {
        Problem::new(
            Reason::JwtInvalid,
            "the JWT is not valid yet",
            "compare the clocks of this machine and of the issuer",
        )
    })
}

/// The most common way in which a good token becomes a bad header.
fn line_end(text: &[u8]) -> Option<String> {
    matches!(text, [.., b'\r' | b'\n']).then(|| {
        "the line break at the end was left out here; in a header it breaks the request (`newline_in_head`)".to_owned()
    })
}

/// What is no fault and matters all the same.
fn remarks_on(judged: &Judgement<'_>, headers: &HeaderMap, has_problem: bool) -> Vec<String> {
    let mut remarks = Vec::new();
    if judged.received == AuthForm::BareToken && !has_problem {
        remarks.push("in a header it needs `Bearer ` before it, which the proxy adds".to_owned());
    } else if let Some(value) = headers.get(header::AUTHORIZATION)
        && !has_problem
        && judged.sent != AuthForm::Jwt
        && let Some(verdict) =
            classify::judge_credential(AuthFacts::from(&credential::judge(&[value.as_bytes()], &[], Repair::Off)))
    {
        remarks.push(format!("without the proxy, Grafana would not take it: {}", lower_first(&verdict.detail)));
    }
    match judged.token.map(|token| (token.kind, token.damage)) {
        Some((TokenKind::LegacyKey, None)) => remarks.push(
            "API keys ended: Grafana turns them into service account tokens, and takes none from about 12.1 on".to_owned(),
        ),
        Some((TokenKind::OtherService, None)) => {
            remarks.push("it belongs to another service of Grafana: a service account token begins with `glsa_`".to_owned());
        }
        Some((TokenKind::Jwt, _)) => remarks.push(
            "Grafana takes a JWT only where `[auth.jwt]` is on and its `header_name` is `Authorization`; as an API token \
             it is of the wrong kind"
                .to_owned(),
        ),
        _ if judged.sent == AuthForm::Basic => {
            remarks.push("whether user and password are right, only Grafana can tell".to_owned());
        }
        _ => {}
    }
    remarks
}

fn lower_first(sentence: &str) -> String {
    let mut characters = sentence.chars();
    characters.next().map(|first| first.to_ascii_lowercase()).into_iter().chain(characters).collect()
}

/// What is known of a token's checksum: `None` where its kind has none, or too little of it is left.
pub(in crate::commands) fn checksum(token: TokenFacts) -> Option<bool> {
    match (token.kind, token.damage) {
        (TokenKind::ServiceAccount | TokenKind::OtherService, None) => Some(true),
        (TokenKind::ServiceAccount | TokenKind::OtherService, Some(Damage::Checksum)) => Some(false),
        _ => None,
    }
}
