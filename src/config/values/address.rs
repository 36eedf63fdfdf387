//! Addresses of listeners: `0.0.0.0:3001`, `[::1]:9091`.

use std::net::SocketAddr;

use tokio_rustls::rustls::pki_types::ServerName;

use super::super::mistake::Flaw;
use crate::server::Endpoint;

/// Reads the address of a listener. Names are not resolved: what a name means may change between two starts.
pub fn parse(text: &str) -> Result<SocketAddr, Flaw> {
    text.parse().map_err(|_| flaw(text))
}

/// Reads where clients connect: an address, or `unix:/path`.
pub fn endpoint(text: &str) -> Result<Endpoint, Flaw> {
    match text.strip_prefix("unix:") {
        Some(path) => super::path::absolute(path).map(Endpoint::Unix),
        None => parse(text).map(Endpoint::Tcp),
    }
}

/// Reads the name that a certificate must have.
pub fn server_name(text: &str) -> Result<ServerName<'static>, Flaw> {
    ServerName::try_from(text.to_owned())
        .map_err(|_| Flaw::new("is no name of a server", "write a DNS name or an IP address, without scheme and port"))
}

fn flaw(text: &str) -> Flaw {
    if text.starts_with("unix:") {
        return Flaw::new("is a Unix socket, and an address is needed here", "write an address and a port");
    }
    let cure = match text.rsplit_once(':') {
        Some(("", port)) if is_port(port) => format!("write 0.0.0.0:{port} for every address of this machine"),
        Some(("localhost", port)) if is_port(port) => format!("write 127.0.0.1:{port}: names are not resolved here"),
        Some(("*", port)) if is_port(port) => format!("write 0.0.0.0:{port}, or \"[::]:{port}\" for IPv6 too"),
        Some((host, port)) if is_port(port) && host.contains(':') && host.parse::<std::net::Ipv6Addr>().is_ok() => {
            format!("write IPv6 in brackets and quotes: \"[{host}]:{port}\"")
        }
        None if is_port(text) => format!("write 0.0.0.0:{text} for every address of this machine"),
        None if text.parse::<std::net::Ipv4Addr>().is_ok() => format!("add the port: {text}:3001"),
        _ => "write an IP address and a port: 0.0.0.0:3001, 127.0.0.1:3001 or \"[::]:3001\"".to_owned(),
    };
    Flaw::new("is not an address to listen on", cure)
}

fn is_port(text: &str) -> bool {
    text.parse::<u16>().is_ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn usual_slips_are_told_the_spelling() {
        for (text, cure) in [
            (":3001", "0.0.0.0:3001"),
            ("3001", "0.0.0.0:3001"),
            ("localhost:3001", "127.0.0.1:3001"),
            ("*:3001", "0.0.0.0:3001"),
            ("::1:3001", "[::1]:3001"),
            ("10.0.0.1", "10.0.0.1:3001"),
            ("unix:/run/gtp.sock", "an address and a port"),
            ("0.0.0.0:99999", "0.0.0.0:3001"),
        ] {
            assert!(parse(text).unwrap_err().cure.contains(cure), "{text}: {}", parse(text).unwrap_err().cure);
        }
    }

    #[test]
    fn endpoints_and_names() {
        for text in ["unix:/run/gtp.sock", "[::1]:3001"] {
            assert_eq!(endpoint(text).unwrap().to_string(), text);
        }
        assert!(endpoint("unix:gtp.sock").is_err());
        for (text, sound) in
            [("grafana.example.com", true), ("10.0.0.1", true), ("https://g", false), ("g:3000", false)]
        {
            assert_eq!(server_name(text).is_ok(), sound, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back(address: SocketAddr) {
            // Flow labels and scopes are no part of what is written.
            let address = SocketAddr::new(address.ip(), address.port());
            prop_assert_eq!(parse(&address.to_string()), Ok(address));
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,40}") {
            let _ = parse(&text);
        }
    }
}
