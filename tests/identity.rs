//! One credential has one canonical form in all its spellings: generated ones, and those that Go itself reads.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

#[path = "identity/crc.rs"]
mod crc;
#[path = "identity/go.rs"]
mod go;
#[path = "identity/random.rs"]
mod random;
#[path = "identity/respell.rs"]
mod respell;

use grafana_token_proxy::domain::identity::{Bytes, Canonical, Cookie, LegacyKey, canonical, cookie, jwt};
use proptest::prelude::*;
use sha2::{Digest as _, Sha256};

use self::crc::{token, with_checksum};
use self::go::{Pairs, hex};
use self::random::Random;
use self::respell::{Key, nearly_a_key};

const SOUND: &[u8] = b"glsa_yscW25imSKJIuav8zF37RZmnbiDvB05G_fcaaf58a";

fn is_split_in_three(token: &[u8]) -> bool {
    token.iter().filter(|byte| **byte == b'_').count() == 2
}

fn crc_of(token: &[u8]) -> u32 {
    crc32fast::hash(&token[..token.len() - 9])
}

/// A token with this secret and this checksum.
fn colliding(secret: &[u8], crc: u32) -> Vec<u8> {
    (0u32..)
        .map(|start| with_checksum(&start.to_be_bytes(), secret, crc))
        .find(|token| is_split_in_three(token))
        .unwrap()
}

fn key() -> impl Strategy<Value = Key> {
    let organisation = prop_oneof![-2..3i64, any::<i64>()];
    ("[a-c/é\u{fffd}😀\"\\\\]{1,6}", "[a-c\u{0}/k\u{fffd}]{0,6}", organisation)
        .prop_map(|(secret, name, organisation)| Key { secret, name, organisation })
}

/// Organisation and name; the key is behind them.
fn names(key: &LegacyKey) -> (i64, Vec<u8>) {
    let length = u64::from_be_bytes(key.bytes()[8..16].try_into().unwrap()) as usize;
    (key.organisation(), key.bytes()[16..16 + length].to_vec())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_service_with_the_same_checksum_is_the_same(
        service in "[a-z]{0,6}", secret in "[0-9A-Za-z]{0,80}", start: Vec<u8>,
    ) {
        let own = token(service.as_bytes(), secret.as_bytes());
        let other = with_checksum(&start, secret.as_bytes(), crc_of(&own));
        prop_assert!(other.ends_with(&own[own.len() - 9..]));
        prop_assert_eq!(canonical(&other) == canonical(&own), is_split_in_three(&other));
    }

    #[test]
    fn secrets_that_are_one_key_of_hmac_are_the_same(
        secret in prop::collection::vec(1..=0x5Eu8, 0..90), zeros in 0..80usize,
    ) {
        let own = token(b"sa", &secret);
        let padded = colliding(&[&*secret, &vec![0; zeros]].concat(), crc_of(&own));
        prop_assert_eq!(canonical(&padded) == canonical(&own), zeros == 0 || secret.len() + zeros <= 64);
        let digest = Sha256::digest(&secret);
        if !digest.contains(&b'_') {
            prop_assert_eq!(canonical(&colliding(&digest, crc_of(&own))) == canonical(&own), secret.len() > 64);
        }
    }

    #[test]
    fn every_spelling_of_a_key_is_the_same_and_no_other_key_is(own in key(), other in key(), seed: u64) {
        let mut random = Random(seed);
        let (one, two, third) = (own.respelt(&mut random), own.respelt(&mut random), other.respelt(&mut random));
        prop_assert_eq!(canonical(&one), canonical(&two));
        prop_assert_eq!(canonical(&one) == canonical(&third), own == other);
        let Canonical::LegacyKey(read) = canonical(&one) else { panic!("it was not read") };
        prop_assert_eq!(names(&read), (own.organisation, own.name.into_bytes()));
    }
}

/// Tokens that are the same in several spellings, and that are not.
fn tokens() -> Vec<Vec<u8>> {
    let mut random = Random(1);
    let mut tokens = vec![
        b"".to_vec(),
        b"gl".to_vec(),
        SOUND.to_vec(),
        b"glawsytemf_yscW25imSKJIuav8zF37RZmnbiDvB05G_fcaaf58a".to_vec(),
    ];
    for round in 0..200u32 {
        let secret: Vec<u8> = (0..random.below(80)).map(|_| b"ab\0"[random.below(3)]).collect();
        let own = token(b"sa", &secret);
        tokens.push(colliding(&secret, crc_of(&own)));
        tokens.push(colliding(&[&*secret, b"\0"].concat(), crc_of(&own)));
        let digest = Sha256::digest(&secret);
        if !digest.contains(&b'_') {
            tokens.push(colliding(&digest, crc_of(&own)));
        }
        tokens.push(with_checksum(&round.to_be_bytes(), b"a_b", crc_of(&own)));
        tokens.push(own.to_ascii_uppercase());
        tokens.push(own[..own.len() - 1].to_vec());
        tokens.push(own);
    }
    for _ in 0..300 {
        let text = |random: &mut Random, letters: &[&str], most: usize| {
            (0..random.below(most)).map(|_| random.of(letters)).collect::<String>()
        };
        let key = Key {
            secret: format!("{}a", text(&mut random, &["a", "\0", "\u{fffd}", "😀", "/"], 90)),
            name: text(&mut random, &["a", "\0", "é"], 4),
            organisation: random.below(4) as i64 - 1,
        };
        tokens.extend((0..4).map(|_| key.respelt(&mut random)));
    }
    tokens.extend((0..8_000).map(|_| nearly_a_key(&mut random)));
    for depth in [9_999, 10_000] {
        use base64::Engine as _;
        let nested = format!(r#"{{"k":"k","x":{}{}}}"#, "[".repeat(depth), "]".repeat(depth));
        tokens.push(base64::engine::general_purpose::STANDARD.encode(nested).into_bytes());
    }
    tokens
}

/// What ours reads, in the words of the program in Go, without the hash.
fn reading(form: &Canonical<'_>) -> String {
    match form {
        Canonical::Prefixed(bytes) => format!("prefixed [{}]", hex(&bytes[bytes.len() - 8..])),
        Canonical::LegacyKey(key) => format!("key {} [{}]", key.organisation(), hex(&names(key).1)),
        Canonical::Jwt(_) | Canonical::Verbatim(_) => "none".to_owned(),
    }
}

#[test]
fn tokens_are_the_same_exactly_if_grafana_s_hashes_are() {
    if !go::is_installed() {
        return;
    }
    let tokens = tokens();
    // The rounds of Grafana take long: for some only.
    let kind = |place: usize| if place.is_multiple_of(50) { "token-hash" } else { "token" };
    let cases: Vec<String> =
        tokens.iter().enumerate().map(|(at, token)| format!("{} {}", kind(at), hex(token))).collect();
    let (mut few, mut many, mut read) = (Pairs::default(), Pairs::default(), 0);
    for (place, (answer, token)) in go::answers(&cases).iter().zip(&tokens).enumerate() {
        let (form, shown) = (canonical(token), token.escape_ascii().to_string());
        let words: Vec<&str> = answer.split(' ').collect();
        let (theirs, hash) = match words[..] {
            ["prefixed", _, checksum, hash] => (format!("prefixed {checksum}"), hash),
            ["key", organisation, name, _, hash] => (format!("key {organisation} {name}"), hash),
            _ => (answer.clone(), ""),
        };
        let ours = reading(&form);
        assert_eq!(ours, theirs, "{shown}");
        if theirs == "none" {
            continue;
        }
        read += 1;
        let pairs = if kind(place) == "token" { &mut few } else { &mut many };
        // Keys are looked up by organisation and name; what is hashed is compared afterwards.
        pairs.insert(&format!("{} {}", form.domain(), hex(form.bytes())), &format!("{theirs} {hash}"), &shown);
    }
    println!("{} tokens, {read} read by Go, {} different ones", tokens.len(), few.len());
    assert!(read > tokens.len() / 4 && few.len() < read, "the cases are one-sided");
}

#[test]
fn jwts_are_decoded_as_go_does() {
    if !go::is_installed() {
        return;
    }
    let mut random = Random(2);
    let pieces = [
        "eyJhIjoxfQ",
        "e30",
        "IHt9",
        "CXt9",
        "Cnt9",
        "DXt9",
        "bnVsbA",
        "W10",
        "YQ",
        "YR",
        "_-",
        "/+",
        ".",
        ".",
        ".",
        "=",
        " ",
        "\n",
        "\u{a0}",
        "\u{85}",
        "\u{2028}",
        "\u{200b}",
        "\u{feff}",
        "a",
    ];
    let mut values: Vec<Vec<u8>> = (0..6_000)
        .map(|_| {
            let mut pieces_of = || (0..random.below(6) / 4).map(|_| random.of(&pieces)).collect::<String>();
            let (a, b, c, d) = (pieces_of(), pieces_of(), pieces_of(), pieces_of());
            format!("{a}eyJhIjoxfQ{b}.{c}e30.{d}YQ").into_bytes()
        })
        .collect();
    values
        .extend((0..3_000).map(|_| (0..random.below(9)).map(|_| random.of(&pieces)).collect::<String>().into_bytes()));
    values.push(b"e30.e30.YQ\xFF".to_vec());
    let cases: Vec<String> = values.iter().map(|value| format!("jwt {}", hex(value))).collect();
    let mut read = 0;
    for (answer, value) in go::answers(&cases).iter().zip(&values) {
        let ours = jwt::parts(value).map_or("none".to_owned(), |jwt| {
            let signature = &jwt.bytes()[16 + jwt.header().len() + jwt.payload().len()..];
            format!("jwt [{}] [{}] [{}]", hex(jwt.header()), hex(jwt.payload()), hex(signature))
        });
        assert_eq!(&ours, answer, "{}", value.escape_ascii());
        read += usize::from(ours != "none");
    }
    println!("{} values, {read} read", values.len());
    assert!(read > values.len() / 10);
}

#[test]
fn cookies_are_read_as_go_does() {
    if !go::is_installed() {
        return;
    }
    let mut random = Random(3);
    let pieces = [
        "s", "S", "=", "=", ";", "; ", " ", "\t", "\"", "%", "%61", "%4", "+", "a", "\\", "é", "\u{7f}", ",", "s=",
        "; s=", ";s=\"", "\n", "/",
    ];
    let sets: Vec<Vec<String>> = (0..10_000)
        .map(|_| {
            let mut line = || (0..random.below(9)).map(|_| random.of(&pieces)).collect::<String>();
            let lines = [line(), line()];
            lines.into_iter().take(1 + random.below(2)).collect()
        })
        .chain([vec![";".repeat(4_000) + "s=a"], vec![]])
        .collect();
    let line = |lines: &[String]| lines.iter().map(|line| format!(" [{}]", hex(line.as_bytes()))).collect::<String>();
    let cases: Vec<String> = sets.iter().map(|lines| format!("cookie [{}]{}", hex(b"s"), line(lines))).collect();
    let (mut read, mut unreadable) = (0, 0);
    for (answer, lines) in go::answers(&cases).iter().zip(&sets) {
        let lines: Vec<&[u8]> = lines.iter().map(|line| line.as_bytes()).collect();
        let ours = match cookie(&lines, b"s") {
            None => "none".to_owned(),
            Some(Cookie::Unreadable) => "unreadable".to_owned(),
            Some(Cookie::Read(value)) => {
                let borrows = matches!(value, Bytes::Borrowed(_));
                assert!(borrows || lines.iter().any(|line| line.contains(&b'%') || line.contains(&b'+')));
                format!("read [{}]", hex(&value))
            }
        };
        assert_eq!(&ours, answer, "{lines:?}");
        read += usize::from(ours.starts_with("read"));
        unreadable += usize::from(ours == "unreadable");
    }
    println!("{} sets, {read} read, {unreadable} unreadable", sets.len());
    assert!(read > 500 && unreadable > 50);
}
