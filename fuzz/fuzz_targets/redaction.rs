//! A token somewhere in any text: no eight bytes of it are left, and taking out twice takes out no more.
#![no_main]

use grafana_token_proxy::telemetry::redact;
use libfuzzer_sys::fuzz_target;

const TOKEN: &str = "glsa_yscW25imSKJIuav8zF37RZmnbiDvB05G_fcaaf58a";

fuzz_target!(|text: &str| {
    let clean = redact(text).into_owned();
    assert_eq!(redact(&clean), clean);
    let at = text.char_indices().nth(text.chars().count() / 2).map_or(0, |(at, _)| at);
    let (before, behind) = text.split_at(at);
    let shown = redact(&format!("{before}{TOKEN}{behind}")).into_owned();
    for piece in TOKEN.as_bytes().windows(8) {
        let piece = std::str::from_utf8(piece).unwrap();
        assert!(text.contains(piece) || !shown.contains(piece), "{piece} in {shown}");
    }
});
