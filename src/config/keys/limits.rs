//! `limits.*`.

use std::num::NonZeroU32;

use super::super::mistake::Flaw;
use super::super::values::{kind::Kind, path, rate, rule, url};
use super::{Field, Key, number, optional, or_word, word, word_of};
use crate::domain::limit::{Mode, OnFailure};
use crate::limits::shared::Lease;

/// A burst of more than this is no limit.
const LARGEST_BURST: u64 = 1_000_000;

const MODES: [(&str, Mode); 3] = [("enforce", Mode::Enforce), ("shadow", Mode::Shadow), ("off", Mode::Off)];

const FAILURES: [(&str, OnFailure); 3] =
    [("local", OnFailure::Local), ("open", OnFailure::Open), ("closed", OnFailure::Closed)];

pub(in super::super) fn burst(text: &str) -> Result<NonZeroU32, Flaw> {
    let burst: u32 = number(text)?;
    if u64::from(burst) > LARGEST_BURST {
        return Err(Flaw::new(
            format!("is more than {LARGEST_BURST}"),
            "write less, or set the mode of the limit to off",
        ));
    }
    NonZeroU32::new(burst).ok_or_else(|| Flaw::new("would refuse every request", "write 1 or more"))
}

/// The three keys of a limit.
macro_rules! limit {
    ($limit:ident, $path:literal, $rate:literal, $burst:literal, $short:expr, $help:expr) => {
        [
            Key {
                path: concat!($path, ".rate"),
                kind: Kind::Rate,
                absent: None,
                default: $rate,
                help: $help[0],
                short: $short[0],
                field: Field::One {
                    set: |config, text| {
                        config.limits.$limit.rate.period = rate::parse(text)?;
                        Ok(())
                    },
                    show: |config| rate::print(config.limits.$limit.rate.period),
                },
            },
            Key {
                path: concat!($path, ".burst"),
                kind: Kind::Integer { least: 1, most: LARGEST_BURST },
                absent: None,
                default: $burst,
                help: $help[1],
                short: $short[1],
                field: Field::One {
                    set: |config, text| {
                        config.limits.$limit.rate.burst = burst(text)?;
                        Ok(())
                    },
                    show: |config| config.limits.$limit.rate.burst.to_string(),
                },
            },
            Key {
                path: concat!($path, ".mode"),
                kind: Kind::Choice(&["enforce", "shadow", "off"]),
                absent: Some("null"),
                default: "null",
                help: "In place of limits.mode, for this limit alone.",
                short: None,
                field: Field::One {
                    set: |config, text| {
                        config.limits.$limit.mode = optional(text, "null", |text| word(text, &MODES))?;
                        Ok(())
                    },
                    show: |config| or_word(config.limits.$limit.mode.as_ref(), "null", |mode| word_of(mode, &MODES)),
                },
            },
        ]
    };
}

pub(super) const MODE: [Key; 1] = [Key {
    path: "limits.mode",
    kind: Kind::Choice(&["enforce", "shadow"]),
    absent: None,
    default: "enforce",
    help: "shadow: count and log what would be refused, and let it pass.",
    short: None,
    field: Field::One {
        set: |config, text| {
            config.limits.mode = word(text, &MODES)?;
            Ok(())
        },
        show: |config| word_of(&config.limits.mode, &MODES),
    },
}];

pub(super) const PER_TOKEN: [Key; 3] = limit!(
    per_token,
    "limits.per_token",
    "100/s",
    "200",
    [Some("rate"), Some("burst")],
    ["Requests that each token regains.", "Requests that one token may send at once."]
);

pub(super) const PER_CLIENT: [Key; 3] = limit!(
    per_client,
    "limits.per_client",
    "50/s",
    "100",
    [None, None],
    [
        "Requests without a credential that each address (/64 for IPv6) regains.",
        "Requests without a credential that one address may send at once."
    ]
);

pub(super) const AUTH_FAILURES: [Key; 3] = limit!(
    auth_failures,
    "limits.auth_failures",
    "30/m",
    "30",
    [None, None],
    [
        "401s that each address regains; above it, credentials Grafana has not accepted are refused.",
        "401s that one address may cause at once."
    ]
);

pub(super) const KEYS: &[Key] = &[
    Key {
        path: "limits.exempt",
        kind: Kind::Path,
        absent: None,
        default: "/api/health,/metrics,/public/",
        help: "Paths that are never limited: exact, or a prefix ending in /.",
        short: None,
        field: Field::Many {
            clear: |config| config.limits.exempt.clear(),
            add: |config, text| {
                config.limits.exempt.push(rule::path(text)?);
                Ok(())
            },
            show: |config| config.limits.exempt.clone(),
        },
    },
    Key {
        path: "limits.max_tracked",
        kind: Kind::Integer { least: 1, most: 10_000_000 },
        absent: None,
        default: "100000",
        help: "Buckets held at most.",
        short: None,
        field: Field::One {
            set: |config, text| {
                config.limits.max_tracked = number(text)?;
                Ok(())
            },
            show: |config| config.limits.max_tracked.to_string(),
        },
    },
    Key {
        path: "limits.in_flight_per_token",
        kind: Kind::Integer { least: 1, most: LARGEST_BURST },
        absent: Some("null"),
        default: "null",
        help: "Answers outstanding at once for one token, user or session.",
        short: None,
        field: Field::One {
            set: |config, text| {
                config.limits.in_flight_per_token = optional(text, "null", burst)?;
                Ok(())
            },
            show: |config| or_word(config.limits.in_flight_per_token.as_ref(), "null", ToString::to_string),
        },
    },
    Key {
        path: "limits.cost",
        kind: Kind::Cost,
        absent: None,
        default: "",
        help: "What a request to a path spends, in place of 1: exact, or a prefix ending in /.",
        short: None,
        field: Field::Many {
            clear: |config| config.limits.cost.clear(),
            add: |config, text| {
                config.limits.cost.push(rule::cost(text)?);
                Ok(())
            },
            show: |config| config.limits.cost.iter().map(|(path, cost)| format!("{path}={cost}")).collect(),
        },
    },
    Key {
        path: "limits.shared",
        kind: Kind::Store,
        absent: Some("null"),
        default: "null",
        help: "Store of one budget for all replicas; needs GTP_FINGERPRINT_KEY, the same on all.",
        short: None,
        field: Field::One {
            set: |config, text| {
                config.shared.address = optional(text, "null", url::store)?;
                Ok(())
            },
            show: |config| or_word(config.shared.address.as_ref(), "null", ToString::to_string),
        },
    },
    Key {
        path: "limits.shared_lease",
        kind: Kind::Integer { least: 0, most: LARGEST_BURST },
        absent: Some("auto"),
        default: "auto",
        help: "Requests taken from the store at once; 0: a round trip for each.",
        short: None,
        field: Field::One {
            set: |config, text| {
                config.shared.lease = match optional(text, "auto", number)? {
                    None => Lease::Auto,
                    Some(0) => Lease::Exact,
                    Some(requests) => Lease::Fixed(requests),
                };
                Ok(())
            },
            show: |config| match config.shared.lease {
                Lease::Auto => "auto".to_owned(),
                Lease::Exact => "0".to_owned(),
                Lease::Fixed(requests) => requests.to_string(),
            },
        },
    },
    Key {
        path: "limits.shared_failure",
        kind: Kind::Choice(&["local", "open", "closed"]),
        absent: None,
        default: "local",
        help: "While the store does not answer: each replica by itself, all passes, nothing passes.",
        short: None,
        field: Field::One {
            set: |config, text| {
                config.limits.on_failure = word(text, &FAILURES)?;
                Ok(())
            },
            show: |config| word_of(&config.limits.on_failure, &FAILURES),
        },
    },
    Key {
        path: "limits.shared_ca_file",
        kind: Kind::File,
        absent: Some("null"),
        default: "null",
        help: "Authorities (PEM) that may have signed the store's certificate, in place of the system's.",
        short: None,
        field: Field::One {
            set: |config, text| {
                config.shared.authorities = optional(text, "null", path::parse)?;
                Ok(())
            },
            show: |config| or_word(config.shared.authorities.as_ref(), "null", |path| path.display().to_string()),
        },
    },
];
