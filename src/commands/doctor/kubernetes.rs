//! The Services of the namespace, as Kubernetes tells every container in its environment. No API is asked: a doctor in an
//! init container has no rights to.

use std::net::{IpAddr, SocketAddr};

/// A Service with its cluster address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Service {
    pub(super) name: String,
    address: IpAddr,
    ports: Vec<u16>,
}

impl Service {
    /// Those that the variables name: `GRAFANA_SERVICE_HOST`, `GRAFANA_SERVICE_PORT`, `GRAFANA_SERVICE_PORT_HTTP` …
    pub(super) fn all(variables: &[(String, String)]) -> Vec<Self> {
        let found = variables.iter().filter_map(|(variable, value)| {
            let name = variable.strip_suffix("_SERVICE_HOST").filter(|name| !name.is_empty())?;
            let port = format!("{name}_SERVICE_PORT");
            let is_port =
                |variable: &str| variable.strip_prefix(&port).is_some_and(|end| end.is_empty() || end.starts_with('_'));
            let ports = variables.iter().filter(|(variable, _)| is_port(variable));
            Some(Self {
                name: name.to_ascii_lowercase().replace('_', "-"),
                address: value.parse().ok()?,
                ports: ports.filter_map(|(_, value)| value.parse().ok()).collect(),
            })
        });
        found.collect()
    }

    /// Whether it is what answers at this address.
    pub(super) fn is_at(&self, address: SocketAddr) -> bool {
        self.address == address.ip() && self.ports.contains(&address.port())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn services_are_found_by_address_and_port() {
        let variables = [
            ("MY_GRAFANA_SERVICE_HOST", "10.0.0.7"),
            ("MY_GRAFANA_SERVICE_PORT", "80"),
            ("MY_GRAFANA_SERVICE_PORT_METRICS", "9091"),
            ("OTHER_SERVICE_HOST", "10.0.0.8"),
            ("OTHER_SERVICE_PORT", "tcp"),
            ("_SERVICE_HOST", "10.0.0.9"),
            ("ODD_SERVICE_HOST", "grafana"),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let services = Service::all(&variables);
        let name_at = |address: &str| {
            let address = address.parse().unwrap();
            services.iter().find(|service| service.is_at(address)).map(|service| service.name.as_str())
        };
        assert_eq!(name_at("10.0.0.7:80"), Some("my-grafana"));
        assert_eq!(name_at("10.0.0.7:9091"), Some("my-grafana"));
        assert_eq!(name_at("10.0.0.7:3000"), None);
        assert_eq!(name_at("10.0.0.8:80"), None);
    }

    proptest! {
        #[test]
        fn no_environment_panics(pairs: Vec<(String, String)>, name in "[A-Z_]{0,5}_SERVICE_(HOST|PORT)", value in "[0-9.:]{0,9}") {
            let mut pairs = pairs;
            pairs.push((name, value));
            let _ = Service::all(&pairs);
        }
    }
}
