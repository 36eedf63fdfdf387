//! `/apis/<group>/<version>/namespaces/<namespace>/…`: Grafana's Kubernetes-style API names the organisation in the path.
//! Without a namespace a path reaches no organisation that anybody named, or all of them.

use std::borrow::Cow;

use super::OrgRefusal;
use super::segments::{as_anything_reads, as_decoded_before, as_grafana_reads};
use crate::domain::path_rule::is_unambiguous;

const WAY: OrgRefusal = OrgRefusal::Other("the path's namespace");
const DISGUISED: OrgRefusal = OrgRefusal::Other("a path that reaches `/apis/` by dots, `//` or escapes");

/// How many segments a sub-path has at most, from which Grafana is served.
const SUB_PATH: usize = 3;

/// What a path names.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Named {
    /// It is no path of this API.
    Elsewhere,
    /// It asks what there is: groups, versions and kinds are the same for all organisations.
    Discovery,
    Pinned,
    Refused(OrgRefusal),
}

/// Refuses a path that names another organisation than the pinned one (any, where none is pinned), hides which, or names
/// none where the API needs one.
pub(super) fn refusal_of(path: &str, pinned: Option<i64>) -> Option<OrgRefusal> {
    if !may_be_api(path) {
        return None;
    }
    if !is_unambiguous(path) {
        return may_name(path).then_some(DISGUISED);
    }
    let segments = as_grafana_reads(path);
    let named = find(&segments, pinned);
    if let Named::Refused(refusal) = named {
        return Some(refusal);
    }
    as_decoded_before(&segments).and_then(|segments| (find(&segments, pinned) != named).then_some(DISGUISED))
}

fn find(segments: &[Cow<'_, str>], pinned: Option<i64>) -> Named {
    if names_other_anywhere(segments, pinned) {
        return Named::Refused(WAY);
    }
    let Some(segments) = behind_root(segments) else { return Named::Elsewhere };
    // An empty last segment is a final slash.
    let segments = segments.strip_suffix(&[Cow::Borrowed("")]).unwrap_or(segments);
    let rest = match segments {
        [_group, _version, watch, rest @ ..] if watch == "watch" => rest,
        [_group, _version, rest @ ..] if !rest.is_empty() => rest,
        _ => return Named::Discovery,
    };
    match rest {
        [word, namespace, ..] if word == "namespaces" && !namespace.is_empty() => {
            if pinned.is_some() && organisation(namespace) == pinned { Named::Pinned } else { Named::Refused(WAY) }
        }
        _ => Named::Refused(OrgRefusal::NoNamespace),
    }
}

/// Whether any `namespaces` behind any `apis` is followed by another organisation. Behind a first one it may be the name of
/// anything; there it costs nothing to be strict.
fn names_other_anywhere(segments: &[Cow<'_, str>], pinned: Option<i64>) -> bool {
    let mut behind = segments.iter().skip_while(|segment| *segment != "apis").skip(1).peekable();
    while let Some(segment) = behind.next() {
        let namespace = behind.peek().filter(|namespace| segment == "namespaces" && !namespace.is_empty());
        if namespace.is_some_and(|namespace| pinned.is_none() || organisation(namespace) != pinned) {
            return true;
        }
    }
    false
}

/// What follows the root of the API: `apis` at the start of the path, or below a sub-path. Behind `api` the word belongs to
/// something else, such as a data source that is a Kubernetes cluster.
fn behind_root<'s, 'p>(segments: &'s [Cow<'p, str>]) -> Option<&'s [Cow<'p, str>]> {
    let root = (0..=SUB_PATH).find_map(|at| {
        let (segment, next) = (segments.get(at)?, segments.get(at + 1).map_or("", |next| next));
        (segment == "api" || is_root(segment.as_bytes(), next.as_bytes())).then_some(at)
    })?;
    segments.get(root).filter(|segment| *segment != "api")?;
    segments.get(root + 1..)
}

/// Whether a segment is the root of the API. Grafana takes its sub-path off the front of a path by its letters alone:
/// `/grafanaapis/…` is `/apis/…` where it is served from `/grafana`. A sub-path that ends in `apis` itself is told apart by
/// what follows: groups of Grafana's have a dot inside.
fn is_root(segment: &[u8], next: &[u8]) -> bool {
    let has_dot_inside = || memchr::memrchr(b'.', next).is_some_and(|at| at > 0);
    segment == b"apis" || (segment.ends_with(b"apis") && has_dot_inside())
}

/// The organisation of a namespace: `default` and every stack of Grafana Cloud are organisation 1.
fn organisation(namespace: &str) -> Option<i64> {
    match namespace.strip_prefix("org-") {
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits.parse().ok(),
        Some(_) => None,
        None => (namespace == "default" || namespace.starts_with("stacks-")).then_some(1),
    }
}

fn may_be_api(path: &str) -> bool {
    memchr::memchr(b'%', path.as_bytes()).is_some() || memchr::memmem::find(path.as_bytes(), b"apis").is_some()
}

/// Whether a path may reach more than discovery for anything on the way.
fn may_name(path: &str) -> bool {
    let segments = as_anything_reads(path);
    let climbs = segments.iter().any(|segment| segment == b"..");
    let mut is_below_api = false;
    for (at, segment) in segments.iter().enumerate() {
        let behind = segments.get(at + 1..).unwrap_or_default();
        let next = behind.iter().find(|segment| !matches!(&segment[..], b"" | b"." | b".."));
        if is_root(segment, next.map_or(&[], |next| next)) {
            // Dots lead out of `/api/`, too.
            let is_root = climbs || !is_below_api;
            if (is_root && behind.len() > 2) || behind.iter().any(|segment| segment == b"namespaces") {
                return true;
            }
        }
        is_below_api |= segment == b"api";
    }
    false
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
            ("/apis/", 2),
            ("/apis/g", 2),
            ("/apis/g/", 2),
            ("/apis/g/v1", 2),
            ("/apis/g/v1/", 2),
            ("/%61pis/g/v1/", 2),
            ("/one/two/three/apis/g/v1", 2),
            ("/apis/g/v1/watch/namespaces/org-2/x", 2),
            ("/openapi/v3/apis/g/v1", 2),
            ("/api/datasources/proxy/1/apis/apps/v1/deployments", 2),
            ("/api/datasources/proxy/1/apis/apps/v1//deployments", 2),
            ("/grafana/api/datasources/uid/x/resources/apis/apps/v1/deployments", 2),
            ("/one/two/three/four/apis/g/v1/x", 2),
            ("/d/apis/100%25", 2),
            ("/our-apis/d/uid/slug", 2),
            ("/x/../apis/g/v1", 2),
            ("/apis/g/v1/namespaces/org-2/x/100%25", 2),
            ("/apis/g/v1/namespaces/org-2/namespaces", 2),
            ("/apis", 2),
            ("/api/dashboards/uid/namespaces/org-3", 2),
            ("/d/x%2Fy/apis", 2),
            ("//api/../org", 2),
            ("/", 2),
        ] {
            assert_eq!(refusal_of(path, Some(pinned)), None, "{path}");
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
            assert_eq!(refusal_of(path, Some(2)), Some(WAY), "{path}");
            assert_eq!(refusal_of(path, None), Some(WAY), "{path}");
        }
        assert_eq!(refusal_of("/apis/g/v1/namespaces/org-2", None), Some(WAY));
    }

    #[test]
    fn a_path_that_names_no_namespace_is_refused() {
        for path in [
            "/apis/dashboard.grafana.app/v1/dashboards",
            "/apis/dashboard.grafana.app/v1/dashboards/uid/dto",
            "/apis/g/v1/x/",
            "/apis/g/v1/namespaces",
            "/apis/g/v1/namespaces/",
            "/apis/g/v1/watch",
            "/apis/g/v1/watch/x",
            "/apis/g/v1/watch/namespaces",
            "/apis/g/v1/watch/namespaces/",
            "/apis/g/v1/x/namespaces/org-2",
            "/apis/g/v1/proxy/namespaces/org-2/x",
            "/apis/g/v1/Namespaces/org-2/x",
            "/grafana/apis/g/v1/x",
            "/one/two/three/apis/g/v1/x",
            "/%61pis/g/v1/x",
            "/api%73/g/v1/%78",
            "/%61%70%69%73/g/v1/namespaces/",
            "/grafanaapis/dashboard.grafana.app/v1/dashboards",
            "/openapi/v3/apis/g/v1/x",
        ] {
            assert_eq!(refusal_of(path, Some(2)), Some(OrgRefusal::NoNamespace), "{path}");
            assert!(refusal_of(path, None).is_some(), "{path}");
        }
        for path in ["/apis/g/v1/watch/namespaces/org-3/x", "/grafanaapis/dashboard.grafana.app/v1/namespaces/org-3/x"]
        {
            assert_eq!(refusal_of(path, Some(2)), Some(WAY), "{path}");
        }
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
            "/apis/g/v1/namespaces/org-2/..%252f..%252forg-3/x",
            "/apis/g/v1/namespaces/org-2%3b/x",
            "//apis/g/v1/x",
            "/apis//g/v1/x",
            "/apis/./g/v1/x",
            "/x/../apis/g/v1/x",
            "/api/../apis/g/v1/x",
            "/%2e%2e/apis/g/v1/x",
            "/apis%2fg/v1/x",
            "/apis/g/v1%2fx",
            "/apis/g/v1\\x",
            "/apis;a=b/g/v1/x",
            "/apis/;g/v1/x",
            "/apis/g/v1/;x",
            "/apis/g/v1/.",
            "/apis/g//v1",
            "/%2561pis/g/v1/x",
            "/%252561pis/g/v1/x",
            "/apis/g%252fv1/x",
            "/grafanaapis//dashboard.grafana.app/v1/dashboards",
        ] {
            assert_eq!(refusal_of(path, Some(2)), Some(DISGUISED), "{path}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_put_around_it_another_organisation_does_not_pass(
            before in "(/[a-z.%2fe]{0,4}){0,3}", between in "(/[a-z.%2f5c]{0,4}){0,3}", org in 3..9u8, after in "(/[a-z]*)?",
        ) {
            let path = format!("{before}/apis{between}/namespaces/org-{org}{after}");
            prop_assert!(refusal_of(&path, Some(2)).is_some(), "{}", path);
        }

        #[test]
        fn without_a_namespace_no_spelling_of_the_api_passes(
            before in "(/[b-z]{1,4}){0,3}", escaped in prop::array::uniform4(0..3u8),
            group in "[a-z]{1,4}(\\.[a-z]{1,4})?", resource in "[a-m]{1,8}", after in "(/[a-z]{0,4})?",
        ) {
            let word: String = "apis".bytes().zip(escaped).map(|(byte, how)| match how {
                0 => char::from(byte).to_string(),
                1 => format!("%{byte:02x}"),
                _ => format!("%25{byte:02x}"),
            }).collect();
            let path = format!("{before}/{word}/{group}/v1/{resource}{after}");
            prop_assert!(refusal_of(&path, Some(2)).is_some(), "{}", path);
        }

        #[test]
        fn any_path_is_read(path: String) {
            if refusal_of(&path, Some(2)).is_some() {
                prop_assert!(refusal_of(&path, None).is_some());
            }
        }
    }
}
