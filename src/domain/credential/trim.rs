//! What people's tools leave around a token: blanks of all kinds, quotes, newlines as text.

use super::{Change, Changes};

/// Blanks that are seen in the wild: of ASCII, no-break (Latin-1 and UTF-8), zero-width, word joiner, byte order mark.
const BLANKS: [&[u8]; 11] = [
    b" ",
    b"\t",
    b"\xc2\xa0",
    b"\xa0",
    b"\xe2\x80\x8b",
    b"\xe2\x80\x8c",
    b"\xe2\x80\x8d",
    b"\xe2\x81\xa0",
    b"\xef\xbb\xbf",
    b"\xfe\xff",
    b"\xff\xfe",
];

/// Newlines that were escaped on the way instead of taken off.
const NEWLINES: [&[u8]; 8] = [b"\\r", b"\\n", b"%0a", b"%0A", b"%0d", b"%0D", b"\r", b"\n"];

/// Quotes: of shells, of Markdown, of word processors.
const QUOTES: [&[u8]; 8] =
    [b"\"", b"'", b"`", b"\xe2\x80\x98", b"\xe2\x80\x99", b"\xe2\x80\x9c", b"\xe2\x80\x9d", b"\xc2\xab"];

/// Takes everything of that kind off both ends, whatever the order, and notes what it was.
pub(super) fn trim<'v>(value: &'v [u8], changes: &mut Changes) -> &'v [u8] {
    let mut rest = value;
    loop {
        let before = rest.len();
        for (pieces, change) in [
            (BLANKS.as_slice(), Change::WhitespaceTrimmed),
            (NEWLINES.as_slice(), Change::NewlineTrimmed),
            (QUOTES.as_slice(), Change::QuotesRemoved),
        ] {
            let shorter = trim_pieces(rest, pieces);
            if shorter.len() < rest.len() {
                changes.insert(change);
                rest = shorter;
            }
        }
        if rest.len() == before {
            return rest;
        }
    }
}

fn trim_pieces<'v>(value: &'v [u8], pieces: &[&[u8]]) -> &'v [u8] {
    let mut rest = value;
    loop {
        let front = pieces.iter().find_map(|piece| rest.strip_prefix(*piece));
        let shorter = front.or_else(|| pieces.iter().find_map(|piece| rest.strip_suffix(*piece)));
        match shorter {
            Some(shorter) => rest = shorter,
            None => return rest,
        }
    }
}
