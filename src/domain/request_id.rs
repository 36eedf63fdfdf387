//! The id under which a request is found in our log, in Grafana's, and by the client.

/// Whether a client's own id may be written anywhere as it came: 1–128 of `[A-Za-z0-9._:/+=-]`.
pub fn is_sane(id: &[u8]) -> bool {
    (1..=128).contains(&id.len())
        && id
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b':' | b'/' | b'+' | b'=' | b'-'))
}

/// An id made of 16 random bytes: 32 lower-case hex digits.
pub fn format(random: u128) -> [u8; 32] {
    let mut id = [b'0'; 32];
    for (pair, byte) in id.chunks_exact_mut(2).zip(random.to_be_bytes()) {
        pair.copy_from_slice(&[digit(byte >> 4), digit(byte & 15)]);
    }
    id
}

const fn digit(nibble: u8) -> u8 {
    if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sane_ids_are_short_and_plain() {
        for id in ["a", "0af7651916cd43dd8448eb211c80319c", "1-67891233-abcdef012345678912345678", "a.b_c:d/e+f=g-h"] {
            assert!(is_sane(id.as_bytes()), "{id}");
        }
        assert!(is_sane(&[b'a'; 128]));
        assert!(!is_sane(&[b'a'; 129]));
        for id in ["", " ", "a b", "a\"", "a\n", "ä", "a,b", "{a}", "<a>"] {
            assert!(!is_sane(id.as_bytes()), "{id:?}");
        }
    }

    proptest! {
        #[test]
        fn ours_are_the_number_in_hex_and_sane(random: u128) {
            let id = format(random);
            prop_assert_eq!(std::str::from_utf8(&id).unwrap(), format!("{random:032x}"));
            prop_assert!(is_sane(&id));
        }
    }
}
