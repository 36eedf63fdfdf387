//! One line of a log, in whichever of our formats, and whatever a collector has put before it.
//!
//! Whoever sends requests has texts in the log (paths, agents): none of them may pass for a line. So a line begins
//! where nothing quoted stands before it, and is read from its beginning.

mod keys;

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use time::{Date, Month, Time};

use self::keys::{Keys, read_json, read_words};
use crate::config::masking::mask;

/// What a line says that matters here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// The program was started.
    Start,
    /// A request.
    Request(Request),
}

/// One request, or several refused ones that were folded into a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Request {
    /// When the line was made, in nanoseconds since 1970.
    pub told: u64,
    /// How long before that the request came.
    pub duration: Duration,
    pub caller: Caller,
    /// The configured name of its token.
    pub name: Option<String>,
    /// The family of its token.
    pub kind: Option<String>,
    pub path: String,
    pub is_refusal: bool,
    /// Whether it has come as far as the limits.
    pub is_demand: bool,
    /// How many others were left out before it.
    pub suppressed: u32,
}

/// Who has a bucket of its own, as far as a line shows it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Caller {
    /// By fingerprint.
    Token(String),
    /// Another credential, which has no fingerprint: Basic and the like, by address.
    Credential(&'static str, IpAddr),
    /// No credential that the log shows: by address, IPv6 by /64.
    Address(IpAddr),
}

/// More at once than a second of any Grafana: a count beyond is none of ours.
const MOST_SUPPRESSED: u32 = 1_000_000;

/// No answer takes longer to begin.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// A fingerprint is so many hexadecimal digits.
const FINGERPRINT: usize = 12;

/// Names and kinds are shown so far.
const LONGEST_NAME: usize = 64;

/// Refused before the limits were asked: they have spent nothing.
const BEFORE_LIMITS: [&str; 7] = [
    "credential_conflict",
    "org_override_refused",
    "caller_not_allowed",
    "method_refused",
    "body_too_large",
    "overloaded",
    "shutting_down",
];

/// Reads a line; `None` where it is none of ours that matters.
pub(super) fn read(bytes: &[u8]) -> Option<Line> {
    let text = std::str::from_utf8(bytes).ok()?;
    if !["request_served", "request_refused", "listening"].iter().any(|event| text.contains(event)) {
        return None;
    }
    match text.find('{').and_then(|at| text.split_at_checked(at)) {
        // What stands before is a collector's: names and times, nothing that quotes.
        Some((before, object)) if !before.contains(['"', '=']) => {
            let keys = read_json(object)?;
            let Some(inner) = &keys.log else { return judge(keys) };
            judge(if inner.starts_with('{') { read_json(inner) } else { read_words(inner) }?)
        }
        _ => judge(read_words(text)?),
    }
}

fn judge(keys: Keys) -> Option<Line> {
    let told = nanoseconds(keys.timestamp.as_deref()?)?;
    let is_refusal = match keys.event.as_deref()? {
        "listening" => return Some(Line::Start),
        "request_served" => false,
        "request_refused" => true,
        _ => return None,
    };
    let is = |value: &Option<String>, wanted: &str| value.as_deref() == Some(wanted);
    let early = is(&keys.source, "client") || BEFORE_LIMITS.iter().any(|reason| is(&keys.reason, reason));
    let client = || keys.client.as_deref()?.parse().ok().map(network);
    let print = keys.token_fingerprint.filter(|print| {
        print.len() == FINGERPRINT && print.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    });
    let caller = match (print, keys.auth_received.as_deref()) {
        (Some(print), _) => Caller::Token(print),
        (None, Some("none") | None) => Caller::Address(client()?),
        (None, Some(form)) => Caller::Credential(form_name(form), client()?),
    };
    let millis = keys.duration_ms.unwrap_or_default().max(0.0);
    Some(Line::Request(Request {
        told,
        duration: Duration::try_from_secs_f64(millis / 1000.0).unwrap_or(LONGEST).min(LONGEST),
        caller,
        name: keys.token_name.as_deref().map(clean).filter(|name| !name.is_empty()),
        kind: keys.token_kind.as_deref().map(clean).filter(|kind| !kind.is_empty()),
        path: keys.path.unwrap_or_default(),
        is_refusal,
        is_demand: !(is_refusal && early),
        suppressed: u32::try_from(keys.suppressed.unwrap_or_default()).unwrap_or(u32::MAX).min(MOST_SUPPRESSED),
    }))
}

fn form_name(form: &str) -> &'static str {
    let forms = ["basic", "bearer", "bare_token", "basic_api_key", "jwt"];
    forms.into_iter().find(|known| *known == form).unwrap_or("other")
}

/// A name fit to be shown: no control character, nothing that turns the direction of writing, and no secret.
pub(super) fn clean(name: &str) -> String {
    let shown = |c: char| if c.is_alphanumeric() || "-_.:/@+ ".contains(c) { c } else { '\u{fffd}' };
    let name: String = name.chars().take(LONGEST_NAME).map(shown).collect();
    mask(&name).into_owned()
}

/// The network that shares a bucket.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into(),
        address => address,
    }
}

/// Nanoseconds since 1970 of `2026-11-23T13:52:31.365Z`, with any fraction of a second.
pub(super) fn nanoseconds(text: &str) -> Option<u64> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let (clock, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<u32>().ok())?;
    let three = |text: &str, mark: char| {
        let mut parts = text.splitn(3, mark).map(number);
        Some((parts.next()??, u8::try_from(parts.next()??).ok()?, u8::try_from(parts.next()??).ok()?))
    };
    let (year, month, day) = three(date, '-')?;
    let (hour, minute, second) = three(clock, ':')?;
    let date = Date::from_calendar_date(i32::try_from(year).ok()?, Month::try_from(month).ok()?, day).ok()?;
    let time = Time::from_hms(u8::try_from(hour).ok()?, minute, second).ok()?;
    let places = u32::try_from(fraction.len()).ok().filter(|places| (1..=9).contains(places))?;
    let nanos = u64::from(number(fraction)?) * 10_u64.pow(9 - places);
    let seconds = u64::try_from(date.with_time(time).assume_utc().unix_timestamp()).ok()?;
    seconds.checked_mul(1_000_000_000)?.checked_add(nanos)
}

#[cfg(test)]
mod tests;
