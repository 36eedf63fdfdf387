//! `listen`, `workers`, `telemetry`, `admin`.

use super::super::values::{address, kind::Kind};
use super::{Field, Key, number, optional, or_word};

pub(super) const KEYS: &[Key] = &[
    Key {
        path: "listen",
        kind: Kind::Endpoint,
        absent: None,
        default: "0.0.0.0:3001",
        help: "Where clients connect; also unix:/path.",
        short: Some("listen"),
        field: Field::Many {
            clear: |config| config.server.listen.clear(),
            add: |config, text| {
                config.server.listen.push(address::endpoint(text)?);
                Ok(())
            },
            show: |config| config.server.listen.iter().map(ToString::to_string).collect(),
        },
    },
    Key {
        path: "workers",
        kind: Kind::Integer { least: 1, most: 1024 },
        absent: Some("auto"),
        default: "auto",
        help: "Threads that serve; auto is one a core.",
        short: None,
        field: Field::One {
            set: |config, text| {
                config.server.workers = optional(text, "auto", number)?;
                Ok(())
            },
            show: |config| or_word(config.server.workers.as_ref(), "auto", ToString::to_string),
        },
    },
    Key {
        path: "telemetry",
        kind: Kind::Address,
        absent: Some("off"),
        default: "0.0.0.0:9091",
        help: "Where /livez, /readyz and /metrics are served.",
        short: Some("telemetry"),
        field: Field::One {
            set: |config, text| {
                config.admin.telemetry = optional(text, "off", address::parse)?;
                Ok(())
            },
            show: |config| or_word(config.admin.telemetry.as_ref(), "off", ToString::to_string),
        },
    },
    Key {
        path: "admin",
        kind: Kind::Address,
        absent: Some("off"),
        default: "127.0.0.1:9092",
        help: "Where operators find the page of refusals and its API; they need no password.",
        short: Some("admin"),
        field: Field::One {
            set: |config, text| {
                config.admin.console = optional(text, "off", address::parse)?;
                Ok(())
            },
            show: |config| or_word(config.admin.console.as_ref(), "off", ToString::to_string),
        },
    },
];
