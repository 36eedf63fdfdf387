//! Certificates and keys out of PEM files (RFC 7468). No error shows a piece of what was read.

use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// Reads certificates; at least one.
pub fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match found {
        Ok(found) if found.is_empty() => Err("holds no certificate (no -----BEGIN CERTIFICATE-----)".into()),
        Ok(found) => Ok(found),
        Err(_) => Err("is no PEM file".into()),
    }
}

/// Reads a key. The error of a parser could show a piece of what it read.
pub fn private_key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, String> {
    PrivateKeyDer::from_pem_slice(pem)
        .map_err(|_| "holds no private key that can be read (PKCS#8, PKCS#1 or SEC1, not encrypted)".into())
}
