//! What rules are made of: paths, header names, networks.

use std::num::NonZeroU32;

use http::HeaderName;
use ipnet::IpNet;

use super::super::mistake::Flaw;
use crate::domain::client::SessionCookie;
use crate::domain::path_rule::is_plain;

/// Checks the path of a rule: exact, or a prefix ending in `/`. Spellings that no request can match are refused, for a
/// rule that never applies looks like one that does.
pub fn path(text: &str) -> Result<String, Flaw> {
    if !text.starts_with('/') {
        let cure = format!("write /{}", text.trim_start_matches('*'));
        return Err(Flaw::new("does not begin with a slash", cure));
    }
    if text.contains(['*', '?', '#']) {
        return Err(Flaw::new(
            "holds a wildcard or a query, which are compared as they stand",
            "write a path exactly, or a prefix ending in /, as /public/",
        ));
    }
    if !is_plain(text) || !text.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(Flaw::new(
            "is no plain path: targets with dot segments, //, \\, ;, escapes of these, or needless escapes match no rule",
            "write letters, digits, - . _ and ~ as they are, and escape the rest as browsers do",
        ));
    }
    Ok(text.to_owned())
}

/// Reads what a request to a path costs: `/render/=10`.
pub fn cost(text: &str) -> Result<(String, NonZeroU32), Flaw> {
    const EXAMPLE: &str = "write a path and a number, as \"/render/\": 10 in a file, or /render/=10";
    let (rule, number) = text.rsplit_once('=').ok_or_else(|| Flaw::new("names no cost", EXAMPLE))?;
    let cost = number.trim().parse::<u32>().ok().and_then(NonZeroU32::new);
    let Some(cost) = cost else {
        return Err(match number.trim() {
            "0" => Flaw::new("costs nothing", "name the path in limits.exempt, or write 1 or more"),
            _ => Flaw::new("has a cost that is no whole number", EXAMPLE),
        });
    };
    if cost.get() > 1000 {
        return Err(Flaw::new("costs more than 1000", "write less: a budget holds a few hundred requests"));
    }
    Ok((path(rule.trim())?, cost))
}

/// Reads which organisation is behind a host: `team-a.example.com=2`.
pub fn host_organisation(text: &str) -> Result<(String, u32), Flaw> {
    const EXAMPLE: &str = "write a host and a number, as team-a.example.com: 2 in a file, or team-a.example.com=2";
    let (host, org) = text.rsplit_once('=').ok_or_else(|| Flaw::new("names no organisation", EXAMPLE))?;
    let org = org.trim().parse::<u32>().ok().filter(|org| (1..=i32::MAX as u32).contains(org));
    let Some(org) = org else {
        return Err(Flaw::new("names no organisation", "write the number that Grafana shows, 1 or more"));
    };
    let host = host.trim().trim_end_matches('.').to_ascii_lowercase();
    let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let sound = match bracketed {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_')),
    };
    if !sound {
        return Err(Flaw::new("is no host", "write it as clients do, without scheme, port, path or wildcard"));
    }
    Ok((host, org))
}

/// Headers that frame a message, route it, or are the credential itself.
const RESERVED: [&str; 12] = [
    "authorization",
    "connection",
    "content-length",
    "content-type",
    "cookie",
    "host",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-grafana-org-id",
];

/// Reads the name of a header that carries an identity or a credential.
pub fn header_name(text: &str) -> Result<HeaderName, Flaw> {
    let name: HeaderName = text.trim_end_matches(':').parse().map_err(|_| {
        Flaw::new("is not the name of a header", "write letters, digits and dashes, as X-Forwarded-Authorization")
    })?;
    if text.ends_with(':') {
        return Err(Flaw::new("ends in a colon", format!("write {}", text.trim_end_matches(':'))));
    }
    if RESERVED.contains(&name.as_str()) {
        return Err(Flaw::new(
            "has a meaning of its own on every request",
            "name a header that your hop uses for this alone, as X-Forwarded-Authorization",
        ));
    }
    Ok(name)
}

/// Reads the name of a cookie (RFC 6265 §4.1.1).
pub fn cookie_name(text: &str) -> Result<SessionCookie, Flaw> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if text.is_empty() || !text.bytes().all(is_token) {
        return Err(Flaw::new("is not the name of a cookie", "write what `[auth] login_cookie_name` says in Grafana"));
    }
    Ok(SessionCookie(text.into()))
}

/// Reads a network; a single address is the network of itself.
pub fn network(text: &str) -> Result<IpNet, Flaw> {
    if let Ok(address) = text.parse::<std::net::IpAddr>() {
        return Ok(IpNet::from(address));
    }
    let net: IpNet = text
        .parse()
        .map_err(|_| Flaw::new("is not a network", "write CIDR notation, as 10.0.0.0/8 or fd00::/8, or one address"))?;
    if net.trunc() != net {
        return Err(Flaw::new(
            "has bits set behind its prefix",
            format!("write {} for the network, or {} for the one address", net.trunc(), net.addr()),
        ));
    }
    Ok(net)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn rules_that_never_match_are_refused() {
        for text in ["/api/health", "/public/", "/", "/a%20b", "/%C3%A4", "/a%3Ab"] {
            assert_eq!(path(text).as_deref(), Ok(text));
        }
        for text in
            ["", "api", "/a/../b", "/a//b", "/%2e", "/a%2Fb", "/a;b", "/a?b", "/public/*", "/a\\b", "/ä", "/%61"]
        {
            assert!(path(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_cost_is_a_path_and_a_number() {
        let read = |text: &str| cost(text).map(|(path, cost)| (path, cost.get()));
        assert_eq!(read("/render/=10"), Ok(("/render/".to_owned(), 10)));
        assert_eq!(read("/a=b= 2"), Ok(("/a=b".to_owned(), 2)));
        for text in ["/render/", "/x=0", "/x=-1", "/x=", "x=2", "/x/../y=2", "/x=1001", "=1", ""] {
            assert!(read(text).is_err(), "{text}");
        }
        assert!(read("/x=0").unwrap_err().cure.contains("limits.exempt"));
    }

    #[test]
    fn a_host_has_an_organisation() {
        for (text, host) in [("Team-A.example.com=2", "team-a.example.com"), ("[::1]=2", "[::1]"), ("g. = 2", "g")] {
            assert_eq!(host_organisation(text), Ok((host.to_owned(), 2)));
        }
        for text in ["a", "a=0", "a=x", "=2", "a:3000=2", "http://a=2", "*.a=2", "a b=2", "[::x]=2", "a=4294967295"] {
            assert!(host_organisation(text).is_err(), "{text}");
        }
    }

    #[test]
    fn headers_with_a_meaning_are_refused() {
        assert!(header_name("X-Original-Authorization").is_ok());
        for text in ["Authorization", "host", "X Y", "", "X-Auth:", "Transfer-Encoding"] {
            assert!(header_name(text).is_err(), "{text}");
        }
    }

    #[test]
    fn networks_say_what_they_mean() {
        assert_eq!(network("10.0.0.1").unwrap().to_string(), "10.0.0.1/32");
        assert!(network("10.0.0.1/8").unwrap_err().cure.contains("10.0.0.0/8"));
        assert!(network("10.0.0.0/33").is_err());
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "/?\\PC{0,40}") {
            let _ = (path(&text), cost(&text), host_organisation(&text), header_name(&text), network(&text));
        }
    }
}
