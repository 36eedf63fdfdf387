//! TLS towards clients: what makes a configuration out of PEM files, and the handshake.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::server::{NoServerSessionStorage, ServerSessionMemoryCache, WebPkiClientVerifier};
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

use x509_cert::der::Decode as _;

use crate::pem::{certificates, private_key};
use crate::stream::Stream;

/// Sessions that clients may take up again; each takes a few hundred bytes.
const SESSIONS: usize = 1024;

/// Whether clients must show a certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientAuth {
    /// None is asked for.
    #[default]
    Off,
    /// One that is shown must be sound.
    Optional,
    /// Without a sound one there is no connection.
    Required,
}

/// What the files hold.
#[derive(Clone, Copy, Debug)]
pub struct Pem<'a> {
    /// The certificate and those that lead to its authority.
    pub certificates: &'a [u8],
    /// The key of the first of them.
    pub key: &'a [u8],
    /// The authorities of client certificates.
    pub client_authorities: Option<&'a [u8]>,
    /// Whether clients must show one.
    pub client_auth: ClientAuth,
}

/// What is wrong with one of the files. Never holds a part of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// The file of certificates.
    Certificates(String),
    /// The file of the key.
    Key(String),
    /// The file of client authorities.
    Authorities(String),
}

/// How connections are encrypted.
#[derive(Clone, Debug)]
pub struct Tls {
    config: Arc<ServerConfig>,
    not_after: Option<u64>,
}

/// Reads authorities; at least one.
fn authorities(pem: &[u8]) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(pem)? {
        roots.add(certificate).map_err(|error| format!("holds a certificate that is no authority: {error}"))?;
    }
    Ok(roots)
}

fn ends(der: &[u8]) -> Option<u64> {
    let certificate = x509_cert::Certificate::from_der(der).ok()?;
    Some(certificate.tbs_certificate().validity().not_after.to_unix_duration().as_secs())
}

impl Tls {
    /// Makes a configuration, and finds out whether the files belong together.
    pub fn new(pem: Pem<'_>) -> Result<Self, Wrong> {
        let chain = certificates(pem.certificates).map_err(Wrong::Certificates)?;
        // An authority's certificate that ends earlier ends the chain.
        let not_after = chain.iter().filter_map(|certificate| ends(certificate)).min();
        let key = private_key(pem.key).map_err(Wrong::Key)?;
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| Wrong::Key(error.to_string()))?;
        let roots = || {
            let pem = pem.client_authorities.unwrap_or_default();
            let roots = Arc::new(authorities(pem).map_err(Wrong::Authorities)?);
            Ok(WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(&provider)))
        };
        let unusable = |error: &dyn std::fmt::Display| Wrong::Authorities(error.to_string());
        let builder = match pem.client_auth {
            ClientAuth::Off => builder.with_no_client_auth(),
            ClientAuth::Optional => builder
                .with_client_cert_verifier(roots()?.allow_unauthenticated().build().map_err(|error| unusable(&error))?),
            ClientAuth::Required => {
                builder.with_client_cert_verifier(roots()?.build().map_err(|error| unusable(&error))?)
            }
        };
        let mut config = builder
            .with_single_cert(chain, key)
            .map_err(|error| Wrong::Key(format!("does not belong to the certificate: {error}")))?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        // With client certificates, a session taken up again would outlive a certificate that was withdrawn.
        config.session_storage = match pem.client_auth {
            ClientAuth::Off => ServerSessionMemoryCache::new(SESSIONS),
            _ => Arc::new(NoServerSessionStorage {}),
        };
        Ok(Self { config: Arc::new(config), not_after })
    }

    /// When the first certificate of the chain ends, in seconds since 1970.
    pub const fn not_after(&self) -> Option<u64> {
        self.not_after
    }

    /// Shakes hands within `limit`; says whether HTTP/2 was agreed on.
    pub(super) async fn accept(&self, stream: TcpStream, limit: Duration) -> Result<(Stream, bool), String> {
        match tokio::time::timeout(limit, TlsAcceptor::from(Arc::clone(&self.config)).accept(stream)).await {
            Ok(Ok(stream)) => {
                let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                Ok((Box::new(stream).into(), is_http2))
            }
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("the handshake took longer than {} s", limit.as_secs_f32())),
        }
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertifiedKey, generate_simple_self_signed};

    use super::*;

    fn pair() -> (String, String) {
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        (cert.pem(), signing_key.serialize_pem())
    }

    fn make(certificates: &str, key: &str, client: Option<&str>, client_auth: ClientAuth) -> Result<Tls, Wrong> {
        let client_authorities = client.map(str::as_bytes);
        Tls::new(Pem { certificates: certificates.as_bytes(), key: key.as_bytes(), client_authorities, client_auth })
    }

    #[test]
    fn what_belongs_together_is_taken() {
        let (certificate, key) = pair();
        assert!(make(&certificate, &key, None, ClientAuth::Off).is_ok());
        assert!(make(&certificate, &key, Some(&certificate), ClientAuth::Optional).is_ok());
        assert!(make(&certificate, &key, Some(&certificate), ClientAuth::Required).is_ok());
        // One file with both.
        let both = format!("{certificate}{key}");
        assert!(make(&both, &both, None, ClientAuth::Off).is_ok());
    }

    #[test]
    fn each_mistake_names_its_file_and_shows_no_key() {
        let ((certificate, key), (_, other)) = (pair(), pair());
        let half: String = key.chars().take(key.len() / 2).collect();
        for (result, wanted) in [
            (make("", &key, None, ClientAuth::Off), "Certificates(\"holds no certificate"),
            (make(&key, &key, None, ClientAuth::Off), "Certificates(\"holds no certificate"),
            (make(&certificate, "", None, ClientAuth::Off), "Key(\"holds no private key"),
            (make(&certificate, &half, None, ClientAuth::Off), "Key(\"holds no private key"),
            (make(&certificate, &certificate, None, ClientAuth::Off), "Key(\"holds no private key"),
            (make(&certificate, &other, None, ClientAuth::Off), "Key(\"does not belong"),
            (make(&certificate, &key, None, ClientAuth::Required), "Authorities(\"holds no certificate"),
            (make(&certificate, &key, Some(&key), ClientAuth::Required), "Authorities(\"holds no certificate"),
        ] {
            let wrong = format!("{:?}", result.unwrap_err());
            assert!(wrong.starts_with(wanted), "{wrong}");
            assert!(!key.lines().skip(1).any(|line| wrong.contains(line)), "{wrong}");
        }
    }
}
