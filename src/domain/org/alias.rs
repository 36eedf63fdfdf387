//! Names that other software folds into a protected one: CGI, WSGI and PHP make `X_Grafana_Org_Id`, and some frameworks
//! `X.Grafana.Org.Id`, the same variable as `X-Grafana-Org-Id`.

const PROTECTED: [&[u8]; 8] = [
    b"authorization",
    b"connection",
    b"content-length",
    b"host",
    b"remote-user",
    b"transfer-encoding",
    b"x-grafana-org-id",
    b"x-real-ip",
];

const PROTECTED_PREFIXES: [&[u8]; 3] = [b"x-webauth-", b"x-token-proxy-", b"x-forwarded-"];

/// Whether a header's name folds (`_` and `.` to `-`, any case) to a protected name without being it. Most names hold
/// neither, and are through at once.
pub fn is_alias(name: &[u8]) -> bool {
    memchr::memchr2(b'_', b'.', name).is_some()
        && (PROTECTED.iter().any(|protected| folds_to(name, protected))
            || PROTECTED_PREFIXES.iter().any(|prefix| folds_to_prefix(name, prefix)))
}

/// Whether `name` is `protected` once folded. `protected` is in lower case.
pub(in crate::domain) fn folds_to(name: &[u8], protected: &[u8]) -> bool {
    name.len() == protected.len() && folds_to_prefix(name, protected)
}

/// Whether two names are one once folded, in whatever case and with whatever of `-`, `_` and `.`.
pub fn folds_alike(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len() && one.iter().zip(other).all(|(one, other)| fold(*one) == fold(*other))
}

/// Whether `name` begins with `prefix` once folded.
pub(in crate::domain) fn folds_to_prefix(name: &[u8], prefix: &[u8]) -> bool {
    name.len() >= prefix.len() && name.iter().zip(prefix).all(|(byte, expected)| fold(*byte) == *expected)
}

const fn fold(byte: u8) -> u8 {
    match byte {
        b'_' | b'.' => b'-',
        byte => byte.to_ascii_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aliases_are_known_in_every_spelling() {
        for name in [
            "x_grafana_org_id",
            "X.Grafana.Org.Id",
            "x-grafana-org_id",
            "X_WEBAUTH_USER",
            "x-webauth_user",
            "remote_user",
            "Remote.User",
            "content_length",
            "transfer_encoding",
            "x_forwarded_for",
            "x_real_ip",
            "x_token_proxy_reason",
        ] {
            assert!(is_alias(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn the_names_themselves_and_others_are_none() {
        for name in [
            "x-grafana-org-id",
            "X-Grafana-Org-Id",
            "authorization",
            "host",
            "x_grafana_org_ids",
            "x_grafana",
            "x_custom",
            "grafana_session",
            "",
            "_",
        ] {
            assert!(!is_alias(name.as_bytes()), "{name}");
        }
    }
}
