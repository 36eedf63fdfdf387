//! The counters. What a request touches is an atomic addition; everything else is worked out when somebody asks.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

use http::Method;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge as Value;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use super::durations::Durations;
use super::scrape::{self, CertificateEnd, Exposition};
use super::{Refusal, Served, TokenLabel, process};
use crate::domain::credential::{Change, Changes};
use crate::domain::head::Reading;
use crate::domain::limit::{Decision, Outcome, Policy};
use crate::domain::reason::Reason;

pub use super::scrape::{Backend, Sources};

const PREFIX: &str = "grafana_token_proxy";

/// Seconds of a whole exchange.
const DURATIONS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0];

/// Seconds of our own part.
const OVERHEADS: [f64; 9] = [0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.025, 0.1];

/// The methods that have a label of their own; a stranger can invent others without end.
const METHODS: [Method; 9] = [
    Method::GET,
    Method::POST,
    Method::PUT,
    Method::DELETE,
    Method::PATCH,
    Method::HEAD,
    Method::OPTIONS,
    Method::CONNECT,
    Method::TRACE,
];

/// The statuses whose counters are found by an index rather than by a look into a map.
const STATUSES: [u16; 20] =
    [200, 201, 202, 204, 206, 207, 301, 302, 304, 400, 401, 403, 404, 409, 412, 422, 429, 500, 502, 503];

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Code(u16);

impl EncodeLabelValue for Code {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), std::fmt::Error> {
        EncodeLabelValue::encode(&u64::from(self.0), encoder)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    method: &'static str,
    code: Code,
    token: Arc<str>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RefusalLabels {
    reason: &'static str,
    source: &'static str,
    code: Code,
    token: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ChangeLabels {
    change: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DecisionLabels {
    policy: &'static str,
    decision: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PolicyLabels {
    policy: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabels {
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct HashLabels {
    hash: String,
}

/// All counters of the program.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    process: Registry,
    requests: Family<RequestLabels, Counter>,
    frequent: Vec<OnceLock<Counter>>,
    durations: Durations,
    overheads: Durations,
    refusals: Family<RefusalLabels, Counter>,
    /// For each reason and whether there was a credential, the counter of the status that came first: few have others.
    usual: Vec<[OnceLock<(u16, Counter)>; 2]>,
    changes: [Counter; Change::ALL.len()],
    decisions: [[Counter; 3]; Policy::ALL.len()],
    near: [Counter; Policy::ALL.len()],
    in_flight: Value,
    upgrades: Value,
    connections: Value,
    /// Attempts to load the configuration anew that came to something, and to nothing.
    reloads: [Counter; 2],
    current: Value,
    hash: Family<HashLabels, Value>,
    certificate: Arc<AtomicU64>,
}

/// A gauge that goes down again when this is dropped.
#[derive(Debug)]
pub struct Gauge(Value);

impl Gauge {
    fn raise(gauge: &Value) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Gauge {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Metrics {
    /// Zeroed counters; `sources` tells what others count.
    pub fn new(sources: Sources) -> Self {
        let mut registry = Registry::with_prefix(PREFIX);
        let build = Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "The version that runs", build);
        let requests = Family::<RequestLabels, Counter>::default();
        registry.register(
            "http_requests",
            "Requests answered, those that the proxy refused included",
            requests.clone(),
        );
        let durations = Durations::new(&DURATIONS);
        registry.register(
            "http_request_duration_seconds",
            "From the head of a request to the head of its answer",
            durations.clone(),
        );
        let overheads = Durations::new(&OVERHEADS);
        registry.register("overhead_seconds", "The part of it that was the proxy's own", overheads.clone());
        let refusals = Family::<RefusalLabels, Counter>::default();
        registry.register("refusals", "Refusals explained, whoever made them", refusals.clone());
        let changes = Family::<ChangeLabels, Counter>::default();
        registry.register("authorization_changes", "Repairs of Authorization headers", changes.clone());
        let decisions = Family::<DecisionLabels, Counter>::default();
        registry.register("ratelimit_decisions", "What the limits said", decisions.clone());
        let near = Family::<PolicyLabels, Counter>::default();
        registry.register("ratelimit_near_limit", "Requests that left less than a fifth of their budget", near.clone());
        let mut gauge = |name: &str, help: &str| {
            let gauge = Value::default();
            registry.register(name, help, gauge.clone());
            gauge
        };
        let in_flight = gauge("http_requests_in_flight", "Requests whose answer has not ended");
        let upgrades = gauge("upgrades_active", "WebSocket connections");
        let connections = gauge("connections_active", "Connections of clients");
        let reloads = Family::<ResultLabels, Counter>::default();
        registry.register("config_reloads", "Attempts to load the configuration anew", reloads.clone());
        let reloads = ["success", "failure"].map(|result| counter(&reloads, &ResultLabels { result }));
        let current = Value::default();
        current.set(1);
        let help = "Whether the configuration that was read last is in use";
        registry.register("config_last_reload_successful", help, current.clone());
        let hash = Family::<HashLabels, Value>::default();
        registry.register("config_hash_info", "What stands for the configuration in use", hash.clone());
        let certificate = Arc::<AtomicU64>::default();
        registry.register_collector(Box::new(CertificateEnd(Arc::clone(&certificate))));
        registry.register_collector(Box::new(sources));
        let mut process = Registry::default();
        process.register_collector(Box::new(process::Process));
        // Each label is there from the beginning: a counter that appears with its first event hides the event.
        let changes = Change::ALL.map(|change| counter(&changes, &ChangeLabels { change: change.name() }));
        let decisions = Policy::ALL.map(|policy| {
            [Outcome::Allowed, Outcome::Refused, Outcome::Shadow]
                .map(|outcome| counter(&decisions, &DecisionLabels { policy: policy.name(), decision: outcome.name() }))
        });
        let near = Policy::ALL.map(|policy| counter(&near, &PolicyLabels { policy: policy.name() }));
        let frequent = (0..METHODS.len() * STATUSES.len() * 2).map(|_| OnceLock::new()).collect();
        Self {
            registry,
            process,
            requests,
            frequent,
            durations,
            overheads,
            refusals,
            usual: Reason::ALL.iter().map(|_| Default::default()).collect(),
            changes,
            decisions,
            near,
            in_flight,
            upgrades,
            connections,
            reloads,
            current,
            hash,
            certificate,
        }
    }

    /// This configuration is in force; its certificate, where it has one, ends then.
    pub fn configured(&self, hash: &str, certificate_ends: Option<u64>) {
        self.certificate.store(certificate_ends.unwrap_or_default(), Relaxed);
        self.hash.clear();
        self.hash.get_or_create(&HashLabels { hash: hash.to_owned() }).set(1);
    }

    /// The configuration was loaded anew, or could not be.
    pub fn reloaded(&self, ok: bool) {
        let [success, failure] = &self.reloads;
        if ok {
            success.inc()
        } else {
            failure.inc()
        };
        self.current.set(i64::from(ok));
    }

    pub(super) fn served(&self, served: &Served<'_>) {
        let (method, code) = (METHODS.iter().position(|method| method == served.method), served.status.as_u16());
        let status = STATUSES.iter().position(|status| *status == code);
        let place = method
            .zip(status)
            .map(|(method, status)| {
                (method * STATUSES.len() + status) * 2 + usize::from(served.token == TokenLabel::Other)
            })
            .filter(|_| !matches!(served.token, TokenLabel::Named(_)));
        let find = || {
            let method = method.and_then(|at| METHODS.get(at)).map_or("other", method_name);
            let token = match served.token {
                TokenLabel::None => "none".into(),
                TokenLabel::Other => "other".into(),
                TokenLabel::Named(name) => Arc::clone(name),
            };
            counter(&self.requests, &RequestLabels { method, code: Code(code), token })
        };
        match place.and_then(|place| self.frequent.get(place)) {
            Some(slot) => slot.get_or_init(find).inc(),
            None => find().inc(),
        };
        self.durations.observe(served.duration);
        self.overheads.observe(served.overhead);
    }

    /// A request that could not be read has no answer that [`Self::served`] would count, so it is counted here.
    pub(super) fn refused(&self, refusal: &Refusal) {
        if refusal.facts.reading != Reading::Whole {
            let labels = RequestLabels { method: "other", code: Code(refusal.status), token: "none".into() };
            counter(&self.requests, &labels).inc();
        }
        let (code, token) = (refusal.status, refusal.token_label());
        let find = || {
            let labels = RefusalLabels {
                reason: refusal.reason.code(),
                source: refusal.reason.source().name(),
                code: Code(code),
                token: token.to_owned(),
            };
            counter(&self.refusals, &labels)
        };
        // Names of tokens are looked up.
        let place = ["none", "other"].iter().position(|label| *label == token).filter(|_| refusal.token_name.is_none());
        let slot = self.usual.get(refusal.reason as usize).zip(place).and_then(|(slots, place)| slots.get(place));
        match slot.map(|slot| slot.get_or_init(|| (code, find()))) {
            Some((usual, counter)) if *usual == code => counter.inc(),
            _ => find().inc(),
        };
    }

    /// Repairs were made.
    pub fn changed(&self, changes: Changes) {
        for change in changes.iter() {
            if let Some(counter) = self.changes.get(change as usize) {
                counter.inc();
            }
        }
    }

    /// The limits have decided about a request: what the last one said, and the first that would have refused it.
    pub fn decided(&self, decision: Option<Decision>, shadowed: Option<Decision>) {
        let shadowed = shadowed.filter(|shadowed| decision.is_none_or(|decision| decision.policy != shadowed.policy));
        for decision in decision.into_iter().chain(shadowed) {
            let policy = decision.policy as usize;
            if let Some(counter) = self.decisions.get(policy).and_then(|counts| counts.get(decision.outcome as usize)) {
                counter.inc();
            }
            let is_near = decision.outcome == Outcome::Allowed && decision.remaining < decision.burst.get() / 5;
            if let Some(near) = self.near.get(policy).filter(|_| is_near) {
                near.inc();
            }
        }
    }

    /// How often a limit said each thing ([`Outcome`], in its order), and how often little was left.
    pub fn decisions(&self, policy: Policy) -> ([u64; 3], u64) {
        let place = policy as usize;
        let counts = self.decisions.get(place).map(|counts| counts.each_ref().map(Counter::get));
        (counts.unwrap_or_default(), self.near.get(place).map(Counter::get).unwrap_or_default())
    }

    /// A request is under way for as long as this lives.
    pub fn request(&self) -> Gauge {
        Gauge::raise(&self.in_flight)
    }

    /// A WebSocket is open for as long as this lives.
    pub fn upgrade(&self) -> Gauge {
        Gauge::raise(&self.upgrades)
    }

    /// A connection is open for as long as this lives.
    pub fn connection(&self) -> Gauge {
        Gauge::raise(&self.connections)
    }

    /// What a scraper with this `Accept` gets.
    pub fn expose(&self, accept: &str) -> Exposition {
        scrape::expose(&[&self.registry, &self.process], accept)
    }
}

fn counter<L: Clone + std::hash::Hash + Eq>(family: &Family<L, Counter>, labels: &L) -> Counter<u64, AtomicU64> {
    family.get_or_create(labels).clone()
}

fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::PATCH => "PATCH",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        Method::CONNECT => "CONNECT",
        Method::TRACE => "TRACE",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::StatusCode;

    use super::*;
    use crate::domain::head::RequestFacts;

    fn served(method: &Method, status: u16) -> Served<'_> {
        let status = StatusCode::from_u16(status).unwrap();
        Served {
            method,
            status,
            token: TokenLabel::Other,
            duration: Duration::from_millis(3),
            overhead: Duration::from_micros(70),
        }
    }

    #[test]
    fn requests_are_counted_by_bounded_labels() {
        let metrics = Metrics::new(Sources::default());
        let invented = Method::from_bytes(b"INVENTED").unwrap();
        for (method, status) in [(&Method::GET, 200), (&Method::GET, 200), (&Method::POST, 418), (&invented, 200)] {
            metrics.served(&served(method, status));
        }
        let text = metrics.expose("").text;
        for line in [
            "grafana_token_proxy_http_requests_total{method=\"GET\",code=\"200\",token=\"other\"} 2",
            "grafana_token_proxy_http_requests_total{method=\"POST\",code=\"418\",token=\"other\"} 1",
            "grafana_token_proxy_http_requests_total{method=\"other\",code=\"200\",token=\"other\"} 1",
            "grafana_token_proxy_http_request_duration_seconds_count 4",
            "grafana_token_proxy_overhead_seconds_bucket{le=\"0.0001\"} 4",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn a_request_that_could_not_be_read_is_counted_too() {
        let metrics = Metrics::new(Sources::default());
        metrics.refused(&Refusal::unread(Reason::HeadMalformed, 400, String::new(), String::new()));
        metrics.refused(&Refusal {
            facts: RequestFacts::default(),
            ..Refusal::unread(Reason::TokenExpired, 401, String::new(), String::new())
        });
        let text = metrics.expose("").text;
        let requests: Vec<&str> =
            text.lines().filter(|line| line.starts_with("grafana_token_proxy_http_requests_total")).collect();
        assert_eq!(
            requests,
            ["grafana_token_proxy_http_requests_total{method=\"other\",code=\"400\",token=\"none\"} 1"]
        );
    }

    #[test]
    fn refusals_are_counted_by_reason_status_and_token() {
        let metrics = Metrics::new(Sources::default());
        for (status, name) in [(401, None), (401, None), (403, None), (401, Some("ci-bot")), (401, Some("none"))] {
            let refusal = Refusal::unread(Reason::TokenExpired, status, String::new(), String::new());
            metrics.refused(&Refusal { token_name: name.map(Into::into), ..refusal });
        }
        let text = metrics.expose("").text;
        for (labels, count) in [
            ("code=\"401\",token=\"none\"", 3),
            ("code=\"403\",token=\"none\"", 1),
            ("code=\"401\",token=\"ci-bot\"", 1),
        ] {
            let line = format!(
                "grafana_token_proxy_refusals_total{{reason=\"token_expired\",source=\"grafana\",{labels}}} {count}"
            );
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn gauges_go_down_again() {
        let metrics = Metrics::new(Sources::default());
        let first = metrics.connection();
        drop(metrics.connection());
        assert!(metrics.expose("").text.contains("grafana_token_proxy_connections_active 1\n"));
        drop(first);
        assert!(metrics.expose("").text.contains("grafana_token_proxy_connections_active 0\n"));
    }

    #[test]
    fn the_names_are_the_contract_s() {
        let metrics = Metrics::new(Sources::default());
        metrics.refused(&Refusal::unread(Reason::HeadMalformed, 400, String::new(), String::new()));
        let text = metrics.expose("").text;
        let names: Vec<&str> = text
            .lines()
            .filter_map(|line| line.strip_prefix("# TYPE "))
            .filter(|name| !name.starts_with("process_"))
            .collect();
        insta::assert_snapshot!(names.join("\n"));
    }
}
