//! The numbers in which header and query name an organisation, read as Grafana reads them.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

const TARGET: &str = "targetOrgId";
const SWITCH: &str = "orgId";

/// An organisation as Go's `strconv.ParseInt` reads it: `+2` and `02` are 2; `2.0`, `1,2`, nothing and what is too large
/// are ignored, and so is 0. Negative ones are read: from 10.4 on they mismatch every token.
fn read(value: &str) -> Option<i64> {
    value.parse().ok().filter(|org| *org != 0)
}

/// The same in a header, which Go's server trims.
pub(super) fn read_header(value: &str) -> Option<i64> {
    read(value.trim_matches([' ', '\t']))
}

/// What a request's `targetOrgId` says, decoded; the first one, as Grafana takes it.
pub fn target_org(query: &str) -> Option<String> {
    find_target(query).map(Cow::into_owned)
}

/// The organisation that `targetOrgId` names, where Grafana would read it.
pub(super) fn target(query: &str) -> Option<i64> {
    find_target(query).and_then(|value| read(&value)).filter(|org| *org > 0)
}

/// The organisation that `?orgId=N` switches a user to, where Grafana would read it.
pub(super) fn switch(query: &str) -> Option<i64> {
    find(query, SWITCH).and_then(|value| read(&value)).filter(|org| *org > 0)
}

fn find_target(query: &str) -> Option<Cow<'_, str>> {
    find(query, TARGET)
}

/// The first value of a name in a query, decoded, as Go reads it.
pub fn query_value<'q>(query: &'q str, wanted: &str) -> Option<Cow<'q, str>> {
    let may_hold = memchr::memchr(b'%', query.as_bytes()).is_some() || query.contains(wanted);
    if may_hold { first(query, wanted) } else { None }
}

/// Go splits at `&` only, and drops a pair that holds `;` (before Go 1.17 it split there, too).
fn find<'q>(query: &'q str, wanted: &str) -> Option<Cow<'q, str>> {
    if may_name(query) { first(query, wanted) } else { None }
}

fn first<'q>(query: &'q str, wanted: &str) -> Option<Cow<'q, str>> {
    query
        .split('&')
        .filter(|pair| !pair.contains(';'))
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .find(|(name, _)| decode(name) == wanted)
        .map(|(_, value)| decode(value))
}

/// Where a query names another organisation than the pinned one (any, where none is pinned): every pair counts, however
/// it is separated, repeated or encoded.
pub(super) fn other_in_query(query: &str, pinned: Option<i64>) -> Option<&'static str> {
    if !may_name(query) {
        return None;
    }
    query.split(['&', ';']).find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        let way = match &*decode(name) {
            TARGET => "the query's `targetOrgId`",
            SWITCH => "the query's `orgId`",
            _ => return None,
        };
        let org = read(decode(value).trim())?;
        (Some(org) != pinned).then_some(way)
    })
}

/// Whether a query can hold one of the names at all: most do not.
fn may_name(query: &str) -> bool {
    memchr::memchr(b'%', query.as_bytes()).is_some() || memchr::memmem::find(query.as_bytes(), b"rgId").is_some()
}

/// Decodes as `application/x-www-form-urlencoded`: `+` is a blank.
fn decode(text: &str) -> Cow<'_, str> {
    if !text.contains('+') {
        return percent_decode_str(text).decode_utf8_lossy();
    }
    let text = text.replace('+', " ");
    Cow::Owned(percent_decode_str(&text).decode_utf8_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_header_is_read_as_grafana_reads_it() {
        for (value, org) in [("2", 2), (" 2", 2), ("+2", 2), ("02", 2), ("-1", -1), ("\t7 ", 7)] {
            assert_eq!(read_header(value), Some(org), "{value:?}");
        }
        for value in ["", " ", "0", "abc", "2.0", "1,2", "99999999999999999999", "0x2", "2 3", "\u{a0}2"] {
            assert_eq!(read_header(value), None, "{value:?}");
        }
    }

    #[test]
    fn the_first_target_counts() {
        for (query, org) in [
            ("targetOrgId=2", Some(2)),
            ("a=b&targetOrgId=2", Some(2)),
            ("targetOrgId=1&targetOrgId=2", Some(1)),
            ("targetOrgId=x&targetOrgId=2", None),
            ("target%4FrgId=%32", Some(2)),
            ("targetOrgId=%2B2", Some(2)),
            ("targetOrgId=+2", None),
            ("targetOrgId=-1", None),
            ("targetOrgId=0", None),
            ("targetOrgId", None),
            ("a;targetOrgId=2", None),
            ("orgId=2", None),
            ("targetorgid=2", None),
        ] {
            assert_eq!(target(query), org, "{query}");
        }
        assert_eq!(target_org("x=1&targetOrgId=%61bc").as_deref(), Some("abc"));
        assert_eq!(target_org("x=1"), None);
    }

    #[test]
    fn no_pair_hides_another_organisation() {
        for query in [
            "targetOrgId=3",
            "orgId=3",
            "orgId=2&orgId=3",
            "a=b;orgId=3",
            "orgId=3;a",
            "%6frgId=3",
            "orgId=%33",
            "orgId=+3",
            "targetOrgId=-1",
            "x&&targetOrgId=3",
            "orgId=99999999999",
        ] {
            assert!(other_in_query(query, Some(2)).is_some(), "{query}");
        }
        for query in
            ["targetOrgId=2", "orgId=2&orgId=2", "orgId=", "orgId=abc", "orgId", "myorgId=3", "orgIds=3", "a=orgId", ""]
        {
            assert_eq!(other_in_query(query, Some(2)), None, "{query}");
        }
        assert!(other_in_query("orgId=2", None).is_some());
    }

    proptest! {
        #[test]
        fn any_query_is_read(query: String, pinned: Option<i64>) {
            if let Some(org) = target(&query) {
                prop_assert!(pinned == Some(org) || other_in_query(&query, pinned).is_some());
            }
        }

        #[test]
        fn what_grafana_would_take_is_refused(
            before in "[a-z=&;%]{0,6}", org in 1..9i64, upper: bool, after in "(&[a-z]*)?",
        ) {
            let name = if upper { "%74argetOrgI%64" } else { "targetOrgId" };
            let query = format!("{before}&{name}={org}{after}");
            prop_assert_eq!(other_in_query(&query, Some(10)), Some("the query's `targetOrgId`"));
            prop_assert_eq!(other_in_query(&query, Some(org)), None);
        }
    }
}
