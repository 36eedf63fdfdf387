//! Looks at a server's certificate and lets the handshake go on whatever it says, so that the cause can be told. Nothing
//! is ever sent over a connection whose certificate did not hold: [`super::dial`] closes it.

use std::sync::{Arc, OnceLock};

use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};

use super::certificate::Certificate;
use super::observations::TlsFault;

/// What the server has shown.
#[derive(Clone, Debug)]
pub(super) struct Shown {
    pub(super) certificate: Option<Certificate>,
    pub(super) chain: usize,
    pub(super) fault: Option<TlsFault>,
}

/// Sees one handshake.
#[derive(Debug)]
pub(super) struct Witness {
    judge: Arc<WebPkiServerVerifier>,
    pub(super) shown: OnceLock<Shown>,
}

impl Witness {
    /// A configuration for one connection, and the witness of its handshake.
    pub(super) fn configure(
        roots: &Arc<RootCertStore>,
        protocols: &[&[u8]],
    ) -> Result<(ClientConfig, Arc<Self>), String> {
        let provider = Arc::new(ring::default_provider());
        let judge = WebPkiServerVerifier::builder_with_provider(Arc::clone(roots), Arc::clone(&provider)).build();
        let judge = judge.map_err(|error| error.to_string())?;
        let witness = Arc::new(Self { judge, shown: OnceLock::new() });
        let verifier: Arc<dyn ServerCertVerifier> = Arc::<Self>::clone(&witness);
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        Ok((config, witness))
    }
}

impl ServerCertVerifier for Witness {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let judged = self.judge.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        let _ = self.shown.set(Shown {
            certificate: Certificate::read(end_entity),
            chain: intermediates.len() + 1,
            fault: judged.err().as_ref().map(fault),
        });
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.judge.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.judge.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.judge.supported_verify_schemes()
    }
}

/// What an error of TLS means for somebody who must mend it.
pub(super) fn fault(error: &Error) -> TlsFault {
    match error {
        Error::InvalidMessage(_) => TlsFault::Missing,
        Error::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {
            TlsFault::Expired
        }
        Error::InvalidCertificate(CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. }) => {
            TlsFault::NotYetValid
        }
        Error::InvalidCertificate(CertificateError::NotValidForName) => TlsFault::WrongName(Vec::new()),
        Error::InvalidCertificate(CertificateError::NotValidForNameContext { presented, .. }) => {
            TlsFault::WrongName(presented.iter().take(8).map(|name| super::reply::printable(name, 80)).collect())
        }
        Error::InvalidCertificate(CertificateError::UnknownIssuer) => TlsFault::UnknownIssuer,
        other => TlsFault::Other(super::reply::printable(&other.to_string(), 160)),
    }
}
