//! Who is calling: the peer, trusted hops, `X-Forwarded-For`.

use std::net::IpAddr;

use ipnet::IpNet;

/// Whom to believe about the client.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Networks whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Names Grafana trusts blindly that trusted proxies may send.
    pub identity_headers: Vec<http::HeaderName>,
}

impl Settings {
    /// Whether what `peer` says about others is believed.
    pub fn trusts(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        self.trusted_proxies.iter().any(|net| net.contains(&peer))
    }
}

/// The address of the client: the peer, or, behind trusted hops, the nearest address in `X-Forwarded-For` (walked from
/// the right over all lines) that is not trusted itself. What is no address ends the walk: whoever wrote it is not known.
pub fn identify(peer: IpAddr, forwarded_for: &[&[u8]], settings: &Settings) -> IpAddr {
    let mut nearest = peer.to_canonical();
    if !settings.trusts(nearest) {
        return nearest;
    }
    let hops = forwarded_for.iter().rev().flat_map(|line| line.rsplit(|byte| *byte == b','));
    for hop in hops {
        let Some(address) = parse(hop) else { return nearest };
        nearest = address;
        if !settings.trusts(address) {
            return address;
        }
    }
    nearest
}

/// An address as proxies write it: plain, in brackets, with a port.
fn parse(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?.trim_matches([' ', '\t', '"']);
    let plain = text.parse::<IpAddr>().ok();
    let with_port = || text.parse::<std::net::SocketAddr>().ok().map(|address| address.ip());
    let in_brackets = || text.strip_prefix('[')?.strip_suffix(']')?.parse::<IpAddr>().ok();
    plain.or_else(with_port).or_else(in_brackets).map(|address| address.to_canonical())
}

/// What a client's bucket is filed under: the IPv4 address, or the /64 of an IPv6 address, which one person has whole.
pub fn bucket_bytes(client: IpAddr) -> [u8; 9] {
    let mut bytes = [0; 9];
    let mut put = |family: u8, octets: &[u8]| {
        for (to, from) in bytes.iter_mut().zip(std::iter::once(&family).chain(octets)) {
            *to = *from;
        }
    };
    match client.to_canonical() {
        IpAddr::V4(address) => put(4, &address.octets()),
        IpAddr::V6(address) => put(6, &address.octets()),
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        Settings {
            trusted_proxies: vec!["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()],
            ..Settings::default()
        }
    }

    fn client(peer: &str, lines: &[&str]) -> String {
        let lines: Vec<&[u8]> = lines.iter().map(|line| line.as_bytes()).collect();
        identify(peer.parse().unwrap(), &lines, &settings()).to_string()
    }

    #[test]
    fn the_nearest_untrusted_address_is_the_client() {
        assert_eq!(client("1.2.3.4", &["9.9.9.9"]), "1.2.3.4", "a stranger is believed");
        assert_eq!(client("10.0.0.1", &["9.9.9.9"]), "9.9.9.9");
        assert_eq!(client("10.0.0.1", &["8.8.8.8, 9.9.9.9, 10.0.0.2"]), "9.9.9.9", "an invented first hop is believed");
        assert_eq!(client("10.0.0.1", &["8.8.8.8", "9.9.9.9"]), "9.9.9.9", "lines are one list");
        assert_eq!(client("::ffff:10.0.0.1", &["9.9.9.9:1234"]), "9.9.9.9");
        assert_eq!(client("fd00::1", &["[2001:db8::1]:80"]), "2001:db8::1");
        assert_eq!(client("10.0.0.1", &["\"[2001:db8::1]\""]), "2001:db8::1");
        assert_eq!(client("10.0.0.1", &["9.9.9.9, unknown, 10.0.0.2"]), "10.0.0.2");
        assert_eq!(client("10.0.0.1", &[""]), "10.0.0.1");
        assert_eq!(client("10.0.0.1", &["10.0.0.9"]), "10.0.0.9");
    }

    #[test]
    fn buckets_are_addresses_or_networks() {
        let bytes = |text: &str| bucket_bytes(text.parse().unwrap());
        assert_eq!(bytes("2001:db8::1"), bytes("2001:db8::ffff"));
        assert_ne!(bytes("2001:db8::1"), bytes("2001:db8:0:1::1"));
        assert_eq!(bytes("1.2.3.4"), bytes("::ffff:1.2.3.4"));
        assert_ne!(bytes("1.2.3.4"), bytes("1.2.3.5"));
        assert_ne!(bytes("1.2.3.4"), bytes("102:304::"));
    }

    proptest::proptest! {
        #[test]
        fn nothing_in_the_header_panics_or_is_believed_from_a_stranger(lines in proptest::collection::vec("\\PC{0,40}", 0..4)) {
            let lines: Vec<&[u8]> = lines.iter().map(|line| line.as_bytes()).collect();
            let peer: IpAddr = "1.2.3.4".parse().unwrap();
            proptest::prop_assert_eq!(identify(peer, &lines, &settings()), peer);
            let _ = identify("10.0.0.1".parse().unwrap(), &lines, &settings());
        }
    }
}
