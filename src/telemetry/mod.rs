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
// STUB-BEGIN
#[allow(missing_docs)]
#[derive(Debug)]
pub struct Refusal {
    pub at: std::time::SystemTime,
    pub status: u16,
    pub reason: crate::domain::reason::Reason,
    pub detail: String,
    pub hint: String,
    pub permission: Option<String>,
    pub facts: crate::domain::head::RequestFacts,
    pub request_id: String,
    pub trace_id: Option<String>,
    pub client: Option<std::net::IpAddr>,
    pub token_name: Option<std::sync::Arc<str>>,
    pub fingerprint: Option<crate::domain::token::Fingerprint>,
    pub limit: Option<&'static str>,
    pub retry_after: Option<std::time::Duration>,
    pub duration: std::time::Duration,
    pub upstream: Option<std::time::Duration>,
}
#[allow(missing_docs)]
#[derive(Debug)]
pub struct Served<'a> {
    pub method: &'a http::Method,
    pub status: http::StatusCode,
    pub has_credential: bool,
    pub duration: std::time::Duration,
    pub overhead: std::time::Duration,
}
#[allow(missing_docs)]
#[derive(Debug, Clone)]
pub struct Recorder(Metrics);
#[allow(missing_docs)]
#[derive(Debug, Clone)]
pub struct Metrics;
#[allow(missing_docs)]
pub struct Exposition {
    pub text: String,
    pub content_type: &'static str,
}
#[allow(missing_docs)]
impl Recorder {
    pub const fn metrics(&self) -> &Metrics {
        &self.0
    }
    pub fn refused(&self, _r: Refusal) {}
    pub fn served(&self, _r: Served<'_>) {}
}
#[allow(missing_docs)]
impl Metrics {
    pub fn upgrade(&self) -> u8 {
        0
    }
    pub fn connection(&self) -> u8 {
        0
    }
    pub fn expose(&self, _a: &str) -> Exposition {
        Exposition { text: String::new(), content_type: "" }
    }
}

#[allow(missing_docs)]
impl Refusal {
    pub fn unread(reason: crate::domain::reason::Reason, status: u16, detail: String, hint: String) -> Self {
        Self {
            at: std::time::SystemTime::now(),
            status,
            reason,
            detail,
            hint,
            permission: None,
            facts: crate::domain::head::RequestFacts { unread: true, ..Default::default() },
            request_id: String::new(),
            trace_id: None,
            client: None,
            token_name: None,
            fingerprint: None,
            limit: None,
            retry_after: None,
            duration: Default::default(),
            upstream: None,
        }
    }
}
