//! Spellings of one API key, and texts that are nearly one.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::random::Random;

/// What a key says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) secret: String,
    pub(crate) name: String,
    pub(crate) organisation: i64,
}

const VALUES: [&str; 12] = [
    "1",
    "-0.5e+9",
    "\"\"",
    "\"}]\\\"\"",
    "null",
    "true",
    "false",
    "[]",
    "{}",
    "[1,[\"]\"]]",
    "{\"k\":{\"id\":\"x\"}}",
    "\"\\ud800\"",
];
const NAMES: [&str; 7] = ["x", "", "kk", "i", "\\u0069", "n ", "ı"];

impl Key {
    /// Another spelling that Go decodes to the same.
    pub(crate) fn respelt(&self, random: &mut Random) -> Vec<u8> {
        base64_of(&self.json(random), random)
    }

    fn json(&self, random: &mut Random) -> Vec<u8> {
        let mut padded = self.secret.clone();
        while padded.len() < 64 && random.once_in(3) {
            padded.push('\0');
        }
        let secret = quoted(&padded, random);
        let name = quoted(&self.name, random);
        let id = match self.organisation {
            0 if random.once_in(2) => b"-0".to_vec(),
            id => id.to_string().into_bytes(),
        };
        let mut members = Vec::new();
        let mut fields = vec![("k", secret, "\"x\""), ("n", name, "\"\\u0000\""), ("id", id, "-7")];
        while !fields.is_empty() {
            let (field, value, other) = fields.swap_remove(random.below(fields.len()));
            while random.once_in(4) {
                members.push((name_of(field, random), random.of(&[other, "null"]).as_bytes().to_vec()));
            }
            members.push((name_of(field, random), value));
            while random.once_in(4) {
                members.push((name_of(field, random), b"null".to_vec()));
            }
        }
        for _ in 0..random.below(3) {
            let extra = (format!("\"{}\"", random.of(&NAMES)).into_bytes(), random.of(&VALUES).as_bytes().to_vec());
            members.insert(random.below(members.len() + 1), extra);
        }
        object(&members, random)
    }
}

/// An object, or nearly one, with any of the names and values that Go treats in its own way.
pub(crate) fn nearly_a_key(random: &mut Random) -> Vec<u8> {
    const STRINGS: [&[u8]; 14] = [
        b"\"a\"",
        b"\"a\\u0000\"",
        b"\"\\u0061\"",
        b"\"\xFF\"",
        b"\"\xE2\x82\"",
        b"\"\xED\xA0\x80\"",
        b"\"\\ud83d\\ude00\"",
        b"\"\\ud83d\\ud83d\\ude00\\n\"",
        b"\"\\udc00\"",
        b"\"\\uD83D\\u0041\"",
        b"\"\\'\"",
        b"\"\x1f\"",
        b"\"\\u12g4\"",
        b"\"\xF0\x9F\x98\x80\xC0\x80\xF4\x90\x80\x80\"",
    ];
    const NUMBERS: [&str; 14] = [
        "0",
        "-0",
        "1",
        "-1",
        "9223372036854775807",
        "9223372036854775808",
        "-9223372036854775808",
        "-9223372036854775809",
        "1.0",
        "1e0",
        "01",
        "+1",
        "-",
        "1E400",
    ];
    let mut members = Vec::new();
    for _ in 0..random.below(6) {
        let field = random.of(&["k", "k", "n", "id", "id", "x"]);
        let string = random.of(&STRINGS.each_ref().map(|text| *text)).to_vec();
        let number = random.of(&NUMBERS).as_bytes().to_vec();
        let value = match (random.below(8), field) {
            (0, _) => random.of(&VALUES).as_bytes().to_vec(),
            (1, _) => random.of(&[&string, &number]).clone(),
            (_, "id") => number,
            _ => string,
        };
        members.push((name_of(field, random), value));
    }
    if random.once_in(2) {
        members.push((b"\"k\"".to_vec(), b"\"k\"".to_vec()));
    }
    let mut json = object(&members, random);
    if random.once_in(4) {
        let at = random.below(json.len());
        match random.below(3) {
            0 => drop(json.remove(at)),
            1 => json[at] = *random.of(&[b"\"", b"{", b"]", b",", b":", b"\\", b"\xC3", b"e", b"\0"]).first().unwrap(),
            _ => json
                .insert(at, *random.of(&[b"\"", b"}", b"[", b",", b":", b"\\", b"\x80", b"1", b"\n"]).first().unwrap()),
        }
    }
    let mut text = base64_of(&json, random);
    if random.once_in(10) {
        let at = random.below(text.len());
        text[at] = *random.of(&[b"=", b"\n", b"A", b"-", b" ", b"/"]).first().unwrap();
    }
    text
}

fn object(members: &[(Vec<u8>, Vec<u8>)], random: &mut Random) -> Vec<u8> {
    let mut json = blanks(random);
    json.push(b'{');
    for (place, (name, value)) in members.iter().enumerate() {
        if place > 0 {
            json.push(b',');
        }
        for piece in [name, &b":".to_vec(), value] {
            json.extend(blanks(random));
            json.extend(piece);
        }
        json.extend(blanks(random));
    }
    json.push(b'}');
    json.extend(blanks(random));
    json
}

fn blanks(random: &mut Random) -> Vec<u8> {
    let mut blanks = Vec::new();
    while random.once_in(4) {
        blanks.push(random.of(&[" ", "\t", "\r", "\n"]).as_bytes()[0]);
    }
    blanks
}

/// A name that Go matches with `field`.
fn name_of(field: &str, random: &mut Random) -> Vec<u8> {
    let cased: String = field
        .chars()
        .map(|letter| match random.below(4) {
            0 => letter.to_ascii_uppercase(),
            1 if letter == 'k' => '\u{212a}',
            _ => letter,
        })
        .collect();
    quoted(&cased, random)
}

/// A string in any spelling that Go decodes to `text`.
fn quoted(text: &str, random: &mut Random) -> Vec<u8> {
    let mut json = vec![b'"'];
    for letter in text.chars() {
        match (letter, random.below(4)) {
            // None of these continues what another one begins.
            ('\u{fffd}', 0) => json.push(*random.of(&[b"\xF5", b"\xFF", b"\xC3"]).first().unwrap()),
            // Of two halves only a high and a low one make a pair: a low one is always alone.
            ('\u{fffd}', 1) => json.extend(b"\\uDfFf"),
            (_, 0) | ('\0'..' ' | '"' | '\\', _) => {
                for unit in letter.encode_utf16(&mut [0; 2]) {
                    let escape = if random.once_in(2) { format!("\\u{unit:04x}") } else { format!("\\u{unit:04X}") };
                    json.extend(escape.as_bytes());
                }
            }
            ('/', 1) => json.extend(b"\\/"),
            _ => json.extend(letter.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    json.push(b'"');
    json
}

/// Base64 with any trailing bits, and newlines anywhere.
fn base64_of(bytes: &[u8], random: &mut Random) -> Vec<u8> {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = STANDARD.encode(bytes).into_bytes();
    let free = match bytes.len() % 3 {
        1 => 4,
        2 => 2,
        _ => 0,
    };
    let last = text.iter().rposition(|byte| *byte != b'=').unwrap();
    let value = ALPHABET.iter().position(|letter| *letter == text[last]).unwrap();
    text[last] = ALPHABET[value + random.below(1 << free)];
    while random.once_in(3) {
        text.insert(random.below(text.len() + 1), *random.of(&[b"\r", b"\n"]).first().unwrap());
    }
    text
}
