//! The ordinary head, whole and in one piece, judged in one pass. It accepts only what the strict reading accepts, and
//! leaves everything else to it (`tests` holds the two against each other).

use super::line::{HeadSoFar, check_value, count_controls, name_end};
use super::{Bounds, request_line};
use crate::domain::fields::Field;

/// A head that is complete and sound, with its size; its fields are pushed to `fields`.
pub(super) fn whole_head(bytes: &[u8], bounds: &Bounds, fields: &mut Vec<Field>) -> Option<(HeadSoFar, usize)> {
    let mut head = HeadSoFar::default();
    let mut at = next_line(bytes, 0)?;
    let first = line(bytes, 0, at)?;
    request_line::check(first, &mut head, bounds).ok()?;
    loop {
        let end = next_line(bytes, at)?;
        let field = line(bytes, at, end)?;
        let start = std::mem::replace(&mut at, end);
        if field.is_empty() {
            break;
        }
        let colon = name_end(field)?;
        let (name, rest) = field.split_at(colon);
        head.lines += 1;
        fields.push(Field::new(start, start + colon, start + field.len()));
        head.in_credential = false;
        check_value(name, rest.get(1..)?, &mut head).ok()?;
    }
    // A CR and an LF for each line, the first and the last included, and not one control byte more.
    let (whole, _) = bytes.split_at_checked(at)?;
    let fits = at <= bounds.max_head && head.lines <= bounds.max_headers;
    (fits && count_controls(whole) == 2 * (head.lines + 2)).then_some((head, at))
}

/// Where the line that begins at `from` ends.
fn next_line(bytes: &[u8], from: usize) -> Option<usize> {
    memchr::memchr(b'\n', bytes.get(from..)?).map(|at| from + at + 1)
}

/// A line without its CR LF.
fn line(bytes: &[u8], from: usize, end: usize) -> Option<&[u8]> {
    bytes.get(from..end)?.strip_suffix(b"\r\n")
}
