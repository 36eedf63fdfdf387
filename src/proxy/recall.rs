//! What is remembered of an exchange, and what earlier ones add to a refusal.

use http::StatusCode;
use tokio::time::Instant;

use super::Proxy;
use super::gate::Judged;
use crate::domain::classify::Verdict;
use crate::domain::credential::AuthForm;
use crate::domain::fields::Fields;
use crate::domain::head::{Carriers, RequestFacts};
use crate::domain::past::{Proof, advise};
use crate::domain::sign_in::Carrier;
use crate::telemetry::memory::{Caller, Moment, Sighting};

impl Proxy {
    /// An exchange ended without a refusal, with this head of a response.
    pub(super) fn remember(&self, judged: &mut Judged, status: StatusCode, headers: &Fields, began: Instant) {
        let proof = |facts: &RequestFacts| Proof::of(&facts.method, status, facts.uri.path(), headers);
        if !judged.accepted && judged.carrier.is_some() {
            let proven = match judged.carrier {
                // Its path is the credential, and nobody else's sign-in opens it.
                Some(Carrier::PublicDashboard) if status.is_success() => Proof::of_public_dashboard(headers),
                _ => proof(&judged.facts),
            };
            self.weigh(judged, proven);
        }
        if judged.accepted && judged.line.is_some() && proof(&judged.facts) != Proof::Nothing {
            self.learn(judged);
        }
        let (judged, began) = (&*judged, began.into_std());
        let facts = &judged.facts;
        let beside = facts.session_cookie;
        self.recorder.memory().served(&caller(judged, began), beside, judged.accepted, began, || proof(facts));
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
pub(super) fn caller(judged: &Judged, at: std::time::Instant) -> Caller<'_> {
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
