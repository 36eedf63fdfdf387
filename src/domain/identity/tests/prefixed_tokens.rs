//! Service account tokens and other tokens that begin with `gl`.

use proptest::prelude::*;

use super::*;

const SOUND: &[u8] = b"glsa_yscW25imSKJIuav8zF37RZmnbiDvB05G_fcaaf58a";

fn checksum(body: &[u8]) -> String {
    crc32fast::hash(body).to_le_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn token(service: &[u8], secret: &[u8]) -> Vec<u8> {
    let body = [b"gl", service, b"_", secret].concat();
    [&body, &b"_"[..], checksum(&body).as_bytes()].concat()
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
    // This service has the checksum of `sa`.
    let other = b"glawsytemf_yscW25imSKJIuav8zF37RZmnbiDvB05G_fcaaf58a";
    assert_eq!(canonical(other), canonical(SOUND));
    assert_ne!(canonical(&token(b"c", b"yscW25imSKJIuav8zF37RZmnbiDvB05G")), canonical(SOUND), "another checksum");
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
    fn another_secret_or_checksum_is_another(
        one in "[0-9A-Za-z]{0,70}", other in "[0-9A-Za-z]{0,70}", service in "[a-z]{0,3}",
    ) {
        let (own, others) = (token(b"sa", one.as_bytes()), token(service.as_bytes(), other.as_bytes()));
        prop_assert_eq!(canonical(&own) == canonical(&others), own == others);
    }
}
