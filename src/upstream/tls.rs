//! TLS towards Grafana: whom to believe, and who we are.

use std::sync::Arc;

use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::pem::{certificates, private_key};

/// How connections are encrypted.
#[derive(Clone, Debug)]
pub struct Tls {
    /// Whom to believe, and who we are.
    pub config: Arc<ClientConfig>,
    /// What Grafana's certificate must say; `None`: the host of the URL.
    pub name: Option<ServerName<'static>>,
}

/// A file that may be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsFile {
    /// Of authorities.
    Authorities,
    /// Of our certificate.
    Certificate,
    /// Of its key.
    Key,
}

impl Tls {
    /// Makes a configuration that believes the authorities of the system (those of Mozilla, where the system has none,
    /// as in an image without files) and those in `authorities`, and shows the certificate of `pair`. PEM, all of it.
    pub fn configure(
        authorities: Option<&[u8]>,
        pair: Option<(&[u8], &[u8])>,
    ) -> Result<ClientConfig, (TlsFile, String)> {
        let mut roots = system_roots();
        if let Some(pem) = authorities {
            for authority in certificates(pem).map_err(|why| (TlsFile::Authorities, why))? {
                roots.add(authority).map_err(|error| (TlsFile::Authorities, format!("holds no authority: {error}")))?;
            }
        }
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| (TlsFile::Authorities, error.to_string()))?
            .with_root_certificates(roots);
        let mut config = match pair {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let chain = certificates(certificate).map_err(|why| (TlsFile::Certificate, why))?;
                let key = private_key(key).map_err(|why| (TlsFile::Key, why))?;
                builder
                    .with_client_auth_cert(chain, key)
                    .map_err(|error| (TlsFile::Key, format!("does not belong to the certificate: {error}")))?
            }
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }
}

/// The authorities of the system, or those of Mozilla where it has none.
pub fn system_roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    roots
}
