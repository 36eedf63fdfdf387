//! A request's way to Grafana and its answer's way back.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, SystemTime};

use http::{HeaderValue, Method, StatusCode, header};
use http_body::Body as _;
use tokio::time::Instant;

use super::body::Body;
use super::exchange::{Ending, ExchangeBody};
use super::gate::Judged;
use super::headers::{clean_answer, name};
use super::respond::{Answer, proxy_status};
use super::{Peer, Proxy, Reply, SILENCE, Tunnel, peek};
use crate::body::{RequestBody, Upload, UploadFailure, UploadOutcome, Uploaded};
use crate::domain::classify::{self, Look, Verdict, classify};
use crate::domain::decide::{Refused, address_key};
use crate::domain::fields::is;
use crate::domain::framing::Fault;
use crate::domain::head::RequestParts;
use crate::domain::limit::Decision;
use crate::domain::past::{Proof, condemns_token};
use crate::domain::reason::{Reason, Source};
use crate::domain::sign_in::Carrier;
use crate::progress::Wait;
use crate::telemetry::{Refusal, Served, ServedLine, TokenLabel};
use crate::upstream::answer::Head;
use crate::upstream::{Failure, Incoming, Outward};

/// One exchange as far as it has come.
struct Course {
    judged: Box<Judged>,
    began: Instant,
    /// How long Grafana took to begin its answer.
    upstream: Option<Duration>,
    /// It has been refused, by whomever, and recorded so.
    refused: bool,
    ending: Ending,
}

impl Proxy {
    /// Serves one request. Whatever happens, there is an answer.
    pub async fn serve(&self, parts: RequestParts, body: Uploaded, peer: &Peer) -> Reply<ExchangeBody> {
        let began = Instant::now();
        let (mut ending, in_flight) = self.begin(peer);
        #[cfg(test)]
        assert_ne!(parts.uri.path(), super::PANICS, "asked for with {:?}", parts.fields.get("authorization"));
        let overloaded = in_flight > self.max_in_flight;
        let chunked = !body.is_end_stream() && body.size_hint().exact().is_none();
        let mut judged = self.judge(&parts, peer, !overloaded, chunked);
        ending.hold(judged.slot.take());
        let mut course = Course { judged, began, upstream: None, refused: false, ending };
        if let Some(round) = course.judged.round.take() {
            let checked = Box::pin(self.limits.settle(*round)).await;
            self.recorder.metrics().decided(checked.decision, checked.shadowed);
            course.judged.settle(checked);
            if course.judged.refusal.is_some() {
                course.judged.hold.take().into_iter().for_each(|hold| self.limits.release(hold));
            }
        }
        let response = match self.refuse_early(&mut course, &parts, overloaded) {
            Some(answer) => self.refuse(&mut course, answer),
            None => self.forward(parts.method, body, &mut course, peer).await,
        };
        self.finish(response, course)
    }

    fn begin(&self, peer: &Peer) -> (Ending, usize) {
        let silence = SILENCE.max(self.uploads.answer_timeout);
        let gauge = self.recorder.metrics().request();
        Ending::begin(Arc::clone(&peer.progress), Arc::clone(&self.lane.in_flight), silence, gauge)
    }

    /// The answer where serving a request panicked.
    pub fn apologise(&self, peer: &Peer) -> Reply<ExchangeBody> {
        self.decline_with(
            peer,
            Answer::new(
                Reason::InternalError,
                "The proxy failed on this request; others are not affected.",
                "Report it with the log line `panicked` of this moment.",
            ),
        )
    }

    /// The answer to a request whose head is at fault.
    pub fn decline(&self, peer: &Peer, fault: &Fault) -> Reply<ExchangeBody> {
        let mut answer = Answer::new(fault.reason, fault.detail.clone(), fault.hint);
        answer.status = StatusCode::from_u16(fault.status).unwrap_or(StatusCode::BAD_REQUEST);
        self.decline_with(peer, answer)
    }

    fn decline_with(&self, peer: &Peer, answer: Answer) -> Reply<ExchangeBody> {
        let (ending, _) = self.begin(peer);
        let id = self.new_request_id();
        self.recorder.refused(Refusal {
            request_id: id.to_str().unwrap_or_default().to_owned(),
            client: Some(peer.address),
            ..Refusal::unread(answer.reason, answer.status.as_u16(), answer.detail.clone(), answer.hint.clone())
        });
        ExchangeBody::wrap(answer.into_reply(&id, None), ending)
    }

    /// Our own refusals, before anything is sent.
    fn refuse_early(&self, course: &mut Course, parts: &RequestParts, overloaded: bool) -> Option<Answer> {
        if let Some(refused) = course.judged.refusal.take() {
            let mut answer = Answer::new(refused.reason, refused.detail, refused.hint);
            let limit = course.judged.limit.filter(|limit| !limit.is_admitted());
            answer.retry_after = limit.map(|limit| limit.retry_after_seconds()).or(answer.retry_after);
            return Some(answer);
        }
        if overloaded {
            return Some(Answer::new(
                Reason::Overloaded,
                format!(
                    "{} requests are under way on this worker, the bound `http.max_in_flight`.",
                    self.max_in_flight
                ),
                "Retry in a second; if it lasts, look for slow answers of Grafana, or raise the bound.",
            ));
        }
        let most = self.uploads.max_body?;
        let length = std::str::from_utf8(parts.fields.get("content-length")?).ok()?.parse::<u64>().ok()?;
        (length > most).then(|| body_too_large(most))
    }

    async fn forward(&self, method: Method, body: Uploaded, course: &mut Course, peer: &Peer) -> Reply<Body> {
        let outcome = Arc::<UploadOutcome>::default();
        let body = if body.is_end_stream() {
            RequestBody::Empty
        } else {
            let (progress, outcome) = (Arc::clone(&peer.progress), Arc::clone(&outcome));
            let identity_headers = Arc::clone(&self.identity_headers);
            RequestBody::Upload(Upload::new(body, self.uploads, progress, outcome, identity_headers))
        };
        let sent = Instant::now();
        let head = std::mem::take(&mut course.judged.outward);
        match self.upstream.send(Outward { method, head, body }, sent, &peer.progress).await {
            Ok((head, body)) => {
                course.upstream = Some(sent.elapsed());
                self.relay(head, body, course, peer).await
            }
            Err(failure) => {
                let answer = self.explain_failure(&failure, &outcome, peer);
                self.refuse(course, answer)
            }
        }
    }

    /// Passes an answer on, explained where it is a refusal.
    async fn relay(&self, head: Head, body: Incoming, course: &mut Course, peer: &Peer) -> Reply<Body> {
        let status = head.status;
        if status == StatusCode::SWITCHING_PROTOCOLS {
            return self.switch(head, body, course, peer);
        }
        if classify::passes(status) {
            return answer(head, Body::Passing(body));
        }
        // What few answers need takes no room in the state of all.
        Box::pin(self.explain_answer(head, body, course)).await
    }

    /// Passes on what may be a refusal, with its reason where it is one.
    async fn explain_answer(&self, head: Head, body: Incoming, course: &mut Course) -> Reply<Body> {
        let (status, headers) = (head.status, &head.fields);
        let (seen, body) = match classify::look(&course.judged.facts, status, headers) {
            Look::Away => return answer(head, Body::Passing(body)),
            Look::AtHead => (Vec::new(), Body::Passing(body)),
            Look::AtBody => peek::peek(body, headers).await,
        };
        let seen = classify::Answer { status, headers, body: &seen };
        let verdict = classify(&course.judged.facts, &seen);
        if verdict.as_ref().is_some_and(|verdict| wants_permission(verdict.reason)) {
            let proof = Proof::of_missing_permission(course.judged.facts.uri.path(), headers);
            self.weigh(&mut course.judged, proof);
        }
        let mut reply = answer(head, body);
        if let Some(verdict) = verdict {
            explain(&mut reply, verdict.reason, status);
            self.record(course, status, verdict, None);
        }
        reply
    }

    /// Grafana agreed to another protocol.
    fn switch(&self, head: Head, body: Incoming, course: &mut Course, peer: &Peer) -> Reply<Body> {
        let asked = course.judged.wants_upgrade && peer.can_switch;
        let Some((grafana, first)) = body.into_stream().filter(|_| asked) else {
            let answer = Answer::new(
                Reason::UpstreamMalformed,
                "Grafana switched protocols, which nobody had asked for.",
                "Look at what stands between the proxy and Grafana.",
            );
            return self.refuse(course, answer);
        };
        // What follows is no answer.
        course.ending.hold(None);
        let tunnel = Tunnel {
            grafana,
            first,
            drained: self.drained.clone(),
            tasks: self.tunnels.clone(),
            gauge: self.recorder.metrics().upgrade(),
        };
        let protocol = head.fields.get("upgrade").and_then(|protocol| head.fields.share(protocol));
        let mut reply = answer(head, Body::Tunnel(Box::new(tunnel)));
        reply.set_own(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        if let Some(protocol) = protocol {
            reply.set_own(header::UPGRADE, protocol);
        }
        reply
    }

    /// Which of our own reasons a failure has.
    fn explain_failure(&self, failure: &Failure, outcome: &UploadOutcome, peer: &Peer) -> Answer {
        if let Some(fault) = peer.progress.fault() {
            let mut answer =
                Answer::new(fault.reason, fault.detail.clone(), "Mend the client or the hop that wrote this body.");
            answer.close = true;
            return answer;
        }
        let mut answer = match (failure, outcome.failure()) {
            (_, Some(UploadFailure::TooLarge)) => body_too_large(self.uploads.max_body.unwrap_or_default()),
            (_, Some(UploadFailure::Broken)) => Answer::new(
                Reason::BodyMalformed,
                "The request's body broke off before its end.",
                "Send the whole body, framed by Content-Length or chunks.",
            ),
            (Failure::Upload, None) if peer.progress.has_expired(Wait::Body) => Answer::new(
                Reason::BodyTimeout,
                format!("No piece of the request's body came for {} s.", self.uploads.body_timeout.as_secs_f32()),
                "Send the body without pauses, or raise `http.body_timeout`.",
            ),
            (failure, None) => return self.explain_upstream(failure),
        };
        answer.close = true;
        answer
    }

    fn explain_upstream(&self, failure: &Failure) -> Answer {
        let (reason, detail, hint) = match failure {
            Failure::Unreachable(_) if self.draining.load(Relaxed) => (
                Reason::ShuttingDown,
                "The proxy and Grafana are shutting down together.",
                "Retry in a second: another replica or the restarted pod will answer.",
            ),
            Failure::Unreachable(_) => (
                Reason::UpstreamUnreachable,
                "No connection to Grafana came about.",
                "Check that Grafana runs and listens where `upstream.url` points: curl that address from the same pod.",
            ),
            Failure::Tls(_) => (
                Reason::UpstreamUnreachable,
                "Grafana was reached, and TLS with it failed.",
                "Check the scheme of `upstream.url`, and the certificate: `upstream.ca_file` names who signed it, \
                 `upstream.server_name` the name that it is for.",
            ),
            Failure::Reset | Failure::Upload => (
                Reason::UpstreamReset,
                "The connection to Grafana was closed before an answer came.",
                "Look at Grafana's log at this time: it restarted, crashed, or a hop closed the connection.",
            ),
            Failure::Malformed(_) => (
                Reason::UpstreamMalformed,
                "What came back is not valid HTTP/1.1.",
                "Check that `upstream.url` points at Grafana's HTTP port, not at a TLS port or another service.",
            ),
            Failure::TimedOut(_) => (
                Reason::UpstreamTimeout,
                "Grafana did not begin its answer in time.",
                "Look for the slow query or datasource, or raise `upstream.response_timeout`.",
            ),
        };
        let mut answer = Answer::new(reason, detail, hint);
        answer.inside = Some(format!("Grafana could not be asked: {failure}."));
        answer
    }

    /// Refuses with an answer of ours, and records it.
    fn refuse(&self, course: &mut Course, answer: Answer) -> Reply<Body> {
        let detail = answer.inside.clone().unwrap_or_else(|| answer.detail.clone());
        let verdict = Verdict { reason: answer.reason, detail, hint: answer.hint.clone(), permission: None };
        self.record(course, answer.status, verdict, answer.retry_after);
        answer.into_reply(&course.judged.id, course.judged.facts.trace_id())
    }

    fn record(&self, course: &mut Course, status: StatusCode, verdict: Verdict, retry_after: Option<u64>) {
        course.refused = true;
        let judged = &course.judged;
        let verdict = self.recall(judged, status, verdict);
        if status == StatusCode::UNAUTHORIZED {
            self.count_failure(judged, verdict.reason);
        }
        let limit = judged.limit.filter(|limit| !limit.is_admitted());
        let mut refusal = tell(course, status, verdict);
        refusal.limit = limit.map(|limit| limit.policy.name());
        refusal.retry_after = limit.map(|limit| limit.retry_after).or(retry_after.map(Duration::from_secs));
        self.recorder.refused(refusal);
    }

    /// Writes down that a limit would have refused the request, if it were enforced.
    fn record_shadow(&self, course: &Course, limit: &Decision, refused: Refused) {
        let verdict = Verdict { reason: refused.reason, detail: refused.detail, hint: refused.hint, permission: None };
        let mut refusal = tell(course, StatusCode::TOO_MANY_REQUESTS, verdict);
        refusal.limit = Some(limit.policy.name());
        refusal.retry_after = Some(limit.retry_after);
        refusal.shadow = true;
        self.recorder.shadowed(refusal);
    }

    /// Grafana, or a hop before it, has answered 401: one more of this address.
    fn count_failure(&self, judged: &Judged, reason: Reason) {
        let Some(ask) = judged.ask.filter(|_| matches!(reason.source(), Source::Grafana | Source::Hop)) else { return };
        // A session that has ended is nobody's guess: browsers send its cookie on.
        if judged.accepted && judged.carrier == Some(Carrier::Session) {
            return;
        }
        let condemned = condemns_token(reason) || matches!(reason, Reason::PasswordWrong | Reason::UserDisabled);
        self.limits.fail(ask.from, address_key(judged.client, &self.policy.hash_key), condemned);
    }

    /// Puts our own headers on, counts, and ties the answer's end to what it holds.
    fn finish(&self, mut reply: Reply<Body>, mut course: Course) -> Reply<ExchangeBody> {
        if let Some((limit, refused)) = course.judged.shadowed.take() {
            self.record_shadow(&course, &limit, refused);
        }
        let Course { mut judged, began, upstream, refused, ending } = course;
        reply.set_own(name::REQUEST_ID, judged.id.clone());
        if let Some(limit) = &judged.limit {
            self.show_limit(&mut reply, limit, &judged);
        }
        if let Some(saw) = judged.saw() {
            reply.set_own(name::SAW, saw);
        }
        let duration = began.elapsed();
        let served = Served {
            method: &judged.facts.method,
            status: reply.status,
            token: match &judged.caller {
                Some(caller) => TokenLabel::Named(&caller.name),
                None if judged.has_credential => TokenLabel::Other,
                None => TokenLabel::None,
            },
            duration,
            overhead: duration.saturating_sub(upstream.unwrap_or_default()),
        };
        self.recorder.served(&served);
        // A refused request has its line already, and its place in the memory.
        let status = served.status;
        if !refused {
            self.remember(&mut judged, status, &reply.passed, began);
        }
        if self.recorder.writes_served() && !refused {
            self.recorder.write_served(&ServedLine {
                at: SystemTime::now(),
                facts: &judged.facts,
                status,
                request_id: &judged.id,
                own_id: judged.own_id,
                client: judged.client,
                token_name: judged.caller.as_ref().map(|caller| &*caller.name),
                fingerprint: judged.fingerprint,
                duration,
                upstream,
            });
        }
        ExchangeBody::wrap(reply, ending)
    }

    fn show_limit(&self, reply: &mut Reply<Body>, decision: &Decision, judged: &Judged) {
        let caller = judged.caller.as_ref().map(|caller| caller.place);
        if reply.passed.names().any(is_rate_limit) {
            reply.passed.retain(|name| !is_rate_limit(name));
        }
        reply.add(name::RATE_LIMIT_POLICY, self.limits.policy_header(decision.policy, caller).clone());
        reply.add(name::RATE_LIMIT, decision.header());
    }
}

/// An answer of another's, without what was meant for our connection to Grafana alone.
fn answer(head: Head, body: Body) -> Reply<Body> {
    let Head { status, version, phrase, mut fields, .. } = head;
    clean_answer(&mut fields, version);
    Reply { passed: fields, phrase: Some(phrase), ..Reply::new(status, body) }
}

/// What is told of a request that was refused, or would have been.
fn tell(course: &Course, status: StatusCode, verdict: Verdict) -> Refusal {
    let judged = &course.judged;
    Refusal {
        at: SystemTime::now(),
        status: status.as_u16(),
        reason: verdict.reason,
        detail: verdict.detail,
        hint: verdict.hint,
        permission: verdict.permission,
        facts: judged.facts.clone(),
        request_id: judged.id.to_str().unwrap_or_default().to_owned(),
        trace_id: judged.facts.trace_id().map(str::to_owned),
        client: Some(judged.client),
        token_name: judged.caller.as_ref().map(|caller| Arc::clone(&caller.name)),
        fingerprint: judged.fingerprint,
        limit: None,
        retry_after: None,
        shadow: false,
        duration: course.began.elapsed(),
        upstream: course.upstream,
    }
}

/// Whether a field is one of those that tell a client its limit.
fn is_rate_limit(name: &[u8]) -> bool {
    match name.len() {
        9 => is(name, "ratelimit"),
        16 => is(name, "ratelimit-policy"),
        _ => false,
    }
}

/// Whether Grafana let somebody sign in before it refused.
const fn wants_permission(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::PermissionMissing
            | Reason::RoleTooLow
            | Reason::UsersOnly
            | Reason::FolderDenied
            | Reason::DatasourceDenied
    )
}

fn explain(reply: &mut Reply<Body>, reason: Reason, status: StatusCode) {
    reply.set_own(name::REASON, HeaderValue::from_static(reason.code()));
    if let Some(value) = proxy_status(reason, Some(status)) {
        reply.add(name::PROXY_STATUS, value);
    }
}

fn body_too_large(most: u64) -> Answer {
    let mut answer = Answer::new(
        Reason::BodyTooLarge,
        format!("The request's body is longer than {most} bytes, the bound `http.max_body`."),
        "Send less at once, or raise the bound.",
    );
    answer.close = true;
    answer
}
