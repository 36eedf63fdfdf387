//! Which `Host` may ask: a page elsewhere that lets its own name point here (DNS rebinding) must learn nothing.

use std::net::IpAddr;

use http::HeaderMap;
use http::header::HOST;
use http::uri::{Authority, Uri};

/// Whether the request names an address or `localhost`, and nothing else.
pub(super) fn is_own(uri: &Uri, headers: &HeaderMap) -> bool {
    let mut lines = headers.get_all(HOST).iter();
    let (Some(host), None) = (lines.next(), lines.next()) else { return false };
    let Ok(host) = Authority::try_from(host.as_bytes()) else { return false };
    is_local(&host) && uri.authority().is_none_or(is_local)
}

fn is_local(authority: &Authority) -> bool {
    let host = authority.host();
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    !authority.as_str().contains('@') && (bare.parse::<IpAddr>().is_ok() || bare.eq_ignore_ascii_case("localhost"))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

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
