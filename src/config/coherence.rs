//! What no key can know alone: clashes, loops, and settings that cancel each other.

use std::net::{IpAddr, SocketAddr};

use super::Config;
use super::mistake::{Flaw, Mistake};
use super::origin::{Origin, Origins};
use crate::domain::org::OrgMode;
use crate::server::Endpoint;

/// Every clash, and every setting that is probably not what its author meant.
pub fn check(config: &Config, origins: &Origins) -> Vec<Mistake> {
    let mut mistakes = Vec::new();
    listeners(config, origins, &mut mistakes);
    loops(config, origins, &mut mistakes);
    organisation(config, origins, &mut mistakes);
    costs(config, origins, &mut mistakes);
    callers(config, origins, &mut mistakes);
    mistakes
}

fn listeners(config: &Config, origins: &Origins, mistakes: &mut Vec<Mistake>) {
    let listen = &config.server.listen;
    let addresses = || listen.iter().filter_map(Endpoint::address);
    if listen.is_empty() {
        let flaw = Flaw::new("is empty: no client could connect", "write an address, as 0.0.0.0:3001");
        mistakes.push(Mistake::error(origins.of("listen"), "listen", None, flaw));
    }
    for (index, address) in listen.iter().enumerate() {
        if let Some(other) = listen.iter().take(index).find(|other| clash(other, address)) {
            let flaw = Flaw::new(format!("takes the port of {other}"), "name each place once");
            mistakes.push(Mistake::error(origins.of("listen"), "listen", Some(address.to_string()), flaw));
        }
    }
    let own =
        [("telemetry", config.admin.telemetry, "0.0.0.0:9091"), ("admin", config.admin.console, "127.0.0.1:9092")];
    for (index, (key, address, example)) in own.iter().enumerate() {
        let Some(address) = *address else { continue };
        let data = addresses().map(|other| ("listen", other));
        let before = own.iter().take(index).filter_map(|(key, other, _)| Some((*key, (*other)?)));
        if let Some((other_key, other)) = data.chain(before).find(|(_, other)| overlap(*other, address)) {
            let whose = if other_key == "listen" { "the data listener, listen" } else { other_key };
            let flaw = Flaw::new(
                format!("takes the port of {whose}: {other}"),
                format!("give {key} a port of its own, as {example}, or switch it off"),
            );
            let origin = stronger(origins.of(key), origins.of(other_key));
            mistakes.push(Mistake::error(origin, *key, Some(address.to_string()), flaw));
        }
    }
    if config.admin.console.is_some_and(|console| !console.ip().is_loopback()) {
        let flaw = Flaw::new(
            "is open to more than this machine or pod, and asks nobody for a password",
            "use 127.0.0.1:9092 and `kubectl port-forward`, or let a network policy guard the port",
        );
        mistakes.push(Mistake::warning(origins.of("admin"), "admin", flaw));
    }
}

/// Where both may be at fault, the one that somebody wrote.
fn stronger(first: Origin, second: Origin) -> Origin {
    if first == Origin::Default { second } else { first }
}

fn clash(one: &Endpoint, other: &Endpoint) -> bool {
    match (one.address(), other.address()) {
        (Some(one), Some(other)) => overlap(one, other),
        _ => one == other,
    }
}

/// Whether two listeners want the same port. `[::]` takes IPv4 too on most systems.
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let anywhere = |address: IpAddr| address.is_unspecified();
    one.port() == other.port()
        && one.port() != 0
        && (one.ip() == other.ip() || anywhere(one.ip()) || anywhere(other.ip()))
}

fn loops(config: &Config, origins: &Origins, mistakes: &mut Vec<Mistake>) {
    let url = &config.upstream.url;
    if let Some(own) = config.server.listen.iter().find(|own| own.to_string() == url.to_string()) {
        let flaw = Flaw::new(
            format!("is this proxy itself (listen: {own}): requests would go round for ever"),
            "name Grafana's own socket, or move the listener",
        );
        let origin = stronger(origins.of("upstream.url"), origins.of("listen"));
        mistakes.push(Mistake::error(origin, "upstream.url", Some(url.to_string()), flaw));
    }
    let (Some(host), Some(port)) = (url.host(), url.port()) else { return };
    let address =
        if host.eq_ignore_ascii_case("localhost") { Some(IpAddr::from([127, 0, 0, 1])) } else { host.parse().ok() };
    let Some(address) = address else { return };
    let reaches = |listener: SocketAddr| {
        let here = address.is_loopback() || address.is_unspecified();
        listener.port() == port
            && (listener.ip() == address || (here && (listener.ip().is_unspecified() || listener.ip().is_loopback())))
    };
    let listeners = config.server.listen.iter().filter_map(Endpoint::address).map(|listener| ("listen", listener));
    let mut listeners = listeners
        .chain(config.admin.telemetry.iter().map(|listener| ("telemetry", *listener)))
        .chain(config.admin.console.iter().map(|listener| ("admin", *listener)));
    if let Some((name, listener)) = listeners.find(|(_, listener)| reaches(*listener)) {
        let flaw = Flaw::new(
            format!("is this proxy itself ({name}: {listener}): requests would go round for ever"),
            "name Grafana's own address, as http://127.0.0.1:3000, or move the listener",
        );
        let origin = stronger(origins.of("upstream.url"), origins.of(name));
        mistakes.push(Mistake::error(origin, "upstream.url", Some(url.to_string()), flaw));
    }
}

fn organisation(config: &Config, origins: &Origins, mistakes: &mut Vec<Mistake>) {
    match (config.org.mode, config.org.default) {
        // Requests to other hosts are refused: nothing is left open.
        (OrgMode::Pin, None) if config.org.by_host.is_empty() => {
            let flaw = Flaw::new(
                "pins no organisation: the header is dropped, and every other way in is refused",
                "set org.default to the organisation that callers may reach",
            );
            mistakes.push(Mistake::warning(origins.of("org.mode"), "org.mode", flaw));
        }
        (OrgMode::Off, None) if !config.org.by_host.is_empty() => {
            let flaw = Flaw::new("is never sent: org.mode is off", "set org.mode to fill or pin, or take it out");
            mistakes.push(Mistake::warning(origins.of("org.by_host"), "org.by_host", flaw));
        }
        (OrgMode::Off, Some(default)) => {
            let flaw = Flaw::new(
                format!("is never sent: org.mode is off, and {default} is for fill and pin"),
                "set org.mode to fill or pin, or take org.default out",
            );
            mistakes.push(Mistake::warning(origins.of("org.default"), "org.default", flaw));
        }
        _ => {}
    }
    if let Some(token) = config.tokens.iter().find(|token| token.org.is_some() && config.org.mode == OrgMode::Off) {
        let flaw = Flaw::new("is never sent: org.mode is off", "set org.mode to fill or pin, or take it out");
        let key = format!("tokens[{}].org", token.name);
        mistakes.push(Mistake::warning(token.origin.clone(), key, flaw));
    }
}

/// A request that costs more than a full bucket holds is charged all of it: it passes once in a while, and alone.
fn costs(config: &Config, origins: &Origins, mistakes: &mut Vec<Mistake>) {
    let limits = &config.limits;
    let bursts = limits.overrides.iter().flatten().map(|rate| rate.burst).chain([limits.per_token.rate.burst]);
    let Some(least) = bursts.min() else { return };
    for (path, cost) in limits.cost.iter().filter(|(_, cost)| *cost > least) {
        let flaw = Flaw::new(
            format!("makes {path} cost {cost}, more than a full budget of {least}: each such request spends all of it"),
            "raise the burst, or lower the cost",
        );
        mistakes.push(Mistake::warning(origins.of("limits.cost"), "limits.cost", flaw));
    }
}

fn callers(config: &Config, origins: &Origins, mistakes: &mut Vec<Mistake>) {
    let trusted = &config.clients.trusted_proxies;
    if trusted.iter().any(|net| net.prefix_len() == 0) {
        let flaw = Flaw::new(
            "trusts everybody: any caller may name any address, and send identity headers",
            "name the networks of your own proxies, as 10.0.0.0/8",
        );
        mistakes.push(Mistake::warning(origins.of("clients.trusted_proxies"), "clients.trusted_proxies", flaw));
    }
    if trusted.is_empty() && config.server.proxy_protocol {
        let flaw = Flaw::new(
            "is believed from nobody: clients.trusted_proxies is empty",
            "name the networks of the load balancers that send the PROXY header",
        );
        mistakes.push(Mistake::warning(origins.of("clients.proxy_protocol"), "clients.proxy_protocol", flaw));
    }
    if trusted.is_empty() && !config.clients.identity_headers.is_empty() {
        let flaw = Flaw::new(
            "may be sent by nobody: clients.trusted_proxies is empty",
            "name the networks of the proxies that send them",
        );
        mistakes.push(Mistake::warning(origins.of("clients.identity_headers"), "clients.identity_headers", flaw));
    }
    if config.limits.exempt.iter().any(|path| path == "/") {
        let flaw = Flaw::new("exempts every path: nothing is limited", "take / out; it is a prefix of everything");
        mistakes.push(Mistake::warning(origins.of("limits.exempt"), "limits.exempt", flaw));
    }
}
