//! What stands around a directive, and what a file defines for others.

use std::collections::HashMap;

use super::nginx::Directive;
use super::values::per_second;

/// What stands around a directive, and what others have defined.
#[derive(Clone, Debug, Default)]
pub(super) struct Context {
    /// `server_name` of the server around.
    pub(super) hosts: Vec<String>,
    /// `map`s by the variable that they set.
    pub(super) maps: HashMap<String, Directive>,
    /// First server of each `upstream`.
    pub(super) upstreams: HashMap<String, String>,
    /// Zones of `limit_req`: which key of ours, and the rate.
    pub(super) zones: HashMap<String, (&'static str, String)>,
    /// `set $name value`.
    pub(super) variables: HashMap<String, String>,
    /// Bursts by zone.
    pub(super) bursts: HashMap<String, u64>,
    /// An `if`.
    pub(super) conditional: bool,
    /// Where callers connect is somebody else's affair: an Ingress.
    pub(super) is_ingress: bool,
}

impl Context {
    pub(super) fn of_ingress() -> Self {
        Self { is_ingress: true, ..Self::default() }
    }

    /// Takes up what a file defines, wherever it stands: what is used may stand before it.
    pub(super) fn define(&mut self, directives: &[Directive]) {
        for directive in directives {
            let block = directive.block.as_deref().unwrap_or_default();
            match directive.name() {
                "map" => drop(self.maps.insert(directive.argument(1).to_owned(), directive.clone())),
                "upstream" => {
                    let server = block.iter().find(|inside| inside.name() == "server");
                    if let Some(server) = server {
                        self.upstreams.insert(directive.argument(0).to_owned(), server.argument(0).to_owned());
                    }
                }
                "limit_req_zone" => self.zone(directive),
                "limit_req" => {
                    let find = |name: &str| {
                        directive.arguments().iter().find_map(|argument| argument.strip_prefix(name).map(str::to_owned))
                    };
                    if let Some(zone) = find("zone=") {
                        // What is allowed beyond the first request; nginx counts that one apart.
                        let burst = find("burst=").and_then(|burst| burst.parse::<u64>().ok()).unwrap_or(0) + 1;
                        self.bursts.insert(zone, burst);
                    }
                }
                "set" => {
                    self.variables.insert(directive.argument(0).to_owned(), directive.argument(1).to_owned());
                }
                _ => {}
            }
            self.define(block);
        }
    }

    fn zone(&mut self, directive: &Directive) {
        let key = directive.argument(0).to_ascii_lowercase();
        let is_credential = ["authorization", "api_key", "token"].iter().any(|word| key.contains(word));
        let is_address = ["remote_addr", "realip", "forwarded_for"].iter().any(|word| key.contains(word));
        let ours = match (is_credential, is_address) {
            (true, _) => "limits.per_token",
            (false, true) => "limits.per_client",
            _ => return,
        };
        let find = |name: &str| directive.arguments().iter().find_map(|argument| argument.strip_prefix(name));
        if let (Some(zone), Some(rate)) = (find("zone="), find("rate=").and_then(per_second)) {
            let name = zone.split(':').next().unwrap_or(zone);
            self.zones.insert(name.to_owned(), (ours, rate));
        }
    }
}

/// A name that `org.by_host` can hold: no pattern, no variable.
pub(super) fn is_host(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    !name.is_empty() && name != "_" && !name.starts_with(['.', '-']) && name.bytes().all(is_plain)
}
