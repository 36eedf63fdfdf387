//! From flags, environment and file to one configuration, with every mistake of all three.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::ArgMatches;

use super::environment::{CONFIG, Environment, FINGERPRINT_KEY};
use super::file::{self, SourceFile};
use super::given::Given;
use super::keys::{self, Field};
use super::mistake::{Flaw, Mistake, Severity};
use super::origin::{Origin, Origins};
use super::{Config, arguments, certificates, coherence, tokens};
use crate::domain::token::HashKey;
use crate::telemetry::otlp;

/// What came of all sources.
#[derive(Clone, Debug)]
pub struct Effective {
    /// The configuration. Where a value is faulty, the next weaker one stands.
    pub config: Config,
    /// Who set each key.
    pub origins: Origins,
    /// Errors and warnings, in the order of the file, then the environment, then the flags, then clashes.
    pub mistakes: Vec<Mistake>,
    /// The file that was read, if one was named.
    pub file: Option<PathBuf>,
}

impl Effective {
    /// What keeps the proxy from starting.
    pub fn errors(&self) -> impl Iterator<Item = &Mistake> {
        self.mistakes.iter().filter(|mistake| mistake.severity == Severity::Error)
    }

    /// What does not.
    pub fn warnings(&self) -> impl Iterator<Item = &Mistake> {
        self.mistakes.iter().filter(|mistake| mistake.severity == Severity::Warning)
    }

    /// Whether only the command line is at fault: wrong usage, and not a wrong configuration.
    pub fn is_wrong_usage(&self) -> bool {
        self.errors().next().is_some() && self.errors().all(|mistake| matches!(mistake.origin, Origin::Flag(_)))
    }
}

/// Loads what the flags in `matches` and these variables ask for.
pub fn load(matches: &ArgMatches, variables: impl IntoIterator<Item = (OsString, OsString)>) -> Effective {
    let environment = Environment::new(variables);
    let named = arguments::named_file(matches).cloned();
    let path = named.or_else(|| environment.get(CONFIG).map(PathBuf::from));
    let file = path.as_deref().map(SourceFile::read).transpose();
    let (file, unreadable) = match file {
        Ok(file) => (file, None),
        Err(mistake) => (None, Some(*mistake)),
    };
    let mut effective = merge(file.as_ref(), &environment, arguments::values(matches));
    effective.mistakes.extend(unreadable);
    effective.file = path;
    effective
}

/// Loads the text of a file alone.
pub fn load_text(file: &SourceFile) -> Effective {
    merge(Some(file), &Environment::default(), Vec::new())
}

fn merge(file: Option<&SourceFile>, environment: &Environment, flags: Vec<Given>) -> Effective {
    let (given, tokens, wrong) = file.map(file::values).unwrap_or_default();
    let from_file = (given, wrong);
    let mut config = Config { tokens, ..Config::unset() };
    let mut mistakes = Vec::new();
    for given in defaults() {
        mistakes.extend(given.apply(&mut config));
    }
    let mut origins = Origins::default();
    // The weakest first: each one replaces what came before.
    for (values, own) in [from_file, environment.values(), (flags, Vec::new())] {
        let mut found = own;
        for given in values {
            let wrong = given.apply(&mut config);
            if wrong.is_empty() || wrong.len() < given.pieces.len() {
                origins.set(given.key.path, given.origin);
            }
            found.extend(wrong);
        }
        found.sort_by_key(|mistake| match mistake.origin {
            Origin::File { line, column, .. } => (line, column),
            _ => (0, 0),
        });
        mistakes.extend(found);
    }
    mistakes.extend(tokens::load(&mut config));
    mistakes.extend(coherence::check(&config, &origins));
    mistakes.extend(certificates::load(&mut config, &origins));
    let (spans, problems) = otlp::Settings::read(|name| environment.get(name));
    config.spans = spans;
    mistakes.extend(problems.into_iter().map(not_exported));
    config.fingerprint_key = environment.get(FINGERPRINT_KEY).map(|secret| HashKey::derive(secret.as_bytes()));
    mistakes.extend(hashes_apart(&config, &origins));
    mistakes.extend(environment.get(FINGERPRINT_KEY).filter(|secret| secret.len() < 16).map(short_key));
    Effective { config, origins, mistakes, file: None }
}

fn defaults() -> impl Iterator<Item = Given> {
    keys::all().map(|key| Given::from_text(key, &[key.default.to_owned()], &Origin::Default))
}

/// The specification wants wrong values told and passed over.
fn not_exported(problem: otlp::Problem) -> Mistake {
    Mistake::warning(Origin::Environment(problem.variable.to_owned()), "", Flaw::new(problem.what, problem.cure))
}

/// Replicas find each other's buckets under hashes with one key.
fn hashes_apart(config: &Config, origins: &Origins) -> Option<Mistake> {
    if config.shared.address.is_none() || config.fingerprint_key.is_some() {
        return None;
    }
    let flaw = Flaw::new(
        format!("needs {FINGERPRINT_KEY}: replicas find each other's budgets by hashes with one key"),
        format!("set {FINGERPRINT_KEY} to the same 32 random bytes on all replicas, as openssl rand -hex 32 prints"),
    );
    Some(Mistake::error(origins.of("limits.shared"), "limits.shared", None, flaw))
}

fn short_key(_: &str) -> Mistake {
    let flaw = Flaw::new(
        "the key is shorter than 16 bytes: fingerprints could be turned back by guessing it",
        "set it to 32 random bytes, as openssl rand -hex 32 prints",
    );
    Mistake::warning(Origin::Environment(FINGERPRINT_KEY.to_owned()), "", flaw)
}

/// A value as it is printed.
pub enum Shown {
    /// One value.
    One(String),
    /// A list.
    Many(Vec<String>),
}

/// The value of a key in `config`.
pub fn show(key: &keys::Key, config: &Config) -> Shown {
    match key.field {
        Field::One { show, .. } => Shown::One(show(config)),
        Field::Many { show, .. } => Shown::Many(show(config)),
    }
}
