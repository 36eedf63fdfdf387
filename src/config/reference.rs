//! `docs/configuration.md`, made from the table of keys.

use std::fmt::Write as _;

use super::environment::{CONFIG, FINGERPRINT_KEY, short_variable};
use super::keys::{self, Key};
use super::tokens;

const HEAD: &str = "# Configuration

Made from the table of keys in `src/config/keys`; a test keeps it fresh.

Every key is optional, and can be set in a YAML file (`--config FILE`, `GTP_CONFIG`), by an environment variable, or by
a flag. A flag wins over the environment, the environment over the file, the file over the default. An empty variable
counts as unset. Lists in flags and variables are separated by commas; `[]` is the empty list.

* `on` and `off` may also be written `true` and `false`.
* Durations are `250ms`, `5s`, `2m`, `1h`, or sums as `1m30s`.
* Sizes are plain bytes, or `64KiB`, `1MiB`, `2GiB`.
* Rates are `100/s`, `600/m`, `3600/h`.

`grafana-token-proxy check FILE` names every mistake of a file at once; `config --origin` shows what is in force and
who set it; `schema` prints a JSON Schema for editors.

";

/// The whole reference.
pub fn reference() -> String {
    let mut text = HEAD.to_owned();
    for key in keys::all() {
        section(&mut text, key);
    }
    text.push_str(&tokens::reference());
    let _ = write!(
        text,
        "## Environment only\n\n* `{CONFIG}`: the configuration file, as `--config`.\n* `{FINGERPRINT_KEY}`: the key of \
         the fingerprints in the log. A secret, so it has no flag and no line in\n  the file. Set the same on all \
         replicas to make fingerprints agree; without it, it is random for each process.\n* `OTEL_EXPORTER_OTLP_ENDPOINT` or \
         `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` (`http://collector:4318`): sends a span of each refused\n  request there, as \
         OTLP over HTTP in JSON. `OTEL_EXPORTER_OTLP_HEADERS`, `OTEL_EXPORTER_OTLP_TIMEOUT` (these two also with\n  \
         `_TRACES_`), `OTEL_BSP_SCHEDULE_DELAY`, `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES`, `OTEL_TRACES_SAMPLER`\n  \
         (`always_on`, `always_off`, else as the caller samples), `OTEL_TRACES_EXPORTER` and `OTEL_SDK_DISABLED` mean \
         what\n  OpenTelemetry says.\n"
    );
    text
}

fn section(text: &mut String, key: &Key) {
    let mut flags = vec![format!("--{}", key.flag())];
    if let Some(short) = key.short.map(|short| format!("--{short}")).filter(|short| !flags.contains(short)) {
        flags.insert(0, short);
    }
    let mut variables = vec![key.variable()];
    variables.extend(short_variable(key));
    let code = |names: &[String]| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let default = if key.kind.is_pair() {
        format!("{{{}}}", key.default)
    } else if key.is_list() {
        format!("[{}]", key.default.replace(',', ", "))
    } else {
        key.default.to_owned()
    };
    let _ = write!(
        text,
        "## `{}`\n\n{}\n\n* Value: {}\n* Default: `{default}`\n* Flag: {}\n* Environment: {}\n\n",
        key.path,
        key.help,
        key.describe(),
        code(&flags),
        code(&variables),
    );
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_reference_is_fresh() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/configuration.md");
        let expected = super::reference();
        if std::env::var_os("UPDATE_REFERENCE").is_some() {
            std::fs::write(&path, &expected).unwrap();
        }
        let written = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(written == expected, "run UPDATE_REFERENCE=1 cargo test reference");
    }
}
