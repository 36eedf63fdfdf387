//! What a scraper reads: OpenMetrics where it asks for it, else the text format 0.0.4 that everything understands.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

/// A body with its type.
#[derive(Clone, Debug)]
pub struct Exposition {
    /// The body.
    pub text: String,
    /// Its `Content-Type`.
    pub content_type: &'static str,
}

/// What others count; asked when somebody scrapes.
#[derive(Clone)]
pub struct Sources {
    /// Buckets that are not full.
    pub tracked: Arc<dyn Fn() -> usize + Send + Sync>,
    /// Connections to Grafana: idle, busy.
    pub upstream: Arc<dyn Fn() -> (usize, usize) + Send + Sync>,
    /// Lines that nobody took in time.
    pub dropped: Arc<AtomicU64>,
}

impl Default for Sources {
    fn default() -> Self {
        let none = Arc::new(AtomicUsize::new(0));
        Self { tracked: Arc::new(move || none.load(Relaxed)), upstream: Arc::new(|| (0, 0)), dropped: Arc::default() }
    }
}

impl std::fmt::Debug for Sources {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sources").finish_non_exhaustive()
    }
}

impl Collector for Sources {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let tracked = ConstGauge::new((self.tracked)() as u64);
        put(&mut encoder, "ratelimit_tracked", "Buckets that are not full", &tracked)?;
        let (idle, busy) = (self.upstream)();
        let family =
            encoder.encode_descriptor("upstream_connections", "Connections to Grafana", None, MetricType::Gauge)?;
        put_states(family, &[("idle", idle), ("busy", busy)])?;
        let dropped = ConstCounter::new(self.dropped.load(Relaxed));
        put(&mut encoder, "log_lines_dropped", "Log lines lost since nobody read the log in time", &dropped)
    }
}

fn put_states(mut family: MetricEncoder<'_>, states: &[(&'static str, usize)]) -> Result<(), std::fmt::Error> {
    for (state, count) in states {
        ConstGauge::new(*count as u64).encode(family.encode_family(&[("state", *state)])?)?;
    }
    Ok(())
}

/// Writes one metric without labels.
pub(super) fn put(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    metric: &(impl EncodeMetric + prometheus_client::metrics::TypedMetric),
) -> Result<(), std::fmt::Error> {
    metric.encode(encoder.encode_descriptor(name, help, None, metric.metric_type())?)
}

/// Writes `registries` in the format that `accept` asks for.
pub(super) fn expose(registries: &[&Registry], accept: &str) -> Exposition {
    let mut open = String::with_capacity(8192);
    for registry in registries {
        // Writing into a string does not fail.
        let _ = text::encode_registry(&mut open, registry);
    }
    if accept.contains("application/openmetrics-text") {
        let _ = text::encode_eof(&mut open);
        let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
        return Exposition { text: open, content_type };
    }
    Exposition { text: plain(&open), content_type: "text/plain; version=0.0.4; charset=utf-8" }
}

/// OpenMetrics names a family, 0.0.4 names its samples: `TYPE x_total counter`, `TYPE x_info gauge`; it has no `UNIT`.
fn plain(open: &str) -> String {
    let mut text = String::with_capacity(open.len() + 512);
    let mut help: Option<(&str, &str)> = None;
    for line in open.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help = rest.split_once(' ');
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            let (ending, kind) = match kind {
                "counter" => ("_total", "counter"),
                "info" => ("_info", "gauge"),
                "unknown" => ("", "untyped"),
                other => ("", other),
            };
            if let Some((_, words)) = help.take().filter(|(helped, _)| *helped == name) {
                text.push_str(&format!("# HELP {name}{ending} {words}\n"));
            }
            text.push_str(&format!("# TYPE {name}{ending} {kind}\n"));
        } else if !line.starts_with('#') {
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}
