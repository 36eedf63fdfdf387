//! `limits.*`.

use std::num::NonZeroU32;

use super::super::mistake::Flaw;
use super::super::values::{kind::Kind, rate, rule};
use super::{Field, Key, number};

/// A burst of more than this is no limit.
const LARGEST_BURST: u64 = 1_000_000;

fn burst(text: &str) -> Result<NonZeroU32, Flaw> {
    NonZeroU32::new(number(text)?).ok_or_else(|| Flaw::new("would refuse every request", "write 1 or more"))
}

pub(super) const KEYS: &[Key] = &[
    Key {
        path: "limits.per_token.rate",
        kind: Kind::Rate,
        absent: None,
        default: "100/s",
        help: "Requests that each token regains.",
        short: Some("rate"),
        field: Field::One {
            set: |config, text| {
                config.limits.per_token.period = rate::parse(text)?;
                Ok(())
            },
            show: |config| rate::print(config.limits.per_token.period),
        },
    },
    Key {
        path: "limits.per_token.burst",
        kind: Kind::Integer { least: 1, most: LARGEST_BURST },
        absent: None,
        default: "200",
        help: "Requests that one token may send at once.",
        short: Some("burst"),
        field: Field::One {
            set: |config, text| {
                config.limits.per_token.burst = burst(text)?;
                Ok(())
            },
            show: |config| config.limits.per_token.burst.to_string(),
        },
    },
    Key {
        path: "limits.per_client.rate",
        kind: Kind::Rate,
        absent: None,
        default: "50/s",
        help: "Requests without a credential that each address (/64 for IPv6) regains.",
        short: None,
        field: Field::One {
            set: |config, text| {
                config.limits.per_client.period = rate::parse(text)?;
                Ok(())
            },
            show: |config| rate::print(config.limits.per_client.period),
        },
    },
    Key {
        path: "limits.per_client.burst",
        kind: Kind::Integer { least: 1, most: LARGEST_BURST },
        absent: None,
        default: "100",
        help: "Requests without a credential that one address may send at once.",
        short: None,
        field: Field::One {
            set: |config, text| {
                config.limits.per_client.burst = burst(text)?;
                Ok(())
            },
            show: |config| config.limits.per_client.burst.to_string(),
        },
    },
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
];
