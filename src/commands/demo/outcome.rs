//! What came of a step of the tour, and whether it is what must come.

use std::io;
use std::net::SocketAddr;
use std::num::NonZeroU32;

use serde_json::Value;

use super::client::{self, Reply};
use super::journal::Journal;
use super::tour::{Expected, Step};

/// Requests that a step sends at most until one is refused. At rates above what a single client can send, none would be.
const MOST: u32 = 1000;

/// What came of one step.
#[derive(Debug)]
pub(super) struct Outcome {
    /// Requests that were sent.
    pub sent: u32,
    /// The last answer.
    pub reply: Reply,
    /// The line of the log that tells of its refusal.
    pub line: Option<Value>,
    /// What Grafana says to the same request where no proxy repairs it.
    pub unrepaired: Option<Reply>,
}

/// Where the tour leads.
#[derive(Debug)]
pub(super) struct Route {
    /// The proxy.
    pub proxy: SocketAddr,
    /// The stand-in behind it.
    pub standin: SocketAddr,
    /// The proxy's log.
    pub journal: Journal,
    /// Requests that one token may send at once.
    pub burst: NonZeroU32,
}

impl Route {
    /// Sends the requests of a step, and gathers what came of it.
    pub(super) async fn take(&self, step: &Step) -> io::Result<Outcome> {
        let request = step.bytes();
        let most = if step.until_refused { self.burst.get().saturating_mul(4).min(MOST) } else { 1 };
        let mut sent = 0;
        let reply = loop {
            let reply = client::send(self.proxy, &request).await?;
            sent += 1;
            if sent >= most || reply.status == step.expected.status {
                break reply;
            }
        };
        let line = match reply.field("x-request-id") {
            Some(id) if reply.field("x-token-proxy-reason").is_some() => self.journal.refusal(id).await,
            _ => None,
        };
        let is_repaired = !step.expected.changes.is_empty();
        let unrepaired = if is_repaired { Some(client::send(self.standin, &request).await?) } else { None };
        Ok(Outcome { sent, reply, line, unrepaired })
    }
}

impl Outcome {
    /// The reason that the answer's header gives.
    pub(super) fn reason(&self) -> Option<&str> {
        self.reply.field("x-token-proxy-reason")
    }

    /// The repairs, as the answer to the probe tells them.
    pub(super) fn changes(&self) -> Vec<&str> {
        let saw = self.reply.field("x-token-proxy-saw").unwrap_or_default();
        let changes = saw.split("; ").find_map(|pair| pair.strip_prefix("changes="));
        changes.map(|changes| changes.split(',').collect()).unwrap_or_default()
    }

    /// A text of the log line.
    pub(super) fn told(&self, key: &str) -> Option<&str> {
        self.line.as_ref()?.get(key)?.as_str()
    }

    /// What is not as it must be.
    pub(super) fn faults(&self, expected: &Expected) -> Vec<String> {
        let mut faults = Vec::new();
        let mut compare = |what: &str, wanted: &str, got: &str| {
            if wanted != got {
                faults.push(format!("{what}: {wanted} was expected, {got} came"));
            }
        };
        compare("status", &expected.status.to_string(), &self.reply.status.to_string());
        let reason = expected.reason.map_or("none", |reason| reason.code());
        compare("reason", reason, self.reason().unwrap_or("none"));
        compare("reason in the log", reason, self.told("reason").unwrap_or("none"));
        let changes: Vec<&str> = expected.changes.iter().map(|change| change.name()).collect();
        compare("repairs", &listed(&changes), &listed(&self.changes()));
        faults
    }
}

fn listed(names: &[&str]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}
