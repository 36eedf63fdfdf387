//! `upstream.*`.

use std::time::Duration;

use super::super::values::{address, duration, kind::Kind, path, url};
use super::{Field, Key, optional, or_word};

/// Longer than anybody waits, shorter than what overflows a timer.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

pub(super) const KEYS: &[Key] = &[
    Key {
        path: "upstream.url",
        kind: Kind::Url,
        absent: None,
        default: "http://127.0.0.1:3000",
        help: "Where Grafana is: http, https or unix:/path; without a path of its own.",
        short: Some("upstream"),
        field: Field::One {
            set: |config, text| {
                config.upstream.url = url::parse(text)?;
                Ok(())
            },
            show: |config| config.upstream.url.to_string(),
        },
    },
    Key {
        path: "upstream.connect_timeout",
        kind: Kind::Duration { least: Duration::from_millis(1), most: LONGEST },
        absent: None,
        default: "2s",
        help: "Time for a connection to Grafana to stand; then 502.",
        short: None,
        field: Field::One {
            set: |config, text| {
                config.upstream.connect_timeout = duration::parse(text)?;
                Ok(())
            },
            show: |config| duration::print(config.upstream.connect_timeout),
        },
    },
    Key {
        path: "upstream.response_timeout",
        kind: Kind::Duration { least: Duration::from_millis(1), most: LONGEST },
        absent: None,
        default: "60s",
        help: "Time until the head of Grafana's answer; then 504.",
        short: None,
        field: Field::One {
            set: |config, text| {
                config.upstream.response_timeout = duration::parse(text)?;
                Ok(())
            },
            show: |config| duration::print(config.upstream.response_timeout),
        },
    },
    Key {
        path: "upstream.ca_file",
        kind: Kind::File,
        absent: Some("null"),
        default: "null",
        help: "https: authorities to believe besides the system's, as PEM.",
        short: None,
        field: Field::One {
            set: |config, text| {
                config.files.upstream_authorities = optional(text, "null", path::parse)?;
                Ok(())
            },
            show: |config| {
                or_word(config.files.upstream_authorities.as_ref(), "null", |path| path.display().to_string())
            },
        },
    },
    Key {
        path: "upstream.client_cert_file",
        kind: Kind::File,
        absent: Some("null"),
        default: "null",
        help: "https: the certificate shown to Grafana, as PEM.",
        short: None,
        field: Field::One {
            set: |config, text| {
                config.files.upstream_certificate = optional(text, "null", path::parse)?;
                Ok(())
            },
            show: |config| {
                or_word(config.files.upstream_certificate.as_ref(), "null", |path| path.display().to_string())
            },
        },
    },
    Key {
        path: "upstream.client_key_file",
        kind: Kind::File,
        absent: Some("null"),
        default: "null",
        help: "https: the key of that certificate.",
        short: None,
        field: Field::One {
            set: |config, text| {
                config.files.upstream_key = optional(text, "null", path::parse)?;
                Ok(())
            },
            show: |config| or_word(config.files.upstream_key.as_ref(), "null", |path| path.display().to_string()),
        },
    },
    Key {
        path: "upstream.server_name",
        kind: Kind::ServerName,
        absent: Some("null"),
        default: "null",
        help: "https: the name in Grafana's certificate, where it is not the host of the URL.",
        short: None,
        field: Field::One {
            set: |config, text| {
                config.files.upstream_name = optional(text, "null", address::server_name)?;
                Ok(())
            },
            show: |config| or_word(config.files.upstream_name.as_ref(), "null", |name| name.to_str().into_owned()),
        },
    },
];
