//! `log.*` and `shutdown.*`.

use std::time::Duration;

use super::super::values::{duration, kind::Kind};
use super::{Field, Key, word, word_of};
use crate::telemetry::{Level, LogFormat, RequestLines};

const FORMATS: [(&str, LogFormat); 4] = [
    ("auto", LogFormat::Auto),
    ("json", LogFormat::Json),
    ("logfmt", LogFormat::Logfmt),
    ("pretty", LogFormat::Pretty),
];
const LEVELS: [(&str, Level); 4] =
    [("debug", Level::Debug), ("info", Level::Info), ("warn", Level::Warn), ("error", Level::Error)];
const REQUESTS: [(&str, RequestLines); 3] =
    [("refused", RequestLines::Refused), ("all", RequestLines::All), ("none", RequestLines::None)];

/// Kubernetes kills long before: a longer one is a slip of the unit.
const SHUTDOWN: Kind = Kind::Duration { least: Duration::ZERO, most: Duration::from_secs(3600) };

pub(super) const KEYS: &[Key] = &[
    Key {
        path: "log.format",
        kind: Kind::Choice(&["auto", "json", "logfmt", "pretty"]),
        absent: None,
        default: "auto",
        help: "How log lines look; auto is pretty on a terminal and JSON elsewhere.",
        short: Some("log-format"),
        field: Field::One {
            set: |config, text| {
                config.log.format = word(text, &FORMATS)?;
                Ok(())
            },
            show: |config| word_of(&config.log.format, &FORMATS),
        },
    },
    Key {
        path: "log.level",
        kind: Kind::Choice(&["debug", "info", "warn", "error"]),
        absent: None,
        default: "info",
        help: "The least level that is written.",
        short: Some("log-level"),
        field: Field::One {
            set: |config, text| {
                config.log.level = word(text, &LEVELS)?;
                Ok(())
            },
            show: |config| word_of(&config.log.level, &LEVELS),
        },
    },
    Key {
        path: "log.requests",
        kind: Kind::Choice(&["refused", "all", "none"]),
        absent: None,
        default: "refused",
        help: "Which requests get a line.",
        short: None,
        field: Field::One {
            set: |config, text| {
                config.log.requests = word(text, &REQUESTS)?;
                Ok(())
            },
            show: |config| word_of(&config.log.requests, &REQUESTS),
        },
    },
    Key {
        path: "shutdown.delay",
        kind: SHUTDOWN,
        absent: None,
        default: "0s",
        help: "Time between the fall of readiness and the end of accepting.",
        short: None,
        field: Field::One {
            set: |config, text| {
                config.server.shutdown_delay = duration::parse(text)?;
                Ok(())
            },
            show: |config| duration::print(config.server.shutdown_delay),
        },
    },
    Key {
        path: "shutdown.grace",
        kind: SHUTDOWN,
        absent: None,
        default: "25s",
        help: "Time for running answers to finish.",
        short: None,
        field: Field::One {
            set: |config, text| {
                config.server.shutdown_grace = duration::parse(text)?;
                Ok(())
            },
            show: |config| duration::print(config.server.shutdown_grace),
        },
    },
];
