//! Logs, metrics, the record of a refusal.

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
