//! Rules over paths, as `limits.exempt` and its like give them: exact, or a prefix ending in `/`.
//!
//! Paths and rules are compared percent-decoded, since that is how Grafana compares a path with its routes.

use std::borrow::Cow;
use std::num::NonZeroU32;

use http::Uri;
use percent_encoding::{percent_decode, percent_decode_str};

/// How often a path may be decoded before a route is chosen: Grafana decodes once, a proxy in front of it may do so, too.
pub(in crate::domain) const DECODINGS: usize = 3;

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathRule {
    decoded: Box<[u8]>,
    /// Whether it ends in `/`.
    is_prefix: bool,
    /// Whether a plain path can spell the rule in one way only, so that it need not be decoded to be compared.
    has_one_spelling: bool,
}

impl PathRule {
    /// The rule that `text` writes: exact, or a prefix where it ends in `/`.
    pub fn new(text: &str) -> Self {
        let decoded: Box<[u8]> = percent_decode_str(text).collect();
        let has_one_spelling = decoded.iter().all(|byte| *byte == b'/' || is_unreserved(*byte));
        Self { is_prefix: decoded.ends_with(b"/"), decoded, has_one_spelling }
    }

    /// Whether it matches a path. A path that others may read as another one (see [`is_plain`]) matches nothing: else
    /// `/public/../api/org` would be exempt from the limits.
    pub fn matches(&self, path: &str) -> bool {
        let fits = if self.has_one_spelling { self.fits(path.as_bytes()) } else { self.fits(&decode(path)) };
        fits && is_plain(path)
    }

    fn fits(&self, decoded: &[u8]) -> bool {
        if self.is_prefix { decoded.starts_with(&self.decoded) } else { decoded == &*self.decoded }
    }
}

/// A list of rules, of which any may match.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PathRules {
    /// Compared with the path as it came: nearly all rules.
    of_one_spelling: Box<[PathRule]>,
    /// Compared with the decoded path.
    of_several: Box<[PathRule]>,
}

impl PathRules {
    /// The rules that `texts` write.
    pub fn new<T: AsRef<str>>(texts: &[T]) -> Self {
        let rules = texts.iter().map(|text| PathRule::new(text.as_ref()));
        let (of_one_spelling, of_several): (Vec<_>, Vec<_>) = rules.partition(|rule| rule.has_one_spelling);
        Self { of_one_spelling: of_one_spelling.into(), of_several: of_several.into() }
    }

    /// Whether any rule matches the path of a target.
    pub fn matches(&self, uri: &Uri) -> bool {
        self.matches_path(uri.path())
    }

    /// Whether any rule matches a path. Most requests match none, so that looking closer comes last.
    pub fn matches_path(&self, path: &str) -> bool {
        let any_fits = |rules: &[PathRule], path: &[u8]| rules.iter().any(|rule| rule.fits(path));
        let fits = any_fits(&self.of_one_spelling, path.as_bytes())
            || (!self.of_several.is_empty() && any_fits(&self.of_several, &decode(path)));
        fits && is_plain(path)
    }
}

/// What requests cost, by path; where several rules match, the longest counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Costs(Box<[(PathRule, NonZeroU32)]>);

impl Costs {
    /// The costs that rules and numbers give.
    pub fn new<T: AsRef<str>>(costs: &[(T, NonZeroU32)]) -> Self {
        let mut rules: Vec<_> = costs.iter().map(|(text, cost)| (PathRule::new(text.as_ref()), *cost)).collect();
        // `/api/x` is the same route as `/api/x/`, and closer to it than the prefix `/api/x/`.
        rules.sort_by_key(|(rule, _)| {
            let length = rule.decoded.len() - usize::from(rule.is_prefix);
            (std::cmp::Reverse(length), rule.is_prefix)
        });
        Self(rules.into())
    }

    /// What a request to this path costs: one, where no rule matches. A path that others may read as another one costs
    /// what the most expensive rule says, else a spelling would make it cheaper. For the same reason an exact rule counts
    /// for a path with a final slash, too: Grafana's router ignores it.
    pub fn of(&self, path: &str) -> NonZeroU32 {
        if self.0.is_empty() {
            return NonZeroU32::MIN;
        }
        let path = match spelling(path) {
            Spelling::Ambiguous => return self.0.iter().map(|(_, cost)| *cost).max().unwrap_or(NonZeroU32::MIN),
            Spelling::Unescaped => Cow::Borrowed(path.as_bytes()),
            Spelling::Escaped => decode(path),
        };
        let trimmed = path.strip_suffix(b"/").unwrap_or(&path);
        let fits = |rule: &PathRule| if rule.is_prefix { rule.fits(&path) } else { rule.fits(trimmed) };
        self.0.iter().find(|(rule, _)| fits(rule)).map_or(NonZeroU32::MIN, |(_, cost)| *cost)
    }
}

/// How a path is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Spelling {
    /// Plain, and nothing is escaped.
    Unescaped,
    /// Plain, with escapes of bytes that need them.
    Escaped,
    /// Others may read it as another path.
    Ambiguous,
}

/// Whether everybody reads the same path, and nobody has another spelling for it: it is unambiguous, and
/// no character is escaped that needs no escape (RFC 3986 §2.3).
pub fn is_plain(path: &str) -> bool {
    spelling(path) != Spelling::Ambiguous
}

/// Whether everybody reads the same segments in a path: no dot segments, `//`, `\` or `;`, nor an escape of `.`, `/`, `\` or
/// `;`, however often the path is decoded.
pub(in crate::domain) fn is_unambiguous(path: &str) -> bool {
    (!has_marks(path) || no_reading_escapes(path, is_delimiter)) && has_plain_segments(path)
}

fn spelling(path: &str) -> Spelling {
    let has_marks = has_marks(path);
    if has_marks && !no_reading_escapes(path, |byte| is_delimiter(byte) || is_unreserved(byte))
        || !has_plain_segments(path)
    {
        return Spelling::Ambiguous;
    }
    if has_marks { Spelling::Escaped } else { Spelling::Unescaped }
}

/// Whether a path needs a closer look: most hold none of these.
fn has_marks(path: &str) -> bool {
    memchr::memchr3(b'\\', b';', b'%', path.as_bytes()).is_some()
}

fn has_plain_segments(path: &str) -> bool {
    // The first segment is what stands before the first `/`: nothing. A last empty one is a final `/`.
    let segments = path.strip_prefix('/').unwrap_or(path);
    let segments = segments.strip_suffix('/').unwrap_or(segments);
    segments.is_empty() && path.len() < 2
        || !segments.is_empty()
            && segments.as_bytes().split(|byte| *byte == b'/').all(|segment| !matches!(segment, b"" | b"." | b".."))
}

/// Whether a path holds neither `\` nor `;`, nor an escape of a byte that `is_odd` names, in itself or in what becomes of it
/// when it is decoded up to [`DECODINGS`] times.
fn no_reading_escapes(path: &str, is_odd: fn(u8) -> bool) -> bool {
    let path = path.as_bytes();
    if memchr::memchr2(b'\\', b';', path).is_some() {
        return false;
    }
    let mut reading = Cow::Borrowed(path);
    for _ in 0..DECODINGS {
        if escaped_bytes(&reading).any(is_odd) {
            return false;
        }
        if percent_decode(&reading).all(|byte| byte != b'%') {
            return true;
        }
        reading = Cow::Owned(percent_decode(&reading).collect());
    }
    !escaped_bytes(&reading).any(is_odd)
}

/// The bytes that a path writes as escapes.
fn escaped_bytes(path: &[u8]) -> impl Iterator<Item = u8> {
    path.windows(3).filter(|three| three.starts_with(b"%")).filter_map(|three| {
        // What is no escape stays as it is, and is then longer than one byte.
        let mut decoded = percent_decode(three);
        decoded.next().filter(|_| decoded.next().is_none())
    })
}

const fn is_delimiter(byte: u8) -> bool {
    matches!(byte, b'.' | b'/' | b'\\' | b';')
}

/// RFC 3986 §2.3: these mean the same whether they are escaped or not.
const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

fn decode(path: &str) -> Cow<'_, [u8]> {
    percent_decode_str(path).into()
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
        for path in ["/", "", "/a", "/a/", "/a/b", "/a%", "/a%20b", "/%C3%A9", "/a%3Ab", "/a%2520b", "/100%25/..."] {
            assert!(is_plain(path) && is_unambiguous(path), "{path}");
        }
    }

    #[test]
    fn an_oddity_counts_however_often_it_is_encoded() {
        for odd in ["%2e", "%2F", "%5c", "%3B"] {
            for times in 0..DECODINGS {
                let path = format!("/a/x{}y", odd.replace('%', &format!("%{}", "25".repeat(times))));
                assert!(!is_plain(&path) && !is_unambiguous(&path), "{path}");
            }
        }
        for needless in ["%41", "%7a", "%30", "%2D", "%5f", "%7E"] {
            for times in 0..=DECODINGS {
                let path = format!("/a/x{}y", needless.replace('%', &format!("%{}", "25".repeat(times))));
                assert!(!is_plain(&path) && is_unambiguous(&path), "{path}");
            }
        }
        // A stray `%` becomes an escape when what follows it is decoded.
        assert!(!is_unambiguous("/a/%%32%66b"));
    }

    #[test]
    fn decoded_paths_are_compared_with_decoded_rules() {
        let rules = PathRules::new(&["/a%20b/", "/caf%c3%a9", "/x:y", "/100%25"]);
        for path in ["/a%20b/", "/a%20b/%20", "/caf%C3%A9", "/x:y", "/x%3ay", "/x%3Ay", "/100%25"] {
            assert!(rules.matches_path(path), "{path}");
        }
        for path in ["/a%2520b/", "/a+b/", "/caf%C3", "/%78:y", "/x%253Ay", "/100%2525", "/100%25/"] {
            assert!(!rules.matches_path(path), "{path}");
        }
        let rule = PathRule::new("/x:y/");
        assert!(rule.matches("/x%3ay/z") && !rule.matches("/%78:y/z"));
    }

    #[test]
    fn a_needless_escape_is_neither_exempt_nor_cheap() {
        for path in ["/%70ublic/x", "/publi%63/x", "/public/%61", "/api/healt%68", "/public/x%2561"] {
            assert!(!rules().matches_path(path), "{path}");
        }
        let cost = |number| NonZeroU32::new(number).unwrap();
        let costs = Costs::new(&[("/api/ds/query", cost(5)), ("/api/d%20s:q", cost(3)), ("/cheap/", cost(2))]);
        for (path, expected) in [
            ("/api/ds/quer%79", 5),
            ("/api/%64s/query", 5),
            ("/%61%70%69/ds/query", 5),
            ("/api/ds/quer%2579", 5),
            ("/api%2fds/query", 5),
            ("/cheap/%61", 5),
            ("/cheap/%20", 2),
            ("/api/d%20s:q", 3),
            ("/api/d%20s%3Aq", 3),
            ("/other/%20", 1),
        ] {
            assert_eq!(costs.of(path), cost(expected), "{path}");
        }
    }

    /// Grafana serves `/api/ds/query/` as it does `/api/ds/query`.
    #[test]
    fn a_final_slash_makes_no_request_cheaper_and_none_exempt() {
        let cost = |number| NonZeroU32::new(number).unwrap();
        let costs =
            Costs::new(&[("/api/ds/query", cost(5)), ("/api/x/", cost(2)), ("/api/x", cost(9)), ("/api/", cost(3))]);
        for (path, expected) in
            [("/api/ds/query/", 5), ("/api/x", 9), ("/api/x/", 9), ("/api/x/y", 2), ("/api/ds/query/x", 3), ("/", 1)]
        {
            assert_eq!(costs.of(path), cost(expected), "{path}");
        }
        assert!(!rules().matches_path("/api/health/"));
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

        /// What the shortcuts of the comparison must not change.
        #[test]
        fn a_rule_matches_plain_paths_that_decode_alike(
            rule in "/([a-c:%]|%20|%3A|%25|%2525){0,4}/?", path in "/([a-c:%]|%20|%3[aA]|%61|%25|%2525){0,5}/?",
        ) {
            let (wanted, found) = (decode(&rule), decode(&path));
            let fits = if wanted.ends_with(b"/") { found.starts_with(&wanted) } else { found == wanted };
            let matches = fits && is_plain(&path);
            prop_assert_eq!(PathRule::new(&rule).matches(&path), matches, "{} {}", rule, path);
            prop_assert_eq!(PathRules::new(&["/other", &rule]).matches_path(&path), matches, "{} {}", rule, path);
        }

        #[test]
        fn no_spelling_of_a_costly_path_is_cheaper(escaped in prop::collection::vec(0..5u8, 13)) {
            let path: String = "/api/ds/query".bytes().zip(escaped).map(|(byte, how)| match how {
                0 => format!("%{byte:02x}"),
                1 => format!("%25{byte:02X}"),
                2 => format!("%2525{byte:02x}"),
                _ => char::from(byte).to_string(),
            }).collect();
            let cost = NonZeroU32::new(7).unwrap();
            prop_assert_eq!(Costs::new(&[("/api/ds/query", cost)]).of(&path), cost, "{}", path);
        }
    }
}
