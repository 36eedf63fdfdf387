//! JSON Web Tokens: one form for all spellings.

use super::*;
use crate::domain::identity::jwt::{Subject, parts, subject};

const HEADER: &str = r#"{"alg":"ES256"}"#;
const PAYLOAD: &str = r#"{"sub":"a","iss":"b"}"#;

fn token() -> String {
    jwt_of(HEADER, PAYLOAD, "si")
}

#[test]
fn a_jwt_is_decoded() {
    let jwt = parts(token().as_bytes()).unwrap();
    assert_eq!((jwt.header(), jwt.payload()), (HEADER.as_bytes(), PAYLOAD.as_bytes()));
    assert!(matches!(canonical(token().as_bytes()), Canonical::Jwt(_)));
}

#[test]
fn spellings_that_decode_alike_are_the_same() {
    let own = token();
    let [header, payload, signature] = <[&str; 3]>::try_from(own.split('.').collect::<Vec<_>>()).unwrap();
    let trailing_bits = format!("{header}.{payload}.{}", signature.replace("c2k", "c2l"));
    assert_ne!(trailing_bits, own);
    for other in [
        trailing_bits,
        own.replace('.', "=.="),
        format!("{own}=="),
        format!(" \t{own}\n"),
        own.replace('.', " . "),
        own.replace('.', "\u{a0}.\u{3000}"),
        format!("\u{2003}{own}"),
        format!(r#"{{"payload":"{payload}","protected":"{header}","signature":"{signature}"}}"#),
        format!(r#" {{"x":1, "signature":"{signature}=","payload":"{payload}","header":{{}},"protected":"{header}"}}"#),
        format!(r#"{{"payload":"{payload}","signatures":[],"protected":"{header}","signature":"{signature}"}}"#),
        format!(r#"{{"payload":"{payload}","signatures":[{{"protected":"{header}","signature":"{signature}"}}]}}"#),
    ] {
        assert_eq!(canonical(other.as_bytes()), canonical(own.as_bytes()), "{other}");
        assert_eq!(parts(format!("Bearer {other}").as_bytes()).unwrap().bytes(), canonical(own.as_bytes()).bytes());
    }
}

#[test]
fn other_parts_are_another_jwt() {
    let own = token();
    for other in [
        jwt_of(r#"{"alg":"ES384"}"#, PAYLOAD, "si"),
        jwt_of(HEADER, r#"{"iss":"b","sub":"a"}"#, "si"),
        jwt_of(HEADER, PAYLOAD, "sj"),
        jwt_of(HEADER, PAYLOAD.trim_end_matches('}'), "}si"),
        format!("Bearer {own}"),
    ] {
        assert_ne!(canonical(other.as_bytes()), canonical(own.as_bytes()), "{other}");
    }
}

#[test]
fn what_is_no_jwt_is_none() {
    let own = token();
    for other in [
        "a.b.c".to_owned(),
        format!("{own}."),
        format!("{own}.e30"),
        own.replace('.', ","),
        format!("{own}+"),
        jwt_of("[]", PAYLOAD, "s"),
        jwt_of("{", PAYLOAD, "s"),
        jwt_of(HEADER, PAYLOAD, ""),
        jwt_of(HEADER, "", "s"),
        format!("Bearer Bearer {own}"),
        r#"{"payload":"e30"}"#.to_owned(),
        r#"{"payload":"e30","protected":"e30","signature":"YQ","signatures":[{},{}]}"#.to_owned(),
        r#"{"payload":"e30","signatures":[{"protected":"e30","signature":"YQ"},{"protected":"e30","signature":"YQ"}]}"#
            .to_owned(),
        r#"{"payload":"e30","protected":"e30","signature":"!"}"#.to_owned(),
    ] {
        assert!(parts(other.as_bytes()).is_none(), "{other}");
    }
}

#[test]
fn who_a_jwt_names() {
    let named = |issuer: &str, subject: &str| Some(Subject { issuer: issuer.to_owned(), subject: subject.to_owned() });
    assert_eq!(subject(PAYLOAD.as_bytes()), named("b", "a"));
    assert_eq!(subject(br#"{"sub":"\u00e9","x":[{}],"iss":null}"#), named("", "é"));
    let long = format!(r#"{{"sub":"{}"}}"#, "a".repeat(1025));
    for payload in ["", "{}", "[]", r#"{"sub":""}"#, r#"{"sub":1}"#, r#"{"sub":"a","sub":"b"}"#, r#"{"sub":"a""#, &long]
    {
        assert_eq!(subject(payload.as_bytes()), None, "{payload}");
    }
}
