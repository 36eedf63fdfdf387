use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use super::*;

mod cookies;
mod jwts;
mod keys;
mod prefixed_tokens;

fn key(json: impl AsRef<[u8]>) -> String {
    STANDARD.encode(json)
}

fn jwt_of(header: &str, payload: &str, signature: &str) -> String {
    [header, payload, signature].map(|part| URL_SAFE_NO_PAD.encode(part)).join(".")
}

#[test]
fn kinds_never_collide() {
    let token = b"glsa_yscW25imSKJIuav8zF37RZmnbiDvB05G_fcaaf58a";
    let compared = b"yscW25imSKJIuav8zF37RZmnbiDvB05G_fcaaf58a";
    let (prefixed, verbatim) = (canonical(token), canonical(compared));
    assert_eq!(prefixed.bytes(), verbatim.bytes());
    assert_ne!(prefixed, verbatim);
    let (key, jwt) = (key(r#"{"k":"k","n":"n","id":1}"#), jwt_of("{}", "{}", "s"));
    let domains = [token, key.as_bytes(), jwt.as_bytes(), &compared[..]].map(|token| canonical(token).domain());
    assert_eq!(domains, [16, 17, 18, 19]);
}

#[test]
fn a_form_does_not_print_what_it_holds() {
    let key = key(r#"{"k":"secret","n":"n","id":1}"#);
    assert_eq!(format!("{:?}", canonical(key.as_bytes())), "LegacyKey(…)");
    assert_eq!(format!("{:?}", Bytes::Borrowed(b"secret")), "Bytes(6)");
}

#[test]
fn what_grafana_cannot_read_stays_as_it_is() {
    for token in
        ["", "glsa_", "gl", "undefined", "e", "eyJ", "eyJrIjoi", "a.b.c", "{", "{}", "=", "I", "....", "\u{a0}"]
    {
        assert!(
            matches!(canonical(token.as_bytes()), Canonical::Verbatim(same) if same == token.as_bytes()),
            "{token}"
        );
    }
}
