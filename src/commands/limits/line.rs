//! One line of a log, in whichever of our formats, and whatever a collector has put before it.
//!
//! Whoever sends requests has texts in the log (paths, agents): none of them may pass for a line. So a line begins
//! where nothing quoted stands before it, and is read from its beginning.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use serde::Deserialize;
use time::{Date, Month, Time};

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

/// The keys as they stand in a line.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Keys {
    timestamp: Option<String>,
    event: Option<String>,
    source: Option<String>,
    reason: Option<String>,
    path: Option<String>,
    client: Option<String>,
    token_name: Option<String>,
    token_kind: Option<String>,
    token_fingerprint: Option<String>,
    auth_received: Option<String>,
    duration_ms: Option<f64>,
    suppressed: Option<u64>,
    /// Docker's own files hold each line as a text.
    log: Option<String>,
}

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

fn read_json(text: &str) -> Option<Keys> {
    // What follows the object does no harm.
    Keys::deserialize(&mut serde_json::Deserializer::from_str(text)).ok()
}

/// logfmt, which begins with `timestamp=`, or pretty, which begins with a bare time, level and event. What stands before
/// them is a collector's again.
fn read_words(text: &str) -> Option<Keys> {
    let text = uncoloured(text);
    let mut words = Words(&text);
    let mut keys = Keys::default();
    let mut before = Word::default();
    loop {
        let word = words.next()?;
        match word.key {
            Some("timestamp") => {
                keys.timestamp = Some(word.value.into_owned());
                break;
            }
            None if !word.is_quoted => {}
            _ => return None,
        }
        if matches!(&*word.value, "debug" | "info" | "warn" | "error") && nanoseconds(&before.value).is_some() {
            keys.timestamp = Some(before.value.into_owned());
            keys.event = words.next().filter(|word| word.key.is_none()).map(|word| word.value.into_owned());
            break;
        }
        before = word;
    }
    for Word { key, value, .. } in words {
        let place = match key? {
            "event" if keys.event.is_none() => &mut keys.event,
            "source" => &mut keys.source,
            "reason" => &mut keys.reason,
            "path" => &mut keys.path,
            "client" => &mut keys.client,
            "token_name" => &mut keys.token_name,
            "token_kind" => &mut keys.token_kind,
            "token_fingerprint" => &mut keys.token_fingerprint,
            "auth_received" => &mut keys.auth_received,
            "duration_ms" => {
                keys.duration_ms = value.parse().ok();
                continue;
            }
            "suppressed" => {
                keys.suppressed = value.parse().ok();
                continue;
            }
            _ => continue,
        };
        *place = Some(value.into_owned());
    }
    Some(keys)
}

/// A pair of logfmt, or a word alone.
#[derive(Default)]
struct Word<'a> {
    key: Option<&'a str>,
    value: Cow<'a, str>,
    is_quoted: bool,
}

/// The words of a line; ends where one is broken.
struct Words<'a>(&'a str);

impl<'a> Iterator for Words<'a> {
    type Item = Word<'a>;

    fn next(&mut self) -> Option<Word<'a>> {
        let rest = self.0.trim_start();
        let end = rest.find(|c: char| c.is_whitespace() || matches!(c, '=' | '"')).unwrap_or(rest.len());
        let (first, behind) = rest.split_at_checked(end)?;
        let (key, rest) = match behind.strip_prefix('=') {
            Some(value) => (Some(first), value),
            None if behind.starts_with('"') && !first.is_empty() => return None,
            None => (None, rest),
        };
        if rest.starts_with('"') {
            let mut texts = serde_json::Deserializer::from_str(rest).into_iter::<String>();
            let value = texts.next()?.ok()?;
            (_, self.0) = rest.split_at_checked(texts.byte_offset())?;
            return Some(Word { key, value: value.into(), is_quoted: true });
        }
        let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
        let (value, behind) = rest.split_at_checked(end)?;
        self.0 = behind;
        (key.is_some() || !value.is_empty()).then_some(Word { key, value: value.into(), is_quoted: false })
    }
}

/// Without the colours that pretty lines have on a terminal.
fn uncoloured(text: &str) -> Cow<'_, str> {
    if !text.contains('\u{1b}') {
        return text.into();
    }
    let mut pieces = text.split("\u{1b}[");
    let mut plain = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        plain.push_str(piece.split_once('m').map_or("", |(_, rest)| rest));
    }
    plain.into()
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
