//! What Prometheus expects every process to tell about itself, read from `/proc` when somebody scrapes.

use std::fs;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use super::scrape::put;

/// The kernel counts in ticks of a hundredth of a second for everybody (`USER_HZ`).
const TICKS: f64 = 100.0;

/// This process.
#[derive(Debug, Default)]
pub(super) struct Process;

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
        // The name in parentheses may hold blanks; the fields behind it do not.
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let number = |at: usize| fields.get(at).and_then(|text| text.parse::<f64>().ok()).unwrap_or_default();
        let processor = ConstCounter::new((number(11) + number(12)) / TICKS);
        put(&mut encoder, "process_cpu_seconds", "Processor time used", &processor)?;
        let start = ConstGauge::new(boot_time() + number(19) / TICKS);
        put(&mut encoder, "process_start_time_seconds", "When the process started, in Unix time", &start)?;
        put(&mut encoder, "process_virtual_memory_bytes", "Virtual memory", &ConstGauge::new(number(20)))?;
        put(&mut encoder, "process_resident_memory_bytes", "Resident memory", &ConstGauge::new(resident()))?;
        put(&mut encoder, "process_threads", "Threads", &ConstGauge::new(number(17)))?;
        // The folder that lists them is open itself while it is read.
        let open = fs::read_dir("/proc/self/fd").map_or(0, |listed| listed.count().saturating_sub(1)) as u64;
        put(&mut encoder, "process_open_fds", "Open file descriptors", &ConstGauge::new(open))?;
        put(&mut encoder, "process_max_fds", "File descriptors that may be open", &ConstGauge::new(max_descriptors()))
    }
}

/// The value behind `key` in a file of `key value` lines.
fn value(path: &str, key: &str) -> f64 {
    let text = fs::read_to_string(path).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(key));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}

fn boot_time() -> f64 {
    value("/proc/stat", "btime")
}

fn resident() -> f64 {
    value("/proc/self/status", "VmRSS:") * 1024.0
}

fn max_descriptors() -> f64 {
    value("/proc/self/limits", "Max open files")
}
