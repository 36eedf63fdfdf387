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

/// Where limits are decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// In this process alone, as configured.
    Local,
    /// In the store that all replicas share.
    Shared,
    /// By `limits.shared_failure`: that store does not answer.
    Degraded,
}

impl Backend {
    const ALL: [Self; 3] = [Self::Local, Self::Shared, Self::Degraded];

    /// The label.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Shared => "shared",
            Self::Degraded => "degraded",
        }
    }
}

/// What others count; asked when somebody scrapes.
#[derive(Clone)]
pub struct Sources {
    /// Buckets that are not full.
    pub tracked: Arc<dyn Fn() -> usize + Send + Sync>,
    /// Where limits are decided.
    pub backend: Arc<dyn Fn() -> Backend + Send + Sync>,
    /// Connections to Grafana: idle, busy.
    pub upstream: Arc<dyn Fn() -> (usize, usize) + Send + Sync>,
    /// Lines that nobody took in time.
    pub dropped: Arc<AtomicU64>,
}

impl Default for Sources {
    fn default() -> Self {
        let none = Arc::new(AtomicUsize::new(0));
        Self {
            tracked: Arc::new(move || none.load(Relaxed)),
            backend: Arc::new(|| Backend::Local),
            upstream: Arc::new(|| (0, 0)),
            dropped: Arc::default(),
        }
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
        let family =
            encoder.encode_descriptor("ratelimit_backend", "Where limits are decided now", None, MetricType::Gauge)?;
        let backend = (self.backend)();
        put_states(family, &Backend::ALL.map(|state| (state.name(), usize::from(state == backend))))?;
        let (idle, busy) = (self.upstream)();
        let family =
            encoder.encode_descriptor("upstream_connections", "Connections to Grafana", None, MetricType::Gauge)?;
        put_states(family, &[("idle", idle), ("busy", busy)])?;
        let dropped = ConstCounter::new(self.dropped.load(Relaxed));
        put(&mut encoder, "log_lines_dropped", "Log lines lost since nobody read the log in time", &dropped)
    }
}

/// When the served certificate ends, in seconds since 1970; 0: there is none.
#[derive(Debug)]
pub(super) struct CertificateEnd(pub(super) Arc<AtomicU64>);

impl Collector for CertificateEnd {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let (name, help) = (
            "tls_certificate_expiry_timestamp_seconds",
            "When the first certificate of the served chain ends, in Unix time",
        );
        let family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        match self.0.load(Relaxed) {
            0 => Ok(()),
            end => ConstGauge::new(end).encode(family),
        }
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
    if prefers_open(accept) {
        let _ = text::encode_eof(&mut open);
        let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
        return Exposition { text: open, content_type };
    }
    Exposition { text: plain(&open), content_type: "text/plain; version=0.0.4; charset=utf-8" }
}

/// Whether OpenMetrics is asked for by name, and plain text is not liked better (RFC 9110 §12.5.1).
fn prefers_open(accept: &str) -> bool {
    let (mut open, mut plain) = (0.0, 0.0);
    for range in accept.split(',') {
        let mut parts = range.split(';').map(str::trim);
        let media = parts.next().unwrap_or_default().to_ascii_lowercase();
        let quality = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
        let quality = quality.map_or(1.0, |quality| quality.parse::<f32>().unwrap_or(0.0));
        match media.as_str() {
            "application/openmetrics-text" => open = quality.max(open),
            "text/plain" => plain = quality.max(plain),
            _ => {}
        }
    }
    open > 0.0 && open >= plain
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_older_format_names_families_as_their_samples() {
        let open = "# HELP a Things.\n# TYPE a counter\na_total{x=\"# y\"} 1\n# HELP b Build.\n# TYPE b info\nb_info{v=\"1\"} 1\n# HELP c_seconds Time.\n# TYPE c_seconds gauge\n# UNIT c_seconds seconds\nc_seconds 1.5\n# EOF\n";
        assert_eq!(
            plain(open),
            "# HELP a_total Things.\n# TYPE a_total counter\na_total{x=\"# y\"} 1\n# HELP b_info Build.\n# TYPE b_info gauge\nb_info{v=\"1\"} 1\n# HELP c_seconds Time.\n# TYPE c_seconds gauge\nc_seconds 1.5\n"
        );
    }

    #[test]
    fn openmetrics_goes_to_those_who_ask_for_it() {
        for accept in [
            "application/openmetrics-text",
            "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
            "text/plain;q=0.5, Application/OpenMetrics-Text; version=1.0.0; q=0.5",
        ] {
            assert!(prefers_open(accept), "{accept}");
        }
        for accept in [
            "",
            "*/*",
            "text/plain",
            "application/openmetrics-text;q=0",
            "application/openmetrics-text;q=0.2,text/plain;q=0.5",
            "text/html,*/*;q=0.8",
            ";;,q=,=\u{e9}",
        ] {
            assert!(!prefers_open(accept), "{accept}");
        }
    }
}
