//! What the API and the page show of tokens and of the configuration.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::Serialize;

use crate::domain::demand::{Demand, Need};
use crate::domain::limit::{Mode, Policy};
use crate::limits::Limits;
use crate::telemetry::Metrics;
use crate::telemetry::memory::TokenState;
use crate::telemetry::timestamp;

/// One key of the configuration.
#[derive(Clone, Debug, Serialize)]
pub struct ConfigRow {
    /// Its dotted path.
    pub key: &'static str,
    /// Its value, without secrets.
    pub value: String,
    /// Who set it.
    pub origin: String,
}

/// One token.
#[derive(Clone, Debug, Serialize)]
pub struct TokenRow {
    /// What stands for it in the log.
    pub fingerprint: String,
    /// Its configured name.
    pub name: Option<String>,
    /// Its family.
    pub kind: Option<&'static str>,
    /// When it came first.
    pub first_seen: String,
    /// When it came last.
    pub last_seen: String,
    /// Requests with it that were not refused.
    pub served: u32,
    /// Requests with it that were refused, by whomever.
    pub refused: u32,
    /// Its last success.
    pub last_accepted: Option<String>,
    /// The organisation that was asked for then.
    pub accepted_org: Option<u32>,
    /// Its last refusal.
    pub last_refused: Option<String>,
    /// The reason of that.
    pub last_reason: Option<&'static str>,
    /// The status of that.
    pub last_status: Option<u16>,
    /// Whether the last that is known of it is a refusal.
    pub is_refused: bool,
    /// What is left of its limit.
    pub limit: LimitRow,
    /// What it has needed, where Grafana has accepted it.
    pub demand: Option<DemandRow>,
}

/// What a limit has said since the start.
#[derive(Clone, Debug, Serialize)]
pub(super) struct PolicyRow {
    /// Its name.
    pub policy: &'static str,
    /// What becomes of requests beyond it.
    pub mode: &'static str,
    /// Requests that it lets through at once.
    pub burst: Option<u32>,
    /// Requests that passed.
    pub allowed: u64,
    /// Requests that it refused.
    pub refused: u64,
    /// Requests that it would have refused.
    pub shadow: u64,
    /// Requests that left less than a fifth of their budget.
    pub near_limit: u64,
}

impl PolicyRow {
    pub(super) fn of(policy: Policy, limits: &Limits, metrics: &Metrics) -> Self {
        let rule = limits.rule(policy);
        let ([allowed, refused, shadow], near_limit) = metrics.decisions(policy);
        let mode = rule.map_or(Mode::Off, |(mode, _)| mode).name();
        let burst = rule.map(|(_, burst)| burst.get());
        Self { policy: policy.name(), mode, burst, allowed, refused, shadow, near_limit }
    }
}

/// What a token has needed: for each rate the smallest burst that would have refused none of its requests.
#[derive(Clone, Debug, Serialize)]
pub struct DemandRow {
    /// Requests that were looked at.
    pub requests: u64,
    /// Since when.
    pub since: String,
    /// The rates, the slowest first.
    pub needs: Vec<NeedRow>,
}

/// What one rate needs.
#[derive(Clone, Debug, Serialize)]
pub struct NeedRow {
    /// The rate, as the configuration writes it.
    pub rate: String,
    /// The burst; `null` where it is more than a quarter of an hour of the rate.
    pub burst: Option<u32>,
}

impl DemandRow {
    fn of((demand, watched): (Demand, Duration)) -> Self {
        let row = |need: &Need| NeedRow { rate: format!("{}/s", need.per_second), burst: need.burst };
        Self {
            requests: demand.requests(),
            since: timestamp(SystemTime::now() - watched),
            needs: demand.needs().iter().map(row).collect(),
        }
    }
}

/// What is left of a limit.
#[derive(Clone, Debug, Serialize)]
pub struct LimitRow {
    /// Its name.
    pub policy: &'static str,
    /// Requests that pass at once, now.
    pub remaining: u32,
    /// Requests that pass at once, at best.
    pub burst: u32,
}

impl TokenRow {
    /// `callers` are the names of known ones, in their order.
    pub(super) fn of(state: &TokenState, limits: &Limits, callers: &[Arc<str>]) -> Self {
        let place = state.name.as_ref().and_then(|name| callers.iter().position(|other| other == name));
        let (remaining, burst) = limits.left(state.key, place);
        let past = &state.past;
        let at = |time: SystemTime| timestamp(time);
        let is_refused = match (&past.accepted, &past.refused) {
            (_, None) => false,
            (None, Some(_)) => true,
            (Some(accepted), Some(refused)) => refused.last >= accepted.last,
        };
        Self {
            fingerprint: state.fingerprint.to_string(),
            name: state.name.as_deref().map(str::to_owned),
            kind: state.kind.map(|kind| kind.name()),
            first_seen: at(state.first_seen),
            last_seen: at(state.last_seen),
            served: state.served,
            refused: state.refused,
            last_accepted: past.accepted.as_ref().map(|accepted| at(accepted.last)),
            accepted_org: past.accepted.as_ref().and_then(|accepted| accepted.organisation),
            last_refused: past.refused.as_ref().map(|refused| at(refused.last)),
            last_reason: past.refused.as_ref().map(|refused| refused.reason.code()),
            last_status: past.refused.as_ref().map(|refused| refused.status),
            is_refused,
            limit: LimitRow { policy: Policy::Token.name(), remaining, burst },
            demand: limits.demand(state.key).map(DemandRow::of),
        }
    }
}
