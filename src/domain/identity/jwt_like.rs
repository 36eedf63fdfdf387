//! What Grafana could read as a JWT, judged so that nothing which it would take is missed.
//!
//! Grafana (go-jose) takes off a `Bearer `, every `=` and all white space before it looks, and accepts the JSON
//! serialisation, too.

/// Whether a value may begin a JWT at all: one comparison for most.
pub const fn may_begin(value: &[u8]) -> bool {
    // How base64 of `{` begins, with a blank before it or without; beyond ASCII there are blanks.
    matches!(value, [b'e' | b'I' | b'C' | b'D' | b'{' | b'B' | 0x80.., ..])
}

/// Whether Grafana could read a value as a JWT.
pub fn is_like(value: &[u8]) -> bool {
    let value = value.strip_prefix(b"Bearer ").unwrap_or(value);
    let Ok(text) = std::str::from_utf8(value) else { return false };
    let mut characters = text.chars().filter(|c| !c.is_whitespace() && *c != '=').peekable();
    match characters.peek() {
        Some('{') => text.contains("signature"),
        Some('e' | 'I' | 'C' | 'D') => {
            let mut dots = 0;
            characters.all(|c| {
                dots += u32::from(c == '.');
                c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')
            }) && dots == 2
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_that_grafana_reads_is_found() {
        let token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl";
        for value in [
            token.to_owned(),
            format!("Bearer {token}"),
            format!("\u{a0}{token}"),
            token.replace(".e", ". e"),
            format!("{token}=="),
            r#"{"payload":"e30","protected":"e30","signature":"x"}"#.to_owned(),
        ] {
            assert!(may_begin(value.as_bytes()) && is_like(value.as_bytes()), "{value}");
        }
        for value in ["en-US,en;q=0.9", "Bearer glsa_x", "every.two.dots!", "Basic x", "", "e.f", "{}"] {
            assert!(!is_like(value.as_bytes()), "{value}");
        }
    }
}
