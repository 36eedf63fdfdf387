//! Callers that the configuration knows: their names, and what holds for them alone.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use http::Method;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::credential::{Compared, compared_of_identity};
use super::path_rule::PathRule;
use super::token::{BucketKey, HashKey};

/// A token that the configuration holds. Never shows itself, and leaves nothing behind in memory.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<Zeroizing<Vec<u8>>>);

impl Secret {
    /// Keeps `bytes`.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Arc::new(Zeroizing::new(bytes)))
    }

    /// The bytes, for whoever hashes or sends them.
    pub fn reveal(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// What a caller may do: one line of `allow`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowed {
    /// `None`: with every method.
    pub method: Option<Method>,
    /// Where.
    pub path: PathRule,
}

impl Allowed {
    fn covers(&self, method: &Method, path: &str) -> bool {
        self.method.as_ref().is_none_or(|own| own == method) && self.path.matches(path)
    }
}

/// What the configuration says of one caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The name in logs and metrics.
    pub name: Arc<str>,
    /// Its place among all.
    pub place: usize,
    /// Its organisation.
    pub org: Option<u32>,
    /// What it may do; nothing written: everything.
    pub allow: Vec<Allowed>,
    /// What Grafana gets in place of its own token.
    pub send: Option<Secret>,
}

impl Caller {
    /// Whether it may ask for this.
    pub fn may(&self, method: &Method, path: &str) -> bool {
        self.allow.is_empty() || self.allow.iter().any(|allowed| allowed.covers(method, path))
    }
}

/// What a caller is known by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KnownBy {
    /// Its token.
    Token(Secret),
    /// The SHA-256 of its token.
    Digest([u8; 32]),
}

/// All callers that the configuration knows.
#[derive(Clone, Debug, Default)]
pub struct Callers {
    by_key: HashMap<BucketKey, Arc<Caller>, foldhash::fast::RandomState>,
    by_digest: HashMap<[u8; 32], Arc<Caller>>,
}

impl Callers {
    /// Files all of them under what their requests will be filed under.
    pub fn new(known: &[(KnownBy, Arc<Caller>)], hash_key: &HashKey) -> Self {
        let mut callers = Self::default();
        for (by, caller) in known {
            match by {
                KnownBy::Token(token) => {
                    let key = compared_of_identity(token.reveal()).key(hash_key);
                    callers.by_key.insert(key, Arc::clone(caller));
                }
                KnownBy::Digest(digest) => {
                    callers.by_digest.insert(*digest, Arc::clone(caller));
                }
            }
        }
        callers
    }

    /// Who sends a credential that is filed under `key`. A digest was taken of the spelling in which the token was issued,
    /// or of what somebody made of it: both are looked for, and only where somebody is known by a digest.
    pub fn find(&self, key: BucketKey, identity: &[u8], compared: &Compared<'_>) -> Option<&Arc<Caller>> {
        if self.by_key.is_empty() && self.by_digest.is_empty() {
            return None;
        }
        let known = self.by_key.get(&key);
        if known.is_some() || self.by_digest.is_empty() {
            return known;
        }
        let of = |text: &[u8]| self.by_digest.get(&<[u8; 32]>::from(Sha256::digest(text)));
        of(identity).or_else(|| of(&compared.issued()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: HashKey = HashKey::from_bytes([7; 16]);

    fn caller(name: &str, place: usize) -> Arc<Caller> {
        Arc::new(Caller { name: name.into(), place, org: None, allow: Vec::new(), send: None })
    }

    fn find<'c>(callers: &'c Callers, token: &[u8]) -> Option<&'c str> {
        let compared = compared_of_identity(token);
        callers.find(compared.key(&KEY), token, &compared).map(|caller| &*caller.name)
    }

    #[test]
    fn callers_are_found_by_token_and_by_digest() {
        let digest = Sha256::digest(b"other").into();
        let known = [
            (KnownBy::Token(Secret::new(b"one".to_vec())), caller("ci-bot", 0)),
            (KnownBy::Digest(digest), caller("reports", 1)),
        ];
        let callers = Callers::new(&known, &KEY);
        assert_eq!(find(&callers, b"one"), Some("ci-bot"));
        assert_eq!(find(&callers, b"other"), Some("reports"));
        assert_eq!(find(&callers, b"third"), None);
        assert_eq!(find(&Callers::default(), b"one"), None);
        assert!(!format!("{known:?}").contains("111, 110"), "{known:?}");
    }

    #[test]
    fn a_caller_may_do_what_is_written_and_no_more() {
        let rule = |method: Option<Method>, path: &str| Allowed { method, path: PathRule::new(path) };
        let allow = vec![rule(Some(Method::GET), "/api/dashboards/"), rule(None, "/api/annotations")];
        let bound = Caller { allow, ..Caller::clone(&caller("ci-bot", 0)) };
        for (method, path, may) in [
            (Method::GET, "/api/dashboards/uid/x", true),
            (Method::POST, "/api/dashboards/db", false),
            (Method::POST, "/api/annotations", true),
            (Method::GET, "/api/annotations/1", false),
            (Method::GET, "/api/dashboards/../admin/users", false),
            (Method::GET, "/api/dashboards//x", false),
        ] {
            assert_eq!(bound.may(&method, path), may, "{method} {path}");
        }
        assert!(caller("free", 0).may(&Method::DELETE, "/api/x"));
    }
}
