//! Rules about paths: exact, or a prefix that ends in `/`. They match the bytes as they are forwarded.

use http::Uri;

/// Some rules.
#[derive(Clone, Debug, Default)]
pub struct PathRules {
    exact: Vec<String>,
    prefixes: Vec<String>,
}

impl PathRules {
    /// Rules as written: `/api/health` is exact, `/public/` a prefix.
    pub fn new(rules: &[String]) -> Self {
        let (prefixes, exact) = rules.iter().cloned().partition(|rule: &String| rule.ends_with('/'));
        Self { exact, prefixes }
    }

    /// Whether a target falls under a rule. One that another parser might read as another path falls under none.
    pub fn matches(&self, uri: &Uri) -> bool {
        let path = uri.path();
        let found = self.exact.iter().any(|rule| rule == path)
            || self.prefixes.iter().any(|rule| path.as_bytes().starts_with(rule.as_bytes()));
        found && !is_ambiguous(path.as_bytes())
    }
}

/// Whether a path may mean another one to somebody: dot segments, empty segments, encoded dots and slashes,
/// backslashes, path parameters.
pub fn is_ambiguous(path: &[u8]) -> bool {
    if memchr::memchr3(b';', b'\\', b'%', path).is_some_and(|at| {
        path.get(at..).unwrap_or_default().split(|byte| *byte == b'%').skip(1).any(is_encoded_delimiter)
            || path.iter().any(|byte| matches!(byte, b';' | b'\\'))
    }) {
        return true;
    }
    let mut segments = path.split(|byte| *byte == b'/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        // An empty last segment is a trailing slash, which is no other path.
        if matches!(segment, b"." | b"..") || (segment.is_empty() && segments.peek().is_some()) {
            return true;
        }
    }
    false
}

fn is_encoded_delimiter(behind_percent: &[u8]) -> bool {
    let digits = behind_percent.get(..2).unwrap_or(behind_percent);
    [b"2e", b"2f", b"5c"].iter().any(|encoded| digits.eq_ignore_ascii_case(*encoded))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_match_bytes_and_no_disguise() {
        let rules = PathRules::new(&["/api/health".into(), "/public/".into()]);
        let matches = |target: &str| rules.matches(&target.parse().unwrap());
        for target in
            ["/api/health", "/api/health?x=/../y", "/public/", "/public/a/b.js", "/public/a%20b", "/public/a/"]
        {
            assert!(matches(target), "{target}");
        }
        for target in [
            "/",
            "/api/health/",
            "/api/healthy",
            "/public",
            "/API/health",
            "/public/../api",
            "/public/./x",
            "/public/..",
            "/public//x",
            "//public/x",
            "/public/%2e%2e/api",
            "/public/%2Fx",
            "/public/%5cx",
            "/public/\\x",
            "/public/;x",
            "/public/a%2E",
        ] {
            assert!(!matches(target), "{target}");
        }
    }

    proptest::proptest! {
        #[test]
        fn a_path_that_is_not_plain_matches_nothing(before in "[a-z/]{0,9}", odd in "(//|/\\./|/\\.\\./|%2e|%2F|%5C|;|\\\\)", after in "[a-z/]{0,9}") {
            let rules = PathRules::new(&["/".into()]);
            if let Ok(uri) = format!("/a{before}{odd}{after}").parse::<Uri>() {
                proptest::prop_assert!(!rules.matches(&uri));
            }
        }
    }
}
