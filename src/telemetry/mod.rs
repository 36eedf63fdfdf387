//! Logs, metrics, the record of a refusal.

mod durations;
mod events;
mod fold;
mod format;
mod lines;
mod log;
mod mailbox;
pub mod memory;
mod metrics;
pub mod otlp;
mod process;
mod record;
mod redact;
pub mod ring;
mod scrape;
mod served;
mod teller;

use std::sync::Arc;
use std::time::Duration;

use http::{Method, StatusCode};

pub use self::events::Events;
pub use self::format::timestamp;
pub use self::log::{Log, LogGuard};
pub use self::memory::Memory;
pub use self::metrics::{Backend, Gauge, Metrics, Sources};
pub use self::record::Refusal;
pub use self::redact::redact;
pub use self::scrape::Exposition;
pub use self::served::ServedLine;

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// Pretty on a terminal, JSON elsewhere.
    #[default]
    Auto,
    /// One JSON object a line.
    Json,
    /// `key=value` pairs, as Grafana itself logs.
    Logfmt,
    /// For eyes.
    Pretty,
}

/// Which level is the least to be written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the names are the levels'")]
pub enum Level {
    Debug,
    #[default]
    Info,
    Warn,
    Error,
}

impl From<crate::domain::reason::Level> for Level {
    fn from(level: crate::domain::reason::Level) -> Self {
        match level {
            crate::domain::reason::Level::Info => Self::Info,
            crate::domain::reason::Level::Warn => Self::Warn,
            crate::domain::reason::Level::Error => Self::Error,
        }
    }
}

/// Which requests get a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RequestLines {
    /// Refused ones.
    #[default]
    Refused,
    /// Every one.
    All,
    /// None.
    None,
}

/// `log.*`.
#[derive(Clone, Copy, Debug, Default)]
pub struct LogSettings {
    /// How lines look.
    pub format: LogFormat,
    /// The least level.
    pub level: Level,
    /// Which requests.
    pub requests: RequestLines,
}

/// What a metric may say about the token of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenLabel<'a> {
    /// There was none.
    None,
    /// One without a name.
    Other,
    /// One that the configuration names.
    Named(&'a Arc<str>),
}

/// One request that was answered, by whomever.
#[derive(Clone, Copy, Debug)]
pub struct Served<'a> {
    /// The method.
    pub method: &'a Method,
    /// The status.
    pub status: StatusCode,
    /// What it carried.
    pub token: TokenLabel<'a>,
    /// From the head of the request to the head of the answer.
    pub duration: Duration,
    /// Of that, what was not Grafana's.
    pub overhead: Duration,
}

/// Where everything that happens is told: counted, and written.
#[derive(Clone, Debug)]
pub struct Recorder {
    metrics: Arc<Metrics>,
    memory: Arc<Memory>,
    spans: Option<otlp::Spans>,
    log: Log,
}

impl Recorder {
    /// Joins the two, with an empty memory.
    pub fn new(metrics: Metrics, log: Log) -> Self {
        Self { metrics: Arc::new(metrics), memory: Arc::default(), spans: None, log }
    }

    /// Tells refusals to a collector, too.
    pub fn with_spans(self, spans: Option<otlp::Spans>) -> Self {
        Self { spans, ..self }
    }

    /// The counters.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// What is remembered of earlier requests.
    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    /// The last refusals, where they are kept.
    pub fn ring(&self) -> Option<&ring::Ring> {
        self.log.ring()
    }

    /// Whether served requests get a line, too.
    pub const fn writes_served(&self) -> bool {
        self.log.writes_served()
    }

    /// A request was refused.
    pub fn refused(&self, refusal: Refusal) {
        self.metrics.refused(&refusal);
        let refusal = Arc::new(refusal);
        if let Some(spans) = &self.spans {
            spans.offer(&refusal);
        }
        self.log.refused(refusal);
    }

    /// A request was not refused, and would have been if a limit were enforced. No refusal: only the log tells of it.
    pub fn shadowed(&self, refusal: Refusal) {
        self.log.refused(Arc::new(refusal));
    }

    /// A request was answered.
    pub fn served(&self, served: &Served<'_>) {
        self.metrics.served(served);
    }

    /// A request was answered, and the log wants to know of each.
    pub fn write_served(&self, line: &ServedLine<'_>) {
        self.log.served(line);
    }
}
