use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use proptest::prelude::*;

use super::*;
use crate::domain::reason::Reason;

const TOKEN: &str = "glsa_yscW25imSKJIuav8zF37RZmnbiDvB05G_fcaaf58a";
const NOW: i64 = 1_750_000_000;

fn found(text: &str) -> Findings {
    Findings::of(text.as_bytes(), &HashKey::derive(b"a key of sixteen"), NOW)
}

fn reason(text: &str) -> Option<Reason> {
    found(text).problem.map(|problem| problem.reason)
}

fn jwt(claims: &str) -> String {
    format!("{}.{}.c2ln", URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256"}"#), URL_SAFE_NO_PAD.encode(claims))
}

fn changes(text: &str) -> Vec<&'static str> {
    found(text).changes.iter().map(crate::domain::credential::Change::name).collect()
}

#[test]
fn what_the_proxy_can_mend_is_usable() {
    for (text, expected) in [
        (format!("Bearer {TOKEN}"), &[][..]),
        (TOKEN.to_owned(), &["bearer_added"]),
        (format!("{TOKEN}\n"), &["bearer_added"]),
        (format!("Authorization: bearer {TOKEN}\r\n"), &["scheme_case"]),
        (format!("Token \"{TOKEN}\""), &["scheme_replaced", "quotes_removed"]),
        (format!("Basic {}", STANDARD.encode(format!("api_key:{TOKEN}"))), &["basic_api_key_to_bearer"]),
        (format!("Basic {}", STANDARD.encode("admin:hunter2")), &[]),
    ] {
        assert_eq!(reason(&text), None, "{text}");
        assert_eq!(changes(&text), expected, "{text}");
    }
}

#[test]
fn what_nobody_can_mend_is_not() {
    let (start, end) = TOKEN.split_at(30);
    let past = jwt(&format!(r#"{{"exp":{}}}"#, NOW - 1));
    let future = jwt(&format!(r#"{{"nbf":{}}}"#, NOW + 60));
    let swapped = TOKEN.replace("25im", "52im");
    for (text, expected) in [
        ("", Reason::CredentialMissing),
        ("Bearer ", Reason::CredentialMissing),
        ("Authorization:\n", Reason::CredentialMissing),
        (start, Reason::TokenMalformed),
        (&swapped, Reason::TokenMalformed),
        ("Bearer ${GRAFANA_TOKEN}", Reason::TokenMalformed),
        (&STANDARD.encode(TOKEN), Reason::TokenMalformed),
        ("undefined", Reason::TokenMalformed),
        ("glc_eyJvIjoiMSJ9", Reason::TokenWrongKind),
        (&format!("{start}\n{end}"), Reason::NewlineInHead),
        (&format!("Bearer \u{1b}{TOKEN}"), Reason::HeadMalformed),
        (&format!("Bearer {TOKEN}, Bearer {swapped}"), Reason::CredentialConflict),
        (&format!("Basic {}", STANDARD.encode(format!("admin:{TOKEN}"))), Reason::PasswordWrong),
        ("Negotiate YIIabc", Reason::CredentialNotRecognised),
        (&past, Reason::JwtInvalid),
        (&future, Reason::JwtInvalid),
    ] {
        assert_eq!(reason(text), Some(expected), "{text}");
    }
    let utf16: Vec<u8> = [0xff, 0xfe].into_iter().chain(TOKEN.bytes().flat_map(|byte| [byte, 0])).collect();
    assert!(!Findings::of(&utf16, &HashKey::derive(b"k"), NOW).is_usable());
}

#[test]
fn a_jwt_in_its_time_is_usable_with_a_word_of_warning() {
    let findings = found(&jwt(&format!(r#"{{"sub":"alice","exp":{}}}"#, NOW + 60)));
    assert!(findings.is_usable());
    assert!(findings.remarks.iter().any(|remark| remark.contains("[auth.jwt]")), "{:?}", findings.remarks);
}

#[test]
fn the_fingerprint_is_the_same_for_every_spelling() {
    let prints: Vec<_> = [TOKEN.to_owned(), format!("Bearer {TOKEN}"), format!("token '{TOKEN}'\\n")]
        .iter()
        .map(|text| found(text).fingerprint.unwrap())
        .collect();
    assert!(prints.windows(2).all(|pair| pair[0] == pair[1]), "{prints:?}");
    let other = Findings::of(TOKEN.as_bytes(), &HashKey::derive(b"another"), NOW);
    assert_ne!(other.fingerprint, Some(prints[0]));
}

#[test]
fn without_the_proxy_it_may_be_another_matter() {
    let remark = |text: &str| found(text).remarks.join(" ");
    assert!(remark(&format!("bearer {TOKEN}")).contains("without the proxy, Grafana would not take it"));
    assert!(!remark(&format!("Bearer {TOKEN}")).contains("without the proxy"));
    assert!(remark(&format!("Bearer {TOKEN}\n")).contains("newline_in_head"));
}

fn shown(text: &[u8]) -> [String; 2] {
    let findings = Findings::of(text, &HashKey::derive(b"a key of sixteen"), NOW);
    [report::text(&findings, true, &Paint(false)), report::json(&findings, false)]
}

#[test]
fn nothing_secret_is_shown_of_any_kind() {
    let secret = "Xq7ZpL0vWm4TcR9yKd2B";
    for text in [
        TOKEN.to_owned(),
        format!("Bearer {TOKEN}, Bearer {secret}"),
        format!("Bearer {secret}"),
        format!("Negotiate {secret}"),
        format!("Basic {}", STANDARD.encode(format!("admin{secret}:{secret}"))),
        format!("Authorization: {secret}"),
        format!("glc_{secret}"),
        jwt(&format!(r#"{{"sub":"{secret}","exp":1}}"#)),
        STANDARD.encode(format!(r#"{{"k":"{secret}","n":"ci-bot","id":2}}"#)),
    ] {
        for shown in shown(text.as_bytes()) {
            let forms = [text.as_str(), secret, &STANDARD.encode(secret)].map(str::to_owned);
            for window in forms.iter().flat_map(|form| form.as_bytes().windows(8)) {
                let piece = std::str::from_utf8(window).unwrap();
                // The scheme is no secret, and the line's name neither.
                let said = ["Authorization: Bearer ", "Authorization: Basic ", "credential", "Negotiate"];
                assert!(!shown.contains(piece) || said.iter().any(|word| word.contains(piece)), "{piece}: {shown}");
            }
        }
    }
}

proptest! {
    #[test]
    fn no_text_panics(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
        shown(&bytes);
    }

    #[test]
    fn no_random_value_is_shown(scheme in "(Bearer |Token |basic |)", secret in "[A-Za-z0-9_.=-]{12,60}", end in "(\n|\"|)") {
        for shown in shown(format!("{scheme}{secret}{end}").as_bytes()) {
            for window in secret.as_bytes().windows(8) {
                prop_assert!(!shown.contains(std::str::from_utf8(window).unwrap()), "{}", shown);
            }
        }
    }

    #[test]
    fn every_service_account_token_is_usable(secret in "[A-Za-z0-9]{32}") {
        let body = format!("glsa_{secret}");
        let sum: String = crc32fast::hash(body.as_bytes()).to_le_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        prop_assert_eq!(reason(&format!("{body}_{sum}")), None);
    }
}
