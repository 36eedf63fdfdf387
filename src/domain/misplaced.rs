//! Where a Grafana token is that is not in `Authorization`: in a header of another name, in the query, in a cookie. Grafana
//! reads it in none of these, whatever the name.

use std::sync::LazyLock;

use bytes::Bytes;
use memchr::memmem::{self, Finder};

use super::fields;
use super::head::Head;

/// How a service account token begins, and an API key as Grafana writes it. Made once: making them takes longer than
/// looking through a head.
static STARTS: LazyLock<[Finder<'static>; 2]> = LazyLock::new(|| [Finder::new(b"glsa_"), Finder::new(b"eyJrIjoi")]);

/// What follows such a start is at least this long: a shorter one is a word in some text.
const FEWEST: usize = 8;

/// Headers in which Grafana reads a token.
const READ: [&str; 2] = ["authorization", "x-ds-authorization"];

/// The line that a token is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Misplaced {
    /// A header of this name.
    Header(Bytes),
    /// A cookie of this name.
    Cookie(Bytes),
}

impl Misplaced {
    /// Looks for a token in the headers. Most heads hold none, which one search over all their bytes says.
    pub fn find(head: &Head<'_>) -> Option<Self> {
        if !STARTS.iter().any(|start| head.fields.may_hold(start)) {
            return None;
        }
        let found = |wanted: &dyn Fn(&[u8]) -> bool| {
            head.fields.iter().find(|(name, value)| wanted(name) && holds_token(value))
        };
        let is_read = |name: &[u8]| READ.iter().any(|read| fields::is(name, read));
        // `Referer` only repeats where a page before this request had it.
        let is_referer = |name: &[u8]| fields::is(name, "referer");
        let (name, value) = found(&|name| !is_read(name) && !is_referer(name)).or_else(|| found(&is_referer))?;
        let kept = |bytes: &[u8]| head.fields.keep(bytes);
        if !fields::is(name, "cookie") {
            return Some(Self::Header(kept(name)));
        }
        let pair = value.split(|byte| *byte == b';').find(|pair| holds_token(pair))?;
        let name = pair.split(|byte| *byte == b'=').next().unwrap_or_default();
        Some(Self::Cookie(kept(name.trim_ascii())))
    }
}

/// The name of the parameter of a query that a token is in.
pub fn in_query(query: &str) -> Option<&str> {
    let pair = query.split('&').find(|pair| holds_token(pair.as_bytes()))?;
    pair.split('=').next()
}

/// Whether something in a text begins as a token does.
fn holds_token(text: &[u8]) -> bool {
    let is_of_token = |byte: &u8| byte.is_ascii_alphanumeric();
    STARTS.iter().any(|start| {
        start.find_iter(text).any(|at| {
            let rest = text.get(at + start.needle().len()..).unwrap_or_default();
            rest.get(..FEWEST).is_some_and(|rest| rest.iter().all(is_of_token))
        })
    })
}

/// A name that may be shown: a word, and no secret in the place of one.
pub fn shown(name: &[u8]) -> Option<&str> {
    let is_of_name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let digits = name.iter().filter(|byte| byte.is_ascii_digit()).count();
    let is_word = (1..=48).contains(&name.len()) && name.iter().all(is_of_name) && digits < 8;
    let looks_secret = memmem::find(name, b"gl").is_some_and(|at| name.get(at + 4) == Some(&b'_'))
        || memmem::find(name, b"eyJ").is_some();
    std::str::from_utf8(name).ok().filter(|_| is_word && !looks_secret)
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderName, HeaderValue};

    use super::super::fields::Fields;
    use super::*;

    const TOKEN: &str = "glsa_yscW25imSKJIuav8zF37RZmnbiDvB05G_fcaaf58a";
    const KEY: &str = "eyJrIjoiT0tTcG1pUlY2RnVKZTFVaDFsNFZXdE9ZWmNrMkZYbmsiLCJuIjoidGVzdCIsImlkIjoxfQ==";

    fn found(lines: &[(&str, String)]) -> Option<Misplaced> {
        let mut map = HeaderMap::new();
        for (name, value) in lines {
            map.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap());
        }
        let fields = Fields::from(&map);
        Misplaced::find(&Head::collect(&fields, &[]))
    }

    #[test]
    fn a_token_is_found_in_any_header_and_cookie() {
        for token in [TOKEN, KEY, "glsa_yscW25imSKJIuav"] {
            for name in ["x-grafana-service-account-token", "x-api-token", "proxy-authorization", "anything"] {
                for value in [token.to_owned(), format!("Bearer {token}"), format!("\"{token}\"")] {
                    assert_eq!(found(&[("host", "g".into()), (name, value)]), Some(Misplaced::Header(name.into())));
                }
            }
            let cookie = format!("a=b; grafana_token={token}; c=d");
            assert_eq!(found(&[("cookie", cookie)]), Some(Misplaced::Cookie("grafana_token".into())));
        }
        let both = [("referer", format!("https://g/?t={TOKEN}")), ("x-api-token", TOKEN.into())];
        assert_eq!(found(&both), Some(Misplaced::Header("x-api-token".into())));
        assert_eq!(found(&both[..1]), Some(Misplaced::Header("referer".into())));
    }

    #[test]
    fn what_is_read_and_what_is_no_token_is_not_misplaced() {
        for (name, value) in [
            ("authorization", format!("Bearer {TOKEN}")),
            ("x-ds-authorization", format!("Bearer {TOKEN}")),
            ("user-agent", "glsa_tool".into()),
            ("x-goog-iap-jwt-assertion", "eyJhbGciOiJIUzI1NiJ9.e30.x".into()),
        ] {
            assert_eq!(found(&[(name, value)]), None, "{name}");
        }
    }

    #[test]
    fn a_token_is_found_in_any_parameter() {
        assert_eq!(in_query(&format!("a=b&apitoken={TOKEN}&c")), Some("apitoken"));
        assert_eq!(in_query(&format!("auth_token={KEY}")), Some("auth_token"));
        assert_eq!(in_query("a=glsa_docs&b=c"), None);
    }

    #[test]
    fn a_name_that_may_be_a_secret_is_not_shown() {
        for name in ["X-Api-Token", "grafana_session", "apitoken"] {
            assert_eq!(shown(name.as_bytes()), Some(name));
        }
        for name in [TOKEN, "eyJhbGciOiJIUzI1NiJ9", "4f3c2b1a0d9e8f7c6b5a493827160514", "", "a b", "a`b", "\u{e9}"] {
            assert_eq!(shown(name.as_bytes()), None, "{name}");
        }
    }
}
