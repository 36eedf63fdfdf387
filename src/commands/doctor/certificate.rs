//! What a server's certificate says of itself: for whom, by whom, until when. Read where it is not believed, too, for
//! then it matters most.

use std::time::Duration;

use x509_cert::der::Decode as _;

/// A certificate's own words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Certificate {
    pub(super) subject: String,
    pub(super) issuer: String,
    /// Since 1970.
    pub(super) not_after: Duration,
}

impl Certificate {
    /// Reads DER; `None` where it is none.
    pub(super) fn read(der: &[u8]) -> Option<Self> {
        let certificate = x509_cert::Certificate::from_der(der).ok()?;
        let certificate = certificate.tbs_certificate();
        Some(Self {
            subject: shortened(&certificate.subject().to_string()),
            issuer: shortened(&certificate.issuer().to_string()),
            not_after: certificate.validity().not_after.to_unix_duration(),
        })
    }

    /// It vouches for itself.
    pub(super) fn is_self_signed(&self) -> bool {
        self.subject == self.issuer
    }

    /// Whole days from `now` until it ends; negative where it has ended.
    pub(super) fn days_left(&self, now: Duration) -> i64 {
        let seconds = |time: Duration| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
        seconds(self.not_after).saturating_sub(seconds(now)).div_euclid(24 * 60 * 60)
    }
}

/// The common name where there is one, else the whole name; a stranger chose it.
fn shortened(name: &str) -> String {
    let common = name.split(',').find_map(|part| part.trim().strip_prefix("CN="));
    super::reply::printable(common.unwrap_or(name), 60)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_certificate_tells_its_names_and_its_end() {
        let mut params = rcgen::CertificateParams::new(vec!["grafana.example.com".to_owned()]).unwrap();
        params.distinguished_name.push(rcgen::DnType::CommonName, "an authority");
        params.not_after = rcgen::date_time_ymd(2030, 1, 2);
        let key = rcgen::KeyPair::generate().unwrap();
        let der = params.self_signed(&key).unwrap().der().to_vec();
        let certificate = Certificate::read(&der).unwrap();
        assert_eq!((certificate.issuer.as_str(), certificate.is_self_signed()), ("an authority", true));
        let end = certificate.not_after;
        assert_eq!(certificate.days_left(end - Duration::from_secs(3 * 86_400 + 5)), 3);
        assert_eq!(certificate.days_left(end + Duration::from_secs(1)), -1);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = Certificate::read(&bytes);
        }
    }
}
