//! How values are spelt: durations, sizes, rates, addresses, and what a kind of value allows.

pub mod address;
pub mod duration;
pub mod kind;
pub mod path;
pub mod rate;
pub mod rule;
pub mod size;
pub mod url;

use super::mistake::Flaw;

/// A whole number, digits only.
pub fn whole_number(text: &str) -> Result<u64, Flaw> {
    let digits_only = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !digits_only {
        return Err(Flaw::new("is not a whole number", "write digits only, as 100"));
    }
    text.parse().map_err(|_| Flaw::new("is too large", "write a smaller number"))
}

/// Splits the digits at the start of `text` from the rest.
fn digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}
