//! What Grafana is told about the way a request took: `X-Forwarded-*`, `X-Real-IP`, `Forwarded`.
//!
//! A trusted hop's words are passed on, and what it does not say is added; a stranger's are replaced by our own.

use std::net::IpAddr;

use http::{HeaderName, HeaderValue, header};

/// Whether a header speaks about the way: from a stranger it goes no further, whatever we write in its place.
pub fn is_forwarding(name: &HeaderName) -> bool {
    *name == header::FORWARDED || {
        let name = name.as_str();
        name == "x-real-ip" || name.starts_with("x-forwarded-")
    }
}

/// What a trusted hop said.
#[derive(Clone, Copy, Debug, Default)]
pub struct Said<'h> {
    /// All lines of `X-Forwarded-For`.
    pub forwarded_for: &'h [&'h HeaderValue],
    /// Whether there is an `X-Forwarded-Proto`.
    pub proto: bool,
    /// Whether there is an `X-Forwarded-Host`.
    pub host: bool,
    /// Whether there is an `X-Real-IP`.
    pub real_ip: bool,
}

/// What we saw ourselves.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'h> {
    /// The other end of the connection.
    pub peer: IpAddr,
    /// The client, as [`super::client::identify`] found it.
    pub client: IpAddr,
    /// `http` or `https`.
    pub scheme: &'static str,
    /// `Host`.
    pub host: Option<&'h HeaderValue>,
}

/// The lines to write, each in place of all that came under its name. `None`: what came stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Way {
    /// `X-Forwarded-For`: one line with all hops, the peer last.
    pub forwarded_for: HeaderValue,
    /// `X-Forwarded-Proto`.
    pub proto: Option<HeaderValue>,
    /// `X-Forwarded-Host`.
    pub host: Option<HeaderValue>,
    /// `X-Real-IP`: the client. Grafana takes it before `X-Forwarded-For`, so that the peer's address here would lock
    /// out all users behind one hop together.
    pub real_ip: Option<HeaderValue>,
}

impl Way {
    /// Works out what to write; `said` is `None` for a stranger, whose words do not count.
    pub fn tell(seen: Seen<'_>, said: Option<Said<'_>>) -> Self {
        let said = said.unwrap_or_default();
        Self {
            forwarded_for: join(said.forwarded_for, seen.peer),
            proto: (!said.proto).then(|| HeaderValue::from_static(seen.scheme)),
            host: if said.host { None } else { seen.host.cloned() },
            real_ip: (!said.real_ip).then(|| value(seen.client)),
        }
    }
}

/// All lines in one (RFC 9110 §5.3), since Grafana reads the first line only, and the peer at the end.
fn join(lines: &[&HeaderValue], peer: IpAddr) -> HeaderValue {
    let peer = value(peer);
    let mut joined = Vec::new();
    for line in lines.iter().map(|line| line.as_bytes().trim_ascii()).filter(|line| !line.is_empty()) {
        joined.extend_from_slice(line);
        joined.extend_from_slice(b", ");
    }
    if joined.is_empty() {
        return peer;
    }
    joined.extend_from_slice(peer.as_bytes());
    HeaderValue::from_bytes(&joined).unwrap_or(peer)
}

fn value(address: IpAddr) -> HeaderValue {
    // An address prints as ASCII without control characters; the other branch is never taken.
    HeaderValue::try_from(address.to_canonical().to_string()).unwrap_or_else(|_| HeaderValue::from_static("unknown"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seen(host: &HeaderValue) -> Seen<'_> {
        Seen {
            peer: "10.0.0.1".parse().unwrap(),
            client: "192.0.2.7".parse().unwrap(),
            scheme: "https",
            host: Some(host),
        }
    }

    fn text(value: Option<&HeaderValue>) -> Option<&str> {
        value.map(|value| value.to_str().unwrap())
    }

    #[test]
    fn a_strangers_words_are_replaced() {
        let host = HeaderValue::from_static("grafana.test");
        let stranger = Seen { client: "10.0.0.1".parse().unwrap(), ..seen(&host) };
        let way = Way::tell(stranger, None);
        assert_eq!(text(Some(&way.forwarded_for)), Some("10.0.0.1"));
        assert_eq!(text(way.proto.as_ref()), Some("https"));
        assert_eq!(text(way.host.as_ref()), Some("grafana.test"));
        assert_eq!(text(way.real_ip.as_ref()), Some("10.0.0.1"));
        assert_eq!(Way::tell(Seen { host: None, ..stranger }, None).host, None);
    }

    #[test]
    fn a_trusted_hops_words_stay_and_gaps_are_filled() {
        let host = HeaderValue::from_static("grafana.test");
        let lines = [&HeaderValue::from_static("1.1.1.1, 192.0.2.7"), &HeaderValue::from_static(" 10.2.2.2 ")];
        let all = Said { forwarded_for: &lines, proto: true, host: true, real_ip: true };
        let way = Way::tell(seen(&host), Some(all));
        assert_eq!(text(Some(&way.forwarded_for)), Some("1.1.1.1, 192.0.2.7, 10.2.2.2, 10.0.0.1"));
        assert_eq!((way.proto, way.host, way.real_ip), (None, None, None));

        let way = Way::tell(seen(&host), Some(Said { forwarded_for: &lines, ..Said::default() }));
        assert_eq!(text(way.real_ip.as_ref()), Some("192.0.2.7"), "the hop instead of the client");
        assert_eq!(text(way.proto.as_ref()), Some("https"));
        assert_eq!(text(Way::tell(seen(&host), Some(Said::default())).host.as_ref()), Some("grafana.test"));
    }

    #[test]
    fn mapped_addresses_are_written_as_what_they_are() {
        let host = HeaderValue::from_static("g");
        let way = Way::tell(Seen { peer: "::ffff:10.0.0.1".parse().unwrap(), ..seen(&host) }, None);
        assert_eq!(text(Some(&way.forwarded_for)), Some("10.0.0.1"));
    }

    #[test]
    fn headers_about_the_way_are_known() {
        for name in ["forwarded", "x-forwarded-for", "x-forwarded-user", "x-forwarded-host", "x-real-ip"] {
            assert!(is_forwarding(&HeaderName::from_static(name)), "{name}");
        }
        for name in ["x-forwarded", "forwarded-for", "host", "via", "x-real-ip-2"] {
            assert!(!is_forwarding(&HeaderName::from_static(name)), "{name}");
        }
    }

    proptest! {
        #[test]
        fn the_peer_is_always_last(lines in prop::collection::vec("[ -~]{0,20}", 0..3)) {
            let host = HeaderValue::from_static("g");
            let values: Vec<HeaderValue> = lines.iter().map(|line| HeaderValue::try_from(line).unwrap()).collect();
            let lines: Vec<&HeaderValue> = values.iter().collect();
            let way = Way::tell(seen(&host), Some(Said { forwarded_for: &lines, ..Said::default() }));
            let last = way.forwarded_for.to_str().unwrap().rsplit(", ").next().map(str::to_owned);
            prop_assert_eq!(last.as_deref(), Some("10.0.0.1"));
        }
    }
}
