//! Durations: `250ms`, `5s`, `2m`, `1h`, and sums of them from the largest to the smallest, as `1m30s`.

use std::time::Duration;

use super::super::mistake::Flaw;
use super::digits;

/// Units in milliseconds, the largest first.
const UNITS: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Reads a duration. `0` needs no unit.
///
/// ```
/// use std::time::Duration;
/// use grafana_token_proxy::config::values::duration;
/// assert_eq!(duration::parse("250ms"), Ok(Duration::from_millis(250)));
/// assert_eq!(duration::parse("1m30s"), Ok(Duration::from_secs(90)));
/// assert!(duration::parse("5").is_err());
/// ```
pub fn parse(text: &str) -> Result<Duration, Flaw> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let mut rest = text;
    let mut total: u64 = 0;
    let mut smaller_than = u64::MAX;
    while !rest.is_empty() {
        let (number, behind) = digits(rest);
        let end = behind.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(behind.len());
        let (name, behind) = behind.split_at(end);
        let unit = UNITS.iter().find(|(unit, _)| *unit == name).map(|(_, unit)| *unit);
        let Some(unit) = unit.filter(|unit| *unit < smaller_than) else { return Err(flaw(text)) };
        let part = number.parse::<u64>().map_err(|_| flaw(text))?.checked_mul(unit).ok_or_else(|| flaw(text))?;
        total = total.checked_add(part).ok_or_else(|| flaw(text))?;
        smaller_than = unit;
        rest = behind;
    }
    if smaller_than == u64::MAX { Err(flaw(text)) } else { Ok(Duration::from_millis(total)) }
}

/// Writes a duration in the largest unit that divides it; a single minute stays `60s`, as time-outs are usually spelt.
pub fn print(duration: Duration) -> String {
    let milliseconds = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if milliseconds == 0 {
        return "0s".to_owned();
    }
    let divides =
        UNITS.iter().find(|(name, unit)| milliseconds.is_multiple_of(*unit) && (*name, milliseconds) != ("m", *unit));
    divides.map_or_else(String::new, |(name, unit)| format!("{}{name}", milliseconds / unit))
}

fn flaw(text: &str) -> Flaw {
    let cure = match text.parse::<u64>() {
        Ok(_) => format!("name the unit: {text}s, {text}ms, {text}m or {text}h"),
        Err(_) => "write a whole number and its unit: 250ms, 5s, 2m, 1h".to_owned(),
    };
    Flaw::new("is not a duration", cure)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_number_alone_is_told_its_units() {
        assert_eq!(parse("30").unwrap_err().cure, "name the unit: 30s, 30ms, 30m or 30h");
        for text in
            ["", "s", "5 s", "1.5s", "-1s", "5S", "30s1m", "1s1s", "99999999999999999999s", "18446744073709551615h"]
        {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back(milliseconds in 0u64..100_000_000_000) {
            let duration = Duration::from_millis(milliseconds);
            prop_assert_eq!(parse(&print(duration)), Ok(duration));
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,40}") {
            let _ = parse(&text);
        }
    }
}
