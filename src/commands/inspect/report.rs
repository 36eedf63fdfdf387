//! What is said about a credential, in text and as JSON.

use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::contents::{Claims, Contents};
use super::findings::{Findings, Problem, checksum};
use crate::commands::output::Paint;
use crate::commands::rows::row;
use crate::domain::credential::{AuthForm, Change};
use crate::domain::reason::Reason;
use crate::domain::token::{TokenFacts, TokenKind};

/// For eyes.
pub(super) fn text(findings: &Findings, random_key: bool, paint: &Paint) -> String {
    let verdict = if findings.is_usable() { "usable, as far as it shows" } else { "not usable" };
    let mut text = format!("{}\n\n", paint.bold(verdict));
    let mut put = |name: &str, value: &str| text.push_str(&row(name, value));
    if let Some(problem) = &findings.problem {
        put("reason", problem.reason.code());
        put("wrong", &sentence(&problem.detail));
        put("next", &sentence(&problem.hint));
    }
    put("kind", &kind(findings));
    if let Some(token) = findings.token {
        put("checksum", checksum_in_words(token));
    }
    match &findings.contents {
        Contents::Opaque => {}
        Contents::Key { org, name } => put("inside", &format!("organisation {org}, name `{name}`")),
        Contents::Claims(claims) => put("inside", &claims_in_words(claims)),
    }
    put("received", findings.received.name());
    if !findings.changes.is_empty() {
        put("repairs", &changes(findings).join(", "));
    }
    put("sent", &sent(findings));
    if let Some(fingerprint) = findings.fingerprint {
        let note = if random_key {
            " (random key, another each time; GTP_FINGERPRINT_KEY makes it that of the log)"
        } else {
            ""
        };
        put("fingerprint", &format!("{fingerprint}{note}"));
    }
    for remark in &findings.remarks {
        put("remark", &sentence(remark));
    }
    if let Some(problem) = &findings.problem {
        put("doc", &problem.reason.doc_url());
    }
    text
}

/// For programs.
pub(super) fn json(findings: &Findings, random_key: bool) -> String {
    let mut members = Map::new();
    let mut put = |name: &str, value: Value| members.insert(name.to_owned(), value);
    put("usable", findings.is_usable().into());
    if let Some(problem) = &findings.problem {
        let Problem { reason, detail, hint } = problem;
        put("reason", reason.code().into());
        put("detail", sentence(detail).into());
        put("hint", sentence(hint).into());
        put("doc", reason.doc_url().into());
    }
    if let Some(token) = findings.token {
        put("token_kind", token.kind.name().into());
        put("length", findings.length.into());
        put("checksum", checksum(token).map_or(Value::Null, |holds| if holds { "holds" } else { "fails" }.into()));
    }
    put("auth_received", findings.received.name().into());
    put("auth_sent", findings.sent.name().into());
    put("sends", sent(findings).into());
    put("changes", json!(changes(findings)));
    if let Some(fingerprint) = findings.fingerprint {
        put("token_fingerprint", fingerprint.to_string().into());
        put("fingerprint_key", if random_key { "random" } else { "set" }.into());
    }
    match &findings.contents {
        Contents::Opaque => {}
        Contents::Key { org, name } => {
            put("inside", json!({ "org": org, "name": name }));
        }
        Contents::Claims(claims) => {
            let times = [claims.issued_at, claims.not_before, claims.expires_at].map(|time| time.map(moment));
            let [issued_at, not_before, expires_at] = times;
            put(
                "inside",
                json!({ "algorithm": claims.algorithm, "claims": claims.names, "issued_at": issued_at,
                        "not_before": not_before, "expires_at": expires_at }),
            );
        }
    }
    put("remarks", findings.remarks.iter().map(|remark| sentence(remark)).collect());
    format!("{:#}\n", Value::Object(members))
}

fn kind(findings: &Findings) -> String {
    let Some(token) = findings.token else {
        if findings.problem.as_ref().is_some_and(|problem| problem.reason == Reason::CredentialConflict) {
            return "two different credentials".to_owned();
        }
        return match findings.sent {
            AuthForm::None => "nothing".to_owned(),
            AuthForm::Basic => "user and password".to_owned(),
            _ => "nothing that Grafana reads".to_owned(),
        };
    };
    let words = match token.kind {
        TokenKind::ServiceAccount => "a service account token (`glsa_…`)",
        TokenKind::LegacyKey => "an API key of old (`eyJr…`)",
        TokenKind::CloudAccessPolicy => "a token of Grafana Cloud's own API (`glc_…`)",
        TokenKind::OtherService => "a token of another service of Grafana (`gl…_…`)",
        TokenKind::Jwt => "a JWT",
        TokenKind::Unknown => "no token of Grafana",
    };
    format!("{}: {words}, {} characters", token.kind.name(), findings.length)
}

fn checksum_in_words(token: TokenFacts) -> &'static str {
    match (checksum(token), token.kind) {
        (Some(true), _) => "holds",
        (Some(false), _) => "does not hold",
        (None, TokenKind::ServiceAccount | TokenKind::OtherService) => {
            "cannot be computed: too little is left, or too much is there"
        }
        (None, _) => "none: this kind has no checksum",
    }
}

/// What Grafana would get.
fn sent(findings: &Findings) -> String {
    let token = match findings.token.map(|token| token.kind) {
        Some(TokenKind::ServiceAccount) => "the service account token",
        Some(TokenKind::LegacyKey) => "the API key",
        Some(TokenKind::Jwt) => "the JWT",
        _ => "what was given",
    };
    let as_given = if findings.changes.is_empty() { "as given: " } else { "" };
    match findings.sent {
        AuthForm::None => "nothing".to_owned(),
        AuthForm::Bearer => format!("{as_given}`Authorization: Bearer ` and {token}"),
        AuthForm::Basic => format!("{as_given}`Authorization: Basic ` and user and password"),
        AuthForm::BasicApiKey => format!("{as_given}`Authorization: Basic ` and {token} as password of `api_key`"),
        _ => "as given, for it is not ours to judge".to_owned(),
    }
}

fn changes(findings: &Findings) -> Vec<&'static str> {
    findings.changes.iter().map(Change::name).collect()
}

fn claims_in_words(claims: &Claims) -> String {
    let mut words = vec![format!("claims {}", claims.names.join(", "))];
    words.extend(claims.algorithm.as_ref().map(|algorithm| format!("signed with {algorithm}")));
    for (name, time) in
        [("issued", claims.issued_at), ("not before", claims.not_before), ("expires", claims.expires_at)]
    {
        words.extend(time.map(|time| format!("{name} {}", moment(time))));
    }
    words.join("; ")
}

fn moment(time: i64) -> String {
    let moment = OffsetDateTime::from_unix_timestamp(time).ok().and_then(|moment| moment.format(&Rfc3339).ok());
    moment.unwrap_or_else(|| format!("{time} s after 1970"))
}

fn sentence(clause: &str) -> String {
    let mut characters = clause.chars();
    let first = characters.next().map(|first| first.to_ascii_uppercase());
    let end = if clause.ends_with('.') { "" } else { "." };
    first.into_iter().chain(characters).chain(end.chars()).collect()
}
