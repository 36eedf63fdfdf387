//! The header with which a load balancer says who the client is: PROXY protocol, versions 1 and 2, as HAProxy's
//! specification has it. Strict: what a trusted hop garbles must not become a client's address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// No header is longer: one of version 2 with 4 KiB behind its fixed part.
pub const MAX_LENGTH: usize = FIXED + 4096;

/// The fixed part of version 2.
const FIXED: usize = 16;

/// The longest line of version 1, its end included.
const MAX_LINE: usize = 107;

const LINE: &[u8] = b"PROXY ";

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// What the first bytes of a connection say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// More must come before anything can be said.
    More,
    /// A header.
    Header {
        /// Its bytes.
        length: usize,
        /// Whom it names. `None`: nobody, so that the peer itself counts (a health check of the hop, a family without
        /// addresses).
        client: Option<SocketAddr>,
    },
    /// No header, and why: the end of a sentence.
    Malformed(&'static str),
}

/// Reads the header at the beginning of `bytes`. What stands behind it is not looked at.
pub fn parse(bytes: &[u8]) -> Parsed {
    let begins = |start: &[u8]| bytes.iter().zip(start).all(|(one, other)| one == other);
    if bytes.is_empty() {
        Parsed::More
    } else if begins(SIGNATURE) {
        parse_binary(bytes)
    } else if begins(LINE) {
        parse_line(bytes)
    } else {
        Parsed::Malformed("is missing")
    }
}

fn parse_line(bytes: &[u8]) -> Parsed {
    let seen = bytes.get(..MAX_LINE).unwrap_or(bytes);
    let Some(end) = memchr::memchr(b'\n', seen) else {
        return if bytes.len() < MAX_LINE { Parsed::More } else { Parsed::Malformed("is a line without an end") };
    };
    let text = seen.get(LINE.len()..end).and_then(|line| line.strip_suffix(b"\r")).map(std::str::from_utf8);
    let Some(Ok(text)) = text else { return Parsed::Malformed("is a line of the wrong form") };
    let length = end + 1;
    // Whatever follows UNKNOWN is to be ignored.
    if text == "UNKNOWN" || text.starts_with("UNKNOWN ") {
        return Parsed::Header { length, client: None };
    }
    let fields: Vec<&str> = text.split(' ').collect();
    let &[family, source, destination, port, other_port] = fields.as_slice() else {
        return Parsed::Malformed("has not five fields");
    };
    let address = |text: &str| match family {
        "TCP4" => text.parse().map(IpAddr::V4).ok(),
        "TCP6" => text.parse().map(IpAddr::V6).ok(),
        _ => None,
    };
    match (address(source), address(destination), parse_port(port), parse_port(other_port)) {
        (Some(source), Some(_), Some(port), Some(_)) => {
            Parsed::Header { length, client: Some(SocketAddr::new(source.to_canonical(), port)) }
        }
        _ => Parsed::Malformed("names no addresses of its family"),
    }
}

/// Digits, without a sign or a zero in front.
fn parse_port(text: &str) -> Option<u16> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let canonical = text == "0" || !text.starts_with('0');
    text.parse().ok().filter(|_| digits && canonical)
}

fn parse_binary(bytes: &[u8]) -> Parsed {
    // Version and command, then family and protocol: wrong ones are known before the rest has come.
    let local = match bytes.get(12) {
        None => return Parsed::More,
        Some(0x20) => true,
        Some(0x21) => false,
        Some(_) => return Parsed::Malformed("is of another version than 1 and 2, or has an unknown command"),
    };
    let needed = match bytes.get(13) {
        None => return Parsed::More,
        // Nobody can know where the extensions of these begin: nothing of them is looked at.
        Some(0x00 | 0x01) => 0,
        Some(0x11) => 12,
        Some(0x21) => 36,
        Some(0x31) => 216,
        Some(_) => return Parsed::Malformed("is not about a stream of a known family"),
    };
    let Some(&[high, low]) = bytes.get(14..FIXED) else { return Parsed::More };
    let behind = usize::from(u16::from_be_bytes([high, low]));
    let length = FIXED + behind;
    // What belongs to a LOCAL is to be skipped, whatever it is.
    if behind < needed && !local {
        return Parsed::Malformed("is too short for its family");
    }
    if length > MAX_LENGTH {
        return Parsed::Malformed("is longer than 4 KiB");
    }
    let Some(rest) = bytes.get(FIXED..length) else { return Parsed::More };
    if local || needed == 0 {
        return Parsed::Header { length, client: None };
    }
    let (addresses, extensions) = rest.split_at_checked(needed).unwrap_or_default();
    if !are_sound(extensions) {
        return Parsed::Malformed("has broken extensions (TLV)");
    }
    let client = match addresses {
        [a, b, c, d, _, _, _, _, high, low, _, _] => {
            Some(SocketAddr::new(Ipv4Addr::new(*a, *b, *c, *d).into(), u16::from_be_bytes([*high, *low])))
        }
        long if needed == 36 => {
            let source = long.first_chunk::<16>().map(|octets| Ipv6Addr::from(*octets));
            let port = long.get(32..34).and_then(|port| port.first_chunk::<2>()).map(|port| u16::from_be_bytes(*port));
            source.zip(port).map(|(source, port)| SocketAddr::new(IpAddr::V6(source).to_canonical(), port))
        }
        _ => None,
    };
    Parsed::Header { length, client }
}

/// Type, length in two bytes, value; again and again up to the end.
fn are_sound(mut extensions: &[u8]) -> bool {
    while let &[_, high, low, ref rest @ ..] = extensions {
        let Some(next) = rest.get(usize::from(u16::from_be_bytes([high, low]))..) else { return false };
        extensions = next;
    }
    extensions.is_empty()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn line(source: SocketAddr, destination: SocketAddr) -> Vec<u8> {
        let family = if source.is_ipv4() { "TCP4" } else { "TCP6" };
        let (one, other) = (source.ip(), destination.ip());
        format!("PROXY {family} {one} {other} {} {}\r\n", source.port(), destination.port()).into_bytes()
    }

    fn binary(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
        let length = u16::try_from(body.len()).unwrap().to_be_bytes();
        [SIGNATURE, &[command, family], &length, body].concat()
    }

    fn addresses(source: SocketAddr, destination: SocketAddr) -> Vec<u8> {
        let octets = |address: SocketAddr| match address.ip() {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets().to_vec(),
        };
        let ports = [source.port().to_be_bytes(), destination.port().to_be_bytes()].concat();
        [octets(source), octets(destination), ports].concat()
    }

    #[test]
    fn who_is_named_is_known() {
        let tlv = [addresses("192.0.2.7:9".parse().unwrap(), "10.0.0.1:1".parse().unwrap()), vec![4, 0, 1, 0]].concat();
        for (bytes, client) in [
            (b"PROXY TCP4 192.0.2.7 10.0.0.1 9 443\r\n".to_vec(), Some("192.0.2.7:9")),
            (b"PROXY TCP6 2001:db8::7 ::1 9 443\r\n".to_vec(), Some("[2001:db8::7]:9")),
            (b"PROXY TCP6 ::ffff:192.0.2.7 ::1 0 65535\r\n".to_vec(), Some("192.0.2.7:0")),
            (b"PROXY UNKNOWN\r\n".to_vec(), None),
            (b"PROXY UNKNOWN ffff::1 whatever\r\n".to_vec(), None),
            (binary(0x21, 0x11, &tlv), Some("192.0.2.7:9")),
            (binary(0x20, 0, &[]), None),
            (binary(0x20, 0x11, &[0; 3]), None),
            (binary(0x21, 0x31, &[0; 216]), None),
            (binary(0x21, 0, &[]), None),
            (binary(0x21, 1, &[1, 2, 3]), None),
        ] {
            let client = client.map(|client| client.parse().unwrap());
            assert_eq!(parse(&bytes), Parsed::Header { length: bytes.len(), client }, "{bytes:?}");
        }
    }

    #[test]
    fn what_is_garbled_names_nobody() {
        for bytes in [
            &b"GET / HTTP/1.1\r\n"[..],
            b"proxy TCP4 1.2.3.4 1.2.3.4 1 2\r\n",
            b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n",
            b"PROXY  TCP4 1.2.3.4 1.2.3.4 1 2\r\n",
            b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2 \r\n",
            b"PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n",
            b"PROXY TCP4 1.2.3.4 1.2.3.4 +1 2\r\n",
            b"PROXY TCP4 1.2.3.4 1.2.3.4 65536 2\r\n",
            b"PROXY TCP4 ::1 ::1 1 2\r\n",
            b"PROXY TCP6 1.2.3.4 1.2.3.4 1 2\r\n",
            b"PROXY UDP4 1.2.3.4 1.2.3.4 1 2\r\n",
            b"PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n",
            b"PROXY TCP4 1.2.3.04 1.2.3.4 1 2\r\n",
            &[b"PROXY UNKNOWN ".as_slice(), &[b'x'; 100]].concat(),
            &binary(0x22, 0x11, &[0; 12]),
            &binary(0x11, 0x11, &[0; 12]),
            &binary(0x21, 0x12, &[0; 12]),
            &binary(0x21, 0x11, &[0; 11]),
            &binary(0x21, 0x11, &[&[0; 12][..], &[1, 0]].concat()),
            &binary(0x21, 0x11, &[&[0; 12][..], &[1, 0, 2, 0]].concat()),
            &binary(0x21, 0x11, &[0; 4097]),
        ] {
            assert!(
                matches!(parse(bytes), Parsed::Malformed(_)),
                "{:?}: {:?}",
                String::from_utf8_lossy(bytes),
                parse(bytes)
            );
        }
    }

    #[test]
    fn a_plain_request_is_known_by_its_first_byte() {
        assert_eq!(parse(b"G"), Parsed::Malformed("is missing"));
        assert_eq!((parse(b""), parse(b"P"), parse(b"\r")), (Parsed::More, Parsed::More, Parsed::More));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_wherever_it_is_cut(one: SocketAddr, port: u16, tail: Vec<u8>) {
            let other = SocketAddr::new(if one.is_ipv4() { [0, 0, 0, 0].into() } else { Ipv6Addr::LOCALHOST.into() }, port);
            // Scopes are no part of an address here.
            let one = SocketAddr::new(one.ip(), one.port());
            let wanted = SocketAddr::new(one.ip().to_canonical(), one.port());
            let family = if one.is_ipv4() { 0x11 } else { 0x21 };
            for header in [line(one, other), binary(0x21, family, &addresses(one, other))] {
                for cut in 0..header.len() {
                    prop_assert_eq!(parse(&header[..cut]), Parsed::More);
                }
                let all = [header.as_slice(), &tail].concat();
                prop_assert_eq!(parse(&all), Parsed::Header { length: header.len(), client: Some(wanted) });
            }
        }

        #[test]
        fn no_bytes_panic_and_none_beyond_the_end_are_taken(
            start in prop_oneof![Just(LINE), Just(SIGNATURE), Just(&b""[..])],
            rest in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            let bytes = [start, &rest].concat();
            if let Parsed::Header { length, .. } = parse(&bytes) {
                prop_assert!(length <= bytes.len() && length <= MAX_LENGTH);
            }
        }
    }
}
