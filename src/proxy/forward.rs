//! A request's way to Grafana and its answer's way back.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, SystemTime};

use http::request::Parts;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Uri, header};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use tokio::time::Instant;

use super::exchange::{Ending, ExchangeBody};
use super::gate::Judged;
use super::headers::{Plan, Stamp, clean_answer, name};
use super::respond::{Answer, proxy_status};
use super::{Peer, Proxy, again, peek, upgrade};
use crate::body::{Body, RequestBody, Upload, UploadFailure, UploadOutcome};
use crate::domain::classify::{self, Look, Verdict, classify};
use crate::domain::limit::Decision;
use crate::domain::reason::Reason;
use crate::progress::Wait;
use crate::telemetry::{Refusal, Served, ServedLine};
use crate::upstream::{Failure, Lease};

/// One exchange as far as it has come.
struct Course {
    judged: Judged,
    began: Instant,
    /// How long Grafana took to begin its answer.
    upstream: Option<Duration>,
    ending: Ending,
}

/// What goes back to the client, and what holds until its end.
struct Reply {
    response: Response<Body>,
    lease: Option<Lease>,
}

impl Proxy {
    /// Serves one request. Whatever happens, there is an answer.
    pub async fn serve(&self, mut request: Request<Incoming>, peer: &Peer) -> Response<ExchangeBody> {
        let began = Instant::now();
        let (ending, in_flight) = self.begin(peer);
        let client_upgrade = request.extensions_mut().remove::<OnUpgrade>();
        let (mut parts, body) = request.into_parts();
        let overloaded = in_flight > self.max_in_flight;
        let judged = self.judge(&parts, peer, !overloaded);
        let mut course = Course { judged, began, upstream: None, ending };
        let reply = match self.refuse_early(&mut course, &parts, overloaded) {
            Some(answer) => self.refuse(&course, answer),
            None => {
                self.prepare(&mut parts, &mut course, peer);
                self.forward(parts, body, &mut course, client_upgrade, peer).await
            }
        };
        self.finish(reply, course)
    }

    fn begin(&self, peer: &Peer) -> (Ending, usize) {
        Ending::begin(Arc::clone(&peer.progress), Arc::clone(&self.in_flight), self.recorder.metrics().request())
    }

    /// The answer where serving a request panicked.
    pub fn apologise(&self, peer: &Peer) -> Response<ExchangeBody> {
        let (ending, _) = self.begin(peer);
        let id = self.new_request_id();
        let answer = Answer::new(
            Reason::InternalError,
            "The proxy failed on this request; others are not affected.",
            "Report it with the log line `panicked` of this moment.",
        );
        self.recorder.refused(Refusal {
            request_id: id.to_str().unwrap_or_default().to_owned(),
            client: Some(peer.address),
            ..Refusal::unread(answer.reason, answer.status.as_u16(), answer.detail.clone(), answer.hint.clone())
        });
        ExchangeBody::wrap(answer.into_response(&id, None), None, ending)
    }

    /// Our own refusals, before anything is sent.
    fn refuse_early(&self, course: &mut Course, parts: &Parts, overloaded: bool) -> Option<Answer> {
        if let Some(refused) = course.judged.refusal.take() {
            let mut answer = Answer::new(refused.reason, refused.detail, refused.hint);
            answer.retry_after =
                course.judged.limit.filter(|limit| !limit.admitted).map(|limit| limit.retry_after_seconds());
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
        let length =
            parts.headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        match (self.uploads.max_body, length) {
            (Some(most), Some(length)) if length > most => Some(body_too_large(most)),
            _ => None,
        }
    }

    /// Turns the client's head into Grafana's.
    fn prepare(&self, parts: &mut Parts, course: &mut Course, peer: &Peer) {
        let plan = std::mem::take(&mut course.judged.plan);
        course.judged.wants_upgrade = plan.wants_upgrade();
        self.apply(plan, parts, &course.judged, peer);
    }

    fn apply(&self, plan: Plan, parts: &mut Parts, judged: &Judged, peer: &Peer) {
        let stamp = Stamp {
            request_id: (!judged.id_is_theirs).then_some(&judged.id),
            peer: &peer.header,
            client: judged.client,
            scheme: "http",
            authority: self.upstream.authority(),
        };
        plan.apply(&mut parts.headers, stamp);
        parts.extensions.clear();
        parts.version = http::Version::HTTP_11;
        // A target in absolute form names us; Grafana wants the path.
        if parts.uri.authority().is_some() {
            let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
            parts.uri = path.parse::<Uri>().unwrap_or_default();
        }
    }

    /// The same request once more, from the bytes that the client sent: a copy kept for the rare case that a pooled
    /// connection was closed would cost every request.
    fn again(&self, judged: &Judged, peer: &Peer) -> Option<Request<RequestBody>> {
        let mut parts = peer.progress.with_head(again::parse)??;
        let plan = self.plan_again(&parts, peer);
        self.apply(plan, &mut parts, judged, peer);
        Some(Request::from_parts(parts, RequestBody::Empty))
    }

    async fn forward(
        &self,
        parts: Parts,
        body: Incoming,
        course: &mut Course,
        client_upgrade: Option<OnUpgrade>,
        peer: &Peer,
    ) -> Reply {
        let outcome = Arc::<UploadOutcome>::default();
        let body = if http_body::Body::is_end_stream(&body) {
            RequestBody::Empty
        } else {
            RequestBody::Upload(Upload::new(body, self.uploads, Arc::clone(&peer.progress), Arc::clone(&outcome)))
        };
        let sent = Instant::now();
        let again = || self.again(&course.judged, peer);
        match self.upstream.send(Request::from_parts(parts, body), again, &peer.progress).await {
            Ok((response, lease)) => {
                course.upstream = Some(sent.elapsed());
                self.relay(response, lease, course, client_upgrade).await
            }
            Err(failure) => {
                let answer = self.explain_failure(&failure, &outcome, peer);
                self.refuse(course, answer)
            }
        }
    }

    /// Passes an answer on, explained where it is a refusal.
    async fn relay(
        &self,
        mut response: Response<Incoming>,
        lease: Lease,
        course: &Course,
        client_upgrade: Option<OnUpgrade>,
    ) -> Reply {
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            return self.switch(response, course, client_upgrade);
        }
        let look = classify::look(&course.judged.facts, response.status(), response.headers());
        let version = response.version();
        let status = response.status();
        if look == Look::Away {
            clean_answer(response.headers_mut(), version);
            return Reply { response: response.map(Body::Passing), lease: Some(lease) };
        }
        let (mut head, incoming) = response.into_parts();
        let peeked = match look {
            Look::AtBody => peek::peek(incoming, &head.headers).await,
            _ => peek::Peeked { seen: Vec::new(), body: Body::Passing(incoming) },
        };
        let answer = classify::Answer { status, headers: &head.headers, body: &peeked.seen };
        let verdict = classify(&course.judged.facts, &answer);
        clean_answer(&mut head.headers, version);
        if let Some(verdict) = verdict {
            explain(&mut head.headers, verdict.reason, status);
            self.record(course, status, verdict, None);
        }
        Reply { response: Response::from_parts(head, peeked.body), lease: Some(lease) }
    }

    /// Grafana agreed to another protocol.
    fn switch(&self, response: Response<Incoming>, course: &Course, client_upgrade: Option<OnUpgrade>) -> Reply {
        let Some(client) = client_upgrade.filter(|_| course.judged.wants_upgrade) else {
            let answer = Answer::new(
                Reason::UpstreamMalformed,
                "Grafana switched protocols, which nobody had asked for.",
                "Look at what stands between the proxy and Grafana.",
            );
            return self.refuse(course, answer);
        };
        let (mut head, incoming) = response.into_parts();
        let grafana = head.extensions.remove::<OnUpgrade>();
        drop(incoming);
        let Some(grafana) = grafana else {
            return self
                .refuse(course, Answer::new(Reason::UpstreamReset, "The upgraded connection is gone.", "Try again."));
        };
        let protocol = head.headers.get(header::UPGRADE).cloned();
        clean_answer(&mut head.headers, head.version);
        head.headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        if let Some(protocol) = protocol {
            head.headers.insert(header::UPGRADE, protocol);
        }
        course.ending.open_tunnel();
        let guard = self.recorder.metrics().upgrade();
        let tunnel = upgrade::join(client, grafana, self.drained.clone());
        self.tunnels.spawn(async move {
            tunnel.await;
            drop(guard);
        });
        Reply { response: Response::from_parts(head, Body::Empty), lease: None }
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
    fn refuse(&self, course: &Course, answer: Answer) -> Reply {
        let detail = answer.inside.clone().unwrap_or_else(|| answer.detail.clone());
        let verdict = Verdict { reason: answer.reason, detail, hint: answer.hint.clone(), permission: None };
        self.record(course, answer.status, verdict, answer.retry_after);
        let response = answer.into_response(&course.judged.id, course.judged.facts.trace_id());
        Reply { response, lease: None }
    }

    fn record(&self, course: &Course, status: StatusCode, verdict: Verdict, retry_after: Option<u64>) {
        let judged = &course.judged;
        let verdict = self.recall(judged, status, verdict);
        let limit = judged.limit.filter(|limit| !limit.admitted);
        self.recorder.refused(Refusal {
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
            token_name: None,
            fingerprint: judged.fingerprint,
            limit: limit.map(|limit| limit.policy.name()),
            retry_after: limit.map(|limit| limit.retry_after).or(retry_after.map(Duration::from_secs)),
            duration: course.began.elapsed(),
            upstream: course.upstream,
        });
    }

    /// Puts our own headers on, counts, and ties the answer's end to what it holds.
    fn finish(&self, reply: Reply, course: Course) -> Response<ExchangeBody> {
        let Course { judged, began, upstream, ending } = course;
        let Reply { mut response, lease } = reply;
        let headers = response.headers_mut();
        headers.insert(name::REQUEST_ID, judged.id.clone());
        if let Some(limit) = &judged.limit {
            self.show_limit(headers, limit);
        }
        if let Some(saw) = judged.saw() {
            headers.insert(name::SAW, saw);
        }
        let duration = began.elapsed();
        let served = Served {
            method: &judged.facts.method,
            status: response.status(),
            has_credential: judged.has_credential,
            duration,
            overhead: duration.saturating_sub(upstream.unwrap_or_default()),
        };
        self.recorder.served(&served);
        // A refused request has its line already, and its place in the memory.
        let refused = response.headers().contains_key(name::REASON);
        if !refused {
            self.remember(&judged, served.status, began);
        }
        if self.recorder.writes_served() && !refused {
            self.recorder.write_served(&ServedLine {
                facts: &judged.facts,
                status: served.status,
                request_id: &judged.id,
                client: judged.client,
                fingerprint: judged.fingerprint,
                duration,
                upstream,
            });
        }
        ExchangeBody::wrap(response, lease, ending)
    }

    fn show_limit(&self, headers: &mut HeaderMap, decision: &Decision) {
        headers.insert(name::RATE_LIMIT_POLICY, self.limits.policy_header(decision.policy).clone());
        headers.insert(name::RATE_LIMIT, decision.header());
    }
}

fn explain(headers: &mut HeaderMap, reason: Reason, status: StatusCode) {
    headers.insert(name::REASON, HeaderValue::from_static(reason.code()));
    if let Some(value) = proxy_status(reason, Some(status)) {
        headers.append(name::PROXY_STATUS, value);
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
