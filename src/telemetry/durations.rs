//! Durations, counted by their length: two atomic additions each. A library's histogram takes a lock, which every request of
//! every core would have to pass.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

/// A histogram of durations.
#[derive(Clone, Debug)]
pub(super) struct Durations(Arc<Counts>);

#[derive(Debug)]
struct Counts {
    /// Seconds, in rising order, and the same in nanoseconds.
    bounds: Vec<(f64, u64)>,
    /// Of those up to each bound and above the one before, and of those above all.
    counts: Vec<AtomicU64>,
    /// Nanoseconds of all: enough for five hundred years of them.
    sum: AtomicU64,
}

impl Durations {
    /// With these bounds, in seconds.
    pub(super) fn new(bounds: &[f64]) -> Self {
        let nanoseconds = |seconds: &f64| (*seconds, (seconds * 1e9).round() as u64);
        let counts = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        let bounds = bounds.iter().map(nanoseconds).collect();
        Self(Arc::new(Counts { bounds, counts, sum: AtomicU64::new(0) }))
    }

    pub(super) fn observe(&self, duration: Duration) {
        let Counts { bounds, counts, sum } = &*self.0;
        let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let place = bounds.iter().position(|(_, bound)| nanoseconds <= *bound).unwrap_or(bounds.len());
        if let Some(count) = counts.get(place) {
            count.fetch_add(1, Relaxed);
        }
        sum.fetch_add(nanoseconds, Relaxed);
    }
}

impl EncodeMetric for Durations {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        let Counts { bounds, counts, sum } = &*self.0;
        // The encoder adds them up, and has no name for the last but infinity.
        let bounds = bounds.iter().map(|(seconds, _)| *seconds).chain([f64::INFINITY]);
        let buckets: Vec<_> = bounds.zip(counts).map(|(bound, count)| (bound, count.load(Relaxed))).collect();
        let count = buckets.iter().map(|(_, count)| count).sum();
        encoder.encode_histogram::<NoLabelSet>(sum.load(Relaxed) as f64 / 1e9, count, &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::registry::Registry;

    use super::*;

    #[test]
    fn each_duration_is_in_all_buckets_that_hold_it() {
        let durations = Durations::new(&[0.001, 0.25]);
        let mut registry = Registry::default();
        registry.register("x_seconds", "Help", durations.clone());
        for micros in [1, 1000, 1001, 250_000, 250_001, 9_000_000] {
            durations.observe(Duration::from_micros(micros));
        }
        durations.observe(Duration::ZERO);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        for line in [
            "x_seconds_sum 9.502003",
            "x_seconds_count 7",
            "x_seconds_bucket{le=\"0.001\"} 3",
            "x_seconds_bucket{le=\"0.25\"} 5",
            "x_seconds_bucket{le=\"+Inf\"} 7",
        ] {
            assert!(text.lines().any(|own| own == line), "{line} is not in\n{text}");
        }
    }
}
