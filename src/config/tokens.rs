//! `tokens`: names, limits and organisations of known callers. A list of mappings, so it has no flags and no variables.

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::Config;
use super::mistake::{Flaw, Mistake};
use super::origin::Origin;
use super::values::rate;
use crate::domain::caller::{Allowed, Caller, KnownBy, Secret};
use crate::domain::credential::{self, Repair};
use crate::domain::limit::Rate;
use crate::domain::path_rule::PathRule;
use crate::domain::token::{Damage, TokenFacts};

mod read;

pub use self::read::{read, reference, schema};

/// The key.
pub const TOKENS: &str = "tokens";

/// A file larger than this holds no token.
const LARGEST: u64 = 64 * 1024;

/// One caller, as it is written down.
#[derive(Clone, Debug)]
pub struct TokenSettings {
    /// Its name.
    pub name: Arc<str>,
    /// Where its token is.
    pub file: Option<PathBuf>,
    /// The SHA-256 of its token.
    pub digest: Option<[u8; 32]>,
    /// Its organisation.
    pub org: Option<u32>,
    /// What it regains, in place of `limits.per_token.rate`.
    pub period: Option<Duration>,
    /// In place of `limits.per_token.burst`.
    pub burst: Option<NonZeroU32>,
    /// What it may do: `GET /api/dashboards/`.
    pub allow: Vec<String>,
    /// Where the token is that Grafana gets in place of its own.
    pub send_file: Option<PathBuf>,
    /// Where this is written.
    pub origin: Origin,
}

/// The place in the file does not make it another one.
impl PartialEq for TokenSettings {
    fn eq(&self, other: &Self) -> bool {
        self.lines() == other.lines()
    }
}

/// A value as it is printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// One.
    One(String),
    /// A list.
    Many(Vec<String>),
    /// Keys and values.
    Pairs(Vec<(&'static str, String)>),
}

impl TokenSettings {
    /// Files that it names.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        [&self.file, &self.send_file].into_iter().flatten().map(PathBuf::as_path)
    }

    /// What is set, in the order of the reference.
    pub fn lines(&self) -> Vec<(&'static str, Value)> {
        let one = |text: String| Value::One(text);
        let shown = |path: &PathBuf| one(path.display().to_string());
        let limit: Vec<_> = [
            self.period.map(|period| ("rate", rate::print(period))),
            self.burst.map(|burst| ("burst", burst.to_string())),
        ]
        .into_iter()
        .flatten()
        .collect();
        let all = [
            ("name", Some(one(self.name.to_string()))),
            ("file", self.file.as_ref().map(shown)),
            ("sha256", self.digest.map(|digest| one(digest.iter().map(|byte| format!("{byte:02x}")).collect()))),
            ("org", self.org.map(|org| one(org.to_string()))),
            ("limit", (!limit.is_empty()).then_some(Value::Pairs(limit))),
            ("allow", (!self.allow.is_empty()).then(|| Value::Many(self.allow.clone()))),
            ("send_file", self.send_file.as_ref().map(shown)),
        ];
        all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }

    fn limit(&self, otherwise: Rate) -> Option<Rate> {
        (self.period.is_some() || self.burst.is_some()).then(|| Rate {
            period: self.period.unwrap_or(otherwise.period),
            burst: self.burst.unwrap_or(otherwise.burst),
        })
    }

    fn error(&self, key: &str, text: Option<&Path>, flaw: Flaw) -> Mistake {
        let text = text.map(|path| path.display().to_string());
        Mistake::error(self.origin.clone(), format!("{TOKENS}[{}].{key}", self.name), text, flaw)
    }
}

/// Reads one line of `allow`: a method or `*`, and a path.
fn allowed(text: &str) -> Result<Allowed, Flaw> {
    const EXAMPLE: &str = "write a method or *, a blank, and a path: GET /api/dashboards/";
    let (method, path) = text.trim().split_once(' ').ok_or_else(|| Flaw::new("is not a method and a path", EXAMPLE))?;
    let method = match method {
        "*" => None,
        method if method.bytes().any(|byte| byte.is_ascii_lowercase()) => {
            return Err(Flaw::new("holds a method in lower case", "methods are compared as they stand: write GET"));
        }
        method => Some(method.parse().map_err(|_| Flaw::new("does not begin with a method", EXAMPLE))?),
    };
    Ok(Allowed { method, path: PathRule::new(&super::values::rule::path(path.trim())?) })
}

/// Reads the files that callers name, and enters into `config` what comes of all of them.
pub(super) fn load(config: &mut Config) -> Vec<Mistake> {
    let mut mistakes = Vec::new();
    let mut callers: Vec<(KnownBy, Arc<Caller>)> = Vec::new();
    config.limits.overrides = Vec::new();
    for (place, token) in config.tokens.iter().enumerate() {
        let by = match (&token.file, token.digest) {
            (Some(file), _) => read_token(token, "file", file, &mut mistakes).map(KnownBy::Token),
            (None, digest) => digest.map(KnownBy::Digest),
        };
        let send = token.send_file.as_ref().map(|file| read_token(token, "send_file", file, &mut mistakes));
        config.limits.overrides.push(token.limit(config.limits.per_token.rate));
        // Without what it is known by, or is to send, it must not pass for one without rules.
        let (Some(by), Some(send)) = (by, send.map_or(Some(None), |send| send.map(Some))) else { continue };
        if let Some((_, other)) = callers.iter().find(|(known, _)| *known == by) {
            let flaw = Flaw::new(format!("is the token of {}, too", other.name), "give each caller a token of its own");
            mistakes.push(token.error("file", None, flaw));
        }
        let allow = token.allow.iter().filter_map(|text| allowed(text).ok()).collect();
        callers.push((by, Arc::new(Caller { name: Arc::clone(&token.name), place, org: token.org, allow, send })));
    }
    config.callers = callers;
    mistakes
}

/// Reads a token as a mounted Secret holds it, with its newline. What is wrong is named, and never shown.
fn read_token(token: &TokenSettings, key: &str, file: &Path, mistakes: &mut Vec<Mistake>) -> Option<Secret> {
    let mut fail = |why: String, cure: &str| {
        mistakes.push(token.error(key, Some(file), Flaw::new(why, cure)));
        None
    };
    if std::fs::metadata(file).is_ok_and(|metadata| metadata.len() > LARGEST) {
        return fail("is too large to hold a token".into(), "name the file that holds the token and nothing else");
    }
    let bytes = match std::fs::read(file) {
        Ok(bytes) => zeroize::Zeroizing::new(bytes),
        Err(error) => return fail(format!("cannot be read: {error}"), "check the path, and who may read it"),
    };
    let trimmed = bytes.trim_ascii();
    if trimmed.is_empty() {
        return fail("holds nothing".into(), "write the token into it");
    }
    if trimmed.iter().any(|byte| matches!(byte, b'\n' | b'\r' | 0)) {
        return fail("holds more than one line".into(), "write the token into it, and nothing else");
    }
    let found = credential::judge(&[trimmed], &[], Repair::On);
    let Some(identity) = found.identity else {
        return fail("holds a scheme without a token".into(), "write the token into it");
    };
    if identity.iter().any(|byte| !byte.is_ascii_graphic()) && !identity.starts_with(b"Basic ") {
        return fail("holds what no token is made of".into(), "write the token into it, and nothing else");
    }
    if key == "send_file" && identity.starts_with(b"Basic ") {
        return fail("holds a user and a password".into(), "write a token of a service account into it");
    }
    if let Some(damage) = TokenFacts::of(&identity).damage.filter(|_| identity.starts_with(b"gl")) {
        let flaw = Flaw::new(format!("holds a token that {}", words(damage)), "copy the whole token again");
        let origin = token.origin.clone();
        mistakes.push(Mistake::warning(origin, format!("{TOKENS}[{}].{key}", token.name), flaw));
    }
    Some(Secret::new(identity.into_owned()))
}

const fn words(damage: Damage) -> &'static str {
    match damage {
        Damage::Checksum => "was changed: its checksum does not hold",
        Damage::Truncated => "was cut off",
        Damage::Surrounded => "has something before or behind it",
        Damage::Placeholder => "is a placeholder",
        Damage::Encoded => "was encoded once more",
        Damage::NotAToken => "has not the spelling of one",
    }
}

#[cfg(test)]
mod tests;
