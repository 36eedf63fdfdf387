//! Heads at fault: nothing of them goes on, and all that can be made out of them is told.

use std::net::IpAddr;

use bytes::Bytes;
use http::StatusCode;

use super::body::Body;
use super::respond::Answer;
use super::{Proxy, Reply};
use crate::domain::credential::{AuthForm, Repair, judge};
use crate::domain::framing::Fault;
use crate::domain::head::{AuthFacts, Head, OrgFacts, Reading, RequestFacts, SignInFacts};
use crate::domain::outline::outline;
use crate::telemetry::Refusal;

impl Proxy {
    /// Records the refusal of a head, `bytes` as far as it came, and makes the answer to it.
    pub fn refuse_head(&self, fault: &Fault, bytes: Bytes, client: IpAddr) -> Reply<Body> {
        let (parts, known) = outline(bytes);
        let head = Head::collect(&parts.fields, &self.policy.clients.identity_headers);
        let (id, _) = self.request_id(&head);
        let credential = judge(&head.authorization, &[], Repair::On);
        let lines = &head.authorization;
        let key = credential.with_compared(lines, |compared| compared.key(&self.policy.hash_key));
        // Whatever it was, Grafana got none of it.
        let auth = AuthFacts { sent: AuthForm::None, ..AuthFacts::from(&credential) };
        let mut facts =
            RequestFacts::gather(&parts.method, &parts.uri, &head, SignInFacts::default(), auth, OrgFacts::default());
        facts.reading = if known { Reading::Outline } else { Reading::Nothing };
        let mut answer = Answer::new(fault.reason, fault.detail.clone(), fault.hint);
        answer.status = StatusCode::from_u16(fault.status).unwrap_or(StatusCode::BAD_REQUEST);
        let trace_id = facts.trace_id().map(str::to_owned);
        let reply = answer.into_reply(&id, trace_id.as_deref());
        self.recorder.refused(Refusal {
            request_id: id.to_str().unwrap_or_default().to_owned(),
            trace_id,
            client: Some(client),
            fingerprint: credential.token.and(key).map(|key| key.fingerprint()),
            facts,
            ..Refusal::unread(fault.reason, fault.status, fault.detail.clone(), fault.hint.to_owned())
        });
        reply
    }
}
