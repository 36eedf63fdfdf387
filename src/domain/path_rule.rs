//! Rules over paths, as `limits.exempt` and its like give them: exact, or a prefix ending in `/`.

use std::num::NonZeroU32;

use http::Uri;

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathRule(Box<str>);

impl PathRule {
    /// The rule that `text` writes: exact, or a prefix where it ends in `/`.
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// Whether it matches the path as it is forwarded, byte for byte. A path that others may read as another one
    /// (see [`is_plain`]) matches nothing: else `/public/../api/org` would be exempt from the limits.
    pub fn matches(&self, path: &str) -> bool {
        self.fits(path) && is_plain(path)
    }

    fn fits(&self, path: &str) -> bool {
        if self.0.ends_with('/') { path.starts_with(&*self.0) } else { path == &*self.0 }
    }
}

/// A list of rules, of which any may match.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PathRules(Box<[PathRule]>);

impl PathRules {
    /// The rules that `texts` write.
    pub fn new<T: AsRef<str>>(texts: &[T]) -> Self {
        Self(texts.iter().map(|text| PathRule::new(text.as_ref())).collect())
    }

    /// Whether any rule matches the path of a target.
    pub fn matches(&self, uri: &Uri) -> bool {
        self.matches_path(uri.path())
    }

    /// Whether any rule matches a path. Most requests match none, so that looking closer comes last.
    pub fn matches_path(&self, path: &str) -> bool {
        self.0.iter().any(|rule| rule.fits(path)) && is_plain(path)
    }
}

/// What requests cost, by path; where several rules match, the longest counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Costs(Box<[(PathRule, NonZeroU32)]>);

impl Costs {
    /// The costs that rules and numbers give.
    pub fn new<T: AsRef<str>>(costs: &[(T, NonZeroU32)]) -> Self {
        let mut rules: Vec<_> = costs.iter().map(|(text, cost)| (PathRule::new(text.as_ref()), *cost)).collect();
        rules.sort_by_key(|(rule, _)| std::cmp::Reverse(rule.0.len()));
        Self(rules.into())
    }

    /// What a request to this path costs: one, where nothing is said. A path that others may read as another one costs
    /// what the dearest rule says, else a spelling would make it cheaper.
    pub fn of(&self, path: &str) -> NonZeroU32 {
        if self.0.is_empty() {
            return NonZeroU32::MIN;
        }
        if !is_plain(path) {
            return self.0.iter().map(|(_, cost)| *cost).max().unwrap_or(NonZeroU32::MIN);
        }
        self.0.iter().find(|(rule, _)| rule.fits(path)).map_or(NonZeroU32::MIN, |(_, cost)| *cost)
    }
}

/// Whether everybody reads the same in a path: no dot segments, `//`, `%2e`, `%2f`, `%5c`, `\` or `;`.
pub fn is_plain(path: &str) -> bool {
    let bytes = path.as_bytes();
    if memchr::memchr3(b'\\', b';', b'%', bytes).is_some() && holds_oddity(bytes) {
        return false;
    }
    // The first segment is what stands before the first `/`: nothing. A last empty one is a final `/`.
    let segments = path.strip_prefix('/').unwrap_or(path);
    let segments = segments.strip_suffix('/').unwrap_or(segments);
    segments.is_empty() && bytes.len() < 2
        || !segments.is_empty() && segments.split('/').all(|segment| !matches!(segment, "" | "." | ".."))
}

fn holds_oddity(path: &[u8]) -> bool {
    path.iter().any(|byte| matches!(byte, b'\\' | b';'))
        || path
            .windows(3)
            .any(|three| matches!(three, [b'%', b'2', b'e' | b'E' | b'f' | b'F'] | [b'%', b'5', b'c' | b'C']))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rules() -> PathRules {
        PathRules::new(&["/api/health", "/metrics", "/public/"])
    }

    #[test]
    fn rules_are_exact_or_prefixes() {
        for path in ["/api/health", "/metrics", "/public/", "/public/a/b.js", "/public/a%20b", "/public/a.b/..c"] {
            assert!(rules().matches_path(path), "{path}");
        }
        for path in [
            "/",
            "",
            "*",
            "/api/health/",
            "/api/healthz",
            "/metrics/x",
            "/public",
            "/publicx",
            "/API/health",
            "/x/public/",
        ] {
            assert!(!rules().matches_path(path), "{path}");
        }
        assert!(PathRules::new(&["/"]).matches_path("/anything"));
        assert!(PathRules::new(&["/"]).matches_path("/"));
        assert!(!PathRules::new::<&str>(&[]).matches_path("/"));
    }

    #[test]
    fn a_query_does_not_count() {
        assert!(rules().matches(&Uri::from_static("/api/health?a=/../;b")));
        assert!(rules().matches(&Uri::from_static("http://grafana/public/x?y")));
    }

    #[test]
    fn what_can_be_read_in_two_ways_matches_nothing() {
        for rest in [
            "../api/org",
            "./x",
            "x/..",
            "..",
            ".",
            "/x",
            "x//y",
            "x//",
            "%2e%2e/x",
            "%2E/x",
            "..%2fapi",
            "%5c..",
            "x\\y",
            "x;y",
            ";",
        ] {
            assert!(!rules().matches_path(&format!("/public/{rest}")), "{rest}");
            assert!(!PathRule::new("/public/").matches(&format!("/public/{rest}")), "{rest}");
        }
        for path in ["//", "///", "//public/", "/./public/"] {
            assert!(!is_plain(path), "{path}");
        }
        for path in ["/", "", "/a", "/a/", "/a/b", "/a%", "/%41/..."] {
            assert!(is_plain(path), "{path}");
        }
    }

    #[test]
    fn the_longest_rule_says_what_a_request_costs() {
        let cost = |number| NonZeroU32::new(number).unwrap();
        let costs = Costs::new(&[("/api/", cost(2)), ("/api/ds/query", cost(5)), ("/render/", cost(10))]);
        for (path, expected) in [
            ("/api/org", 2),
            ("/api/ds/query", 5),
            ("/api/ds/queryx", 2),
            ("/render/d/x", 10),
            ("/", 1),
            ("/d/x", 1),
            ("/api//ds/query", 10),
            ("/api/%2e/ds/query", 10),
        ] {
            assert_eq!(costs.of(path), cost(expected), "{path}");
        }
        assert_eq!(Costs::default().of("/api//ds"), cost(1));
    }

    proptest! {
        #[test]
        fn what_matches_stays_in_its_folder(path in "/public/([a-z./%2ef5c;\\\\]|%2e|%2f|\\.\\.){0,12}") {
            let decoded = percent_encoding::percent_decode_str(&path).decode_utf8_lossy().replace('\\', "/");
            let leaves = decoded.split('/').any(|segment| segment == ".." || segment == ".") || decoded.contains("//");
            prop_assert!(!(leaves && rules().matches_path(&path)), "{}", path);
        }
    }
}
