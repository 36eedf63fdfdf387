//! Which organisation a request may and will reach; every way in (header, query, path).

mod alias;
mod api_path;
mod namespace;
mod segments;
mod value;

pub use self::alias::{folds_alike, is_alias};
pub use self::value::{query_value, target_org};

/// What `org.mode` asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OrgMode {
    /// Ours only where the client names none.
    #[default]
    Fill,
    /// Ours wins, and every other way in is refused.
    Pin,
    /// Nothing is set.
    Off,
}

/// How the organisation is chosen.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Sent where nothing else decides.
    pub default: Option<u32>,
    /// Names in `Host`, in lower case and without a port, and the organisation behind each.
    pub by_host: Vec<(String, u32)>,
    /// Whether Grafana is asked once for the organisation of each accepted token.
    pub learn: bool,
    /// What wins.
    pub mode: OrgMode,
}

impl Settings {
    /// Whether a request needs an organisation and has none: `by_host` tells organisations apart, and the request came to
    /// none of its hosts.
    pub fn lacks_organisation(&self, decision: &OrgDecision) -> bool {
        self.mode == OrgMode::Pin && decision.by == OrgBy::None && !self.by_host.is_empty()
    }

    /// The organisation behind the name that a client asked for (RFC 9110 §7.2: a host, and perhaps a port).
    pub fn of_host(&self, host: &[u8]) -> Option<u32> {
        if self.by_host.is_empty() {
            return None;
        }
        let port = host.iter().rposition(|byte| *byte == b':');
        let name = match port.and_then(|at| host.split_at_checked(at)) {
            // The last group of an address in brackets is no port.
            Some((name, port)) if port.iter().skip(1).all(u8::is_ascii_digit) => name,
            _ => host,
        };
        let name = name.strip_suffix(b".").unwrap_or(name);
        self.by_host.iter().find(|(own, _)| own.as_bytes().eq_ignore_ascii_case(name)).map(|(_, org)| *org)
    }
}

/// Who chose the organisation: `org_by` in the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OrgBy {
    /// The client named it, in the header or in `targetOrgId`.
    Client,
    /// The configuration of the token.
    Token,
    /// `org.by_host`.
    Host,
    /// Asked of Grafana once.
    Learned,
    /// `org.default`.
    Default,
    /// Nobody: Grafana takes the caller's own.
    #[default]
    None,
}

impl OrgBy {
    /// The name in logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Token => "token",
            Self::Host => "host",
            Self::Learned => "learned",
            Self::Default => "default",
            Self::None => "none",
        }
    }
}

/// What becomes of `X-Grafana-Org-Id`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OrgHeader {
    /// The client's line goes on (one, where it sent two equal ones), or there is none.
    #[default]
    Keep,
    /// Ours replaces whatever came.
    Set(u32),
    /// None is sent.
    Remove,
}

/// The organisation of one request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OrgDecision {
    /// What becomes of the header.
    pub header: OrgHeader,
    /// The organisation that reaches Grafana, where one is named and Grafana would read it.
    pub sent: Option<u32>,
    /// Who chose it.
    pub by: OrgBy,
}

/// Why a request may not reach the organisation it asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrgRefusal {
    /// The client named another one; where, in words: ``the query's `targetOrgId` ``.
    Other(&'static str),
    /// A path below `/apis/` names no namespace, and so no organisation.
    NoNamespace,
    /// `org.by_host` chooses the organisation, and `Host` is not in it.
    UnknownHost,
}

const HEADER: &str = "the header `X-Grafana-Org-Id`";
const TWO_HEADERS: &str = "two `X-Grafana-Org-Id` headers that differ";

/// Decides from all `X-Grafana-Org-Id` lines (not their aliases: those never pass), path and query.
///
/// A value that Grafana silently ignores (`abc`, `0`, nothing) counts as none. `closer` is what is known of this caller, and
/// stronger than the default.
pub fn decide(
    lines: &[&[u8]],
    path: &str,
    query: Option<&str>,
    closer: Option<(u32, OrgBy)>,
    settings: &Settings,
) -> Result<OrgDecision, OrgRefusal> {
    let named = Named::in_header(lines);
    let ours = closer.or(settings.default.map(|org| (org, OrgBy::Default)));
    match settings.mode {
        OrgMode::Off => Ok(untouched(&named, query)),
        OrgMode::Fill => fill(&named, query, ours),
        OrgMode::Pin => pin(&named, path, query, ours),
    }
}

/// What the header lines name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Named {
    /// There is no line.
    Absent,
    /// Lines that Grafana ignores, all alike; whether there are several.
    Unread { several: bool },
    /// One organisation, whether in one line or in several alike.
    One { org: i64, several: bool },
    /// Lines that differ: Grafana would read the first, and another reader the last.
    Different,
}

impl Named {
    fn in_header(lines: &[&[u8]]) -> Self {
        let Some((first, others)) = lines.split_first() else { return Self::Absent };
        let read = |line: &[u8]| std::str::from_utf8(line).ok().and_then(value::read_header);
        let named = read(first);
        let alike = |other: &&[u8]| match named {
            Some(org) => read(other) == Some(org),
            None => other == first,
        };
        if !others.iter().all(alike) {
            return Self::Different;
        }
        let several = !others.is_empty();
        named.map_or(Self::Unread { several }, |org| Self::One { org, several })
    }

    const fn org(self) -> Option<i64> {
        match self {
            Self::One { org, .. } => Some(org),
            Self::Absent | Self::Unread { .. } | Self::Different => None,
        }
    }
}

const fn refuse<T>(way: &'static str) -> Result<T, OrgRefusal> {
    Err(OrgRefusal::Other(way))
}

/// What Grafana takes where we add nothing: the query wins over the header in every version.
fn by_client(named: &Named, query: Option<&str>) -> Option<OrgDecision> {
    let org = query.and_then(value::target).or(named.org())?;
    Some(OrgDecision { header: OrgHeader::Keep, sent: u32::try_from(org).ok(), by: OrgBy::Client })
}

fn untouched(named: &Named, query: Option<&str>) -> OrgDecision {
    by_client(named, query).unwrap_or_default()
}

fn fill(named: &Named, query: Option<&str>, ours: Option<(u32, OrgBy)>) -> Result<OrgDecision, OrgRefusal> {
    let header = match *named {
        Named::Different => return refuse(TWO_HEADERS),
        // One line must go on, and what no organisation can be (`-1`) cannot be written again.
        Named::One { org, several: true } => match u32::try_from(org) {
            Ok(org) => OrgHeader::Set(org),
            Err(_) => return refuse(HEADER),
        },
        Named::Unread { several: true } => OrgHeader::Remove,
        Named::Absent | Named::Unread { .. } | Named::One { .. } => OrgHeader::Keep,
    };
    if let Some(decision) = by_client(named, query) {
        return Ok(OrgDecision { header, ..decision });
    }
    // `?orgId=N` switches the user and redirects to the same page: beside a header of ours that names another
    // organisation Grafana would redirect for ever.
    if let Some(org) = query.and_then(value::switch) {
        return Ok(OrgDecision { header, sent: u32::try_from(org).ok(), by: OrgBy::Client });
    }
    Ok(match ours {
        Some((org, by)) => OrgDecision { header: OrgHeader::Set(org), sent: Some(org), by },
        None => OrgDecision { header, sent: None, by: OrgBy::None },
    })
}

fn pin(named: &Named, path: &str, query: Option<&str>, ours: Option<(u32, OrgBy)>) -> Result<OrgDecision, OrgRefusal> {
    let pinned = ours.map(|(org, _)| i64::from(org));
    if *named == Named::Different {
        return refuse(TWO_HEADERS);
    }
    // Without an organisation of ours the header is dropped, so that whatever it names is harmless.
    if pinned.is_some() && named.org().is_some_and(|org| Some(org) != pinned) {
        return refuse(HEADER);
    }
    if let Some(way) = query.and_then(|query| value::other_in_query(query, pinned)) {
        return refuse(way);
    }
    if let Some(refusal) = namespace::refusal_of(path, pinned) {
        return Err(refusal);
    }
    if let Some(way) = api_path::other_in_path(path, pinned) {
        return refuse(way);
    }
    Ok(match ours {
        Some((org, by)) => OrgDecision { header: OrgHeader::Set(org), sent: Some(org), by },
        None => OrgDecision { header: OrgHeader::Remove, sent: None, by: OrgBy::None },
    })
}

#[cfg(test)]
mod tests;
