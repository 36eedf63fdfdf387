//! `tls.*`: encryption of the data listener. Unix sockets stay plain.

use std::time::Duration;

use super::super::values::{duration, kind::Kind, path};
use super::{Field, Key, optional, or_word, word, word_of};
use crate::server::tls::ClientAuth;

const CLIENT_AUTH: [(&str, ClientAuth); 3] =
    [("off", ClientAuth::Off), ("optional", ClientAuth::Optional), ("required", ClientAuth::Required)];

pub(super) const KEYS: &[Key] = &[
    Key {
        path: "tls.cert_file",
        kind: Kind::File,
        absent: Some("null"),
        default: "null",
        help: "The certificate of the data listener and those above it, as PEM; null: no TLS.",
        short: None,
        field: Field::One {
            set: |config, text| {
                config.files.certificate = optional(text, "null", path::parse)?;
                Ok(())
            },
            show: |config| or_word(config.files.certificate.as_ref(), "null", |path| path.display().to_string()),
        },
    },
    Key {
        path: "tls.key_file",
        kind: Kind::File,
        absent: Some("null"),
        default: "null",
        help: "The key of that certificate, as PEM without a password.",
        short: None,
        field: Field::One {
            set: |config, text| {
                config.files.key = optional(text, "null", path::parse)?;
                Ok(())
            },
            show: |config| or_word(config.files.key.as_ref(), "null", |path| path.display().to_string()),
        },
    },
    Key {
        path: "tls.client_ca_file",
        kind: Kind::File,
        absent: Some("null"),
        default: "null",
        help: "The authorities of client certificates, as PEM.",
        short: None,
        field: Field::One {
            set: |config, text| {
                config.files.client_authorities = optional(text, "null", path::parse)?;
                Ok(())
            },
            show: |config| or_word(config.files.client_authorities.as_ref(), "null", |path| path.display().to_string()),
        },
    },
    Key {
        path: "tls.client_auth",
        kind: Kind::Choice(&["off", "optional", "required"]),
        absent: None,
        default: "off",
        help: "Whether clients must show a certificate of one of these.",
        short: None,
        field: Field::One {
            set: |config, text| {
                config.files.client_auth = word(text, &CLIENT_AUTH)?;
                Ok(())
            },
            show: |config| word_of(&config.files.client_auth, &CLIENT_AUTH),
        },
    },
    Key {
        path: "tls.handshake_timeout",
        kind: Kind::Duration { least: Duration::from_millis(10), most: Duration::from_secs(3600) },
        absent: None,
        default: "10s",
        help: "Time for the TLS handshake, and for a PROXY header before it.",
        short: None,
        field: Field::One {
            set: |config, text| {
                config.server.handshake_timeout = duration::parse(text)?;
                Ok(())
            },
            show: |config| duration::print(config.server.handshake_timeout),
        },
    },
];
