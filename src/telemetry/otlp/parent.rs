//! `traceparent`, as W3C Trace Context wants it.

/// The span that a request belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Parent<'a> {
    pub(super) trace_id: &'a str,
    pub(super) span_id: &'a str,
    pub(super) flags: u8,
}

impl<'a> Parent<'a> {
    /// Reads the header (§3.2.2, §4.3). Versions to come may append fields.
    pub(super) fn read(value: &'a [u8]) -> Option<Self> {
        let mut parts = std::str::from_utf8(value).ok()?.split('-');
        let version = parts.next().filter(|text| is_hex(text, 2) && *text != "ff")?;
        let trace_id = parts.next().filter(|text| is_id(text, 32))?;
        let span_id = parts.next().filter(|text| is_id(text, 16))?;
        let flags = parts.next().filter(|text| is_hex(text, 2))?;
        if version == "00" && parts.next().is_some() {
            return None;
        }
        Some(Self { trace_id, span_id, flags: u8::from_str_radix(flags, 16).ok()? })
    }

    pub(super) const fn is_sampled(&self) -> bool {
        self.flags & 1 == 1
    }
}

fn is_hex(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn is_id(text: &str, length: usize) -> bool {
    is_hex(text, length) && text.bytes().any(|byte| byte != b'0')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    #[test]
    fn what_the_recommendation_allows_is_read() {
        let value = format!("00-{TRACE}-00f067aa0ba902b7-01");
        let parent = Parent::read(value.as_bytes()).unwrap();
        assert_eq!((parent.trace_id, parent.span_id, parent.is_sampled()), (TRACE, "00f067aa0ba902b7", true));
        let later = format!("cc-{TRACE}-00f067aa0ba902b7-00-what-comes");
        assert_eq!(Parent::read(later.as_bytes()).map(|parent| parent.is_sampled()), Some(false));
    }

    #[test]
    fn what_it_forbids_is_not() {
        let zero = "0".repeat(32);
        for value in [
            format!("ff-{TRACE}-00f067aa0ba902b7-01"),
            format!("00-{zero}-00f067aa0ba902b7-01"),
            format!("00-{TRACE}-0000000000000000-01"),
            format!("00-{}-00f067aa0ba902b7-01", TRACE.to_uppercase()),
            format!("00-{TRACE}-00f067aa0ba902b7-01-x"),
            format!("00-{TRACE}-00f067aa0ba902b7"),
            format!("00-{TRACE}-00f067aa0ba902b7-+1"),
            String::new(),
        ] {
            assert_eq!(Parent::read(value.as_bytes()), None, "{value}");
        }
    }

    proptest! {
        #[test]
        fn what_is_read_can_be_written_again(
            version in "[0-9a-f]{2}", trace in "[0-9a-f]{32}", span in "[0-9a-f]{16}", flags: u8,
        ) {
            let value = format!("{version}-{trace}-{span}-{flags:02x}");
            if let Some(parent) = Parent::read(value.as_bytes()) {
                let again = format!("{version}-{}-{}-{:02x}", parent.trace_id, parent.span_id, parent.flags);
                prop_assert_eq!(again, value);
            }
        }

        #[test]
        fn any_bytes_are_judged(value: Vec<u8>) {
            let _ = Parent::read(&value);
        }
    }
}
