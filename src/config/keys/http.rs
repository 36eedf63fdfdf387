//! `http.*`: the bounds of requests and connections.

use std::time::Duration;

use super::super::values::{duration, kind::Kind, size};
use super::{Field, Key, bytes, number, optional, or_word};

const TIMEOUT: Kind = Kind::Duration { least: Duration::from_millis(1), most: Duration::from_secs(24 * 3600) };

pub(super) const KEYS: &[Key] = &[
    Key {
        path: "http.max_head",
        // What a browser with its cookies sends must fit; a larger bound is memory that every stranger may claim.
        kind: Kind::Size { least: 8 << 10, most: 1 << 20 },
        absent: None,
        default: "32KiB",
        help: "Bytes of a request's head at most; then 431.",
        short: None,
        field: Field::One {
            set: |config, text| {
                config.server.max_head = bytes(text)?;
                Ok(())
            },
            show: |config| size::print(config.server.max_head as u64),
        },
    },
    Key {
        path: "http.max_headers",
        kind: Kind::Integer { least: 1, most: 1000 },
        absent: None,
        default: "100",
        help: "Header lines of a request at most; then 431.",
        short: None,
        field: Field::One {
            set: |config, text| {
                config.server.max_headers = number(text)?;
                Ok(())
            },
            show: |config| config.server.max_headers.to_string(),
        },
    },
    Key {
        path: "http.max_body",
        kind: Kind::Size { least: 1, most: 1 << 40 },
        absent: Some("null"),
        default: "null",
        help: "Bytes of a request's body at most, then 413; null lets Grafana decide.",
        short: None,
        field: Field::One {
            set: |config, text| {
                config.proxy.max_body = optional(text, "null", bytes)?;
                Ok(())
            },
            show: |config| or_word(config.proxy.max_body.as_ref(), "null", |bytes| size::print(*bytes)),
        },
    },
    Key {
        path: "http.head_timeout",
        kind: TIMEOUT,
        absent: None,
        default: "10s",
        help: "Time for a request's head, from the first moment of a connection; then 408.",
        short: None,
        field: Field::One {
            set: |config, text| {
                config.server.head_timeout = duration::parse(text)?;
                Ok(())
            },
            show: |config| duration::print(config.server.head_timeout),
        },
    },
    Key {
        path: "http.body_timeout",
        kind: TIMEOUT,
        absent: None,
        default: "30s",
        help: "Time between two pieces of a request's body; then 408.",
        short: None,
        field: Field::One {
            set: |config, text| {
                config.server.body_timeout = duration::parse(text)?;
                Ok(())
            },
            show: |config| duration::print(config.server.body_timeout),
        },
    },
    Key {
        path: "http.max_in_flight",
        kind: Kind::Integer { least: 1, most: 1_000_000 },
        absent: None,
        default: "1024",
        help: "Requests that one worker handles at once; then 503.",
        short: None,
        field: Field::One {
            set: |config, text| {
                config.proxy.max_in_flight = number(text)?;
                Ok(())
            },
            show: |config| config.proxy.max_in_flight.to_string(),
        },
    },
    Key {
        path: "http.idle_timeout",
        kind: TIMEOUT,
        absent: None,
        default: "75s",
        help: "Time that a connection may rest between two requests.",
        short: None,
        field: Field::One {
            set: |config, text| {
                config.server.idle_timeout = duration::parse(text)?;
                Ok(())
            },
            show: |config| duration::print(config.server.idle_timeout),
        },
    },
    Key {
        path: "http.max_connections",
        kind: Kind::Integer { least: 1, most: 1_000_000 },
        absent: None,
        default: "10000",
        help: "Connections held at once; then 503.",
        short: None,
        field: Field::One {
            set: |config, text| {
                config.server.max_connections = number(text)?;
                Ok(())
            },
            show: |config| config.server.max_connections.to_string(),
        },
    },
    Key {
        path: "http.h2c",
        kind: Kind::Choice(&["on", "off"]),
        absent: None,
        default: "off",
        help: "on: HTTP/2 without TLS, for clients that begin with it. Over TLS it is always offered.",
        short: None,
        field: Field::One {
            set: |config, text| {
                config.server.h2c = text == "on";
                Ok(())
            },
            show: |config| if config.server.h2c { "on".into() } else { "off".into() },
        },
    },
];
