//! Which refusals a reader wants, from the query of a request.

use std::sync::Arc;

use crate::domain::reason::{Reason, Source};
use crate::telemetry::ring::{Cursor, Told};

/// What is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Query {
    /// Which refusals.
    pub filter: Filter,
    /// How many at most.
    pub limit: Option<usize>,
    /// Only what comes after this.
    pub last: Option<Cursor>,
}

/// Which refusals. Whatever is not named fits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Filter {
    reason: Option<Reason>,
    status: Option<u16>,
    source: Option<Source>,
    token: Option<String>,
    path: Option<String>,
}

/// What is wrong with a query.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Wrong(pub String);

const SOURCES: [Source; 5] = [Source::Proxy, Source::Grafana, Source::Datasource, Source::Hop, Source::Client];

impl Query {
    pub(super) fn parse(query: &str) -> Result<Self, Wrong> {
        let mut asked = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            // An empty field of a form asks for nothing.
            if value.is_empty() {
                continue;
            }
            let filter = &mut asked.filter;
            match &*name {
                "reason" => filter.reason = Some(reason(&value)?),
                "source" => filter.source = Some(source(&value)?),
                "status" => filter.status = Some(number("status", &value)?),
                "token" => filter.token = Some(value.into_owned()),
                "path" => filter.path = Some(value.into_owned()),
                "limit" => asked.limit = Some(number("limit", &value)?),
                "last" => asked.last = Some(cursor(&value)?),
                other => {
                    let known = "reason, status, source, token, path, limit and last";
                    return Err(Wrong(format!("`{}` is no parameter; there are {known}", other.escape_debug())));
                }
            }
        }
        Ok(asked)
    }
}

fn reason(value: &str) -> Result<Reason, Wrong> {
    Reason::parse(value).ok_or_else(|| {
        let codes: Vec<_> = Reason::ALL.iter().map(|reason| reason.code()).collect();
        Wrong(format!("`{}` is no reason; there are {}", value.escape_debug(), codes.join(", ")))
    })
}

fn source(value: &str) -> Result<Source, Wrong> {
    SOURCES.into_iter().find(|source| source.name() == value).ok_or_else(|| {
        let names = SOURCES.map(Source::name).join(", ");
        Wrong(format!("`{}` is no source; there are {names}", value.escape_debug()))
    })
}

fn cursor(value: &str) -> Result<Cursor, Wrong> {
    value
        .parse()
        .map_err(|_| Wrong(format!("`last` must be the id of an event or a number, not `{}`", value.escape_debug())))
}

fn number<N: std::str::FromStr>(name: &str, value: &str) -> Result<N, Wrong> {
    value.parse().map_err(|_| Wrong(format!("`{name}` must be a number, not `{}`", value.escape_debug())))
}

impl Filter {
    pub(super) fn fits(&self, told: &Arc<Told>) -> bool {
        let token = |wanted: &String| {
            let named = told.token_name.as_deref() == Some(wanted);
            named || told.fingerprint.is_some_and(|print| print.to_string().starts_with(wanted.as_str()))
        };
        self.reason.is_none_or(|reason| reason == told.reason)
            && self.status.is_none_or(|status| status == told.status)
            && self.source.is_none_or(|source| source == told.reason.source())
            && self.token.as_ref().is_none_or(token)
            && self.path.as_ref().is_none_or(|pattern| fits(pattern.as_bytes(), told.path.as_bytes()))
    }
}

/// Whether a path fits a pattern in which `*` stands for anything.
fn fits(pattern: &[u8], path: &[u8]) -> bool {
    let mut pieces = pattern.split(|byte| *byte == b'*');
    let Some(mut rest) = pieces.next().and_then(|first| path.strip_prefix(first)) else { return false };
    let mut pieces: Vec<&[u8]> = pieces.collect();
    let Some(last) = pieces.pop() else { return rest.is_empty() };
    for piece in pieces {
        let Some(at) = memchr::memmem::find(rest, piece) else { return false };
        rest = rest.get(at + piece.len()..).unwrap_or_default();
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_anything_and_the_rest_for_itself() {
        for (pattern, path, wanted) in [
            ("/api/org", "/api/org", true),
            ("/api/org", "/api/orgs", false),
            ("/api/*", "/api/org", true),
            ("/api/*", "/api/", true),
            ("/api/*", "/apis", false),
            ("*", "", true),
            ("*/query", "/api/ds/query", true),
            ("*/query", "/api/ds/query/x", false),
            ("/api/*/uid/*", "/api/dashboards/uid/x", true),
            ("/a*a", "/a", false),
            ("**", "/x", true),
            ("/%2e", "/%2e", true),
        ] {
            assert_eq!(fits(pattern.as_bytes(), path.as_bytes()), wanted, "{pattern} {path}");
        }
    }

    #[test]
    fn queries_are_read_and_mistakes_name_what_there_is() {
        let query =
            Query::parse("reason=token_expired&source=grafana&status=401&limit=5&token=&path=%2Fapi%2F*&last=7")
                .unwrap();
        assert_eq!(
            query,
            Query {
                filter: Filter {
                    reason: Some(Reason::TokenExpired),
                    status: Some(401),
                    source: Some(Source::Grafana),
                    token: None,
                    path: Some("/api/*".into()),
                },
                limit: Some(5),
                last: Some("7".parse().unwrap()),
            }
        );
        for (query, told) in [
            ("reason=x", "token_expired"),
            ("source=x", "datasource"),
            ("status=x", "number"),
            ("x=1", "reason, status"),
            ("limit=-1", "number"),
            ("last=x", "id of an event"),
        ] {
            assert!(Query::parse(query).unwrap_err().to_string().contains(told), "{query}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_query_panics(query in ".{0,60}", path in ".{0,40}") {
            let _ = Query::parse(&query);
            let _ = fits(query.as_bytes(), path.as_bytes());
            proptest::prop_assert!(fits(path.as_bytes(), path.as_bytes()));
        }
    }
}
