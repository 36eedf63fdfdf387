//! Which organisation a request may and will reach; every way in (header, query, path).

use std::borrow::Cow;

use super::path_rule::is_ambiguous;

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
    /// What wins.
    pub mode: OrgMode,
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

/// Why a request may not reach the organisation it names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrgRefusal {
    /// Where the client named it, in words: ``the query's `targetOrgId` ``.
    pub way: &'static str,
}

const HEADER: &str = "the header `X-Grafana-Org-Id`";
const TARGET: &str = "the query's `targetOrgId`";
const SWITCH: &str = "the query's `orgId`";
const NAMESPACE: &str = "the path's namespace";
const DISGUISE: &str = "the path, which reaches a namespace by dots, empty segments or encoded slashes";

/// Decides from all `X-Grafana-Org-Id` lines (not their aliases: those never pass), path and query.
pub fn decide(
    lines: &[&[u8]],
    path: &str,
    query: Option<&str>,
    settings: &Settings,
) -> Result<OrgDecision, OrgRefusal> {
    match settings.mode {
        OrgMode::Off => Ok(keep(lines, query)),
        OrgMode::Fill => fill(lines, query, settings.default),
        OrgMode::Pin => pin(lines, path, query, settings.default),
    }
}

fn keep(lines: &[&[u8]], query: Option<&str>) -> OrgDecision {
    let named = named_in(query).or_else(|| lines.first().and_then(|line| parse(line)));
    by_client(OrgHeader::Keep, named)
}

fn by_client(header: OrgHeader, named: Option<i64>) -> OrgDecision {
    let by = if named.is_some() { OrgBy::Client } else { OrgBy::None };
    OrgDecision { header, sent: named.and_then(|org| u32::try_from(org).ok()), by }
}

fn by_default(org: u32) -> OrgDecision {
    OrgDecision { header: OrgHeader::Set(org), sent: Some(org), by: OrgBy::Default }
}

fn fill(lines: &[&[u8]], query: Option<&str>, default: Option<u32>) -> Result<OrgDecision, OrgRefusal> {
    let header = one_value(lines)?;
    let named = header.and_then(parse);
    // Several equal lines become one; what Grafana would not read may go.
    let once = match named.and_then(|org| u32::try_from(org).ok()) {
        Some(org) if lines.len() > 1 => OrgHeader::Set(org),
        None if lines.len() > 1 => OrgHeader::Remove,
        _ => OrgHeader::Keep,
    };
    // Grafana lets the query win.
    if let Some(target) = named_in(query) {
        return Ok(by_client(once, Some(target)));
    }
    match (named, default) {
        (Some(org), _) => Ok(by_client(once, Some(org))),
        (None, Some(org)) => Ok(by_default(org)),
        (None, None) => Ok(by_client(once, None)),
    }
}

fn pin(lines: &[&[u8]], path: &str, query: Option<&str>, pinned: Option<u32>) -> Result<OrgDecision, OrgRefusal> {
    let is_pinned = |org: i64| pinned.is_some_and(|pinned| i64::from(pinned) == org);
    if one_value(lines)?.and_then(parse).is_some_and(|org| !is_pinned(org)) {
        return Err(OrgRefusal { way: HEADER });
    }
    for (name, value) in query.into_iter().flat_map(pairs) {
        let way = match name.as_ref() {
            b"targetOrgId" => TARGET,
            b"orgId" => SWITCH,
            _ => continue,
        };
        // Grafana ignores what is no number; a proxy that must be sure does not rely on it.
        if !value.is_empty() && !parse(&value).is_some_and(is_pinned) {
            return Err(OrgRefusal { way });
        }
    }
    check_namespace(path, pinned)?;
    Ok(match pinned {
        Some(org) => by_default(org),
        None => OrgDecision { header: OrgHeader::Remove, sent: None, by: OrgBy::None },
    })
}

/// The one value of several lines; two different ones are a contradiction.
fn one_value<'l>(lines: &[&'l [u8]]) -> Result<Option<&'l [u8]>, OrgRefusal> {
    let Some((first, rest)) = lines.split_first() else { return Ok(None) };
    let first = first.trim_ascii();
    if rest.iter().any(|line| line.trim_ascii() != first) {
        return Err(OrgRefusal { way: "two `X-Grafana-Org-Id` headers that differ" });
    }
    Ok(Some(first))
}

/// An organisation as Grafana's parser reads it: an integer with an optional sign; zero and everything else is none.
fn parse(value: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(value).ok()?.trim_ascii();
    text.parse::<i64>().ok().filter(|org| *org != 0)
}

/// The organisation that the query names so that Grafana reads it: the first `targetOrgId`, if it is positive.
fn named_in(query: Option<&str>) -> Option<i64> {
    let value = target_org(query?)?;
    parse(value.as_bytes()).filter(|org| *org > 0)
}

/// The first `targetOrgId` of a query, decoded.
pub fn target_org(query: &str) -> Option<String> {
    // Nearly every query has none: look for the letters that no encoding of the name can do without.
    if !query.contains("targetOrgId") && !query.contains('%') {
        return None;
    }
    let found = pairs(query).find(|(name, _)| name.as_ref() == b"targetOrgId");
    found.map(|(_, value)| String::from_utf8_lossy(&value).into_owned())
}

/// The pairs of a query, decoded. Older versions of Go also split at `;`.
fn pairs(query: &str) -> impl Iterator<Item = (Cow<'_, [u8]>, Cow<'_, [u8]>)> {
    query.split(['&', ';']).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decode(name), decode(value))
    })
}

fn decode(text: &str) -> Cow<'_, [u8]> {
    let decoded: Cow<'_, [u8]> = percent_encoding::percent_decode_str(text).into();
    if !text.contains('+') {
        return decoded;
    }
    let spaced = text.replace('+', " ");
    Cow::Owned(percent_encoding::percent_decode_str(&spaced).collect())
}

/// `/apis/<group>/<version>/namespaces/<namespace>/…` names an organisation, too.
fn check_namespace(path: &str, pinned: Option<u32>) -> Result<(), OrgRefusal> {
    let decoded: Vec<u8> = percent_encoding::percent_decode_str(path).collect();
    let mut segments: Vec<&[u8]> = Vec::new();
    for segment in decoded.split(|byte| matches!(byte, b'/' | b'\\')) {
        match segment {
            b"" | b"." => {}
            b".." => drop(segments.pop()),
            segment => segments.push(segment.split(|byte| *byte == b';').next().unwrap_or_default()),
        }
    }
    let Some(behind) = segments.iter().position(|segment| *segment == b"apis").and_then(|at| segments.get(at..)) else {
        return Ok(());
    };
    let Some(at) = behind.iter().position(|segment| *segment == b"namespaces") else { return Ok(()) };
    let Some(namespace) = behind.get(at + 1) else { return Ok(()) };
    if is_ambiguous(path.as_bytes()) || path.contains('%') {
        return Err(OrgRefusal { way: DISGUISE });
    }
    let allowed = pinned
        .is_some_and(|org| format!("org-{org}").as_bytes() == *namespace || (org == 1 && *namespace == b"default"));
    if allowed { Ok(()) } else { Err(OrgRefusal { way: NAMESPACE }) }
}

/// Names that decide who a caller is and where a request lands; with `_` or `.` for `-` some servers read them alike.
const PROTECTED: [&str; 10] = [
    "authorization",
    "x-grafana-org-id",
    "remote-user",
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "x-real-ip",
    "x-access-token",
    "x-grafana-id",
];
const PROTECTED_PREFIXES: [&str; 3] = ["x-webauth-", "x-token-proxy-", "x-forwarded-"];

/// Whether a header's name (in lower case) is a protected one in disguise.
pub fn is_alias(name: &str) -> bool {
    if memchr::memchr2(b'_', b'.', name.as_bytes()).is_none() {
        return false;
    }
    let folded = name.replace(['_', '.'], "-");
    PROTECTED.contains(&folded.as_str()) || PROTECTED_PREFIXES.iter().any(|prefix| folded.starts_with(prefix))
}

#[cfg(test)]
mod tests;
