//! `/api/orgs/<N>/…`, `/api/user/using/<N>`, `/api/users/<id>/using/<N>`, `/profile/switch-org/<N>`: Grafana's older API
//! names the organisation in the path, to change it, or to switch a user to it for good.

use std::borrow::Cow;

use super::segments::{as_anything_reads, as_decoded_before, as_grafana_reads};
use crate::domain::path_rule::is_unambiguous;

const ORGANISATION: &str = "the path `/api/orgs/…`";
const SWITCH: &str = "the path that switches the user to an organisation";
const DISGUISED: &str = "a path that reaches `/api/orgs/`, `/using/` or `/switch-org/` by dots, `//` or escapes";

/// What a path names.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Named {
    Nothing,
    Pinned,
    Other(&'static str),
}

/// Where a path names another organisation than the pinned one (any, where none is pinned), or hides which. `/api/orgs`
/// itself, the list of all, names none. Grafana may be served from a sub-path, so the words are looked for anywhere.
pub(super) fn other_in_path(path: &str, pinned: Option<i64>) -> Option<&'static str> {
    let bytes = path.as_bytes();
    let holds = |word: &[u8]| memchr::memmem::find(bytes, word).is_some();
    if memchr::memchr(b'%', bytes).is_none() && !holds(b"orgs") && !holds(b"using") && !holds(b"switch-org") {
        return None;
    }
    if !is_unambiguous(path) {
        return may_name(path).then_some(DISGUISED);
    }
    let segments = as_grafana_reads(path);
    let named = find(&segments, pinned);
    if let Named::Other(way) = named {
        return Some(way);
    }
    as_decoded_before(&segments).and_then(|segments| (find(&segments, pinned) != named).then_some(DISGUISED))
}

/// What the segments name: another organisation, if any of them does.
fn find(segments: &[Cow<'_, str>], pinned: Option<i64>) -> Named {
    let before = |at: usize, back: usize| at.checked_sub(back).and_then(|at| segments.get(at)).map_or("", |s| &**s);
    let mut found = Named::Nothing;
    for (at, pair) in segments.windows(2).enumerate() {
        let [word, named] = pair else { continue };
        let way = match &**word {
            "orgs" if ends_in(before(at, 1), "api") => ORGANISATION,
            "using" if before(at, 1) == "user" && ends_in(before(at, 2), "api") => SWITCH,
            "using" if before(at, 2) == "users" && ends_in(before(at, 3), "api") => SWITCH,
            "switch-org" if ends_in(before(at, 1), "profile") => SWITCH,
            _ => continue,
        };
        // `/api/orgs/name/<name>`: a name cannot be compared with a number.
        match named.parse::<i64>() {
            _ if named.is_empty() => {}
            Ok(org) if Some(org) == pinned => found = Named::Pinned,
            _ => return Named::Other(way),
        }
    }
    found
}

/// Grafana takes its sub-path off the front of a path by its letters alone, and does not mind when the next slash is
/// missing: `/grafanaapi/orgs/3` is `/api/orgs/3` where it is served from `/grafana`.
fn ends_in(segment: &str, word: &str) -> bool {
    segment.ends_with(word)
}

/// Whether a path may name an organisation to anything on the way.
fn may_name(path: &str) -> bool {
    let segments = as_anything_reads(path);
    let ends_in = |word: &[u8]| segments.iter().any(|segment| segment.ends_with(word));
    let holds = |word: &[u8]| segments.iter().any(|segment| segment == word);
    (ends_in(b"api") && (holds(b"orgs") || holds(b"using"))) || (ends_in(b"profile") && holds(b"switch-org"))
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
            "/profile",
            "/profile/switch-org",
            "/profile/switch-org/",
            "/profile/switch-org/2",
            "/profile/switch-org/+2",
            "/profile/switch-org/%32/",
            "/grafana/%70rofile/switch-org/2",
            "/grafanaprofile/switch-org/2",
            "/switch-org/3",
            "/api/orgs/2/100%25",
            "/api/search/using/100%25",
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
            ("/api/orgs/2/..%252f3", DISGUISED),
            ("/api/orgs/2%3b/x", DISGUISED),
            ("/profile/switch-org/3", SWITCH),
            ("/profile/switch-org/3/", SWITCH),
            ("/profile/switch-org/x", SWITCH),
            ("/grafana/profile/switch-org/3", SWITCH),
            ("/%70rofile/switch-or%67/3", SWITCH),
            ("/profile/switch%2Dorg/%33", SWITCH),
            ("/%70%72%6f%66%69%6c%65/%73%77%69%74%63%68%2d%6f%72%67/3", SWITCH),
            ("/profile//switch-org/2", DISGUISED),
            ("/profile/./switch-org/2", DISGUISED),
            ("/x/../profile/switch-org/2", DISGUISED),
            ("/profile%2fswitch-org/2", DISGUISED),
            ("/profile\\switch-org/2", DISGUISED),
            ("/profile/switch-org;x/2", DISGUISED),
            ("/profile/switch%252dorg/2", DISGUISED),
            ("/profile%252fswitch-org/2", DISGUISED),
            // Grafana takes its sub-path off by the letters, so that the slash behind it may be missing.
            ("/grafanaapi/orgs/3", ORGANISATION),
            ("/grafanaapi/user/using/3", SWITCH),
            ("/grafanaprofile/switch-org/3", SWITCH),
            ("/grafanaapi//orgs/2", DISGUISED),
        ] {
            assert_eq!(other_in_path(path, Some(2)), Some(way), "{path}");
        }
        assert_eq!(other_in_path("/api/orgs/2", None), Some(ORGANISATION));
    }

    proptest! {
        #[test]
        fn whatever_is_put_around_it_another_organisation_does_not_pass(
            before in "(/[a-z.%2fe]{0,4}){0,3}", org in 3..9u8, after in "(/[a-z]*)?", way in 0..3usize,
        ) {
            let way = ["api/user/using", "api/orgs", "profile/switch-org"][way];
            let path = format!("{before}/{way}/{org}{after}");
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
