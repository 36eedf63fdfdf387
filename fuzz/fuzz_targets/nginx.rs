//! Any text as an nginx configuration or an Ingress: it is judged without a panic, and what comes out is read by the same
//! program as a configuration, whatever it thinks of the values.
#![no_main]

use grafana_token_proxy::commands::migrate::convert;
use grafana_token_proxy::config::effective::load_text;
use grafana_token_proxy::config::file::SourceFile;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    for prefix in ["", "kind: Ingress\nmetadata:\n  annotations:\n    nginx.ingress.kubernetes.io/server-snippet: |\n      "] {
        if let Ok(text) = convert("fuzz", &format!("{prefix}{text}")) {
            let effective = load_text(&SourceFile { name: "fuzz".into(), text });
            let wrong: Vec<String> = effective.errors().map(|mistake| mistake.summary()).collect();
            assert!(!wrong.iter().any(|mistake| mistake.contains("YAML") || mistake.contains("unknown key")), "{wrong:?}");
        }
    }
});
