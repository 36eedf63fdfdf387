//! `/apis/<group>/<version>/namespaces/<namespace>/…`: Grafana's Kubernetes-style API names the organisation in the path.

use std::borrow::Cow;

use percent_encoding::percent_decode;

use crate::domain::path_rule::is_unambiguous;

const WAY: &str = "the path's namespace";
const DISGUISED: &str = "a path that reaches `/apis/…/namespaces/` by dots, `//` or escapes";

/// How often a path may be decoded on its way: Grafana decodes once, a hop between may do so, too.
const DECODINGS: usize = 3;

/// Where a path names another organisation than the pinned one (any, where none is pinned), or hides which.
///
/// The words are looked for anywhere in the path, since Grafana may be served from a sub-path.
pub(super) fn other_in_path(path: &str, pinned: Option<i64>) -> Option<&'static str> {
    if !may_name(path) {
        return None;
    }
    if !is_unambiguous(path) {
        return mentions(path).then_some(DISGUISED);
    }
    let mut segments = path.split('/').map(decode);
    if segments.any(|segment| segment == "apis") && segments.any(|segment| segment == "namespaces") {
        // Behind a first one, `namespaces` may be the name of anything; there it costs nothing to be strict.
        return loop {
            let namespace = segments.next().filter(|namespace| !namespace.is_empty());
            if namespace.is_some_and(|namespace| pinned.is_none() || organisation(&namespace) != pinned) {
                break Some(WAY);
            }
            if !segments.any(|segment| segment == "namespaces") {
                break None;
            }
        };
    }
    // Encoded more than once: harmless to Grafana, not to a hop that decodes before it.
    (path.contains("%25") && mentions(path)).then_some(DISGUISED)
}

/// The organisation of a namespace: `default` and every stack of Grafana Cloud are organisation 1.
fn organisation(namespace: &str) -> Option<i64> {
    match namespace.strip_prefix("org-") {
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits.parse().ok(),
        Some(_) => None,
        None => (namespace == "default" || namespace.starts_with("stacks-")).then_some(1),
    }
}

fn may_name(path: &str) -> bool {
    memchr::memchr(b'%', path.as_bytes()).is_some() || memchr::memmem::find(path.as_bytes(), b"apis").is_some()
}

/// Whether some reading of a path holds both words, in this order, as whole segments.
fn mentions(path: &str) -> bool {
    let mut bytes = Cow::Borrowed(path.as_bytes());
    for _ in 0..DECODINGS {
        bytes = Cow::Owned(percent_decode(&bytes).collect());
    }
    let mut segments = bytes.split(|byte| matches!(byte, b'/' | b'\\')).map(|segment| {
        // `apis;a=b` is `apis` to whoever knows path parameters (RFC 3986 §3.3).
        segment.split(|byte| *byte == b';').next().unwrap_or(segment)
    });
    segments.any(|segment| segment == b"apis") && segments.any(|segment| segment == b"namespaces")
}

fn decode(segment: &str) -> Cow<'_, str> {
    percent_encoding::percent_decode_str(segment).decode_utf8_lossy()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_pinned_organisation_passes() {
        for (path, pinned) in [
            ("/apis/dashboard.grafana.app/v1/namespaces/org-2/dashboards", 2),
            ("/apis/dashboard.grafana.app/v1/namespaces/org%2D2/dashboards", 2),
            ("/grafana/apis/g/v1/namespaces/org-2", 2),
            ("/apis/g/v1/namespaces/default/x", 1),
            ("/apis/g/v1/namespaces/stacks-123/x", 1),
            ("/apis/g/v1/namespaces", 2),
            ("/apis/g/v1/namespaces/", 2),
            ("/apis/g/v1", 2),
            ("/apis/g/v1/namespaces/org-2/x/100%25", 2),
            ("/apis/g/v1/namespaces/org-2/namespaces", 2),
            ("/apis", 2),
            ("/api/dashboards/uid/namespaces/org-3", 2),
            ("/d/x%2Fy/apis", 2),
            ("//api/../org", 2),
            ("/", 2),
        ] {
            assert_eq!(other_in_path(path, Some(pinned)), None, "{path}");
        }
    }

    #[test]
    fn every_other_is_named() {
        for path in [
            "/apis/g/v1/namespaces/org-3/x",
            "/apis/g/v1/namespaces/default/x",
            "/apis/g/v1/namespaces/stacks-2/x",
            "/apis/g/v1/namespaces/*/x",
            "/apis/g/v1/namespaces/org-2x/x",
            "/apis/g/v1/namespaces/org-+2/x",
            "/apis/g/v1/namespaces/Org-2",
            "/%61pis/g/v1/namespaces/org-3/x",
            "/apis/g/v1/namespace%73/org%2d3/x",
            "/grafana/apis/g/v1/namespaces/org-3",
            "/apis/namespaces/org-2/namespaces/org-3/x",
        ] {
            assert_eq!(other_in_path(path, Some(2)), Some(WAY), "{path}");
            assert_eq!(other_in_path(path, None), Some(WAY), "{path}");
        }
        assert_eq!(other_in_path("/apis/g/v1/namespaces/org-2", None), Some(WAY));
    }

    #[test]
    fn every_disguise_is_refused_even_for_the_pinned_one() {
        for path in [
            "/x/../apis/g/v1/namespaces/org-2/x",
            "/apis/./g/v1/namespaces/org-2/x",
            "/apis//g/v1/namespaces/org-2/x",
            "//apis/g/v1/namespaces/org-2/x",
            "/apis/g/v1/namespaces%2forg-2/x",
            "/apis%2Fg/v1/namespaces/org-2/x",
            "/%2e%2e/apis/g/v1/namespaces/org-2/x",
            "/apis/g/v1\\namespaces\\org-2",
            "/apis/g/v1%5cnamespaces/org-2",
            "/apis;a=b/g/v1/namespaces/org-2",
            "/%2561pis/g/v1/namespaces/org-2",
            "/apis%252fg/v1/namespaces/org-2",
        ] {
            assert_eq!(other_in_path(path, Some(2)), Some(DISGUISED), "{path}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_put_around_it_another_organisation_does_not_pass(
            before in "(/[a-z.%2fe]{0,4}){0,3}", between in "(/[a-z.%2f5c]{0,4}){0,3}", org in 3..9u8, after in "(/[a-z]*)?",
        ) {
            let path = format!("{before}/apis{between}/namespaces/org-{org}{after}");
            prop_assert!(other_in_path(&path, Some(2)).is_some(), "{}", path);
        }

        #[test]
        fn any_path_is_read(path: String) {
            if other_in_path(&path, Some(2)).is_some() {
                prop_assert!(other_in_path(&path, None).is_some());
            }
        }
    }
}
