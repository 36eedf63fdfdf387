use proptest::prelude::*;

use super::*;

const SOUND: &str = "glsa_yscW25imSKJIuav8zF37RZmnbiDvB05G_fcaaf58a";
const KEY: &str = "eyJrIjoieEJNa0dEYzZ5T2l4TGpQd3l0NzVVNUYxeXUyVHBoOXgiLCJuIjoia2V5LXZpZXdlciIsImlkIjoxfQ==";

fn damage(token: &str) -> (TokenKind, Option<Damage>) {
    let facts = TokenFacts::of(token.as_bytes());
    (facts.kind, facts.damage)
}

#[test]
fn grafanas_own_test_vectors_are_sound() {
    for token in [SOUND, "glsa_iNValIdinValiDinvalidinvalidinva_5b582697"] {
        assert_eq!(damage(token), (TokenKind::ServiceAccount, None));
        assert!(TokenFacts::of(token.as_bytes()).is_sound());
    }
    let key = TokenFacts::of(KEY.as_bytes());
    assert_eq!((key.kind, key.damage, key.org), (TokenKind::LegacyKey, None, Some(1)));
}

#[test]
fn damage_of_a_service_account_token_is_named() {
    let is = |token: &str, expected| assert_eq!(damage(token), (TokenKind::ServiceAccount, Some(expected)), "{token}");
    is("glsa_yscW25imSKJIuav8zF37RZmnbiDvB05G_00000000", Damage::Checksum);
    is("glsa_yscW25imSKJIuav8zF37RZmnbiDvB05G_FCAAF58A", Damage::Checksum);
    is("glsa_zscW25imSKJIuav8zF37RZmnbiDvB05G_fcaaf58a", Damage::Checksum);
    for end in ["", "yscW25imSKJIu", "yscW25imSKJIuav8zF37RZmnbiDvB05G", "yscW25imSKJIuav8zF37RZmnbiDvB05G_fcaaf58"] {
        is(&format!("glsa_{end}"), Damage::Truncated);
    }
    for end in ["x", "\\n", "%0A", "\"", ",", " "] {
        is(&format!("{SOUND}{end}"), Damage::Surrounded);
    }
    for filler in ["...", "xxxxxxxxxxxx", "<token>", "${TOKEN}", "****", "…"] {
        is(&format!("glsa_{filler}"), Damage::Placeholder);
    }
}

#[test]
fn damage_of_a_key_of_old_is_named() {
    for (token, expected) in [
        (KEY.trim_end_matches('='), Damage::Truncated),
        (KEY.strip_suffix("sImlkIjoxfQ==").unwrap(), Damage::Truncated),
        (&format!("{KEY}\\n"), Damage::Surrounded),
        (&format!("{KEY}\""), Damage::Surrounded),
    ] {
        assert_eq!(damage(token), (TokenKind::LegacyKey, Some(expected)), "{token}");
    }
}

#[test]
fn other_tokens_are_told_apart() {
    for (token, expected) in [
        ("glc_eyJvIjoiMSJ9", (TokenKind::CloudAccessPolicy, None)),
        ("glfoo_x_00000000", (TokenKind::OtherService, Some(Damage::Checksum))),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln", (TokenKind::Jwt, None)),
        // A JWT whose first member is `k` begins like a key of old.
        ("eyJrIjoiYSJ9.eyJzdWIiOiJhIn0.c2ln", (TokenKind::Jwt, None)),
        ("glpat-0123456789", (TokenKind::Unknown, Some(Damage::NotAToken))),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0", (TokenKind::Unknown, Some(Damage::NotAToken))),
    ] {
        assert_eq!(damage(token), expected, "{token}");
    }
}

#[test]
fn what_stands_where_a_token_belongs_is_named() {
    for token in
        ["undefined", "null", "None", "<token>", "${GRAFANA_TOKEN}", "$TOKEN", "{{token}}", "YOUR_API_KEY", "%T%"]
    {
        assert_eq!(damage(token), (TokenKind::Unknown, Some(Damage::Placeholder)), "{token}");
    }
    for token in [format!("Bearer {SOUND}"), format!(" {SOUND}"), format!("\"{SOUND}\""), format!("'{KEY}")] {
        assert_eq!(damage(&token), (TokenKind::Unknown, Some(Damage::Surrounded)), "{token}");
    }
    use base64::Engine as _;
    let encoded = base64::engine::general_purpose::STANDARD.encode(SOUND);
    assert_eq!(damage(&encoded), (TokenKind::Unknown, Some(Damage::Encoded)));
    assert_eq!(damage("d41d8cd98f00b204e9800998ecf8427e"), (TokenKind::Unknown, Some(Damage::NotAToken)));
}

#[test]
fn facts_do_not_hold_the_token() {
    let shown = format!("{:?}", TokenFacts::of(SOUND.as_bytes()));
    assert!(!shown.contains("glsa_") && !shown.contains("yscW"), "{shown}");
}

proptest! {
    #[test]
    fn any_bytes_are_judged(token: Vec<u8>) {
        prop_assert!(!TokenFacts::of(&token).is_sound());
    }

    #[test]
    fn a_token_made_by_the_rule_is_sound_and_with_one_character_changed_is_not(
        secret in "[0-9A-Za-z]{32}", at in 5..46usize, other in "[0-9A-Za-z]",
    ) {
        let body = format!("glsa_{secret}");
        let checksum: String =
            crc32fast::hash(body.as_bytes()).to_le_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        let token = format!("{body}_{checksum}");
        prop_assert!(TokenFacts::of(token.as_bytes()).is_sound());
        let mut changed = token.clone();
        changed.replace_range(at..=at, &other);
        prop_assert_eq!(TokenFacts::of(changed.as_bytes()).is_sound(), changed == token);
    }
}

#[test]
fn an_api_key_in_another_spelling_is_one() {
    use base64::Engine as _;
    let encode = |json: &str| base64::engine::general_purpose::STANDARD.encode(json);
    for (json, org) in [
        (r#"{"n":"n","id":7,"k":"k"}"#, Some(7)),
        ("\n{\"K\":\"k\"}", Some(0)),
        ("\r{\"K\":\"k\"}", Some(0)),
        ("\t{\"K\":\"k\"}", Some(0)),
        (r#" {"k":"k","id":-7}"#, None),
    ] {
        let facts = TokenFacts::of(encode(json).as_bytes());
        assert_eq!((facts.kind, facts.damage, facts.org), (TokenKind::LegacyKey, None, org), "{json}");
    }
    let facts = TokenFacts::of(encode(r#"{"n":"n","id":7}"#).as_bytes());
    assert_eq!((facts.kind, facts.damage), (TokenKind::Unknown, Some(Damage::NotAToken)), "it has no key");
}
