//! What the API and the page show of tokens and of the configuration.

use std::time::SystemTime;

use serde::Serialize;

use super::state::InForce;
use crate::domain::limit::Policy;
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
    pub(super) fn of(state: &TokenState, in_force: &InForce) -> Self {
        let place = state.name.as_ref().and_then(|name| in_force.callers.iter().position(|other| other == name));
        let (remaining, burst) = in_force.limits.left(state.key, place);
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
        }
    }
}
