//! Which `Host` may ask: a page elsewhere that lets its own name point here (DNS rebinding) must learn nothing.

use std::net::IpAddr;

use http::header::{HOST, ORIGIN};
use http::uri::{Authority, Uri};
use http::{HeaderMap, HeaderValue};

/// Whether the request names an address or `localhost`, and nothing else.
pub(super) fn is_own(uri: &Uri, headers: &HeaderMap) -> bool {
    let mut lines = headers.get_all(HOST).iter();
    let (Some(host), None) = (lines.next(), lines.next()) else { return false };
    let Ok(host) = Authority::try_from(host.as_bytes()) else { return false };
    is_local(&host) && uri.authority().is_none_or(is_local)
}

/// Whether a request that changes something comes from the console's own page, or from no page at all: browsers say
/// where a page is from that asks, and a page elsewhere may post here without being able to read the answer.
pub(super) fn is_own_page(headers: &HeaderMap) -> bool {
    let text = |value: &HeaderValue| value.to_str().unwrap_or_default().to_owned();
    let host = headers.get(HOST).map(text).unwrap_or_default();
    let same_origin = headers.get(ORIGIN).map(text).is_none_or(|origin| origin == format!("http://{host}"));
    let site = headers.get("sec-fetch-site").map(text);
    same_origin && site.is_none_or(|site| site == "same-origin" || site == "none")
}

fn is_local(authority: &Authority) -> bool {
    let host = authority.host();
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    !authority.as_str().contains('@') && (bare.parse::<IpAddr>().is_ok() || bare.eq_ignore_ascii_case("localhost"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(target: &str, hosts: &[&str]) -> bool {
        let mut headers = HeaderMap::new();
        for host in hosts {
            headers.append(HOST, HeaderValue::from_str(host).unwrap());
        }
        is_own(&target.parse().unwrap(), &headers)
    }

    #[test]
    fn addresses_and_localhost_may_ask() {
        for host in ["127.0.0.1:9092", "127.0.0.1", "localhost:9092", "LOCALHOST", "[::1]:9092", "10.1.2.3:80"] {
            assert!(judge("/", &[host]), "{host}");
        }
        assert!(judge("http://127.0.0.1:9092/", &["127.0.0.1:9092"]));
    }

    #[test]
    fn a_page_elsewhere_may_change_nothing() {
        for (lines, own) in [
            (&[][..], true),
            (&[("origin", "http://127.0.0.1:9092")], true),
            (&[("origin", "http://127.0.0.1:9092"), ("sec-fetch-site", "same-origin")], true),
            (&[("origin", "http://evil.example")], false),
            (&[("origin", "null")], false),
            (&[("origin", "https://127.0.0.1:9092")], false),
            (&[("sec-fetch-site", "cross-site")], false),
            (&[("sec-fetch-site", "same-site")], false),
        ] {
            let mut headers = HeaderMap::from_iter([(HOST, HeaderValue::from_static("127.0.0.1:9092"))]);
            for (name, value) in lines {
                headers.insert(*name, HeaderValue::from_static(value));
            }
            assert_eq!(is_own_page(&headers), own, "{lines:?}");
        }
    }

    #[test]
    fn names_may_not_nor_what_hides_one() {
        for host in [
            "evil.example",
            "evil.example:9092",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "localhost@evil.example",
            "127.0.0.1@evil.example",
            "",
        ] {
            assert!(!judge("/", &[host]), "{host}");
        }
        assert!(!judge("/", &[]));
        assert!(!judge("/", &["localhost", "evil.example"]));
        assert!(!judge("http://evil.example/", &["localhost"]));
    }
}
