//! What comes of a file: our configuration under construction, and what became of each line.

use std::collections::BTreeMap;

use crate::config::masking::mask;

/// What becomes of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fate {
    /// It stands in our configuration.
    Taken,
    /// What it does needs no word here.
    NotNeeded,
    /// It does what the proxy does not.
    Cannot,
    /// This command does not know it.
    Unknown,
}

impl Fate {
    pub(super) const ALL: [Self; 4] = [Self::Taken, Self::NotNeeded, Self::Cannot, Self::Unknown];

    /// As it stands in JSON.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Taken => "taken_over",
            Self::NotNeeded => "not_needed",
            Self::Cannot => "cannot",
            Self::Unknown => "unknown",
        }
    }

    /// For people.
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::Taken => "taken over",
            Self::NotNeeded => "not needed",
            Self::Cannot => "cannot be taken over",
            Self::Unknown => "unknown to this command: look at it by hand",
        }
    }
}

/// What has been said of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) fate: Fate,
    /// The key, where it was taken over.
    pub(crate) key: Option<&'static str>,
    /// Why, or what to do instead.
    pub(crate) why: String,
}

impl Verdict {
    pub(super) fn taken(key: &'static str, why: impl Into<String>) -> Self {
        Self { fate: Fate::Taken, key: Some(key), why: why.into() }
    }

    pub(super) fn not_needed(why: impl Into<String>) -> Self {
        Self { fate: Fate::NotNeeded, key: None, why: why.into() }
    }

    pub(super) fn cannot(why: impl Into<String>) -> Self {
        Self { fate: Fate::Cannot, key: None, why: why.into() }
    }

    pub(super) fn unknown() -> Self {
        Self { fate: Fate::Unknown, key: None, why: String::new() }
    }
}

/// A line of the source, without secrets, and what became of it.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) number: usize,
    pub(crate) source: String,
    pub(crate) verdict: Verdict,
}

/// A value of ours, and the lines that it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Setting {
    pub(super) value: String,
    pub(super) lines: Vec<usize>,
}

/// Our configuration under construction.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    pub(crate) lines: Vec<Line>,
    settings: BTreeMap<&'static str, Setting>,
    /// `org.by_host`.
    hosts: BTreeMap<String, (String, usize)>,
}

/// In the order of the contract; what is not here cannot be set.
const KEYS: [&str; 40] = [
    "listen",
    "workers",
    "telemetry",
    "upstream.url",
    "upstream.connect_timeout",
    "upstream.response_timeout",
    "upstream.ca_file",
    "upstream.client_cert_file",
    "upstream.client_key_file",
    "upstream.server_name",
    "authorization.repair",
    "authorization.restore_from",
    "org.default",
    "org.mode",
    "org.learn",
    "org.by_host",
    "limits.mode",
    "limits.per_token",
    "limits.per_client",
    "limits.auth_failures",
    "limits.exempt",
    "limits.in_flight_per_token",
    "clients.trusted_proxies",
    "clients.proxy_protocol",
    "clients.identity_headers",
    "tls.cert_file",
    "tls.key_file",
    "tls.client_ca_file",
    "tls.client_auth",
    "http.max_head",
    "http.max_headers",
    "http.max_body",
    "http.head_timeout",
    "http.body_timeout",
    "http.idle_timeout",
    "http.max_connections",
    "http.h2c",
    "log.format",
    "log.level",
    "log.requests",
];

impl Draft {
    /// Tells what became of a line.
    pub(super) fn tell(&mut self, number: usize, source: &str, verdict: Verdict) {
        let source = printable(source);
        let why = printable(&verdict.why);
        self.lines.push(Line { number, source, verdict: Verdict { why, ..verdict } });
    }

    /// Sets a key; `false` where another line has set another value.
    pub(super) fn set(&mut self, key: &'static str, value: impl Into<String>, line: usize) -> bool {
        let value = value.into();
        let setting = self.settings.entry(key).or_insert_with(|| Setting { value: value.clone(), lines: Vec::new() });
        setting.lines.push(line);
        setting.value == value
    }

    /// Sets a key, and says so; where another line has said something else, that stands.
    pub(super) fn keep(&mut self, key: &'static str, value: &str, line: usize) -> Verdict {
        if self.set(key, value, line) {
            return Verdict::taken(key, "");
        }
        let stands = self.value(key).unwrap_or_default();
        Verdict::cannot(format!("`{key}` has one value, and an earlier line says {stands}"))
    }

    /// Adds to a list, and says so.
    pub(super) fn listed(&mut self, key: &'static str, value: &str, line: usize) -> Verdict {
        self.add(key, value, line);
        Verdict::taken(key, "")
    }

    /// Adds to a list; what is in it already stays there once.
    pub(super) fn add(&mut self, key: &'static str, value: &str, line: usize) {
        let setting = self.settings.entry(key).or_insert_with(|| Setting { value: String::new(), lines: Vec::new() });
        if !setting.value.split(", ").any(|one| one == value) {
            let separator = if setting.value.is_empty() { "" } else { ", " };
            setting.value.push_str(separator);
            setting.value.push_str(value);
        }
        setting.lines.push(line);
    }

    /// Whether a list holds a value.
    pub(super) fn holds(&self, key: &str, value: &str) -> bool {
        self.value(key).is_some_and(|list| list.split(", ").any(|one| one == value))
    }

    /// Puts another value into the place of one in a list, where it is there.
    pub(super) fn replace(&mut self, key: &str, old: &str, new: &str) {
        if let Some(setting) = self.settings.get_mut(key) {
            let parts: Vec<&str> = setting.value.split(", ").map(|one| if one == old { new } else { one }).collect();
            setting.value = parts.join(", ");
        }
    }

    /// The organisation of a host.
    pub(super) fn host(&mut self, host: &str, organisation: &str, line: usize) {
        self.hosts.insert(host.to_ascii_lowercase(), (organisation.to_owned(), line));
    }

    pub(super) fn value(&self, key: &str) -> Option<&str> {
        self.settings.get(key).map(|setting| setting.value.as_str())
    }

    /// How many lines have this fate.
    pub(super) fn count(&self, fate: Fate) -> usize {
        self.lines.iter().filter(|line| line.verdict.fate == fate).count()
    }

    /// The configuration, each value with the lines that it came from.
    pub(crate) fn yaml(&self) -> String {
        let mut text = String::new();
        let mut section = "";
        for key in KEYS {
            let (head, tail) = key.split_once('.').unwrap_or(("", key));
            let Some((value, comment)) = self.rendered(key) else { continue };
            if head != section {
                section = head;
                if !head.is_empty() {
                    text.push_str(&format!("{head}:\n"));
                }
            }
            let indent = if head.is_empty() { "" } else { "  " };
            text.push_str(&format!("{indent}{tail}: {value}{comment}\n"));
        }
        text
    }

    fn rendered(&self, key: &str) -> Option<(String, String)> {
        if key == "org.by_host" {
            let first = self.hosts.values().next()?;
            let pairs: Vec<String> =
                self.hosts.iter().map(|(host, (org, _))| format!("{}: {org}", quoted(host))).collect();
            return Some((format!("{{ {} }}", pairs.join(", ")), format!("   # line {}", first.1)));
        }
        let setting = self.settings.get(key)?;
        let lists = [
            "listen",
            "authorization.restore_from",
            "limits.exempt",
            "clients.trusted_proxies",
            "clients.identity_headers",
        ];
        let value = if lists.contains(&key) {
            let parts: Vec<String> = setting.value.split(", ").map(quoted).collect();
            format!("[{}]", parts.join(", "))
        } else if key.starts_with("limits.per_") {
            setting.value.clone()
        } else {
            quoted(&setting.value)
        };
        let mut lines = setting.lines.clone();
        lines.dedup();
        let lines: Vec<String> = lines.iter().map(usize::to_string).collect();
        let word = if lines.len() == 1 { "line" } else { "lines" };
        Some((value, format!("   # {word} {}", lines.join(", "))))
    }
}

/// Fit for a comment and for a terminal: one line, no control character, no secret.
pub(super) fn printable(text: &str) -> String {
    let text = mask(text).split_whitespace().collect::<Vec<_>>().join(" ");
    let is_plain = |c: &char| c.is_ascii_graphic() || c.is_alphanumeric() || matches!(c, ' ' | '…' | '→');
    text.chars().take(400).map(|c| if is_plain(&c) { c } else { '·' }).collect()
}

/// A plain scalar where YAML cannot mistake it, else in double quotes.
fn quoted(value: &str) -> String {
    let is_plain = !value.is_empty()
        && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._:-".contains(&byte))
        && !value.ends_with(':')
        && !value.starts_with('-');
    if is_plain {
        return value.to_owned();
    }
    let escaped = value.chars().map(|c| match c {
        '"' | '\\' => format!("\\{c}"),
        c if c == ' ' || c.is_ascii_graphic() || c.is_alphanumeric() => c.to_string(),
        c => format!("\\U{:08x}", u32::from(c)),
    });
    format!("\"{}\"", escaped.collect::<String>())
}
