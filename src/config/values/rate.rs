//! Rates: `100/s`, `600/m`, `3600/h`, held as the time in which one request is regained.

use std::time::Duration;

use super::super::mistake::Flaw;
use super::digits;

/// Units in nanoseconds, the smallest first: the printed rate is the one people think in.
const UNITS: [(&str, u64); 3] = [("s", 1_000_000_000), ("m", 60_000_000_000), ("h", 3_600_000_000_000)];

/// A thousandth of a millisecond for a request: faster than any Grafana, and far from the clock's own grain.
const SHORTEST_PERIOD: u64 = 1_000;

/// Reads a rate as its period.
///
/// ```
/// use std::time::Duration;
/// use grafana_token_proxy::config::values::rate;
/// assert_eq!(rate::parse("100/s"), Ok(Duration::from_millis(10)));
/// assert_eq!(rate::parse("600/m"), Ok(Duration::from_millis(100)));
/// assert!(rate::parse("0/s").is_err());
/// ```
pub fn parse(text: &str) -> Result<Duration, Flaw> {
    let (number, behind) = digits(text);
    let name = behind.strip_prefix('/').ok_or_else(|| flaw(number, behind))?;
    let unit = UNITS.iter().find(|(unit, _)| *unit == name).ok_or_else(|| flaw(number, behind))?.1;
    let number = number.parse::<u64>().map_err(|_| flaw(number, behind))?;
    let Some(period) = unit.checked_div(number) else {
        return Err(Flaw::new("would refuse every request", "write at least 1/h, as 100/s or 600/m"));
    };
    if period < SHORTEST_PERIOD {
        return Err(Flaw::new("is faster than can be measured", "write at most 1000000/s"));
    }
    Ok(Duration::from_nanos(period))
}

/// Writes the rate of a period in the smallest unit that holds it exactly.
pub fn print(period: Duration) -> String {
    let period = u64::try_from(period.as_nanos()).unwrap_or(u64::MAX).max(1);
    let exact = UNITS.iter().find(|(_, unit)| unit.checked_div(unit / period) == Some(period));
    let (name, unit) = exact.or(UNITS.last()).copied().unwrap_or(("h", 0));
    format!("{}/{name}", unit / period)
}

fn flaw(number: &str, behind: &str) -> Flaw {
    let number = if number.is_empty() { "100" } else { number };
    let name = behind.trim_start_matches(['/', ' ', 'p']).to_ascii_lowercase();
    let unit = ["s", "m", "h"].into_iter().find(|unit| name.starts_with(unit)).unwrap_or("s");
    let cure = if behind.starts_with('.') {
        "write a whole number for a longer time: 0.5/s is 30/m".to_owned()
    } else {
        format!("write requests for a second, a minute or an hour: {number}/{unit}")
    };
    Flaw::new("is not a rate", cure)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn other_spellings_are_told_ours() {
        for (text, cure) in [
            ("100", "write requests for a second, a minute or an hour: 100/s"),
            ("600/min", "write requests for a second, a minute or an hour: 600/m"),
            ("5 / hour", "write requests for a second, a minute or an hour: 5/h"),
            ("0.5/s", "write a whole number for a longer time: 0.5/s is 30/m"),
            ("fast", "write requests for a second, a minute or an hour: 100/s"),
        ] {
            assert_eq!(parse(text).unwrap_err().cure, cure, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back(number in 1u64..1_000_000, unit in 0usize..3) {
            let text = format!("{number}/{}", UNITS[unit].0);
            let period = parse(&text).unwrap();
            prop_assert_eq!(parse(&print(period)), Ok(period));
        }

        #[test]
        fn whole_rates_print_as_they_were_written(number in 1u64..=10_000) {
            let text = format!("{number}/s");
            prop_assert_eq!(print(parse(&text).unwrap()), text);
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,40}", nanoseconds: u64) {
            let _ = parse(&text);
            let _ = print(Duration::from_nanos(nanoseconds));
        }
    }
}
