//! `authorization.*`, `org.*` and `clients.*`: who calls, with what, and where to.

use super::super::mistake::Flaw;
use super::super::values::{kind::Kind, rule};
use super::{Field, Key, number, optional, or_word, word, word_of};
use crate::domain::credential::Repair;
use crate::domain::org::OrgMode;

const REPAIRS: [(&str, Repair); 3] = [("on", Repair::On), ("observe", Repair::Observe), ("off", Repair::Off)];
const ORG_MODES: [(&str, OrgMode); 3] = [("fill", OrgMode::Fill), ("pin", OrgMode::Pin), ("off", OrgMode::Off)];

pub(super) const CREDENTIAL_KEYS: &[Key] = &[
    Key {
        path: "authorization.repair",
        kind: Kind::Choice(&["on", "observe", "off"]),
        absent: None,
        default: "on",
        help: "Mend damaged spellings of Authorization; observe reports and changes nothing.",
        short: None,
        field: Field::One {
            set: |config, text| {
                config.authorization.repair = word(text, &REPAIRS)?;
                Ok(())
            },
            show: |config| word_of(&config.authorization.repair, &REPAIRS),
        },
    },
    Key {
        path: "authorization.restore_from",
        kind: Kind::HeaderName,
        absent: None,
        default: "",
        help: "Headers that carry the credential around a hop that strips Authorization.",
        short: None,
        field: Field::Many {
            clear: |config| config.authorization.restore_from.clear(),
            add: |config, text| {
                config.authorization.restore_from.push(rule::header_name(text)?);
                Ok(())
            },
            show: |config| config.authorization.restore_from.iter().map(ToString::to_string).collect(),
        },
    },
    Key {
        path: "org.default",
        kind: Kind::Integer { least: 1, most: i32::MAX as u64 },
        absent: Some("null"),
        default: "null",
        help: "Organisation (X-Grafana-Org-Id) to send where the client named none.",
        short: Some("org"),
        field: Field::One {
            set: |config, text| {
                config.org.default = optional(text, "null", number)?;
                Ok(())
            },
            show: |config| or_word(config.org.default.as_ref(), "null", ToString::to_string),
        },
    },
    Key {
        path: "org.learn",
        kind: Kind::Choice(&["on", "off"]),
        absent: None,
        default: "off",
        help: "on: ask Grafana once for the organisation of each accepted token, and fill it in.",
        short: None,
        field: Field::One {
            set: |config, text| {
                config.org.learn = text == "on";
                Ok(())
            },
            show: |config| if config.org.learn { "on".into() } else { "off".into() },
        },
    },
    Key {
        path: "org.by_host",
        kind: Kind::HostOrganisation,
        absent: None,
        default: "",
        help: "Organisation by the host that the client asked for (Host); stronger than org.default.",
        short: None,
        field: Field::Many {
            clear: |config| config.org.by_host.clear(),
            add: |config, text| {
                let (host, org) = rule::host_organisation(text)?;
                if config.org.by_host.iter().any(|(known, other)| *known == host && *other != org) {
                    return Err(Flaw::new("is the second organisation of one host", "name each host once"));
                }
                config.org.by_host.push((host, org));
                Ok(())
            },
            show: |config| config.org.by_host.iter().map(|(host, org)| format!("{host}={org}")).collect(),
        },
    },
    Key {
        path: "org.mode",
        kind: Kind::Choice(&["fill", "pin", "off"]),
        absent: None,
        default: "fill",
        help: "fill: where the client sent none; pin: ours wins, other ways in are refused; off.",
        short: None,
        field: Field::One {
            set: |config, text| {
                config.org.mode = word(text, &ORG_MODES)?;
                Ok(())
            },
            show: |config| word_of(&config.org.mode, &ORG_MODES),
        },
    },
];

pub(super) const CLIENT_KEYS: &[Key] = &[
    Key {
        path: "clients.trusted_proxies",
        kind: Kind::Network,
        absent: None,
        default: "",
        help: "Networks whose X-Forwarded-For is believed.",
        short: None,
        field: Field::Many {
            clear: |config| config.clients.trusted_proxies.clear(),
            add: |config, text| {
                config.clients.trusted_proxies.push(rule::network(text)?);
                Ok(())
            },
            show: |config| config.clients.trusted_proxies.iter().map(ToString::to_string).collect(),
        },
    },
    Key {
        path: "clients.proxy_protocol",
        kind: Kind::Choice(&["on", "off"]),
        absent: None,
        default: "off",
        help: "on: connections of trusted_proxies begin with a PROXY header, v1 or v2.",
        short: None,
        field: Field::One {
            set: |config, text| {
                config.server.proxy_protocol = text == "on";
                Ok(())
            },
            show: |config| if config.server.proxy_protocol { "on".into() } else { "off".into() },
        },
    },
    Key {
        path: "clients.identity_headers",
        kind: Kind::HeaderName,
        absent: None,
        default: "",
        help: "Headers Grafana trusts blindly (X-WEBAUTH-USER) that trusted proxies may send.",
        short: None,
        field: Field::Many {
            clear: |config| config.clients.identity_headers.clear(),
            add: |config, text| {
                config.clients.identity_headers.push(rule::header_name(text)?);
                Ok(())
            },
            show: |config| config.clients.identity_headers.iter().map(ToString::to_string).collect(),
        },
    },
    Key {
        path: "clients.session_cookie",
        kind: Kind::CookieName,
        absent: None,
        default: "grafana_session",
        help: "The name of Grafana's session cookie: [auth] login_cookie_name.",
        short: None,
        field: Field::One {
            set: |config, text| {
                config.clients.session_cookie = rule::cookie_name(text)?;
                Ok(())
            },
            show: |config| config.clients.session_cookie.0.to_string(),
        },
    },
];
