//! API keys: the fields that Go reads.

use proptest::prelude::*;

use super::*;

const JSON: &str = r#"{"k":"xBMkGDc6yOixLjPwyt75U5F1yu2Tph9x","n":"key-viewer","id":1}"#;

fn decoded(json: impl AsRef<[u8]>) -> Option<(i64, Vec<u8>, Vec<u8>)> {
    let key = LegacyKey::decode(key(json).as_bytes())?;
    let (organisation, rest) = key.bytes().split_first_chunk::<8>().unwrap();
    let (name, rest) = rest.split_first_chunk::<8>().unwrap();
    let (name, secret) = rest.split_at(u64::from_be_bytes(*name) as usize);
    assert_eq!(i64::from_be_bytes(*organisation), key.organisation());
    Some((key.organisation(), name.to_vec(), secret.to_vec()))
}

fn is(json: impl AsRef<[u8]>, organisation: i64, name: &str, secret: &str) {
    let json = json.as_ref();
    let expected = Some((organisation, name.as_bytes().to_vec(), secret.as_bytes().to_vec()));
    assert_eq!(decoded(json), expected, "{}", String::from_utf8_lossy(json));
}

#[test]
fn a_key_is_decoded() {
    is(JSON, 1, "key-viewer", "xBMkGDc6yOixLjPwyt75U5F1yu2Tph9x");
}

#[test]
fn other_spellings_are_the_same_key() {
    is(" \t\r\n{ \"id\" : 1 , \"n\":\"n\",\"k\":\"k\" }\n", 1, "n", "k");
    is(r#"{"\u006b":"k","\u004E":"n","Id":1}"#, 1, "n", "k");
    is("{\"\u{212a}\":\"k\",\"N\":\"n\",\"iD\":1}", 1, "n", "k");
    is(r#"{"k":"x","n":"x","id":9,"K":"k","N":"n","ID":1}"#, 1, "n", "k");
    is(r#"{"k":"k","n":"n","id":1,"k":null,"n":null,"id":null}"#, 1, "n", "k");
    is(r#"{"x":[{"k":"x"},[],1.5e3,true,"]"],"k":"k","y":{"id":"}"},"n":"n","id":1,"":null}"#, 1, "n", "k");
    is(r#"{"k":"\u006b","n":"\u006e","id":1}"#, 1, "n", "k");
    is(r#"{"k":"k\u0000\u0000","n":"n\u0000","id":-0}"#, 0, "n\0", "k");
    is(r#"{"k":"k"}"#, 0, "", "k");
}

#[test]
fn text_is_replaced_as_go_does() {
    is(b"{\"k\":\"\xE2\x82\xFF\xED\xA0\x80\",\"n\":\"\xC3\xA9\xC3\"}", 0, "é\u{fffd}", &"\u{fffd}".repeat(6));
    is(r#"{"k":"\ud83d\ude00","n":"\ud83d"}"#, 0, "\u{fffd}", "😀");
    is(
        r#"{"k":"\ude00\ud83d\ud83d\ude00\ud83d\n\ud83d\u0041","n":"퟿\ud7ff"}"#,
        0,
        "퟿퟿",
        "\u{fffd}\u{fffd}😀\u{fffd}\n\u{fffd}A",
    );
}

#[test]
fn integers_are_read_as_go_does() {
    for (id, expected) in [("9223372036854775807", i64::MAX), ("-9223372036854775808", i64::MIN), ("-1", -1), ("-0", 0)]
    {
        is(format!(r#"{{"k":"k","id":{id}}}"#), expected, "", "k");
    }
    for id in
        ["1.0", "1e0", "-0.0", "9223372036854775808", "-9223372036854775809", "\"1\"", "true", "[]", "{}", "01", "+1"]
    {
        assert_eq!(decoded(format!(r#"{{"k":"k","id":{id}}}"#)), None, "{id}");
    }
}

#[test]
fn what_go_refuses_is_no_key() {
    for json in [
        "",
        "null",
        "{}",
        "[]",
        "\"k\"",
        "1",
        r#"{"k":""}"#,
        r#"{"k":"\u0000"}"#,
        r#"{"n":"n","id":1}"#,
        r#"{"k":1}"#,
        r#"{"k":"k","n":false}"#,
        r#"{"k":"k","k":[]}"#,
        r#"{"k":"k"} x"#,
        r#"{"k":"k"}{}"#,
        r#"{"k":"k",}"#,
        r#"{"k":"k""#,
        r#"{"k":"k","x":nul}"#,
        "{\"k\":\"a\nb\"}",
        "{\"k\":\"k\",\"\t\":1}",
        r#"{"k":"\x"}"#,
        r#"{"k":"\u12"}"#,
        r#"{k:"k"}"#,
        "\u{feff}{\"k\":\"k\"}",
        r#"{"k":"k","x":[1 2]}"#,
    ] {
        assert_eq!(decoded(json), None, "{json}");
    }
}

#[test]
fn nesting_ends_where_go_ends_it() {
    let nested = |depth: usize| format!(r#"{{"k":"k","x":{}{}}}"#, "[".repeat(depth), "]".repeat(depth));
    is(nested(9_999), 0, "", "k");
    assert_eq!(decoded(nested(10_000)), None);
}

#[test]
fn base64_is_read_as_go_does() {
    let own = key(r#"{"k":"k","n":"","id":1}"#);
    let same = |other: &str| canonical(other.as_bytes()) == canonical(own.as_bytes());
    assert!(own.ends_with("MX0="), "{own}");
    assert!(same(&own.replace("MX0=", "MX1=")), "trailing bits");
    assert!(same(&own.replace("MX", "\nM\r\nX\n")), "newlines");
    assert!(same(&own.replace('=', "\n=\n")), "newlines around the padding");
    for other in [own.trim_end_matches('=').to_owned(), format!("{own}="), format!("{own}AAAA"), format!(" {own}")] {
        assert!(!same(&other), "{other}");
    }
}

#[test]
fn a_long_key_is_its_digest() {
    let long = "k".repeat(65);
    let digest = <sha2::Sha256 as sha2::Digest>::digest(&long).to_vec();
    assert_eq!(decoded(format!(r#"{{"k":"{long}"}}"#)).unwrap().2, digest);
    is(format!(r#"{{"k":"{}"}}"#, "k".repeat(64)), 0, "", &"k".repeat(64));
}

proptest! {
    #[test]
    fn two_keys_are_the_same_only_if_all_fields_are(
        one in ("[a-b]{1,2}", "[a-b]{0,2}", -1i64..2), other in ("[a-b]{1,2}", "[a-b]{0,2}", -1i64..2),
    ) {
        let of = |(k, n, id): &(String, String, i64)| key(format!(r#"{{"k":"{k}","n":"{n}","id":{id}}}"#));
        prop_assert_eq!(canonical(of(&one).as_bytes()) == canonical(of(&other).as_bytes()), one == other);
    }

    #[test]
    fn any_json_of_serde_is_read_alike(k in "\\PC{1,10}", n in ".{0,10}", id: i64) {
        let json = serde_json::json!({"n": n, "id": id, "k": k}).to_string();
        is(json, id, &n, &k);
    }
}
