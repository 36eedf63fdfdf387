//! Any file: reading it never panics, says no secret, and what is in force after it can be written down and read again.
#![no_main]

use grafana_token_proxy::config::effective::load_text;
use grafana_token_proxy::config::file::SourceFile;
use grafana_token_proxy::config::print::print;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    // Paths of certificates would be read.
    if text.contains("file") {
        return;
    }
    let load = |text: &str| load_text(&SourceFile { name: "fuzz".into(), text: text.to_owned() });
    let effective = load(text);
    let told: String = effective.mistakes.iter().map(ToString::to_string).collect();
    assert!(!told.contains("glsa_yscW25im"));
    if effective.errors().next().is_none() {
        let printed = print(&effective, false);
        let again = load(&printed);
        assert_eq!(again.errors().count(), 0, "{printed}");
        assert_eq!(print(&again, false), printed);
    }
});
