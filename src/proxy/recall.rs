//! What is remembered of an exchange, and what earlier ones add to a refusal.

use http::StatusCode;
use tokio::time::Instant;

use super::Proxy;
use super::gate::Judged;
use crate::domain::classify::Verdict;
use crate::domain::credential::AuthForm;
use crate::domain::head::Carriers;
use crate::domain::past::{Proof, advise};
use crate::telemetry::memory::{Caller, Moment, Sighting};

impl Proxy {
    /// An exchange ended without a refusal.
    pub(super) fn remember(&self, judged: &Judged, status: StatusCode, began: Instant) {
        let facts = &judged.facts;
        let proof = || Proof::of(&facts.method, status, facts.uri.path());
        if judged.learn.is_some() && proof() == Proof::SignedIn {
            self.learn(judged);
        }
        if let Some(ask) = judged.ask.filter(|_| !judged.accepted && proof() == Proof::SignedIn) {
            self.limits.accept(ask.from);
        }
        let began = began.into_std();
        self.recorder.memory().served(&caller(judged, began), facts.session_cookie, began, proof);
    }

    /// An exchange ended with a refusal: says with it what its past makes likely.
    pub(super) fn recall(&self, judged: &Judged, status: StatusCode, mut verdict: Verdict) -> Verdict {
        let now = Moment::now();
        let caller = caller(judged, now.monotonic);
        let past = self.recorder.memory().refused(&caller, verdict.reason, status.as_u16(), now);
        advise(&judged.facts, &past, verdict.reason).add_to(&mut verdict);
        verdict
    }
}

/// Who sent it.
fn caller(judged: &Judged, at: std::time::Instant) -> Caller<'_> {
    let facts = &judged.facts;
    match (judged.key, &facts.auth.token, judged.user) {
        (Some(key), Some(token), _) => {
            let organisation = facts.org.sent;
            Caller::Token(Sighting {
                key,
                kind: Some(token.kind),
                name: judged.caller.as_ref().map(|caller| &caller.name),
                organisation,
                at,
            })
        }
        (Some(pair), None, Some(name)) => Caller::User { name, pair },
        (None, ..) if facts.auth.sent == AuthForm::None && !facts.session_cookie && !facts.render_key => {
            if facts.carriers == Carriers::default() { Caller::Nobody } else { Caller::Other }
        }
        _ => Caller::Other,
    }
}
