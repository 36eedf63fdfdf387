//! `upstream.*`.

use std::time::Duration;

use super::super::values::{duration, kind::Kind, url};
use super::{Field, Key};

/// Longer than anybody waits, shorter than what overflows a timer.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

pub(super) const KEYS: &[Key] = &[
    Key {
        path: "upstream.url",
        kind: Kind::Url,
        absent: None,
        default: "http://127.0.0.1:3000",
        help: "Where Grafana is: http://host:port, without a path.",
        short: Some("upstream"),
        field: Field::One {
            set: |config, text| {
                config.upstream.url = url::parse(text)?;
                Ok(())
            },
            show: |config| url::print(&config.upstream.url),
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
];
