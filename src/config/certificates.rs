//! From the paths of certificates and keys to what TLS is made of: read, understood, and found to belong together.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_rustls::rustls::pki_types::ServerName;

use super::Config;
use super::mistake::{Flaw, Mistake};
use super::origin::Origins;
use crate::server::tls::{ClientAuth, Pem, Tls, Wrong};
use crate::upstream;

/// A file larger than this holds no certificates.
const LARGEST: u64 = 4 << 20;

/// What the configuration names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Files {
    /// `tls.cert_file`
    pub certificate: Option<PathBuf>,
    /// `tls.key_file`
    pub key: Option<PathBuf>,
    /// `tls.client_ca_file`
    pub client_authorities: Option<PathBuf>,
    /// `tls.client_auth`
    pub client_auth: ClientAuth,
    /// `upstream.ca_file`
    pub upstream_authorities: Option<PathBuf>,
    /// `upstream.client_cert_file`
    pub upstream_certificate: Option<PathBuf>,
    /// `upstream.client_key_file`
    pub upstream_key: Option<PathBuf>,
    /// `upstream.server_name`
    pub upstream_name: Option<ServerName<'static>>,
}

impl Files {
    /// All that are named.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        let all = [
            &self.certificate,
            &self.key,
            &self.client_authorities,
            &self.upstream_authorities,
            &self.upstream_certificate,
            &self.upstream_key,
        ];
        all.into_iter().flatten().map(PathBuf::as_path)
    }
}

/// Reads the files, and enters what they make into the configuration.
pub(super) fn load(config: &mut Config, origins: &Origins) -> Vec<Mistake> {
    let mut reader = Reader { origins, mistakes: Vec::new() };
    let files = config.files.clone();
    config.server.tls = reader.server(&files);
    config.shared.pem = reader.read("limits.shared_ca_file", config.shared.authorities.as_deref());
    if config.upstream.url.is_encrypted() {
        config.upstream.tls = reader.upstream(&files);
    } else {
        reader.unused_upstream(&files);
    }
    reader.mistakes
}

struct Reader<'o> {
    origins: &'o Origins,
    mistakes: Vec<Mistake>,
}

impl Reader<'_> {
    fn server(&mut self, files: &Files) -> Option<Tls> {
        let (certificate, key) = match (&files.certificate, &files.key) {
            (None, None) => {
                if files.client_auth != ClientAuth::Off || files.client_authorities.is_some() {
                    let set =
                        if files.client_auth == ClientAuth::Off { "tls.client_ca_file" } else { "tls.client_auth" };
                    let flaw = Flaw::new("asks for TLS, and there is none", "set tls.cert_file and tls.key_file, too");
                    self.error(set, None, flaw);
                }
                return None;
            }
            (Some(certificate), Some(key)) => (certificate, key),
            (Some(_), None) => return self.lonely("tls.cert_file", "tls.key_file"),
            (None, Some(_)) => return self.lonely("tls.key_file", "tls.cert_file"),
        };
        if files.client_auth != ClientAuth::Off && files.client_authorities.is_none() {
            return self.lonely("tls.client_auth", "tls.client_ca_file");
        }
        let client = self.read("tls.client_ca_file", files.client_authorities.as_deref());
        let certificates = self.read("tls.cert_file", Some(certificate))?;
        let keys = self.read("tls.key_file", Some(key))?;
        let made = Tls::new(Pem {
            certificates: &certificates,
            key: &keys,
            client_authorities: client.as_deref(),
            client_auth: files.client_auth,
        });
        let (name, path, why) = match made {
            Ok(tls) => return Some(tls),
            Err(Wrong::Certificates(why)) => ("tls.cert_file", Some(certificate), why),
            Err(Wrong::Key(why)) => ("tls.key_file", Some(key), why),
            Err(Wrong::Authorities(why)) => ("tls.client_ca_file", files.client_authorities.as_ref(), why),
        };
        let text = path.map(|path| path.display().to_string());
        self.error(name, text, Flaw::new(why, "name PEM files that belong together, the key without a password"));
        None
    }

    fn upstream(&mut self, files: &Files) -> Option<upstream::Tls> {
        let authorities = self.read("upstream.ca_file", files.upstream_authorities.as_deref());
        let pair = match (&files.upstream_certificate, &files.upstream_key) {
            (None, None) => None,
            (Some(_), None) => return self.lonely("upstream.client_cert_file", "upstream.client_key_file"),
            (None, Some(_)) => return self.lonely("upstream.client_key_file", "upstream.client_cert_file"),
            (Some(certificate), Some(key)) => Some((
                self.read("upstream.client_cert_file", Some(certificate))?,
                self.read("upstream.client_key_file", Some(key))?,
            )),
        };
        if files.upstream_authorities.is_some() && authorities.is_none() {
            return None;
        }
        let made =
            upstream::Tls::configure(authorities.as_deref(), pair.as_ref().map(|(one, other)| (&**one, &**other)));
        match made {
            Ok(config) => Some(upstream::Tls { config: Arc::new(config), name: files.upstream_name.clone() }),
            Err((what, why)) => {
                let (name, path) = match what {
                    upstream::TlsFile::Authorities => ("upstream.ca_file", &files.upstream_authorities),
                    upstream::TlsFile::Certificate => ("upstream.client_cert_file", &files.upstream_certificate),
                    upstream::TlsFile::Key => ("upstream.client_key_file", &files.upstream_key),
                };
                let text = path.as_ref().map(|path| path.display().to_string());
                self.error(
                    name,
                    text,
                    Flaw::new(why, "name PEM files that belong together, the key without a password"),
                );
                None
            }
        }
    }

    /// Whoever names an authority and leaves the URL at http believes the way to be encrypted.
    fn unused_upstream(&mut self, files: &Files) {
        let named = [
            ("upstream.ca_file", files.upstream_authorities.is_some()),
            ("upstream.client_cert_file", files.upstream_certificate.is_some()),
            ("upstream.client_key_file", files.upstream_key.is_some()),
            ("upstream.server_name", files.upstream_name.is_some()),
        ];
        for (name, _) in named.into_iter().filter(|(_, is_named)| *is_named) {
            let flaw = Flaw::new(
                "is for TLS, and upstream.url is not https",
                "write https:// in upstream.url, or take it out",
            );
            self.mistakes.push(Mistake::error(self.origins.of(name), name, None, flaw));
        }
    }

    fn read(&mut self, name: &'static str, path: Option<&Path>) -> Option<Vec<u8>> {
        let path = path?;
        let large = std::fs::metadata(path).is_ok_and(|metadata| metadata.len() > LARGEST);
        let why = match std::fs::read(path) {
            _ if large => "is too large to hold certificates".to_owned(),
            Ok(bytes) => return Some(bytes),
            Err(error) => format!("cannot be read: {error}"),
        };
        let flaw = Flaw::new(why, "check the path, and who may read it");
        self.error(name, Some(path.display().to_string()), flaw);
        None
    }

    fn lonely<T>(&mut self, name: &'static str, missing: &str) -> Option<T> {
        self.error(name, None, Flaw::new(format!("needs {missing}, too"), format!("set {missing}, or take it out")));
        None
    }

    fn error(&mut self, name: &'static str, text: Option<String>, flaw: Flaw) {
        self.mistakes.push(Mistake::error(self.origins.of(name), name, text, flaw));
    }
}
