//! Where a reader of refusals is: numbers begin anew with each start of the program, so the start is part of it.

use std::fmt;
use std::str::FromStr;
use std::time::{SystemTime, UNIX_EPOCH};

/// `12` in this life of the program, or `19f3a…-12` in the one that began at that millisecond (hexadecimal).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    life: Option<u64>,
    /// The number of the last refusal that the reader has.
    pub sequence: u64,
}

impl Cursor {
    pub(super) fn new(began: SystemTime, sequence: u64) -> Self {
        Self { life: Some(millis(began)), sequence }
    }

    /// The place behind another refusal of the same life.
    pub const fn at(self, sequence: u64) -> Self {
        Self { sequence, ..self }
    }

    /// Whether it is of the life that began then. A bare number is of any.
    pub(super) fn is_of(self, began: SystemTime) -> bool {
        self.life.is_none_or(|life| life == millis(began))
    }
}

fn millis(at: SystemTime) -> u64 {
    u64::try_from(at.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis()).unwrap_or_default()
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.life {
            Some(life) => write!(f, "{life:x}-{}", self.sequence),
            None => write!(f, "{}", self.sequence),
        }
    }
}

impl FromStr for Cursor {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('-') {
            Some((life, sequence)) => {
                Ok(Self { life: Some(u64::from_str_radix(life, 16)?), sequence: sequence.parse()? })
            }
            None => Ok(Self { life: None, sequence: text.parse()? }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_is_written_is_read_and_knows_its_life() {
        let (one, other) = (UNIX_EPOCH + Duration::from_millis(1_763_900_000_123), UNIX_EPOCH);
        let cursor = Cursor::new(one, 12);
        assert_eq!(cursor.to_string(), "19ab0a2077b-12");
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        assert!(cursor.is_of(one) && !cursor.is_of(other));
        let bare: Cursor = "7".parse().unwrap();
        assert!(bare.is_of(one) && bare.is_of(other) && bare.sequence == 7 && bare.to_string() == "7");
        for wrong in ["", "-", "x", "1-", "-1", "1-2-3", "zz-1"] {
            assert!(wrong.parse::<Cursor>().is_err(), "{wrong}");
        }
    }
}
