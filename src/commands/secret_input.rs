//! Credentials that a command reads: from a file or standard input, never from the command line, where every user of
//! the machine could read them.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use zeroize::Zeroizing;

/// More is no header: our own limit for a whole head is less.
const MOST: u64 = 64 * 1024;

/// Reads a file, or standard input for `-`.
pub fn read(file: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    if file.as_os_str() == "-" { read_from(io::stdin().lock()) } else { read_from(File::open(file)?) }
}

fn read_from(source: impl Read) -> io::Result<Zeroizing<Vec<u8>>> {
    // All at once: a buffer that grows would leave pieces of the secret behind.
    let mut text = Zeroizing::new(Vec::with_capacity(usize::try_from(MOST).unwrap_or_default() + 64));
    source.take(MOST + 1).read_to_end(&mut text)?;
    if text.len() as u64 > MOST {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it is longer than 64 KiB, so it is no header"));
    }
    Ok(text)
}

/// The value in a text: behind `Authorization:` where that was copied, too, and without the line's end, which files
/// have and headers have not.
pub fn header_value(text: &[u8]) -> &[u8] {
    let line = without_line_end(text);
    const NAME: &[u8] = b"authorization";
    let trimmed = line.trim_ascii_start();
    let Some((name, rest)) = trimmed.split_at_checked(NAME.len()) else { return line };
    match rest.trim_ascii_start() {
        [b':', value @ ..] if name.eq_ignore_ascii_case(NAME) => value.strip_prefix(b" ").unwrap_or(value),
        _ => line,
    }
}

fn without_line_end(text: &[u8]) -> &[u8] {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    text.strip_suffix(b"\r").unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_name_and_one_line_end_are_taken_off() {
        for (text, value) in [
            ("x\n", "x"),
            ("x\r\n", "x"),
            ("x\n\n", "x\n"),
            ("Authorization: Bearer x\n", "Bearer x"),
            ("authorization:x", "x"),
            ("AUTHORIZATION :  x", " x"),
            ("authorizations: x", "authorizations: x"),
            ("", ""),
        ] {
            assert_eq!(header_value(text.as_bytes()), value.as_bytes(), "{text:?}");
        }
    }

    #[test]
    fn what_is_too_long_is_refused() {
        assert!(read_from(io::repeat(b'x')).is_err());
        assert_eq!(read_from(&b"abc"[..]).unwrap().as_slice(), b"abc");
    }

    proptest! {
        #[test]
        fn a_value_is_a_part_of_the_text(text: Vec<u8>) {
            let value = header_value(&text);
            prop_assert!(value.is_empty() || memchr::memmem::find(&text, value).is_some());
        }
    }
}
