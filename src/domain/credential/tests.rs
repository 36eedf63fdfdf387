use proptest::prelude::*;

use super::*;

const TOKEN: &str = "glsa_yscW25imSKJIuav8zF37RZmnbiDvB05G_fcaaf58a";
const LEGACY: &str = "eyJrIjoiT0tTcG1pUlY2RnVKZTFVaDFsNFZXdE9ZWmNrMkZYbmsiLCJuIjoidGVzdCIsImlkIjoxfQ==";

fn basic(text: &str) -> String {
    use base64::Engine as _;
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(text))
}

fn names(changes: Changes) -> String {
    changes.iter().map(Change::name).collect::<Vec<_>>().join(",")
}

/// The value that is sent on, and the repairs.
fn repair(lines: &[&[u8]]) -> (Vec<u8>, String) {
    let judgement = judge(lines, &[], Repair::On);
    let value = match judgement.outward {
        Outward::Replace(value) => value.into_owned(),
        Outward::AsReceived => lines[0].to_vec(),
        other => panic!("{other:?}"),
    };
    (value, names(judgement.changes))
}

#[test]
fn each_damage_is_repaired_and_named() {
    for token in [TOKEN, LEGACY] {
        let canonical = format!("Bearer {token}").into_bytes();
        for (value, changes) in [
            (format!("Bearer {token}"), ""),
            (token.to_owned(), "bearer_added"),
            (format!("bearer {token}"), "scheme_case"),
            (format!("BEARER {token}"), "scheme_case"),
            (format!("Token {token}"), "scheme_replaced"),
            (format!("token {token}"), "scheme_replaced"),
            (format!("ApiKey {token}"), "scheme_replaced"),
            (format!("Api-Key {token}"), "scheme_replaced"),
            (format!("Bearer Bearer {token}"), "scheme_deduplicated"),
            (format!("Bearer  {token}"), "whitespace_trimmed"),
            (format!("Bearer\t{token}"), "whitespace_trimmed"),
            (format!("Bearer\u{a0}{token}"), "whitespace_trimmed"),
            (format!("Bearer {token} "), "whitespace_trimmed"),
            (format!("\u{feff}Bearer {token}"), "whitespace_trimmed"),
            (format!("Bearer {token}\u{200b}"), "whitespace_trimmed"),
            (format!("Bearer {token}\\n"), "newline_trimmed"),
            (format!("Bearer {token}\\r\\n"), "newline_trimmed"),
            (format!("Bearer {token}%0A"), "newline_trimmed"),
            (format!("Bearer {token}%0d%0a"), "newline_trimmed"),
            (format!("Bearer \"{token}\""), "quotes_removed"),
            (format!("\"Bearer {token}\""), "quotes_removed"),
            (format!("Bearer '{token}'"), "quotes_removed"),
            (format!("Bearer “{token}”"), "quotes_removed"),
            (format!("Bearer: {token}"), "colon_removed"),
            (format!("Bearer:{token}"), "colon_removed"),
            (format!("Bearer {token}, Bearer {token}"), "duplicate_dropped"),
            (format!("Bearer {token},{token}"), "duplicate_dropped"),
            (basic(&format!("api_key:{token}")), "basic_api_key_to_bearer"),
            (basic(&format!("api_key:{token}")).replace("Basic", "basic"), "basic_api_key_to_bearer"),
            (basic(&format!("api_key:{token}\n")), "newline_trimmed,basic_api_key_to_bearer"),
            (format!("\"{token}\""), "bearer_added,quotes_removed"),
            (format!("bearer: \"{token}\\n\""), "scheme_case,newline_trimmed,quotes_removed,colon_removed"),
        ] {
            let found = repair(&[value.as_bytes()]);
            assert_eq!(
                (String::from_utf8_lossy(&found.0), found.1.as_str()),
                (String::from_utf8_lossy(&canonical), changes),
                "{value}"
            );
        }
        let latin = [b"Bearer\xa0", token.as_bytes()].concat();
        assert_eq!(repair(&[&latin]), (canonical.clone(), "whitespace_trimmed".into()));
        let twice = [canonical.as_slice(), canonical.as_slice()];
        assert_eq!(repair(&twice), (canonical.clone(), "duplicate_dropped".into()));
    }
}

#[test]
fn what_is_not_ours_stays_byte_for_byte() {
    let jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl";
    for (value, form) in [
        (basic("admin:secret"), AuthForm::Basic),
        (basic("admin:secret").replace("Basic", "basic"), AuthForm::Basic),
        (format!("Bearer {jwt}"), AuthForm::Jwt),
        (jwt.to_owned(), AuthForm::Jwt),
        ("Negotiate YII".into(), AuthForm::Other),
        ("Digest username=\"a\", realm=\"b\"".into(), AuthForm::Other),
        ("Bearer glc_eyJvIjoiMSJ9".into(), AuthForm::Bearer),
        ("glc_eyJvIjoiMSJ9".into(), AuthForm::BareToken),
        ("Bearer undefined".into(), AuthForm::Bearer),
        ("Bearer".into(), AuthForm::Bearer),
        ("Basic !!!".into(), AuthForm::Other),
        (format!("Bearer{TOKEN}"), AuthForm::Other),
        (format!("Tokenizer {TOKEN}"), AuthForm::Other),
    ] {
        let judgement = judge(&[value.as_bytes()], &[], Repair::On);
        assert_eq!((judgement.outward, names(judgement.changes).as_str()), (Outward::AsReceived, ""), "{value}");
        assert_eq!((judgement.received, judgement.sent), (form, form), "{value}");
    }
    assert_eq!(judge(&[], &[], Repair::On).outward, Outward::Absent);
    assert_eq!(judge(&[b""], &[], Repair::On).received, AuthForm::None);
}

#[test]
fn two_different_credentials_are_a_conflict_where_repairs_are_on() {
    let token = format!("Bearer {TOKEN}");
    let joined = format!("Bearer {TOKEN}, Bearer {LEGACY}");
    for lines in
        [[token.as_bytes(), b"Bearer nonsense".as_slice()], [b"Basic YTpi", token.as_bytes()], [joined.as_bytes(), b""]]
    {
        assert_eq!(judge(&lines, &[], Repair::On).outward, Outward::Conflict);
        for mode in [Repair::Observe, Repair::Off] {
            assert_eq!(judge(&lines, &[], mode).outward, Outward::AsReceived);
        }
    }
}

#[test]
fn all_spellings_have_one_identity_in_every_mode() {
    let spellings = [
        TOKEN.to_owned(),
        format!("bearer \"{TOKEN}\""),
        basic(&format!("api_key:{TOKEN}")),
        format!("Token: {TOKEN}%0A"),
    ];
    for value in &spellings {
        for mode in [Repair::On, Repair::Observe, Repair::Off] {
            let judgement = judge(&[value.as_bytes()], &[], mode);
            assert_eq!(judgement.identity.as_deref(), Some(TOKEN.as_bytes()), "{value}");
            assert_eq!(judgement.changes.is_empty(), mode == Repair::Off, "{value}");
        }
    }
}

#[test]
fn a_carrier_stands_in_only_where_there_is_no_credential() {
    let carrier: &[u8] = TOKEN.as_bytes();
    let restored = judge(&[], &[b"", carrier], Repair::On);
    assert_eq!(restored.outward, Outward::Replace(Cow::Owned(format!("Bearer {TOKEN}").into_bytes())));
    assert_eq!((restored.received, restored.sent), (AuthForm::None, AuthForm::Bearer));
    assert_eq!(names(restored.changes), "bearer_added,restored");
    assert_eq!(judge(&[], &[carrier], Repair::Off).outward, Outward::Replace(Cow::Borrowed(carrier)));
    let observed = judge(&[], &[carrier], Repair::Observe);
    assert_eq!((observed.outward, names(observed.changes).as_str()), (Outward::Absent, "bearer_added,restored"));
    assert_eq!(judge(&[b"Basic YTpi"], &[carrier], Repair::On).outward, Outward::AsReceived);
}

proptest! {
    #[test]
    fn a_repaired_value_needs_no_repair(before in "[ \t\"'`]{0,3}", scheme in "(Bearer|bearer|Token|BEARER|ApiKey|Bearer:|Bearer Bearer)?", gap in "[ \t\u{a0}]{1,3}",
        after in "(\\\\n|%0A|\"|'| |\u{200b}){0,4}") {
        let value = format!("{before}{scheme}{gap}{TOKEN}{after}");
        let (once, _) = repair(&[value.as_bytes()]);
        prop_assert_eq!(&once, &format!("Bearer {TOKEN}").into_bytes());
        prop_assert_eq!(repair(&[&once]), (once.clone(), String::new()));
    }

    #[test]
    fn no_bytes_panic_or_become_an_illegal_header(
        lines in prop::collection::vec(prop::collection::vec(prop_oneof![any::<u8>(), prop::sample::select(b"Bearer glsa_,: \"eyJrIjoi".to_vec())], 0..60), 0..4),
        mode in prop::sample::select(vec![Repair::On, Repair::Observe, Repair::Off])
    ) {
        let lines: Vec<&[u8]> = lines.iter().map(Vec::as_slice).collect();
        let judgement = judge(&lines, &lines, mode);
        if let Outward::Replace(value) = judgement.outward {
            let as_it_came = lines.iter().any(|line| **line == *value);
            prop_assert!(as_it_came || http::HeaderValue::from_bytes(&value).is_ok());
        }
    }

    #[test]
    fn values_without_a_token_of_grafana_pass_untouched(value in "[ -~]{0,60}") {
        prop_assume!(!value.contains("glsa_") && !value.contains("eyJrIjoi") && !value.to_ascii_lowercase().starts_with("basic"));
        let judgement = judge(&[value.as_bytes()], &[], Repair::On);
        prop_assert!(matches!(judgement.outward, Outward::AsReceived | Outward::Conflict), "{:?}", judgement.outward);
    }
}
