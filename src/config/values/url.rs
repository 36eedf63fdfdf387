//! Where Grafana is: `http://host:port`, `https://host`, `unix:/path`, and nothing behind it.

use super::super::mistake::Flaw;
use crate::limits::shared::Address;
use crate::upstream::Url;

/// Reads the URL of the upstream. A path is refused, for requests pass as they came; a password is, for Grafana would
/// take it for the caller's own.
///
/// ```
/// use grafana_token_proxy::config::values::url;
/// assert!(url::parse("http://grafana:3000").is_ok());
/// assert!(url::parse("https://grafana.example.com/").is_ok());
/// assert!(url::parse("unix:/run/grafana/grafana.sock").is_ok());
/// assert!(url::parse("http://grafana:3000/sub").is_err());
/// ```
pub fn parse(text: &str) -> Result<Url, Flaw> {
    if let Some(path) = text.strip_prefix("unix:") {
        return super::path::absolute(path).map(Url::Unix);
    }
    let Some((scheme, rest)) = text.split_once("://") else { return Err(without_scheme(text)) };
    let scheme = scheme.to_ascii_lowercase();
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let known = if scheme == "https" { "https" } else { "http" };
    // A password may hold any sign, a slash too: what stands before the last `@` is never shown.
    if let Some((_, host)) = rest.rsplit_once('@') {
        let host = host.split(['/', '?', '#']).next().unwrap_or_default();
        return Err(Flaw::new(
            "holds a user or a password, which would replace the credential of every caller",
            format!("write {known}://{host}: each request brings its own credential"),
        ));
    }
    if scheme != known {
        return Err(Flaw::new("has a scheme that is neither http nor https", format!("write http://{authority}")));
    }
    if !matches!(path, "" | "/") {
        return Err(Flaw::new(
            "has a path, and requests pass with the path they came with",
            format!("write {known}://{authority}; for a sub-path set root_url and serve_from_sub_path in Grafana"),
        ));
    }
    build(authority, known == "https")
}

fn build(authority: &str, encrypted: bool) -> Result<Url, Flaw> {
    let flaw = || Flaw::new("is not a URL", "write http://, a host and a port, as http://127.0.0.1:3000");
    let parsed = authority.parse::<http::uri::Authority>().map_err(|_| flaw())?;
    let port = match parsed.as_str().strip_prefix(parsed.host()) {
        Some("") => None,
        Some(port) => {
            let port = port.strip_prefix(':').and_then(|port| port.parse::<u16>().ok()).filter(|port| *port != 0);
            Some(port.ok_or_else(flaw)?)
        }
        None => return Err(flaw()),
    };
    let host = parsed.host().trim_start_matches('[').trim_end_matches(']');
    if host.is_empty() {
        return Err(flaw());
    }
    Ok(Url::Host { encrypted, host: host.to_owned(), port })
}

fn without_scheme(text: &str) -> Flaw {
    let cure = match build(text, false) {
        Ok(_) => format!("write http://{text}"),
        Err(_) => "write http://, a host and a port, as http://127.0.0.1:3000".to_owned(),
    };
    Flaw::new("is not a URL", cure)
}

/// Reads the URL of a store that replicas share.
pub fn store(text: &str) -> Result<Address, Flaw> {
    Address::parse(text).map_err(|error| {
        Flaw::new(error.to_string(), "write redis://redis:6379, or rediss://user:password@redis:6379/0 for TLS")
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_slip_has_its_cure() {
        for (text, cure) in [
            ("grafana:3000", "write http://grafana:3000"),
            ("http://grafana:3000/sub", "serve_from_sub_path"),
            ("http://admin:secret@grafana:3000", "write http://grafana:3000:"),
            ("http://admin:sec/ret@grafana:3000/x", "write http://grafana:3000:"),
            ("ftp://grafana", "write http://grafana"),
            ("http://", "write http://, a host"),
            ("http://:3000", "write http://, a host"),
            ("http://grafana:0", "write http://, a host"),
            ("http://grafana:99999", "write http://, a host"),
            ("http://gra fana", "write http://, a host"),
            ("unix:run/grafana.sock", "absolute path"),
            ("https://grafana:3000/sub", "write https://grafana:3000;"),
        ] {
            let flaw = parse(text).unwrap_err();
            assert!(flaw.cure.contains(cure), "{text}: {}", flaw.cure);
            assert!(!flaw.cure.contains("secret"));
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back(host in "[a-z][a-z0-9]{0,10}", port in 1u16..) {
            for text in [format!("http://{host}:{port}"), format!("https://{host}"), format!("unix:/{host}")] {
                prop_assert_eq!(parse(&text).unwrap().to_string(), text);
            }
        }

        #[test]
        fn no_text_panics(text in "(https?://)?\\PC{0,40}") {
            let _ = parse(&text);
        }
    }
}
