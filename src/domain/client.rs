//! Who is calling: the peer, trusted hops, `X-Forwarded-For`.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;

/// Whom to believe about the client.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Networks whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Headers that Grafana trusts blindly, which trusted proxies may send and nobody else.
    pub identity_headers: Vec<http::HeaderName>,
    /// The name of Grafana's session cookie (`[auth] login_cookie_name`).
    pub session_cookie: SessionCookie,
}

/// The name of Grafana's session cookie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionCookie(pub Box<str>);

impl Default for SessionCookie {
    fn default() -> Self {
        Self("grafana_session".into())
    }
}

impl Settings {
    /// The place in the list of the header that names the user, where several are configured: the first whose name says
    /// `user`, else the first.
    pub fn user_header(&self) -> usize {
        self.identity_headers.iter().position(|name| name.as_str().contains("user")).unwrap_or_default()
    }

    /// Whether what `peer` says about others is believed.
    pub fn trusts(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        self.trusted_proxies.iter().any(|net| net.contains(&peer))
    }
}

/// The address of the client: the peer, or, behind trusted hops, the nearest address in `X-Forwarded-For` (walked from
/// the right over all lines) that is not trusted itself.
///
/// Each hop writes down who spoke to it, so that only what a trusted hop wrote is believed: what stands left of the first
/// stranger, that stranger may have made up. What is no address ends the walk at the last one known.
pub fn identify(peer: IpAddr, forwarded_for: &[&[u8]], settings: &Settings) -> IpAddr {
    let mut nearest = peer.to_canonical();
    let mut elements = forwarded_for
        .iter()
        .rev()
        .flat_map(|line| line.rsplit(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        // Empty elements of a list mean nothing (RFC 9110 §5.6.1.2).
        .filter(|element| !element.is_empty());
    while settings.trusts(nearest) {
        match elements.next().map(parse) {
            Some(Some(address)) => nearest = address,
            Some(None) | None => break,
        }
    }
    nearest
}

/// An address as hops write it: alone, with a port, in brackets, in quotes, with a zone.
fn parse(element: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(element).ok()?.trim_matches('"');
    let without_zone = |text: &str| text.split('%').next().and_then(|address| address.parse::<IpAddr>().ok());
    let address = text.parse::<IpAddr>().ok().or_else(|| match text.strip_prefix('[') {
        Some(rest) => {
            let (address, port) = rest.split_once(']')?;
            let port_is_sane =
                port.is_empty() || port.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok());
            without_zone(address).filter(|address| port_is_sane && address.is_ipv6())
        }
        None => text.parse::<SocketAddr>().ok().map(|socket| socket.ip()).or_else(|| without_zone(text)),
    })?;
    Some(address.to_canonical())
}

/// What a client's bucket is filed under: its family, then the IPv4 address, or the /64 of an IPv6 address, which is what
/// one subscriber has to choose from.
pub fn bucket_bytes(client: IpAddr) -> [u8; 9] {
    match client.to_canonical() {
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            [4, a, b, c, d, 0, 0, 0, 0]
        }
        IpAddr::V6(address) => {
            let [a, b, c, d, e, f, g, h, ..] = address.octets();
            [6, a, b, c, d, e, f, g, h]
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn settings() -> Settings {
        let nets = ["10.0.0.0/8", "127.0.0.1/32", "fd00::/8"];
        Settings { trusted_proxies: nets.iter().map(|net| net.parse().unwrap()).collect(), ..Settings::default() }
    }

    fn identified(peer: &str, lines: &[&str]) -> String {
        let lines: Vec<&[u8]> = lines.iter().map(|line| line.as_bytes()).collect();
        identify(address(peer), &lines, &settings()).to_string()
    }

    #[test]
    fn a_stranger_speaks_for_nobody() {
        assert_eq!(identified("192.0.2.1", &["198.51.100.7"]), "192.0.2.1");
        assert_eq!(identify(address("10.0.0.1"), &[b"198.51.100.7"], &Settings::default()), address("10.0.0.1"));
        assert_eq!(identified("::ffff:192.0.2.1", &[]), "192.0.2.1");
    }

    #[test]
    fn the_walk_goes_from_the_right_through_trusted_hops() {
        for (lines, client) in [
            (&[][..], "10.0.0.1"),
            (&["198.51.100.7"], "198.51.100.7"),
            (&["1.1.1.1, 198.51.100.7"], "198.51.100.7"),
            (&["1.1.1.1, 198.51.100.7, 10.1.1.1, 10.2.2.2"], "198.51.100.7"),
            (&["1.1.1.1", "198.51.100.7", "10.1.1.1"], "198.51.100.7"),
            (&["10.9.9.9, 10.8.8.8"], "10.9.9.9"),
            (&["198.51.100.7, ,", ""], "198.51.100.7"),
            (&["198.51.100.7, fd00::1"], "198.51.100.7"),
            (&["198.51.100.7, ::ffff:10.1.1.1"], "198.51.100.7"),
        ] {
            assert_eq!(identified("10.0.0.1", lines), client, "{lines:?}");
            assert_eq!(identified("::ffff:10.0.0.1", lines), client, "{lines:?}");
        }
    }

    #[test]
    fn addresses_are_read_as_hops_write_them() {
        for (element, client) in [
            ("198.51.100.7:443", "198.51.100.7"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("[2001:db8::1]:443", "2001:db8::1"),
            ("\"[2001:db8::1]:443\"", "2001:db8::1"),
            ("2001:db8::1", "2001:db8::1"),
            ("fe80::1%eth0", "fe80::1"),
            ("[fe80::1%eth0]:1", "fe80::1"),
            ("::ffff:198.51.100.7", "198.51.100.7"),
            ("[::ffff:198.51.100.7]:1", "198.51.100.7"),
        ] {
            assert_eq!(identified("10.0.0.1", &[element]), client, "{element}");
        }
    }

    #[test]
    fn what_is_no_address_ends_the_walk() {
        for garbage in [
            "unknown",
            "_hidden",
            "198.51.100",
            "198.51.100.7:x",
            "[2001:db8::1",
            "[198.51.100.7]",
            "[::1]x",
            "a b",
            "ü",
        ] {
            let line = format!("1.1.1.1, {garbage}, 10.1.1.1");
            assert_eq!(identified("10.0.0.1", &[&line]), "10.1.1.1", "{garbage}");
        }
        assert_eq!(identify(address("10.0.0.1"), &[b"1.1.1.1, \xff"], &settings()), address("10.0.0.1"));
    }

    #[test]
    fn a_subscriber_has_one_bucket() {
        let bucket = |text: &str| bucket_bytes(address(text));
        assert_eq!(bucket("2001:db8:1:2::1"), bucket("2001:db8:1:2:ffff:ffff:ffff:ffff"));
        assert_ne!(bucket("2001:db8:1:2::1"), bucket("2001:db8:1:3::1"));
        assert_eq!(bucket("::ffff:192.0.2.1"), bucket("192.0.2.1"));
        assert_ne!(bucket("192.0.2.1"), bucket("192.0.2.2"));
        assert_ne!(bucket("192.0.2.1"), bucket("c000:201::"), "an IPv4 and an IPv6 address share a bucket");
    }

    proptest! {
        #[test]
        fn the_client_is_the_peer_or_was_named_by_a_trusted_hop(lines: Vec<Vec<u8>>, peer: IpAddr) {
            let lines: Vec<&[u8]> = lines.iter().map(Vec::as_slice).collect();
            let client = identify(peer, &lines, &settings());
            prop_assert!(client == peer.to_canonical() || settings().trusts(peer));
        }

        #[test]
        fn what_strangers_put_in_front_changes_nothing(front in "[0-9a-f.:, ]{0,20}", stranger: std::net::Ipv4Addr) {
            let stranger = IpAddr::V4(stranger);
            prop_assume!(!settings().trusts(stranger));
            let line = format!("{front}, {stranger}, 10.1.1.1");
            prop_assert_eq!(identify(address("10.0.0.1"), &[line.as_bytes()], &settings()), stranger);
        }

        #[test]
        fn printed_addresses_are_read_back(address: IpAddr, port: u16) {
            prop_assert_eq!(parse(address.to_string().as_bytes()), Some(address.to_canonical()));
            let socket = SocketAddr::new(address, port).to_string();
            prop_assert_eq!(parse(socket.as_bytes()), Some(address.to_canonical()));
        }
    }
}
