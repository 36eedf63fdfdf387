//! Where to walk: the URL that a caller uses, or Grafana's own.

use std::net::IpAddr;

/// A URL without a query: scheme, host, port, and the sub-path under which Grafana stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) encrypted: bool,
    /// Without brackets.
    pub(super) host: String,
    pub(super) port: u16,
    /// Empty, or begins with a slash and ends without one.
    pub(super) base: String,
}

impl Target {
    /// Reads a URL; without a scheme it is taken for `http`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
        let encrypted = match scheme.to_ascii_lowercase().as_str() {
            "https" => true,
            "http" => false,
            _ => return Err("the scheme is neither http nor https".to_owned()),
        };
        if rest.contains('@') {
            return Err("a user or a password stands in it, which every user of this machine can read".to_owned());
        }
        let (authority, path) = rest.find(['/', '?', '#']).map_or((rest, ""), |at| rest.split_at(at));
        if path.contains(['?', '#']) {
            return Err("a query or a fragment stands in it: name the place where Grafana begins".to_owned());
        }
        let uri: http::Uri = format!("http://{authority}{path}").parse().map_err(|_| "it is no URL".to_owned())?;
        let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']').to_owned();
        let names_port = authority.strip_prefix(uri.host().unwrap_or_default()).is_some_and(|rest| !rest.is_empty());
        let port = uri.port_u16().unwrap_or(if encrypted { 443 } else { 80 });
        if host.is_empty() || port == 0 || (names_port && uri.port_u16().is_none()) {
            return Err("it names no host, or a port that is none".to_owned());
        }
        Ok(Self { encrypted, host, port, base: path.trim_end_matches('/').to_owned() })
    }

    /// What `Host` says.
    pub(super) fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        if self.port == (if self.encrypted { 443 } else { 80 }) { host } else { format!("{host}:{}", self.port) }
    }

    /// The whole URL of a path.
    pub(super) fn url(&self, path: &str) -> String {
        let scheme = if self.encrypted { "https" } else { "http" };
        format!("{scheme}://{}{}{path}", self.authority(), self.base)
    }

    /// The host as an address, where it is one: then there is no name to resolve.
    pub(super) fn address(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_url_is_read_in_every_habit() {
        for (text, printed) in [
            ("https://grafana.example.com", "https://grafana.example.com/x"),
            ("https://grafana.example.com/", "https://grafana.example.com/x"),
            ("HTTP://grafana:3000/sub/", "http://grafana:3000/sub/x"),
            ("grafana:3000", "http://grafana:3000/x"),
            ("http://grafana:80", "http://grafana/x"),
            ("https://[::1]:3000", "https://[::1]:3000/x"),
        ] {
            assert_eq!(Target::parse(text).map(|target| target.url("/x")), Ok(printed.to_owned()));
        }
        assert_eq!(Target::parse("http://[::1]:3000").unwrap().address(), Some("::1".parse().unwrap()));
        for text in
            ["", "ftp://x", "http://", "http://a:b@c", "http://x?y", "http://x:0", "http://x:99999", "http://a b"]
        {
            assert!(Target::parse(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics_and_what_is_printed_reads_back(text in "(https?://)?\\PC{0,40}") {
            if let Ok(target) = Target::parse(&text) {
                prop_assert_eq!(Target::parse(&target.url("")), Ok(target));
            }
        }
    }
}
