//! The fields of a message as they came: one piece of bytes, and where each line stands in it. Nothing is copied, hashed or
//! put in lower case before somebody asks for it; most of a message passes through unasked.

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue};

/// A field line: places in the bytes of its head. Behind it stand CR and LF.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    start: u32,
    colon: u32,
    end: u32,
}

impl Field {
    /// A line from `start` to `end`, its CR LF not included, whose name ends at `colon`.
    pub fn new(start: usize, colon: usize, end: usize) -> Self {
        // A head is bounded far below 4 GiB.
        let place = |at| u32::try_from(at).unwrap_or(u32::MAX);
        Self { start: place(start), colon: place(colon), end: place(end) }
    }

    /// Where its name stands.
    pub const fn name(&self) -> Range<usize> {
        self.start as usize..self.colon as usize
    }

    /// Where its value stands, the blanks around it included.
    pub const fn value(&self) -> Range<usize> {
        self.colon as usize + 1..self.end as usize
    }
}

/// Fields whose form has been judged.
#[derive(Clone, Debug, Default)]
pub struct Fields {
    bytes: Bytes,
    lines: Vec<Field>,
}

impl Fields {
    /// The lines of the head `bytes`.
    pub const fn new(bytes: Bytes, lines: Vec<Field>) -> Self {
        Self { bytes, lines }
    }

    /// How many lines there are.
    pub const fn len(&self) -> usize {
        self.lines.len()
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Names and values, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> + Clone {
        self.lines.iter().map(|line| (self.name(line), self.value(line)))
    }

    /// The names, in order.
    pub fn names(&self) -> impl Iterator<Item = &[u8]> {
        self.lines.iter().map(|line| self.name(line))
    }

    /// Whether a field is there.
    pub fn contains(&self, name: &str) -> bool {
        self.names().any(|own| is(own, name))
    }

    /// The values of a field.
    pub fn get_all<'f, 'n>(&'f self, name: &'n str) -> impl Iterator<Item = &'f [u8]> + use<'f, 'n> {
        self.lines.iter().filter(move |line| is(self.name(line), name)).map(|line| self.value(line))
    }

    /// The first value of a field.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.get_all(name).next()
    }

    /// Whether these bytes are anywhere in the head. `false` says that no line holds them.
    pub fn may_hold(&self, wanted: &memchr::memmem::Finder<'_>) -> bool {
        wanted.find(&self.bytes).is_some()
    }

    /// A part of the head that the lines stand in.
    pub fn part(&self, range: Range<usize>) -> &[u8] {
        self.bytes.get(range).unwrap_or_default()
    }

    /// The first value of a field, where it is plain text.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name).filter(|value| value.is_ascii()).and_then(|value| std::str::from_utf8(value).ok())
    }

    /// A value of one of these fields, without copying it.
    pub fn keep(&self, value: &[u8]) -> Bytes {
        self.bytes.slice_ref(value)
    }

    /// The same, fit for a header.
    pub fn share(&self, value: &[u8]) -> Option<HeaderValue> {
        HeaderValue::from_maybe_shared(self.keep(value)).ok()
    }

    /// Leaves out the lines of which `keep` does not say that they stay.
    pub fn retain(&mut self, mut keep: impl FnMut(&[u8]) -> bool) {
        let bytes = &self.bytes;
        self.lines.retain(|line| keep(bytes.get(line.name()).unwrap_or_default()));
    }

    /// Writes the lines of whose name and value `keep` says so, each with its end. Neighbours are copied in one piece.
    pub fn write(&self, out: &mut Vec<u8>, mut keep: impl FnMut(&[u8], &[u8]) -> bool) {
        let mut piece = 0..0;
        for line in &self.lines {
            if !keep(self.name(line), self.value(line)) {
                continue;
            }
            if piece.end != line.start as usize {
                out.extend_from_slice(self.bytes.get(piece.clone()).unwrap_or_default());
                piece.start = line.start as usize;
            }
            piece.end = line.end as usize + 2;
        }
        out.extend_from_slice(self.bytes.get(piece).unwrap_or_default());
    }

    /// As a map, which most who look at many of them want.
    pub fn to_map(&self) -> HeaderMap {
        let mut map = HeaderMap::with_capacity(self.len());
        for (name, value) in self.iter() {
            if let (Ok(name), Some(value)) = (HeaderName::from_bytes(name), self.share(value)) {
                map.append(name, value);
            }
        }
        map
    }

    fn name(&self, line: &Field) -> &[u8] {
        self.bytes.get(line.name()).unwrap_or_default()
    }

    fn value(&self, line: &Field) -> &[u8] {
        trim(self.bytes.get(line.value()).unwrap_or_default())
    }
}

impl From<&HeaderMap> for Fields {
    fn from(map: &HeaderMap) -> Self {
        let (mut bytes, mut lines) = (BytesMut::new(), Vec::with_capacity(map.len()));
        for (name, value) in map {
            let start = bytes.len();
            bytes.extend_from_slice(name.as_str().as_bytes());
            let colon = bytes.len();
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(value.as_bytes());
            lines.push(Field::new(start, colon, bytes.len()));
            bytes.extend_from_slice(b"\r\n");
        }
        Self::new(bytes.freeze(), lines)
    }
}

/// Whether a field's name is `name`, whatever its case.
pub fn is(own: &[u8], name: &str) -> bool {
    own.len() == name.len() && own.eq_ignore_ascii_case(name.as_bytes())
}

/// A value without the blanks around it (RFC 9110 §5.5).
fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(lines: &[&str]) -> Fields {
        let (mut bytes, mut places) = (b"HTTP/1.1 200 OK\r\n".to_vec(), Vec::new());
        for line in lines {
            let start = bytes.len();
            bytes.extend_from_slice(line.as_bytes());
            places.push(Field::new(start, start + line.find(':').unwrap(), bytes.len()));
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(b"\r\n");
        Fields::new(bytes.into(), places)
    }

    fn written(fields: &Fields, keep: impl Fn(&[u8]) -> bool) -> String {
        let mut out = Vec::new();
        fields.write(&mut out, |name, _| keep(name));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn names_are_found_in_any_case_and_values_without_blanks() {
        let fields = fields(&["Host:g", "X-A: \t1 ", "x-a:", "B: \u{e9}"]);
        assert_eq!(fields.get("host"), Some(&b"g"[..]));
        assert_eq!(fields.get_all("x-a").collect::<Vec<_>>(), [&b"1"[..], b""]);
        assert!(fields.get("x").is_none());
        let map = fields.to_map();
        assert_eq!((map.len(), map["x-a"].as_bytes(), map["b"].as_bytes()), (4, &b"1"[..], "\u{e9}".as_bytes()));
        assert_eq!(fields.share(fields.get("host").unwrap()).unwrap(), "g");
    }

    #[test]
    fn what_is_kept_is_written_as_it_came() {
        let mut fields = fields(&["A: 1", "B:2 ", "C: 3", "D: 4"]);
        assert_eq!(written(&fields, |_| true), "A: 1\r\nB:2 \r\nC: 3\r\nD: 4\r\n");
        assert_eq!(written(&fields, |name| name != b"B"), "A: 1\r\nC: 3\r\nD: 4\r\n");
        assert_eq!(written(&fields, |name| name == b"A" || name == b"D"), "A: 1\r\nD: 4\r\n");
        assert_eq!(written(&fields, |_| false), "");
        fields.retain(|name| name != b"A");
        assert_eq!(written(&fields, |name| name != b"D"), "B:2 \r\nC: 3\r\n");
    }

    #[test]
    fn a_map_and_fields_are_made_from_each_other() {
        let map: HeaderMap = [("a", "1"), ("b", ""), ("a", "2")]
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .into_iter()
            .collect();
        let fields = Fields::from(&map);
        assert_eq!(fields.to_map(), map);
        assert_eq!(fields.len(), 3);
    }
}
