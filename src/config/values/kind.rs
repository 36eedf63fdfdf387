//! What a key may hold: checked, described, and written as JSON Schema from one definition.

use std::time::Duration;

use serde_json::{Value, json};

use super::super::mistake::Flaw;
use super::{address, duration, path, rate, rule, size, url, whole_number};

/// The kind of one value. Of a list, the kind of each of its items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An IP address and a port.
    Address,
    /// An IP address and a port, or `unix:/path`.
    Endpoint,
    /// `http://host:port`, `https://host`, or `unix:/path`.
    Url,
    /// The path of a file.
    File,
    /// The name in a certificate.
    ServerName,
    /// A duration between two bounds.
    Duration {
        /// The least.
        least: Duration,
        /// The most.
        most: Duration,
    },
    /// Bytes between two bounds.
    Size {
        /// The least.
        least: u64,
        /// The most.
        most: u64,
    },
    /// Requests for a unit of time.
    Rate,
    /// A whole number between two bounds.
    Integer {
        /// The least.
        least: u64,
        /// The most.
        most: u64,
    },
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A network in CIDR notation.
    Network,
    /// The name of a header.
    HeaderName,
    /// The name of a cookie.
    CookieName,
    /// A path: exact, or a prefix ending in `/`.
    Path,
    /// The URL of a store that replicas share.
    Store,
    /// A host and its organisation: `team-a.example.com=2`, in a file also `team-a.example.com: 2`.
    HostOrganisation,
    /// A path and what a request to it spends: `/render/=10`, in a file also `/render/: 10`.
    Cost,
}

impl Kind {
    /// Checks spelling and bounds of one value.
    pub fn check(self, text: &str) -> Result<(), Flaw> {
        match self {
            Self::Address => address::parse(text).map(drop),
            Self::Endpoint => address::endpoint(text).map(drop),
            Self::Url => url::parse(text).map(drop),
            Self::File => path::parse(text).map(drop),
            Self::ServerName => address::server_name(text).map(drop),
            Self::Rate => rate::parse(text).map(drop),
            Self::Network => rule::network(text).map(drop),
            Self::HeaderName => rule::header_name(text).map(drop),
            Self::CookieName => rule::cookie_name(text).map(drop),
            Self::Path => rule::path(text).map(drop),
            Self::Cost => rule::cost(text).map(drop),
            Self::HostOrganisation => rule::host_organisation(text).map(drop),
            Self::Store => url::store(text).map(drop),
            Self::Duration { least, most } => within(duration::parse(text)?, least, most, duration::print),
            Self::Size { least, most } => within(size::parse(text)?, least, most, size::print),
            Self::Integer { least, most } => within(whole_number(text)?, least, most, |number| number.to_string()),
            Self::Choice(words) if words.contains(&text) => Ok(()),
            Self::Choice(words) => Err(unknown_word(text, words)),
        }
    }

    /// The spelling that stands for `text`: `on` and `off` may also be written `true` and `false`.
    pub fn canonical(self, text: &str) -> &str {
        match (self, text) {
            (Self::Choice(words), "true") if words.contains(&"on") => "on",
            (Self::Choice(words), "false") if words.contains(&"off") => "off",
            _ => text,
        }
    }

    /// Whether a list of such values may be written as keys and values, joined by `=`.
    pub const fn is_pair(self) -> bool {
        matches!(self, Self::Cost | Self::HostOrganisation)
    }

    /// The placeholder in the help text.
    pub const fn placeholder(self) -> &'static str {
        match self {
            Self::Address => "IP:PORT",
            Self::Endpoint => "IP:PORT",
            Self::Url => "URL",
            Self::File => "FILE",
            Self::ServerName => "NAME",
            Self::Duration { .. } => "DURATION",
            Self::Size { .. } => "SIZE",
            Self::Rate => "RATE",
            Self::Integer { .. } => "NUMBER",
            Self::Choice(_) => "WORD",
            Self::Network => "CIDR",
            Self::HeaderName => "HEADER",
            Self::CookieName => "COOKIE",
            Self::Path => "PATH",
            Self::Cost => "PATH=NUMBER",
            Self::HostOrganisation => "HOST=NUMBER",
            Self::Store => "URL",
        }
    }

    /// What may be written, for the reference: `duration, 1ms to 1h`.
    pub fn describe(self) -> String {
        match self {
            Self::Address => "IP address and port".to_owned(),
            Self::Endpoint => "IP address and port, or `unix:/path`".to_owned(),
            Self::Url => "URL: http, https, or `unix:/path`".to_owned(),
            Self::File => "path of a file".to_owned(),
            Self::ServerName => "DNS name or IP address".to_owned(),
            Self::Rate => "rate (`100/s`, `600/m`, `3600/h`)".to_owned(),
            Self::Network => "network (CIDR)".to_owned(),
            Self::HeaderName => "header name".to_owned(),
            Self::CookieName => "name of a cookie".to_owned(),
            Self::Path => "path: exact, or a prefix ending in `/`".to_owned(),
            Self::Store => "URL: `redis://`, `rediss://` (TLS), `redis+cluster://`, `redis+unix://`".to_owned(),
            Self::HostOrganisation => {
                "host and number (`team-a.example.com=2`; in a file `{ team-a.example.com: 2 }`)".to_owned()
            }
            Self::Cost => "path and number (`/render/=10`; in a file `{ /render/: 10 }`)".to_owned(),
            Self::Choice(words) => words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", "),
            Self::Duration { least, most } => {
                format!("duration, {} to {}", duration::print(least), duration::print(most))
            }
            Self::Size { least, most } => format!("size, {} to {}", size::print(least), size::print(most)),
            Self::Integer { least, most } => format!("whole number, {least} to {most}"),
        }
    }

    /// The JSON Schema of one value.
    pub fn schema(self) -> Value {
        match self {
            Self::Address => json!({ "type": "string", "pattern": "^(\\[[0-9A-Fa-f:.]+\\]|[0-9.]+):[0-9]{1,5}$" }),
            Self::Endpoint => json!({
                "type": "string",
                "pattern": "^((\\[[0-9A-Fa-f:.]+\\]|[0-9.]+):[0-9]{1,5}|unix:/[^/].*)$",
            }),
            Self::Url => {
                json!({ "type": "string", "pattern": "^([Hh][Tt][Tt][Pp][Ss]?://[^/?#@]+/?|unix:/[^/].*)$" })
            }
            Self::File => json!({ "type": "string", "minLength": 1 }),
            Self::ServerName => json!({ "type": "string", "minLength": 1, "maxLength": 253 }),
            Self::Duration { .. } => {
                json!({ "anyOf": [{ "type": "string", "pattern": "^(0|([0-9]+(h|ms|m|s))+)$" }, { "const": 0 }] })
            }
            Self::Size { least, most } => json!({ "anyOf": [
                { "type": "integer", "minimum": least, "maximum": most },
                { "type": "string", "pattern": "^[0-9]+(KiB|MiB|GiB)?$" },
            ] }),
            Self::Rate => json!({ "type": "string", "pattern": "^[1-9][0-9]*/(s|m|h)$" }),
            Self::Integer { least, most } => json!({ "type": "integer", "minimum": least, "maximum": most }),
            Self::Choice(words) => {
                let mut allowed: Vec<Value> = words.iter().map(|word| json!(word)).collect();
                allowed.extend(words.contains(&"on").then(|| json!(true)));
                allowed.extend(words.contains(&"off").then(|| json!(false)));
                json!({ "enum": allowed })
            }
            Self::Network => json!({ "type": "string", "pattern": "^[0-9A-Fa-f:.]+(/[0-9]{1,3})?$" }),
            Self::HeaderName | Self::CookieName => {
                json!({ "type": "string", "pattern": "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$" })
            }
            Self::Path => json!({ "type": "string", "pattern": "^/[^*?#;\\\\]*$" }),
            Self::Store => json!({ "type": "string", "pattern": "^(redis|valkey)s?(\\+(cluster|unix))?://." }),
            Self::HostOrganisation => json!({ "type": "string", "pattern": "^[^=/:]+=[1-9][0-9]*$" }),
            Self::Cost => json!({ "type": "string", "pattern": "^/[^*?#;\\\\]*=[1-9][0-9]*$" }),
        }
    }
}

fn within<T: PartialOrd>(value: T, least: T, most: T, print: impl Fn(T) -> String) -> Result<(), Flaw> {
    if value < least {
        let least = print(least);
        return Err(Flaw::new(format!("is less than {least}"), format!("write {least} or more")));
    }
    if value > most {
        let most = print(most);
        return Err(Flaw::new(format!("is more than {most}"), format!("write {most} or less")));
    }
    Ok(())
}

fn unknown_word(text: &str, words: &[&'static str]) -> Flaw {
    let all = words.join(", ");
    let cure = match super::super::nearest::nearest(text, words.iter().copied()) {
        Some(word) => format!("did you mean {word}? Known are {all}"),
        None => format!("write one of {all}"),
    };
    Flaw::new("is not known here", cure)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_named() {
        let kind = Kind::Integer { least: 1, most: 10 };
        assert_eq!(kind.check("0"), Err(Flaw::new("is less than 1", "write 1 or more")));
        assert_eq!(kind.check("11"), Err(Flaw::new("is more than 10", "write 10 or less")));
        assert_eq!(kind.check("10"), Ok(()));
    }

    #[test]
    fn words_are_suggested() {
        let kind = Kind::Choice(&["on", "observe", "off"]);
        assert_eq!(kind.check("obsrve").unwrap_err().cure, "did you mean observe? Known are on, observe, off");
        assert_eq!((kind.canonical("true"), kind.canonical("false"), kind.canonical("x")), ("on", "off", "x"));
    }
}
