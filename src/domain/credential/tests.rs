use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;

use super::*;
use crate::domain::token::{Damage, TokenKind};

const TOKEN: &str = "glsa_yscW25imSKJIuav8zF37RZmnbiDvB05G_fcaaf58a";
const KEY: &str = "eyJrIjoieEJNa0dEYzZ5T2l4TGpQd3l0NzVVNUYxeXUyVHBoOXgiLCJuIjoia2V5LXZpZXdlciIsImlkIjoxfQ==";
/// A key whose members are in another order than Grafana writes them.
const RESPELT_KEY: &str = "eyJpZCI6MSwibiI6Im4iLCJrIjoieEJNa0dEYzZ5T2l4In0=";
const JWT: &str = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl";

fn basic(pair: &str) -> String {
    format!("Basic {}", STANDARD.encode(pair))
}

fn names(judgement: &Judgement<'_>) -> String {
    judgement.changes.iter().map(Change::name).collect::<Vec<_>>().join(",")
}

/// The bytes that go on where one line came.
fn forwarded(value: &[u8], judgement: &Judgement<'_>) -> Vec<u8> {
    match &judgement.outward {
        Outward::AsReceived => value.to_vec(),
        Outward::Replace(bytes) => bytes.to_vec(),
        Outward::Absent | Outward::Conflict => panic!("{:?}", judgement.outward),
    }
}

fn assert_repaired(value: &[u8], token: &str, changes: &str) {
    let shown = value.escape_ascii();
    let judgement = judge(&[value], &[], Repair::On);
    assert_eq!(forwarded(value, &judgement), format!("Bearer {token}").as_bytes(), "{shown}");
    assert_eq!(names(&judgement), changes, "{shown}");
    assert_eq!(judgement.identity.as_deref(), Some(token.as_bytes()), "{shown}");
    assert_eq!((judgement.sent, judgement.spelling), (AuthForm::Bearer, Spelling::Exact), "{shown}");
    for repair in [Repair::Observe, Repair::Off] {
        let other = judge(&[value], &[], repair);
        assert_eq!(other.outward, Outward::AsReceived, "{shown}");
        assert_eq!(other.identity, judgement.identity, "{shown}: a bucket of its own");
        assert_eq!(other.received, judgement.received, "{shown}");
        assert_eq!(names(&other), if repair == Repair::Off { "" } else { changes }, "{shown}");
    }
}

#[test]
fn every_spelling_becomes_one() {
    for t in [TOKEN, KEY, RESPELT_KEY] {
        for (value, changes) in [
            (format!("Bearer {t}"), ""),
            (t.to_owned(), "bearer_added"),
            (format!("bearer {t}"), "scheme_case"),
            (format!("BEARER {t}"), "scheme_case"),
            (format!("Token {t}"), "scheme_replaced"),
            (format!("token {t}"), "scheme_replaced"),
            (format!("ApiKey {t}"), "scheme_replaced"),
            (format!("Api-Key {t}"), "scheme_replaced"),
            (format!("api_key:{t}"), "scheme_replaced,colon_removed"),
            (format!("Bearer Bearer {t}"), "scheme_deduplicated"),
            (format!("Bearer bearer Bearer {t}"), "scheme_deduplicated"),
            (format!("Bearer Token {t}"), "scheme_deduplicated"),
            (format!("Token Bearer {t}"), "scheme_replaced,scheme_deduplicated"),
            (format!(" Bearer {t}"), "whitespace_trimmed"),
            (format!("Bearer {t}\t"), "whitespace_trimmed"),
            (format!("Bearer  {t}"), "whitespace_trimmed"),
            (format!("Bearer\t{t}"), "whitespace_trimmed"),
            (format!("Bearer\u{a0}{t}"), "whitespace_trimmed"),
            (format!("Bearer \u{a0} {t}"), "whitespace_trimmed"),
            (format!("\u{feff}Bearer {t}"), "whitespace_trimmed"),
            (format!("Bearer \u{feff}{t}"), "whitespace_trimmed"),
            (format!("Bearer {t}\u{200b}"), "whitespace_trimmed"),
            (format!("Bearer {t}\\n"), "newline_trimmed"),
            (format!("Bearer {t}\\r\\n"), "newline_trimmed"),
            (format!("Bearer {t}%0A"), "newline_trimmed"),
            (format!("Bearer {t}%0D%0a"), "newline_trimmed"),
            (format!("Bearer {t}\r\n"), "newline_trimmed"),
            (format!("\"Bearer {t}\""), "quotes_removed"),
            (format!("Bearer \"{t}\""), "quotes_removed"),
            (format!("Bearer '{t}'"), "quotes_removed"),
            (format!("Bearer `{t}`"), "quotes_removed"),
            (format!("Bearer “{t}”"), "quotes_removed"),
            (format!("Bearer \\\"{t}\\\""), "quotes_removed"),
            (format!("Bearer {t}\""), "quotes_removed"),
            (format!("Bearer: {t}"), "colon_removed"),
            (format!("Bearer:{t}"), "colon_removed"),
            (format!("Bearer : {t}"), "colon_removed"),
            (format!("Bearer {t}, Bearer {t}"), "duplicate_dropped"),
            (format!("Bearer {t},Bearer {t}"), "duplicate_dropped"),
            (format!("Bearer {t}, {t}"), "duplicate_dropped"),
            (format!("\"Bearer {t}\", \"Bearer {t}\""), "quotes_removed,duplicate_dropped"),
            (format!("bearer {t}, token {t}"), "scheme_case,duplicate_dropped"),
            (basic(&format!("api_key:{t}")), "basic_api_key_to_bearer"),
            (basic(&format!("api_key:{t}\n")), "newline_trimmed,basic_api_key_to_bearer"),
            (basic(&format!("api_key:{t}")).replace("Basic", "basic"), "scheme_case,basic_api_key_to_bearer"),
            (basic(&format!("api_key:{t}")).replace('=', ""), "basic_api_key_to_bearer"),
            (basic(&format!("api_key:{t}")).replace(' ', "  "), "whitespace_trimmed,basic_api_key_to_bearer"),
            (format!("Basic api_key:{t}"), "basic_api_key_to_bearer"),
            (
                format!(" \"bearer:  '{t}\\n'\" "),
                "scheme_case,whitespace_trimmed,newline_trimmed,quotes_removed,colon_removed",
            ),
        ] {
            assert_repaired(value.as_bytes(), t, changes);
        }
        assert_repaired(&[b"Bearer\xa0", t.as_bytes()].concat(), t, "whitespace_trimmed");
    }
}

#[test]
fn a_damaged_token_of_ours_gets_its_scheme_all_the_same() {
    for token in ["glsa_cut", "glsa_yscW25imSKJIuav8zF37RZmnbiDvB05G_00000000", "eyJrIjoicut"] {
        assert_repaired(token.as_bytes(), token, "bearer_added");
        let judgement = judge(&[token.as_bytes()], &[], Repair::On);
        assert!(judgement.token.is_some_and(|facts| facts.damage.is_some()), "{token}");
    }
}

#[test]
fn an_unknown_token_keeps_its_bytes_behind_a_respelt_scheme() {
    assert_repaired(b"bearer d41d8cd98f00b204e9800998ecf8427e", "d41d8cd98f00b204e9800998ecf8427e", "scheme_case");
    assert_repaired(b"Bearer  undefined", "undefined", "whitespace_trimmed");
    for value in
        ["Bearer: opaque", "Bearer \"opaque\"", "bearer opaque%0A", "Bearer Bearer opaque", "bearer a,b", "bearer a b"]
    {
        let judgement = judge(&[value.as_bytes()], &[], Repair::On);
        assert_eq!((judgement.outward, judgement.changes), (Outward::AsReceived, Changes::default()), "{value}");
    }
}

#[test]
fn what_is_not_ours_to_judge_passes_byte_for_byte() {
    for (value, form) in [
        (basic("admin:admin"), AuthForm::Basic),
        ("basic YTpi".into(), AuthForm::Basic),
        (basic(&format!("{TOKEN}:")), AuthForm::Basic),
        (basic("api_key:garbage"), AuthForm::BasicApiKey),
        ("Basic !!!".into(), AuthForm::Other),
        ("Basic  YTpi".into(), AuthForm::Other),
        ("Basic viewer1:pw".into(), AuthForm::Other),
        (format!("Bearer {JWT}"), AuthForm::Jwt),
        (format!("bearer {JWT}"), AuthForm::Jwt),
        (JWT.into(), AuthForm::Jwt),
        ("Bearer glc_eyJvIjoiMSJ9".into(), AuthForm::Bearer),
        ("glc_eyJvIjoiMSJ9".into(), AuthForm::BareToken),
        ("glfoo_x_00000000".into(), AuthForm::BareToken),
        ("Token opaque".into(), AuthForm::Other),
        ("Token token=\"a\", email=\"b\"".into(), AuthForm::Other),
        ("opaque".into(), AuthForm::Other),
        ("Negotiate YII".into(), AuthForm::Other),
        ("Digest username=\"a\", realm=\"b\"".into(), AuthForm::Other),
        ("AWS4-HMAC-SHA256 Credential=AKIA/20200101/x, SignedHeaders=host, Signature=00".into(), AuthForm::Other),
        ("Bearer".into(), AuthForm::None),
        ("Bearer ".into(), AuthForm::None),
        ("\"Bearer: \"".into(), AuthForm::None),
        (String::new(), AuthForm::None),
    ] {
        let judgement = judge(&[value.as_bytes()], &[], Repair::On);
        assert_eq!((&judgement.outward, judgement.changes), (&Outward::AsReceived, Changes::default()), "{value}");
        assert_eq!((judgement.received, judgement.sent), (form, form), "{value}");
        assert_eq!(judgement.identity.is_none(), form == AuthForm::None, "{value}");
    }
}

#[test]
fn what_grafana_sees_is_told_of_the_value_as_it_stands() {
    let sent = |value: &str| {
        let judgement = judge(&[value.as_bytes()], &[], Repair::Off);
        (judgement.sent, judgement.spelling, judgement.token.map(|facts| (facts.kind, facts.damage)))
    };
    use {AuthForm as F, Spelling as S, TokenKind as K};
    let sound = Some((K::ServiceAccount, None));
    for (value, expected) in [
        (format!("Bearer {TOKEN}"), (F::Bearer, S::Exact, sound)),
        (format!(" Bearer {TOKEN}\t"), (F::Bearer, S::Exact, sound)),
        (format!("Bearer \"{TOKEN}\""), (F::Bearer, S::Exact, Some((K::Unknown, Some(Damage::Surrounded))))),
        (format!("Bearer  {TOKEN}"), (F::Bearer, S::Exact, Some((K::Unknown, Some(Damage::Surrounded))))),
        ("Bearer undefined".into(), (F::Bearer, S::Exact, Some((K::Unknown, Some(Damage::Placeholder))))),
        (format!("bearer {TOKEN}"), (F::Bearer, S::Inexact, sound)),
        (format!("Bearer\t{TOKEN}"), (F::Bearer, S::Inexact, sound)),
        (format!("\"Bearer {TOKEN}\""), (F::Bearer, S::Inexact, sound)),
        (TOKEN.into(), (F::BareToken, S::Inexact, sound)),
        (format!("Token {TOKEN}"), (F::Other, S::Inexact, sound)),
        (basic(&format!("api_key:{TOKEN}")), (F::BasicApiKey, S::Exact, sound)),
        (basic(&format!("api_key:{TOKEN}")).replace("Basic", "basic"), (F::BasicApiKey, S::Inexact, sound)),
        (basic("a:b"), (F::Basic, S::Exact, None)),
        (format!("\"{}\"", basic("a:b")), (F::Other, S::Inexact, None)),
        ("Basic".into(), (F::Other, S::Empty, None)),
        ("Bearer".into(), (F::None, S::Empty, None)),
        ("Negotiate YII".into(), (F::Other, S::Inexact, None)),
    ] {
        assert_eq!(sent(&value), expected, "{value}");
    }
}

#[test]
fn a_token_in_place_of_a_user_or_password_is_noticed() {
    let holds = |value: &str| judge(&[value.as_bytes()], &[], Repair::On).basic_holds_token;
    for value in [basic(&format!("{TOKEN}:")), basic(&format!("bearer:{TOKEN}")), format!("Basic {TOKEN}")] {
        assert!(holds(&value), "{value}");
    }
    for value in [basic("a:b"), basic(&format!("api_key:{TOKEN}")), format!("Bearer {TOKEN}")] {
        assert!(!holds(&value), "{value}");
    }
}

#[test]
fn basic_has_one_identity_in_every_spelling() {
    // Grafana takes the scheme in any case, and the last digit of `Og==` holds four bits that mean nothing.
    for (one, other) in [("Basic YTpi", "bAsIc YTpi"), ("Basic Og==", "Basic Oh==")] {
        let identity = |value: &'static str| judge(&[value.as_bytes()], &[], Repair::On).identity;
        assert_eq!(identity(one), identity(other));
    }
    let identity = |value: &'static str| judge(&[value.as_bytes()], &[], Repair::On).identity;
    assert_ne!(identity("Basic YTpi"), identity("Basic YTpj"));
}

#[test]
fn the_same_credential_twice_is_sent_once() {
    let bearer = format!("Bearer {TOKEN}");
    let lower = format!("bearer {TOKEN}");
    let named = basic(&format!("api_key:{TOKEN}"));
    for (lines, changes) in [
        (vec![&*bearer, &bearer], "duplicate_dropped"),
        (vec![&*lower, &bearer], "duplicate_dropped"),
        (vec![&*bearer, &named, TOKEN], "duplicate_dropped"),
        (vec![&*lower, TOKEN], "scheme_case,duplicate_dropped"),
        (vec!["", &*bearer], "duplicate_dropped"),
        (vec!["Bearer", &*bearer], "duplicate_dropped"),
    ] {
        let lines: Vec<&[u8]> = lines.iter().map(|line| line.as_bytes()).collect();
        let judgement = judge(&lines, &[], Repair::On);
        assert_eq!(judgement.outward, Outward::Replace(Cow::Borrowed(bearer.as_bytes())));
        assert_eq!(names(&judgement), changes);
    }
    for value in [basic("a:b"), format!("Bearer {JWT}"), "Negotiate x".to_owned(), String::new()] {
        let judgement = judge(&[value.as_bytes(), value.as_bytes()], &[], Repair::On);
        assert_eq!(judgement.outward, Outward::Replace(Cow::Borrowed(value.as_bytes())), "{value}");
        assert_eq!(names(&judgement), "duplicate_dropped");
    }
}

#[test]
fn two_different_credentials_conflict_where_repair_is_on() {
    let bearer = format!("Bearer {TOKEN}");
    let joined = format!("{bearer}, Bearer {KEY}");
    for lines in [
        vec![&*bearer, "Bearer nonsense"],
        vec!["Bearer nonsense", &*bearer],
        vec!["Basic YTpi", &*bearer],
        vec![&*bearer, "Negotiate x"],
        vec![&*bearer, &bearer, KEY],
        vec![&*joined],
    ] {
        let bytes: Vec<&[u8]> = lines.iter().map(|line| line.as_bytes()).collect();
        let judgement = judge(&bytes, &[], Repair::On);
        assert_eq!((&judgement.outward, judgement.sent), (&Outward::Conflict, AuthForm::None), "{lines:?}");
        for repair in [Repair::Observe, Repair::Off] {
            assert_eq!(judge(&bytes, &[], repair).outward, Outward::AsReceived, "{lines:?}");
        }
    }
}

#[test]
fn a_carrier_stands_in_for_a_lost_header() {
    let bearer = format!("Bearer {TOKEN}");
    let empty: &[u8] = b"Bearer ";
    for lines in [&[][..], &[empty][..]] {
        let judgement = judge(lines, &[b"", TOKEN.as_bytes(), b"Bearer other"], Repair::On);
        assert_eq!(judgement.outward, Outward::Replace(Cow::Borrowed(bearer.as_bytes())));
        assert_eq!(names(&judgement), "bearer_added,restored");
        assert_eq!((judgement.received, judgement.sent), (AuthForm::None, AuthForm::Bearer));
        assert_eq!(judgement.identity.as_deref(), Some(TOKEN.as_bytes()));
    }
    let untouched = judge(&[], &[b"Negotiate x"], Repair::On);
    assert_eq!(untouched.outward, Outward::Replace(Cow::Borrowed(&b"Negotiate x"[..])));

    let observed = judge(&[], &[TOKEN.as_bytes()], Repair::Observe);
    assert_eq!((&observed.outward, names(&observed).as_str()), (&Outward::Absent, "bearer_added,restored"));
    assert_eq!((observed.sent, observed.identity), (AuthForm::None, None));

    let off = judge(&[], &[TOKEN.as_bytes()], Repair::Off);
    assert_eq!((&off.outward, names(&off).as_str()), (&Outward::Replace(Cow::Borrowed(TOKEN.as_bytes())), "restored"));
    assert_eq!((off.sent, off.identity.as_deref()), (AuthForm::BareToken, Some(TOKEN.as_bytes())));

    let own = judge(&[b"Basic YTpi"], &[TOKEN.as_bytes()], Repair::On);
    assert_eq!((own.outward, own.sent), (Outward::AsReceived, AuthForm::Basic));
}

#[test]
fn nothing_stays_nothing() {
    for repair in [Repair::On, Repair::Observe, Repair::Off] {
        let judgement = judge(&[], &[b"", b"Bearer"], repair);
        assert_eq!((judgement.outward, judgement.identity), (Outward::Absent, None));
        assert_eq!((judgement.received, judgement.sent), (AuthForm::None, AuthForm::None));
    }
}

#[test]
fn a_canonical_value_is_not_copied() {
    let value = format!("Bearer {TOKEN}");
    let judgement = judge(&[value.as_bytes()], &[], Repair::On);
    assert!(matches!(judgement.identity, Some(Cow::Borrowed(_))));
    assert_eq!(judgement.outward, Outward::AsReceived);
}

#[test]
fn a_judgement_never_shows_the_credential() {
    for value in
        [TOKEN.to_owned(), format!("bearer {TOKEN}"), basic("admin:a-secret-password"), "Negotiate sesame".into()]
    {
        let shown = format!("{:?}", judge(&[value.as_bytes()], &[], Repair::On));
        for secret in ["yscW25im", "a-secret", "YWRtaW4", "sesame"] {
            assert!(!shown.contains(secret), "{shown}");
            let listed = format!("{:?}", secret.as_bytes());
            assert!(!shown.contains(listed.trim_matches(['[', ']'])), "{shown}");
        }
    }
}

/// Every `Authorization` that the recordings hold.
fn recorded() -> BTreeSet<Vec<Vec<u8>>> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/captures");
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|end| end != "jsonl") {
            continue;
        }
        for line in std::fs::read_to_string(path).unwrap().lines() {
            let exchange: serde_json::Value = serde_json::from_str(line).unwrap();
            let headers = exchange["request"]["headers"].as_array().into_iter().flatten();
            let values = headers.filter(|pair| pair[0].as_str().unwrap().eq_ignore_ascii_case("authorization"));
            found.insert(values.map(|pair| pair[1].as_str().unwrap().as_bytes().to_vec()).collect());
        }
    }
    found
}

#[test]
fn every_recorded_credential_becomes_canonical_or_stays() {
    let recorded = recorded();
    assert!(recorded.len() > 150, "the recordings were not found: {}", recorded.len());
    for values in recorded {
        let lines: Vec<&[u8]> = values.iter().map(Vec::as_slice).collect();
        let shown: Vec<String> = lines.iter().map(|line| line.escape_ascii().to_string()).collect();
        let judgement = judge(&lines, &[], Repair::On);
        let ours =
            |line: &[u8]| [&b"glsa_"[..], b"eyJrIjoi"].iter().any(|start| memchr::memmem::find(line, start).is_some());
        match &judgement.outward {
            Outward::Absent => assert!(lines.is_empty()),
            Outward::Conflict => assert!(lines.len() > 1, "{shown:?}"),
            outward => {
                assert!(lines.len() == 1 || matches!(outward, Outward::Replace(_)), "{shown:?}");
                let sent = forwarded(lines[0], &judgement);
                if ours(lines[0]) {
                    assert!(sent.starts_with(b"Bearer ") && !sent[7..].contains(&b' '), "{shown:?}");
                    assert_eq!(&sent[7..], judgement.identity.as_deref().unwrap(), "{shown:?}");
                }
            }
        }
    }
}

/// Values made of the pieces that damage is made of.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        prop::sample::select(vec![
            &b"Bearer"[..],
            b"bearer",
            b"Token",
            b"ApiKey",
            b"Basic",
            b"basic",
            b"Negotiate",
            b" ",
            b"\t",
            b"\xa0",
            b"\xc2\xa0",
            b"\xe2\x80\x8b",
            b"\xef\xbb\xbf",
            b"\"",
            b"'",
            b"`",
            b"\\\"",
            b"\\n",
            b"\\r",
            b"%0A",
            b"%0d",
            b":",
            b",",
            b", ",
            b"=",
            b"\\",
            b"YTpi",
            b"YXBpX2tleTpnbHNhX2E=",
            b"api_key:",
            b"glc_x",
            b"glfoo_x_00000000",
            b"undefined",
            b"x",
        ])
        .prop_map(<[u8]>::to_vec),
        Just(TOKEN.into()),
        Just(KEY.into()),
        Just(JWT.into()),
        prop::collection::vec(prop_oneof![Just(9u8), 0x20..=0x7Eu8, 0x80..=0xFFu8], 0..4),
    ];
    prop::collection::vec(piece, 0..7).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn judging_what_was_judged_changes_nothing(value in pieces()) {
        let once = judge(&[&value], &[], Repair::On);
        if once.outward != Outward::Conflict {
            let sent = forwarded(&value, &once);
            let twice = judge(&[&sent], &[], Repair::On);
            prop_assert_eq!(&twice.outward, &Outward::AsReceived);
            prop_assert!(twice.changes.is_empty());
            prop_assert_eq!(&twice.identity, &once.identity);
            prop_assert_eq!((twice.sent, twice.spelling, twice.token), (once.sent, once.spelling, once.token));
        }
    }

    #[test]
    fn what_is_sent_is_a_legal_header(value in pieces()) {
        let judgement = judge(&[&value], &[], Repair::On);
        if let Outward::Replace(bytes) = &judgement.outward {
            prop_assert!(http::HeaderValue::from_bytes(bytes).is_ok());
            prop_assert!(!judgement.changes.is_empty());
        }
    }

    #[test]
    fn observe_and_off_change_nothing(lines in prop::collection::vec(pieces(), 1..4)) {
        let lines: Vec<&[u8]> = lines.iter().map(Vec::as_slice).collect();
        let on = judge(&lines, &[], Repair::On);
        for repair in [Repair::Observe, Repair::Off] {
            let judgement = judge(&lines, &[], repair);
            prop_assert_eq!(&judgement.outward, &Outward::AsReceived);
            prop_assert_eq!(&judgement.identity, &on.identity);
            prop_assert_eq!(judgement.changes, if repair == Repair::Off { Changes::default() } else { on.changes });
        }
    }

    #[test]
    fn repair_sends_at_most_one_line(lines in prop::collection::vec(pieces(), 2..4)) {
        let lines: Vec<&[u8]> = lines.iter().map(Vec::as_slice).collect();
        let outward = judge(&lines, &[], Repair::On).outward;
        prop_assert!(matches!(outward, Outward::Replace(_) | Outward::Conflict), "{:?}", outward);
    }

    #[test]
    fn any_bytes_are_judged(lines: Vec<Vec<u8>>, carriers: Vec<Vec<u8>>) {
        let lines: Vec<&[u8]> = lines.iter().map(Vec::as_slice).collect();
        let carriers: Vec<&[u8]> = carriers.iter().map(Vec::as_slice).collect();
        for repair in [Repair::On, Repair::Observe, Repair::Off] {
            let judgement = judge(&lines, &carriers, repair);
            prop_assert_eq!(judgement.outward == Outward::Absent, lines.is_empty() && judgement.identity.is_none());
        }
    }
}

#[test]
fn a_carrier_that_gives_way_to_another_credential_is_kept_in_mind() {
    let carrier: &[u8] = b"Bearer glsa_yscW25imSKJIuav8zF37RZmnbiDvB05G_fcaaf58a";
    let basic: &[u8] = b"Basic YWRtaW46YWRtaW4=";
    for repair in [Repair::On, Repair::Observe, Repair::Off] {
        assert_eq!(judge(&[basic], &[carrier], repair).passed_over, Some(carrier));
        assert_eq!(judge(&[carrier], &[basic], repair).passed_over, Some(basic), "a sound token wins, too");
        // The same credential, nothing in `Authorization`, and nothing in the carrier.
        let bare: &[u8] = b"glsa_yscW25imSKJIuav8zF37RZmnbiDvB05G_fcaaf58a";
        for (lines, carriers) in [
            (&[carrier][..], &[carrier][..]),
            (&[carrier], &[bare]),
            (&[], &[carrier]),
            (&[b"Bearer "], &[carrier]),
            (&[basic], &[b""]),
        ] {
            assert_eq!(judge(lines, carriers, repair).passed_over, None);
        }
    }
}
