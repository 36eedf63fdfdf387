//! The schemes that we know by name, in any case.

/// A scheme at the front of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    /// `Bearer`; `exact` where Grafana would know it: it compares bytes.
    Bearer {
        /// Spelt exactly so.
        exact: bool,
    },
    /// `Basic`; `exact` where Grafana would look for `api_key` in it.
    Basic {
        /// Spelt exactly so.
        exact: bool,
    },
    /// What other products call the scheme of such tokens: `Token`, `ApiKey`, `Api-Key`.
    Token,
}

/// The scheme that a value begins with, and all that follows, the separator included.
pub(super) fn leading_scheme(value: &[u8]) -> Option<(Scheme, &[u8])> {
    let end = value.iter().position(|byte| !is_scheme_byte(*byte)).unwrap_or(value.len());
    let (word, rest) = value.split_at(end);
    let scheme = match word.len() {
        6 if word.eq_ignore_ascii_case(b"bearer") => Scheme::Bearer { exact: word == b"Bearer" },
        5 if word.eq_ignore_ascii_case(b"basic") => Scheme::Basic { exact: word == b"Basic" },
        5 if word.eq_ignore_ascii_case(b"token") => Scheme::Token,
        6 if word.eq_ignore_ascii_case(b"apikey") => Scheme::Token,
        7 if word.eq_ignore_ascii_case(b"api-key") || word.eq_ignore_ascii_case(b"api_key") => Scheme::Token,
        _ => return None,
    };
    // `token=…` and `Token<x>` are no schemes: a blank of some kind, a colon, a quote or the end follows one.
    let ends = match rest {
        [] | [b' ' | b'\t' | b':' | b'"' | b'\'' | b'`' | b'\\' | b'%' | b'\r' | b'\n' | 0x80.., ..] => true,
        [_, ..] => false,
    };
    ends.then_some((scheme, rest))
}

const fn is_scheme_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_in_any_case() {
        for (value, scheme) in [
            (&b"Bearer x"[..], Scheme::Bearer { exact: true }),
            (b"bEARER x", Scheme::Bearer { exact: false }),
            (b"Bearer", Scheme::Bearer { exact: true }),
            (b"Bearer:x", Scheme::Bearer { exact: true }),
            (b"Bearer\xc2\xa0x", Scheme::Bearer { exact: true }),
            (b"Basic x", Scheme::Basic { exact: true }),
            (b"BASIC x", Scheme::Basic { exact: false }),
            (b"token x", Scheme::Token),
            (b"ApiKey x", Scheme::Token),
            (b"api-key x", Scheme::Token),
        ] {
            assert_eq!(leading_scheme(value).map(|found| found.0), Some(scheme), "{}", value.escape_ascii());
        }
    }

    #[test]
    fn what_only_begins_like_one_is_none() {
        for value in [&b"Bearerglsa_x"[..], b"Bearer-x y", b"token=x", b"glsa_x", b"Negotiate x", b"", b" Bearer x"] {
            assert_eq!(leading_scheme(value), None, "{}", value.escape_ascii());
        }
    }
}
