//! The variables that begin with `GTP_`.

use std::ffi::OsString;

use super::given::Given;
use super::keys::{self, Key};
use super::mistake::{Flaw, Mistake};
use super::nearest::nearest;
use super::origin::Origin;

/// Names the configuration file.
pub const CONFIG: &str = "GTP_CONFIG";
/// The key of fingerprints. A secret: it has no flag and no line in the file.
pub const FINGERPRINT_KEY: &str = "GTP_FINGERPRINT_KEY";

/// Ours, and those of OpenTelemetry that its exporters know.
fn is_read(name: &str) -> bool {
    ["GTP_", "OTEL_"].iter().any(|prefix| name.starts_with(prefix))
}

/// A snapshot of the variables that are read.
#[derive(Clone, Default)]
pub struct Environment {
    variables: Vec<(String, String)>,
    unreadable: Vec<String>,
}

impl Environment {
    /// Takes what is read out of all variables. An empty variable counts as unset: manifests leave them behind.
    pub fn new(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let mut environment = Self::default();
        for (name, value) in variables {
            let Some(name) = name.to_str().filter(|name| is_read(name)) else { continue };
            match value.into_string() {
                Ok(value) if value.is_empty() => {}
                Ok(value) => environment.variables.push((name.to_owned(), value)),
                Err(_) => environment.unreadable.push(name.to_owned()),
            }
        }
        environment.variables.sort();
        environment
    }

    /// One variable.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.variables.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The values of known keys, and what is wrong with the rest.
    pub fn values(&self) -> (Vec<Given>, Vec<Mistake>) {
        let mut given = Vec::new();
        let mut mistakes: Vec<Mistake> = self.unreadable.iter().map(|name| unreadable(name)).collect();
        for (name, value) in self.variables.iter().filter(|(name, _)| name.starts_with("GTP_")) {
            let origin = Origin::Environment(name.clone());
            if let Some(key) = keys::all().find(|key| key.variable() == *name) {
                given.push(Given::from_text(key, std::slice::from_ref(value), &origin));
            } else if let Some(key) = keys::all().find(|key| short_variable(key).as_ref() == Some(name)) {
                // The whole name is the one of the reference: it wins over the short one, which is read before it.
                given.insert(0, Given::from_text(key, std::slice::from_ref(value), &origin));
            } else if ![CONFIG, FINGERPRINT_KEY].contains(&name.as_str()) {
                mistakes.push(Mistake::warning(origin, "", unknown(name)));
            }
        }
        (given, mistakes)
    }
}

/// Whether the operator wants no colours. <https://no-color.org>: present and not empty means so.
pub fn forbids_colour() -> bool {
    std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
}

/// `GTP_UPSTREAM`, `GTP_ORG`, `GTP_RATE`, `GTP_BURST`: the flags of the same short names are what people know.
pub fn short_variable(key: &Key) -> Option<String> {
    key.short.map(|short| keys::variable_of(&short.replace('-', "_"))).filter(|short| *short != key.variable())
}

fn unreadable(name: &str) -> Mistake {
    let flaw = Flaw::new("the value is not UTF-8 text", "set it to plain text");
    Mistake::error(Origin::Environment(name.to_owned()), "", None, flaw)
}

fn unknown(name: &str) -> Flaw {
    if is_service_link(name) {
        return Flaw::new(
            "no setting is called so; Kubernetes sets it for a Service whose name begins with gtp",
            "ignore it, or set enableServiceLinks: false in the pod",
        );
    }
    let own = [CONFIG.to_owned(), FINGERPRINT_KEY.to_owned()];
    let known: Vec<String> =
        keys::all().map(Key::variable).chain(keys::all().filter_map(short_variable)).chain(own).collect();
    // The prefix is the same in all, and would make all alike.
    let bare = |name: &'_ str| name.trim_start_matches("GTP_").to_owned();
    let names: Vec<String> = known.iter().map(|name| bare(name)).collect();
    let cure = match nearest(&bare(name), names.iter().map(String::as_str)) {
        Some(meant) => format!("did you mean GTP_{meant}?"),
        None => "take it out; --help lists every variable".to_owned(),
    };
    Flaw::new("no setting is called so: it is ignored", cure)
}

/// What Kubernetes injects for each Service: `GTP_SERVICE_HOST`, `GTP_A_PORT_3001_TCP_ADDR`.
fn is_service_link(name: &str) -> bool {
    let endings = ["_SERVICE_HOST", "_SERVICE_PORT", "_PORT"];
    let inner = ["_SERVICE_PORT_", "_TCP", "_UDP"];
    endings.iter().any(|ending| name.ends_with(ending)) || inner.iter().any(|part| name.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistakes(variables: &[(&str, &str)]) -> Vec<String> {
        let pairs = variables.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
        Environment::new(pairs).values().1.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn unknown_variables_are_warnings_that_hide_the_value() {
        let found =
            mistakes(&[("GTP_LISTN", "hunter2hunter2"), ("GTP_PORT_3001_TCP_ADDR", "10.0.0.1"), ("PATH", "/bin")]);
        assert_eq!(found.len(), 2);
        assert!(found[0].contains("warning: no setting") && found[0].contains("did you mean GTP_LISTEN?"), "{found:?}");
        assert!(found[1].contains("Kubernetes"));
        assert!(!found.concat().contains("hunter2"));
    }
}
