//! Sizes: `64KiB`, `1MiB`, `2GiB`, or plain bytes.

use super::super::mistake::Flaw;
use super::digits;

/// Units in bytes, the largest first.
const UNITS: [(&str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("", 1)];

/// Reads a size in bytes.
///
/// ```
/// use grafana_token_proxy::config::values::size;
/// assert_eq!(size::parse("64KiB"), Ok(65_536));
/// assert_eq!(size::parse("1000"), Ok(1_000));
/// assert!(size::parse("64kb").is_err());
/// ```
pub fn parse(text: &str) -> Result<u64, Flaw> {
    let (number, name) = digits(text);
    let unit = UNITS.iter().find(|(unit, _)| *unit == name).ok_or_else(|| flaw(number, name))?;
    let number = number.parse::<u64>().map_err(|_| flaw(number, name))?;
    number.checked_mul(unit.1).ok_or_else(|| Flaw::new("is too large", "write a smaller size, as 64KiB or 1MiB"))
}

/// Writes a size in the largest unit that divides it.
pub fn print(bytes: u64) -> String {
    if bytes == 0 {
        return "0".to_owned();
    }
    let divides = UNITS.iter().find(|(_, unit)| bytes.is_multiple_of(*unit));
    divides.map_or_else(String::new, |(name, unit)| format!("{}{name}", bytes / unit))
}

fn flaw(number: &str, name: &str) -> Flaw {
    let binary = match name.trim().to_ascii_lowercase().as_str() {
        "k" | "kb" | "ki" | "kib" => Some("KiB"),
        "m" | "mb" | "mi" | "mib" => Some("MiB"),
        "g" | "gb" | "gi" | "gib" => Some("GiB"),
        _ => None,
    };
    let cure = match binary {
        Some(unit) if !number.is_empty() => format!("write {number}{unit}"),
        _ => "write bytes, or a whole number with KiB, MiB or GiB: 32768, 64KiB, 1MiB".to_owned(),
    };
    Flaw::new("is not a size", cure)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn other_spellings_are_told_ours() {
        for (text, cure) in [("64kb", "write 64KiB"), ("1M", "write 1MiB"), ("2 gib", "write 2GiB")] {
            assert_eq!(parse(text).unwrap_err().cure, cure);
        }
        for text in ["", "KiB", "-1", "1.5MiB", "18446744073709551615GiB", "99999999999999999999"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back(bytes: u64) {
            prop_assert_eq!(parse(&print(bytes)), Ok(bytes));
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,40}") {
            let _ = parse(&text);
        }
    }
}
