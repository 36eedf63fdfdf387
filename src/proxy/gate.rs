//! The gate: asks `domain::decide` about a request, and keeps what must outlive its headers.

use std::net::IpAddr;
use std::sync::Arc;

use http::HeaderValue;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};

use super::headers::{Stamp, write_request};
use super::{Peer, Proxy};
use crate::domain::caller::{Caller, Secret};
use crate::domain::credential::{Changes, Outward};
use crate::domain::decide::{
    Asked, Findings, Refused, Whom, address_key, decide, limited, limits_unavailable, user_key,
};
use crate::domain::head::{AuthFacts, Head, OrgFacts, RequestFacts, RequestParts};
use crate::domain::identity::{Cookie, cookie};
use crate::domain::limit::{Ask, Budget, Decision};
use crate::domain::org;
use crate::domain::request_id;
use crate::domain::sign_in::Carrier;
use crate::domain::token::{BucketKey, Fingerprint};
use crate::limits::{Checked, Hold, Round, Slot};

/// What is escaped in a cookie: all but unreserved characters (RFC 3986 §2.3).
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A request that has been judged. Large, and handed from step to step: behind a pointer.
#[derive(Debug)]
pub(super) struct Judged {
    /// The id, as it goes to Grafana and back to the client.
    pub id: HeaderValue,
    /// It is of our own making.
    pub own_id: bool,
    /// What may be said about the request later.
    pub facts: RequestFacts,
    /// The client.
    pub client: IpAddr,
    /// The token's stand-in.
    pub fingerprint: Option<Fingerprint>,
    /// What its bucket and its past are filed under.
    pub key: Option<BucketKey>,
    /// What the past of its user is filed under, where there is a password.
    pub user: Option<BucketKey>,
    /// Whether there was any credential.
    pub has_credential: bool,
    /// The known caller that sent it.
    pub caller: Option<Arc<Caller>>,
    /// The header line with the credential, where Grafana may be asked about it.
    pub line: Option<Secret>,
    /// What the limits were asked for.
    pub ask: Option<Ask>,
    /// What they said.
    pub limit: Option<Decision>,
    /// What a limit that is not enforced would have refused it with.
    pub shadowed: Option<(Decision, Refused)>,
    /// Whether Grafana has accepted the credential before.
    pub accepted: bool,
    /// Nothing else in the request could have signed in.
    pub is_alone: bool,
    /// What carries the credential that the request is filed under.
    pub carrier: Option<Carrier>,
    /// What it holds of its address's budget.
    pub hold: Option<Hold>,
    /// Its place among the answers that are outstanding.
    pub slot: Option<Slot>,
    /// What the limits that all replicas share still have to say.
    pub round: Option<Box<Round>>,
    /// The head that Grafana gets; nothing where the request goes no further.
    pub outward: Vec<u8>,
    /// Whether a WebSocket is asked for.
    pub wants_upgrade: bool,
    /// The value of `X-Token-Proxy-Probe`.
    pub probe: Option<HeaderValue>,
    /// Why it goes no further.
    pub refusal: Option<Refused>,
}

impl Proxy {
    /// Judges a request by its head. `asks` says whether the limits are asked: a request that is refused anyway spends
    /// nothing. `chunked` says that its body comes without a length.
    pub(super) fn judge(&self, parts: &RequestParts, peer: &Peer, asks: bool, chunked: bool) -> Box<Judged> {
        let head = Head::collect(&parts.fields, &self.policy.clients.identity_headers);
        let asked = Asked { method: &parts.method, uri: &parts.uri, head: &head, peer: peer.address };
        let mut found = decide(asked, &self.policy, |key| self.recorder.memory().organisation(key));
        let mut ask = found.ask.filter(|_| asks);
        if let Some(Ask { from: Budget::Credential(credential), .. }) = &mut ask {
            credential.takes_question = !found.sign_in.is_alone || self.proving.serves_visitors();
        }
        let address = || address_key(found.client, &self.policy.hash_key);
        let mut checked = ask.map(|ask| self.limits.check(&ask, address)).unwrap_or_default();
        checked.accepted |= found.caller.is_some();
        let whom = Whom {
            caller: found.caller.as_deref(),
            has_credential: found.key.is_some(),
            sent_credential: found.sign_in.credential.is_some(),
            client: found.client,
        };
        let refusal = found.refusal.clone().or_else(|| refusal_of(&checked, whom));
        let shadowed = checked.shadowed.map(|decision| (decision, limited(&decision, whom)));
        let metrics = self.recorder.metrics();
        metrics.changed(found.credential.changes);
        metrics.decided(checked.decision, checked.shadowed);
        let (id, id_is_theirs) = self.request_id(&head);
        let facts = RequestFacts::gather(
            &parts.method,
            &parts.uri,
            &head,
            std::mem::take(&mut found.sign_in.facts),
            AuthFacts::from(&found.credential),
            self.org_facts(&head, parts, &found),
        );
        let stamp = Stamp {
            request_id: (!id_is_theirs).then_some(&id),
            peer: &peer.header,
            client: found.client,
            scheme: if peer.encrypted { "https" } else { "http" },
            authority: self.upstream.authority(),
            chunked,
        };
        let line = self.line_to_ask_with(&found, &head, checked.accepted);
        let outward = match refusal {
            Some(_) => Vec::new(),
            None => write_request(parts, &head, &found, &self.policy, stamp),
        };
        Box::new(Judged {
            id,
            own_id: !id_is_theirs,
            facts,
            client: found.client,
            fingerprint: found.credential.token.and(found.key).map(|key| key.fingerprint()),
            key: found.key,
            user: user_key(&found.credential, &self.policy.hash_key),
            has_credential: found.key.is_some(),
            ask,
            limit: checked.decision,
            shadowed,
            accepted: checked.accepted,
            is_alone: found.sign_in.is_alone,
            carrier: found.sign_in.credential.map(|(carrier, _)| carrier),
            hold: checked.hold,
            slot: checked.slot,
            round: checked.round,
            caller: found.caller,
            line,
            outward,
            wants_upgrade: head.websocket().is_some(),
            probe: head.probe.filter(|value| is_probe(value)).and_then(|value| head.fields.share(value)),
            refusal,
        })
    }

    /// The header line by which Grafana can be asked about a credential: what it gets with the request itself. Only where
    /// there may be a question: it is not accepted yet, or its organisation is to be learnt.
    fn line_to_ask_with(&self, found: &Findings<'_>, head: &Head<'_>, accepted: bool) -> Option<Secret> {
        let (carrier, _) = found.sign_in.credential?;
        let learns = || {
            let token = found.credential.token.and(found.key);
            token.is_some_and(|key| found.org.sent.is_none() && self.wants_organisation(key))
        };
        if accepted && !learns() {
            return None;
        }
        let lines: [&[u8]; 2] = match carrier {
            Carrier::Authorization => match &found.credential.outward {
                Outward::Replace(value) => [b"authorization", value],
                _ => [b"authorization", head.authorization.first()?],
            },
            Carrier::JwtHeader => [head.jwt_in?, head.jwt?],
            // Alone: another cookie could sign in, too.
            Carrier::Session => return self.cookie_to_ask_with(head, &self.policy.clients.session_cookie.0),
            Carrier::RenderKey => return self.cookie_to_ask_with(head, "renderKey"),
            Carrier::IdentityHeader => {
                let line = head.identity.first()?;
                [line.name, line.value]
            }
            Carrier::JwtQuery | Carrier::PublicDashboard => return None,
        };
        let [name, value] = lines;
        Some(Secret::new([name, b": ", value, b"\r\n"].concat()))
    }

    fn cookie_to_ask_with(&self, head: &Head<'_>, name: &str) -> Option<Secret> {
        let Some(Cookie::Read(value)) = cookie(&head.cookie, name.as_bytes()) else { return None };
        let value = percent_encode(&value, RESERVED);
        Some(Secret::new(format!("cookie: {name}={value}\r\n").into_bytes()))
    }

    /// The id of a request, and whether it brought its own.
    pub(super) fn request_id(&self, head: &Head<'_>) -> (HeaderValue, bool) {
        let theirs = head.request_id.filter(|value| request_id::is_sane(value));
        match theirs.and_then(|value| head.fields.share(value)) {
            Some(value) => (value, true),
            None => (self.new_request_id(), false),
        }
    }

    /// An id for a request that brought none.
    pub fn new_request_id(&self) -> HeaderValue {
        let id = request_id::format(self.next_id());
        HeaderValue::from_bytes(&id).unwrap_or(HeaderValue::from_static("unknown"))
    }

    fn org_facts(&self, head: &Head<'_>, parts: &RequestParts, found: &Findings<'_>) -> OrgFacts {
        let received = match head.organisation.first() {
            Some(value) => Some(text(value)),
            None => parts.uri.query().and_then(org::target_org).map(|value| text(value.as_bytes())),
        };
        OrgFacts { received, sent: found.org.sent, by: found.org.by }
    }
}

/// Why the limits refuse a request, if they do.
fn refusal_of(checked: &Checked, whom: Whom<'_>) -> Option<Refused> {
    if checked.is_unavailable {
        return Some(limits_unavailable());
    }
    checked.decision.filter(|decision| !decision.is_admitted()).map(|decision| limited(&decision, whom))
}

/// What a stranger wrote, short enough to be told again.
fn text(bytes: &[u8]) -> Box<str> {
    String::from_utf8_lossy(bytes.get(..32).unwrap_or(bytes)).into()
}

fn is_probe(value: &[u8]) -> bool {
    (1..=64).contains(&value.len()) && value.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-')
}

impl Judged {
    /// What the limits that all replicas share have said after all.
    pub(super) fn settle(&mut self, checked: Checked) {
        let caller = self.caller.clone();
        let whom = Whom {
            caller: caller.as_deref(),
            has_credential: self.has_credential,
            sent_credential: self.carrier.is_some(),
            client: self.client,
        };
        self.refusal = refusal_of(&checked, whom);
        if let Some(decision) = checked.shadowed {
            self.shadowed.get_or_insert_with(|| (decision, limited(&decision, whom)));
        }
        self.limit = checked.decision.or(self.limit);
    }

    /// What reached us and what we sent: the value of `X-Token-Proxy-Saw`.
    pub(super) fn saw(&self) -> Option<HeaderValue> {
        let probe = self.probe.as_ref()?.to_str().ok()?;
        let auth = &self.facts.auth;
        let mut text = format!("probe={probe}; auth_received={}", auth.received.name());
        if let Some(token) = &auth.token {
            text.push_str("; token_kind=");
            text.push_str(token.kind.name());
        }
        if let Some(fingerprint) = self.fingerprint {
            text.push_str(&format!("; fingerprint={fingerprint}"));
        }
        if !auth.changes.is_empty() {
            text.push_str("; changes=");
            text.push_str(&joined(auth.changes));
        }
        text.push_str("; auth_sent=");
        text.push_str(auth.sent.name());
        if let Some(org) = self.facts.org.sent {
            text.push_str(&format!("; org_sent={org}"));
        }
        text.push_str(concat!("; version=", env!("CARGO_PKG_VERSION")));
        HeaderValue::try_from(text).ok()
    }
}

fn joined(changes: Changes) -> String {
    changes.iter().map(|change| change.name()).collect::<Vec<_>>().join(",")
}
