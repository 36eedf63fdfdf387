//! nginx's units, and ours.

/// `10r/s`, `60r/m` → `10/s`, `60/m`.
pub(super) fn per_second(text: &str) -> Option<String> {
    let (number, unit) = text.split_once("r/")?;
    let number: u64 = number.parse().ok().filter(|number| *number > 0)?;
    matches!(unit, "s" | "m").then(|| format!("{number}/{unit}"))
}

/// `30`, `30s`, `500ms`, `2m`, `1h 30m` are nginx's; ours has one unit.
pub(super) fn duration(text: &str) -> Option<String> {
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let number: u64 = number.parse().ok().filter(|number| *number > 0)?;
    let (number, unit) = match unit {
        "" | "s" => (number, "s"),
        "ms" => (number, "ms"),
        "m" => (number, "m"),
        "h" => (number.checked_mul(60)?, "m"),
        "d" => (number.checked_mul(60 * 24)?, "m"),
        _ => return None,
    };
    Some(format!("{number}{unit}"))
}

/// `512`, `8k`, `10m`, `1g`, in bytes.
pub(super) fn bytes(text: &str) -> Option<u64> {
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let factor: u64 = match unit.to_ascii_lowercase().as_str() {
        "" => 1,
        "k" => 1 << 10,
        "m" => 1 << 20,
        "g" => 1 << 30,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

/// Bytes as we write them.
pub(super) fn readable(bytes: u64) -> String {
    for (factor, unit) in [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")] {
        if bytes >= factor && bytes.is_multiple_of(factor) {
            return format!("{}{unit}", bytes / factor);
        }
    }
    format!("{bytes}B")
}

/// A size in our notation.
pub(super) fn size(text: &str) -> Option<String> {
    bytes(text).map(readable)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn units_are_translated() {
        assert_eq!((per_second("10r/s").as_deref(), per_second("60r/m").as_deref()), (Some("10/s"), Some("60/m")));
        assert_eq!((per_second("0r/s"), per_second("10"), per_second("1r/h")), (None, None, None));
        for (nginx, ours) in [("30", "30s"), ("500ms", "500ms"), ("2m", "2m"), ("1h", "60m"), ("1d", "1440m")] {
            assert_eq!(duration(nginx).as_deref(), Some(ours), "{nginx}");
        }
        assert_eq!((duration("off"), duration("0"), duration("1h 30m")), (None, None, None));
        for (nginx, ours) in [("512", "512B"), ("8k", "8KiB"), ("10M", "10MiB"), ("1500k", "1500KiB"), ("1g", "1GiB")] {
            assert_eq!(size(nginx).as_deref(), Some(ours), "{nginx}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(text in "[0-9a-zA-Z/ ]{0,24}") {
            let _ = (per_second(&text), duration(&text), size(&text));
        }
    }
}
