//! `/api/orgs/<N>/…`, `/api/user/using/<N>`, `/api/users/<id>/using/<N>`: Grafana's older API names the organisation in the
//! path, to change it, or to switch a user to it for good.

use std::borrow::Cow;

use percent_encoding::percent_decode;

use crate::domain::path_rule::is_unambiguous;

const ORGANISATION: &str = "the path `/api/orgs/…`";
const SWITCH: &str = "the path that switches the user to an organisation";
const DISGUISED: &str = "a path that reaches `/api/orgs/` or `/using/` by dots, `//` or escapes";

/// How often a path may be decoded on its way: Grafana decodes once, a hop between may do so, too.
const DECODINGS: usize = 3;

/// Where a path names another organisation than the pinned one (any, where none is pinned), or hides which. `/api/orgs`
/// itself, the list of all, names none. Grafana may be served from a sub-path, so `api` is looked for anywhere.
pub(super) fn other_in_path(path: &str, pinned: Option<i64>) -> Option<&'static str> {
    let bytes = path.as_bytes();
    let holds = |word: &[u8]| memchr::memmem::find(bytes, word).is_some();
    if memchr::memchr(b'%', bytes).is_none() && !holds(b"orgs") && !holds(b"using") {
        return None;
    }
    if !is_unambiguous(path) {
        return mentions(bytes).then_some(DISGUISED);
    }
    let segments: Vec<Cow<'_, str>> =
        path.split('/').map(|segment| percent_encoding::percent_decode_str(segment).decode_utf8_lossy()).collect();
    let other = |named: &str| named.parse().map_or(true, |org: i64| Some(org) != pinned);
    let behind_api = |at: usize| at.checked_sub(1).and_then(|before| segments.get(before)).is_some_and(|s| s == "api");
    let found = segments.windows(2).enumerate().find_map(|(at, pair)| match pair {
        // `name` is followed by a name, which nobody can compare with a number.
        [word, named] if word == "orgs" && behind_api(at) && !named.is_empty() => other(named).then_some(ORGANISATION),
        [word, named] if word == "using" && !named.is_empty() => {
            let user = |back: usize, word: &str| {
                at.checked_sub(back).is_some_and(|at| segments.get(at).is_some_and(|s| s == word) && behind_api(at))
            };
            ((user(1, "user") || user(2, "users")) && other(named)).then_some(SWITCH)
        }
        _ => None,
    });
    // Encoded more than once: harmless to Grafana, not to a hop that decodes before it.
    found.or_else(|| (path.contains("%25") && mentions(bytes)).then_some(DISGUISED))
}

/// Whether some reading of a path holds the words, in this order, as whole segments.
fn mentions(path: &[u8]) -> bool {
    let mut bytes = Cow::Borrowed(path);
    for _ in 0..DECODINGS {
        bytes = Cow::Owned(percent_decode(&bytes).collect());
    }
    let mut segments = bytes.split(|byte| matches!(byte, b'/' | b'\\')).map(|segment| {
        // `orgs;a=b` is `orgs` to whoever knows path parameters (RFC 3986 §3.3).
        segment.split(|byte| *byte == b';').next().unwrap_or(segment)
    });
    segments.any(|segment| segment == b"api") && segments.any(|segment| matches!(segment, b"orgs" | b"using"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_pinned_organisation_and_paths_that_name_none_pass() {
        for path in [
            "/api/orgs/2",
            "/api/orgs/2/users",
            "/grafana/api/orgs/2",
            "/api/orgs",
            "/api/orgs/",
            "/api/user/using/2",
            "/api/users/7/using/2",
            "/api/user",
            "/d/orgs/3",
            "/api/dashboards/uid/orgs/3",
            "/api/search/using/3",
            "/public/orgs/%41",
        ] {
            assert_eq!(other_in_path(path, Some(2)), None, "{path}");
        }
    }

    #[test]
    fn every_other_is_named() {
        for (path, way) in [
            ("/api/orgs/3", ORGANISATION),
            ("/api/orgs/3/users/1", ORGANISATION),
            ("/api/orgs/name/Main%20Org.", ORGANISATION),
            ("/grafana/api/orgs/3", ORGANISATION),
            ("/api/org%73/3", ORGANISATION),
            ("/api/orgs/%33", ORGANISATION),
            ("/api/orgs/99999999999999999999", ORGANISATION),
            ("/api/user/using/3", SWITCH),
            ("/api/users/7/using/3", SWITCH),
            ("/%61pi/user/using/3", SWITCH),
            ("/api//orgs/2", DISGUISED),
            ("/api/./orgs/2", DISGUISED),
            ("/x/../api/user/using/2", DISGUISED),
            ("/api%2forgs/2", DISGUISED),
            ("/api;x/orgs/2", DISGUISED),
            ("/api/%256frgs/2", DISGUISED),
        ] {
            assert_eq!(other_in_path(path, Some(2)), Some(way), "{path}");
        }
        assert_eq!(other_in_path("/api/orgs/2", None), Some(ORGANISATION));
    }

    proptest! {
        #[test]
        fn whatever_is_put_around_it_another_organisation_does_not_pass(
            before in "(/[a-z.%2fe]{0,4}){0,3}", org in 3..9u8, after in "(/[a-z]*)?", switch: bool,
        ) {
            let named = if switch { "user/using" } else { "orgs" };
            let path = format!("{before}/api/{named}/{org}{after}");
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
