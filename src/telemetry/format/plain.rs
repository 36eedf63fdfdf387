//! Times, numbers, addresses: what needs no escape in any format.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use time::OffsetDateTime;

use super::Field;

/// RFC 3339 with milliseconds, in UTC.
pub fn timestamp(at: SystemTime) -> String {
    let mut text = String::with_capacity(24);
    put_timestamp(&mut text, at);
    text
}

thread_local! {
    /// The second of the last timestamp, with its text: most lines are of the same second as the one before.
    static SECOND: RefCell<(u64, String)> = const { RefCell::new((u64::MAX, String::new())) };
}

pub(super) fn put_timestamp(out: &mut String, at: SystemTime) {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    SECOND.with_borrow_mut(|(second, text)| {
        if *second != since.as_secs() {
            *second = since.as_secs();
            let spelt = spell(OffsetDateTime::from(UNIX_EPOCH + Duration::from_secs(*second)));
            *text = std::str::from_utf8(&spelt).unwrap_or_default().to_owned();
        }
        out.push_str(text);
    });
    put_thousandths(out, since.subsec_millis());
    out.push('Z');
}

/// `2026-11-23T13:52:31`
fn spell(at: OffsetDateTime) -> [u8; 19] {
    let mut text = *b"0000-00-00T00:00:00";
    let year = u32::try_from(at.year()).unwrap_or_default();
    let numbers = [(0..4, year), (5..7, u8::from(at.month()).into()), (8..10, at.day().into())];
    let times = [(11..13, at.hour().into()), (14..16, at.minute().into()), (17..19, at.second().into())];
    for (place, mut number) in numbers.into_iter().chain(times) {
        for digit in text.get_mut(place).unwrap_or_default().iter_mut().rev() {
            *digit = b'0' + u8::try_from(number % 10).unwrap_or_default();
            number /= 10;
        }
    }
    text
}

/// `.000.001.002` and so on: a look costs a quarter of the divisions.
const THOUSANDTHS: &str = match std::str::from_utf8(&THOUSANDTHS_BYTES) {
    Ok(text) => text,
    Err(_) => "",
};

#[allow(clippy::indexing_slicing, reason = "the compiler evaluates it, and would refuse")]
const THOUSANDTHS_BYTES: [u8; 4000] = {
    let mut text = [b'.'; 4000];
    let mut number = 0;
    while number < 1000 {
        text[number * 4 + 1] = b'0' + (number / 100) as u8;
        text[number * 4 + 2] = b'0' + (number / 10 % 10) as u8;
        text[number * 4 + 3] = b'0' + (number % 10) as u8;
        number += 1;
    }
    text
};

/// A point and three digits.
fn put_thousandths(out: &mut String, number: u32) {
    let begin = number as usize % 1000 * 4;
    out.push_str(THOUSANDTHS.get(begin..begin + 4).unwrap_or_default());
}

/// Numbers, and what consists of digits and marks that stand for themselves everywhere.
pub(super) fn put_plain(out: &mut String, value: &Field<'_>) {
    let mut buffer = itoa::Buffer::new();
    match value {
        Field::Integer(number) => out.push_str(buffer.format(*number)),
        Field::Millis(time) => {
            // Numbers of 32 bits, for nearly all fit, and cost half.
            let micros = (time.subsec_nanos() + 500) / 1000;
            match u32::try_from(time.as_secs()).ok().and_then(|seconds| seconds.checked_mul(1000)) {
                Some(millis) => out.push_str(buffer.format(millis.saturating_add(micros / 1000))),
                None => out.push_str(buffer.format(time.as_secs().saturating_mul(1000) + u64::from(micros / 1000))),
            }
            put_thousandths(out, micros % 1000);
        }
        Field::Print(print) => print.with_text(|text| out.push_str(text)),
        // Most addresses are of four numbers, for which the machinery of formatting is dear.
        Field::Address(IpAddr::V4(address)) => {
            for (place, number) in address.octets().into_iter().enumerate() {
                out.push_str(if place > 0 { "." } else { "" });
                out.push_str(buffer.format(number));
            }
        }
        Field::Address(address) => {
            let _ = write!(out, "{address}");
        }
        Field::Digits(text) => out.push_str(text),
        Field::Static(_) | Field::Plain(_) | Field::Text(_) | Field::List(_) => {}
    }
}
