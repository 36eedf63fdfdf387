use proptest::prelude::*;
use sha2::{Digest as _, Sha256};

use super::*;

const SOUND: &[u8] = b"glsa_yscW25imSKJIuav8zF37RZmnbiDvB05G_fcaaf58a";

fn checksum(body: &[u8]) -> String {
    crc32fast::hash(body).to_le_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn token(service: &[u8], secret: &[u8]) -> Vec<u8> {
    let body = [b"gl", service, b"_", secret].concat();
    [&body, &b"_"[..], checksum(&body).as_bytes()].concat()
}

/// The state of CRC-32 behind `bytes`, from `state`.
fn forward(state: u32, bytes: &[u8]) -> u32 {
    bytes.iter().fold(state, |state, byte| {
        (0..8).fold(state ^ u32::from(*byte), |state, _| state >> 1 ^ if state & 1 == 1 { 0xEDB8_8320 } else { 0 })
    })
}

/// The state before `bytes` that gives `state` behind them.
fn backward(state: u32, bytes: &[u8]) -> u32 {
    bytes.iter().rev().fold(state, |state, byte| {
        let undo = |state: u32, _| if state >> 31 == 1 { (state ^ 0xEDB8_8320) << 1 | 1 } else { state << 1 };
        (0..8).fold(state, undo) ^ u32::from(*byte)
    })
}

/// `start` with four bytes more, after which the checksum of `gl<service>_<secret>` is `crc`.
pub(super) fn colliding_service(start: &[u8], secret: &[u8], crc: u32) -> Vec<u8> {
    let before = forward(forward(!0, b"gl"), start);
    let wanted = backward(!crc, &[b"_", secret].concat());
    // Four bytes shift the whole state out: they are the difference, read against the state.
    let patch = before ^ backward(wanted, &[0; 4]);
    [start, &patch.to_le_bytes()].concat()
}

fn respelt(token: &[u8], start: &[u8]) -> Vec<u8> {
    let [_, secret, sum] = <[&[u8]; 3]>::try_from(token.split(|byte| *byte == b'_').collect::<Vec<_>>()).unwrap();
    let crc = u32::from_str_radix(std::str::from_utf8(sum).unwrap(), 16).unwrap().swap_bytes();
    [b"gl", &*colliding_service(start, secret, crc), b"_", secret, b"_", sum].concat()
}

#[test]
fn the_usual_token_is_borrowed() {
    for form in [canonical(SOUND), Canonical::of_sound_prefixed(SOUND)] {
        let Canonical::Prefixed(Bytes::Borrowed(bytes)) = form else { panic!("{form:?}") };
        assert_eq!(bytes, b"yscW25imSKJIuav8zF37RZmnbiDvB05G_fcaaf58a");
    }
}

#[test]
fn the_service_is_not_compared() {
    let other =
        (0u32..).map(|start| respelt(SOUND, &start.to_be_bytes())).find(|token| is_split_in_three(token)).unwrap();
    assert_ne!(other, SOUND);
    assert_eq!(canonical(&other), canonical(SOUND));
    assert_ne!(canonical(&token(b"c", b"yscW25imSKJIuav8zF37RZmnbiDvB05G")), canonical(SOUND), "another checksum");
}

fn is_split_in_three(token: &[u8]) -> bool {
    token.iter().filter(|byte| **byte == b'_').count() == 2
}

#[test]
fn malformed_tokens_stay_as_they_are() {
    let upper = b"glsa_yscW25imSKJIuav8zF37RZmnbiDvB05G_FCAAF58A";
    let four = [b"gls_a_b_", checksum(b"gls_a_b").as_bytes()].concat();
    let two = [b"gl_", checksum(b"gl").as_bytes()].concat();
    for token in [&upper[..], &four, &two, &SOUND[..45], &[SOUND, b"\n"].concat(), b"gl__", b"gl"] {
        assert!(matches!(canonical(token), Canonical::Verbatim(same) if same == token), "{token:?}");
    }
    assert!(matches!(canonical(&token(b"", b"")), Canonical::Prefixed(bytes) if bytes.starts_with(b"_")));
}

proptest! {
    #[test]
    fn any_service_with_the_same_checksum_is_the_same(
        service in "[a-z]{0,6}", secret in "[0-9A-Za-z]{0,80}", start: Vec<u8>,
    ) {
        let own = token(service.as_bytes(), secret.as_bytes());
        let other = respelt(&own, &start);
        prop_assert_eq!(is_split_in_three(&other), canonical(&other) == canonical(&own));
    }

    #[test]
    fn another_secret_or_checksum_is_another(
        one in "[0-9A-Za-z]{0,70}", other in "[0-9A-Za-z]{0,70}", service in "[a-z]{0,3}",
    ) {
        let (own, others) = (token(b"sa", one.as_bytes()), token(service.as_bytes(), other.as_bytes()));
        prop_assert_eq!(canonical(&own) == canonical(&others), own == others);
    }

    #[test]
    fn secrets_that_are_one_key_of_hmac_are_the_same(secret in prop::collection::vec(1..=0x5Eu8, 0..90), zeros in 0..80usize) {
        let own = token(b"sa", &secret);
        let crc = crc32fast::hash(&[b"glsa_", &*secret].concat());
        let of = |secret: &[u8]| {
            (0u32..)
                .map(|start| [b"gl", &*colliding_service(&start.to_be_bytes(), secret, crc)].concat())
                .find(|head| !head.contains(&b'_'))
                .map(|head| [&*head, b"_", secret, b"_", &own[own.len() - 8..]].concat())
                .unwrap()
        };
        let padded = [&*secret, &vec![0; zeros]].concat();
        let same = zeros == 0 || padded.len() <= 64;
        prop_assert_eq!(canonical(&of(&padded)) == canonical(&own), same);
        let digest = Sha256::digest(&secret);
        if !digest.contains(&b'_') {
            prop_assert_eq!(canonical(&of(&digest)) == canonical(&own), secret.len() > 64);
        }
    }
}
