//! Where Grafana is: `http://host:port`, and nothing behind it.

use super::super::mistake::Flaw;

/// Reads the URL of the upstream. A path is refused, for requests pass as they came; a password is, for Grafana would
/// take it for the caller's own.
///
/// ```
/// use grafana_token_proxy::config::values::url;
/// assert!(url::parse("http://grafana:3000").is_ok());
/// assert!(url::parse("http://grafana:3000/").is_ok());
/// assert!(url::parse("http://grafana:3000/sub").is_err());
/// ```
pub fn parse(text: &str) -> Result<http::Uri, Flaw> {
    if text.starts_with("unix:") {
        return Err(Flaw::new(
            "is a Unix socket, which this version cannot connect to",
            "write http://127.0.0.1:3000; Unix sockets come in a later version",
        ));
    }
    let Some((scheme, rest)) = text.split_once("://") else { return Err(without_scheme(text)) };
    let scheme = scheme.to_ascii_lowercase();
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    // A password may hold any sign, a slash too: what stands before the last `@` is never shown.
    if let Some((_, host)) = rest.rsplit_once('@') {
        let host = host.split(['/', '?', '#']).next().unwrap_or_default();
        return Err(Flaw::new(
            "holds a user or a password, which would replace the credential of every caller",
            format!("write http://{host}: each request brings its own credential"),
        ));
    }
    if scheme == "https" {
        return Err(Flaw::new(
            "needs TLS, and https upstreams come in a later version",
            format!("write http://{authority} and keep the way to Grafana inside the pod or host"),
        ));
    }
    if scheme != "http" {
        return Err(Flaw::new("has a scheme that is not http", format!("write http://{authority}")));
    }
    if !matches!(path, "" | "/") {
        return Err(Flaw::new(
            "has a path, and requests pass with the path they came with",
            format!("write http://{authority}; for a sub-path set root_url and serve_from_sub_path in Grafana"),
        ));
    }
    build(authority)
}

fn build(authority: &str) -> Result<http::Uri, Flaw> {
    let flaw = || Flaw::new("is not a URL", "write http://, a host and a port, as http://127.0.0.1:3000");
    let parsed = authority.parse::<http::uri::Authority>().map_err(|_| flaw())?;
    let port_is_sound = match parsed.as_str().strip_prefix(parsed.host()) {
        Some("") => true,
        Some(port) => port.strip_prefix(':').and_then(|port| port.parse::<u16>().ok()).is_some_and(|port| port != 0),
        None => false,
    };
    if parsed.host().is_empty() || !port_is_sound {
        return Err(flaw());
    }
    http::Uri::builder().scheme("http").authority(parsed).path_and_query("/").build().map_err(|_| flaw())
}

fn without_scheme(text: &str) -> Flaw {
    let cure = match build(text) {
        Ok(_) => format!("write http://{text}"),
        Err(_) => "write http://, a host and a port, as http://127.0.0.1:3000".to_owned(),
    };
    Flaw::new("is not a URL", cure)
}

/// Writes the URL as an operator would: without the slash at its end.
pub fn print(url: &http::Uri) -> String {
    url.to_string().trim_end_matches('/').to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_slip_has_its_cure() {
        for (text, cure) in [
            ("grafana:3000", "write http://grafana:3000"),
            ("https://grafana", "write http://grafana and"),
            ("http://grafana:3000/sub", "serve_from_sub_path"),
            ("http://admin:secret@grafana:3000", "write http://grafana:3000:"),
            ("http://admin:sec/ret@grafana:3000/x", "write http://grafana:3000:"),
            ("ftp://grafana", "write http://grafana"),
            ("http://", "write http://, a host"),
            ("http://:3000", "write http://, a host"),
            ("http://grafana:0", "write http://, a host"),
            ("http://grafana:99999", "write http://, a host"),
            ("http://gra fana", "write http://, a host"),
            ("unix:/run/grafana.sock", "later version"),
        ] {
            let flaw = parse(text).unwrap_err();
            assert!(flaw.cure.contains(cure), "{text}: {}", flaw.cure);
            assert!(!flaw.cure.contains("secret"));
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back(host in "[a-z][a-z0-9]{0,10}", port in 1u16..) {
            let url = parse(&format!("http://{host}:{port}")).unwrap();
            prop_assert_eq!(parse(&print(&url)), Ok(url));
        }

        #[test]
        fn no_text_panics(text in "(https?://)?\\PC{0,40}") {
            let _ = parse(&text);
        }
    }
}
