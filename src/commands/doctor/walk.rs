//! The walk: every probe in its order, one after the other, so that a server sees no more than a patient client.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, header};

use super::credential::{Credential, Spelling};
use super::dial::Dialling;
use super::judge::{ORDINARY, Step};
use super::observations::{Observations, Role, Way, reply};
use super::request::{Line, Probe};
use super::target::Target;

/// What a large header is: single sign-on fills cookies to this size, and nginx lets it pass by itself.
const LARGE_HEAD: usize = 6 * 1024;

/// More than what nginx lets pass by itself.
const LARGE_BODY: usize = 1536 * 1024;

/// How to walk.
pub(super) struct Plan {
    pub(super) url: Target,
    pub(super) direct: Option<Target>,
    pub(super) dialling: Dialling,
    pub(super) credential: Option<Credential>,
    pub(super) org: Option<u32>,
    pub(super) needs: Vec<String>,
    /// How long a WebSocket is held.
    pub(super) hold: Duration,
}

/// One walk. `tell` hears of each step as soon as it is done.
pub(super) struct Walk<'a, Tell> {
    pub(super) plan: &'a Plan,
    pub(super) seen: &'a mut Observations,
    pub(super) tell: Tell,
    /// How many requests were sent.
    pub(super) requests: usize,
}

impl<Tell: FnMut(&Observations, Step, Option<Role>)> Walk<'_, Tell> {
    /// Walks both ways.
    pub(super) async fn go(&mut self) {
        let plan = self.plan;
        if plan.credential.is_some() {
            (self.tell)(self.seen, Step::Token, None);
        }
        self.way(Role::Url, &plan.url).await;
        if let Some(direct) = &plan.direct {
            self.way(Role::Direct, direct).await;
            if plan.credential.is_some() {
                (self.tell)(self.seen, Step::Comparison, None);
            }
        }
    }

    async fn way(&mut self, role: Role, target: &Target) {
        self.seen.ways.push(Way::new(role, target.clone()));
        let dialling = &self.plan.dialling;
        match dialling.resolve(target).await {
            Ok(addresses) => self.note(role, Step::Name, |way| way.addresses = addresses),
            Err(trouble) => return self.note(role, Step::Name, |way| way.trouble = Some(trouble)),
        }
        let addresses = self.seen.way(role).map(|way| way.addresses.clone()).unwrap_or_default();
        let (stream, address) = match dialling.connect(&addresses).await {
            Ok(connected) => connected,
            Err(trouble) => return self.note(role, Step::Connection, |way| way.trouble = Some(trouble)),
        };
        self.note(role, Step::Connection, |way| way.address = Some(address));
        if target.encrypted {
            // A handshake of its own, to hear which version of HTTP the server would choose.
            let (made, facts) = dialling.encrypt(stream, target, &[b"h2", b"http/1.1"]).await;
            let trouble = made.err();
            let failed = trouble.is_some();
            self.note(role, Step::Tls, |way| (way.tls, way.trouble) = (facts, trouble));
            if failed {
                return;
            }
        }
        let line = Line { dialling, target, address };
        self.probe(role, &line).await;
    }

    async fn probe(&mut self, role: Role, line: &Line<'_>) {
        let outcome = self.ask(line, Probe::get("/api/health")).await;
        // A hop that refuses this may let pass who brings a credential: then it is well.
        let is_open = outcome.as_ref().is_ok_and(|reply| matches!(reply.status, 401 | 403 | 429));
        self.change(role, |way| way.health = Some(outcome));
        if !is_open || self.plan.credential.is_none() {
            (self.tell)(self.seen, Step::Grafana, Some(role));
        }
        if !self.may_go_on(role) {
            return;
        }
        let outcome = self.ask(line, Probe::get("/api/org").with(ORG, self.org())).await;
        self.note(role, Step::Proxy, |way| way.without = Some(outcome));
        if self.is_open(role) {
            // An anonymous visitor, or a hop that signs in by itself?
            let outcome = self.ask(line, Probe::get("/api/user").with(ORG, self.org())).await;
            self.change(role, |way| way.user_without = Some(outcome));
        }
        (self.tell)(self.seen, Step::Clock, Some(role));
        (self.tell)(self.seen, Step::NoHeader, Some(role));
        self.with_credential(role, line).await;
        if is_open && self.plan.credential.is_some() {
            (self.tell)(self.seen, Step::Grafana, Some(role));
        }
        self.limits(role, line).await;
    }

    /// A token goes to nobody who does not answer as Grafana does, or as a hop that wants a credential.
    fn may_go_on(&self, role: Role) -> bool {
        let health = self.seen.way(role).and_then(|way| reply(&way.health));
        health.is_some_and(|health| {
            let is_grafana = health.body.as_ref().is_some_and(|body| body.get("database").is_some());
            is_grafana || matches!(health.status, 401 | 403 | 429)
        })
    }

    async fn with_credential(&mut self, role: Role, line: &Line<'_>) {
        let plan = self.plan;
        let Some(credential) = plan.credential.as_ref().filter(|credential| credential.facts.problem.is_none()) else {
            return;
        };
        let authorised = |path, value| Probe::get(path).with(header::AUTHORIZATION, value).with(ORG, self.org());
        let main = authorised("/api/org", credential.value.clone());
        let user = authorised("/api/user", credential.value.clone());
        let permissions = authorised("/api/access-control/user/permissions", credential.value.clone());
        let spellings: Vec<_> = Spelling::ALL
            .into_iter()
            .filter_map(|spelling| Some((spelling, authorised("/api/org", Some(credential.spelt(spelling)?)))))
            .collect();
        let mut socket = authorised("/api/live/ws", credential.value.clone());
        for (name, value) in [
            (header::CONNECTION, "Upgrade"),
            (header::UPGRADE, "websocket"),
            (header::SEC_WEBSOCKET_VERSION, "13"),
            // RFC 6455 §4.1 wants sixteen bytes that nobody has chosen; here nothing depends on them.
            (header::SEC_WEBSOCKET_KEY, "Z3JhZmFuYSBkb2N0b3IhIQ=="),
        ] {
            socket = socket.with(name, Some(HeaderValue::from_static(value)));
        }
        let outcome = self.ask(line, main).await;
        let status = outcome.as_ref().map_or(0, |reply| reply.status);
        self.note(role, Step::Header, |way| way.with = Some(outcome));
        if matches!(status, 0 | 429) {
            return;
        }
        for (spelling, probe) in spellings {
            let outcome = self.ask(line, probe).await;
            self.change(role, |way| way.spellings.push((spelling, outcome)));
        }
        (self.tell)(self.seen, Step::Spellings, Some(role));
        // Who is known and may do nothing is named as well.
        if matches!(status, 200 | 403) {
            let outcome = self.ask(line, user).await;
            self.note(role, Step::Identity, |way| way.user = Some(outcome));
        }
        if status != 200 {
            return;
        }
        (self.tell)(self.seen, Step::Organisation, Some(role));
        let outcome = self.ask(line, permissions).await;
        self.note(role, Step::Permissions, |way| way.permissions = Some(outcome));
        let id = self.next_id();
        let outcome = line.upgrade(socket, &id, plan.hold).await;
        self.note(role, Step::WebSocket, |way| way.socket = Some(outcome));
    }

    /// Without a credential. Where a hop signs in all the same, `/api/health` still changes nothing, whatever is sent.
    async fn limits(&mut self, role: Role, line: &Line<'_>) {
        // What is served without any credential shows no refusal of a cookie.
        if !self.is_open(role) {
            let cookie = HeaderValue::from_static("grafana_session=00000000000000000000000000000000");
            let outcome = self.ask(line, Probe::get("/api/org").with(header::COOKIE, Some(cookie))).await;
            self.note(role, Step::Cookie, |way| way.cookie = Some(outcome));
        }
        let padding = HeaderValue::try_from("x".repeat(LARGE_HEAD)).ok();
        let outcome = self.ask(line, Probe::get("/api/health").with(PADDING, padding)).await;
        self.note(role, Step::LargeHeader, |way| way.large_head = Some(outcome));
        for size in [ORDINARY, LARGE_BODY] {
            let mut probe = Probe::get("/api/health")
                .with(header::CONTENT_TYPE, Some(HeaderValue::from_static("application/json")));
            (probe.method, probe.body) = (Method::POST, Bytes::from(vec![b' '; size]));
            let outcome = self.ask(line, probe).await;
            let is_refused = outcome.as_ref().is_ok_and(|reply| reply.status == 413);
            self.change(role, |way| way.bodies.push((size, outcome)));
            if is_refused {
                break;
            }
        }
        (self.tell)(self.seen, Step::LargeBody, Some(role));
        (self.tell)(self.seen, Step::Limits, Some(role));
    }

    fn is_open(&self, role: Role) -> bool {
        self.seen.way(role).is_some_and(Way::is_open)
    }

    fn org(&self) -> Option<HeaderValue> {
        self.plan.org.map(HeaderValue::from)
    }

    async fn ask(&mut self, line: &Line<'_>, probe: Probe) -> super::observations::Outcome {
        let id = self.next_id();
        line.ask(probe, &id).await
    }

    fn next_id(&mut self) -> String {
        self.requests += 1;
        format!("doctor-{}-{}", std::process::id(), self.requests)
    }

    fn change(&mut self, role: Role, change: impl FnOnce(&mut Way)) {
        if let Some(way) = self.seen.ways.iter_mut().find(|way| way.role == role) {
            change(way);
        }
    }

    fn note(&mut self, role: Role, step: Step, change: impl FnOnce(&mut Way)) {
        self.change(role, change);
        (self.tell)(self.seen, step, Some(role));
    }
}

const ORG: HeaderName = HeaderName::from_static("x-grafana-org-id");

/// A name that nobody reads.
const PADDING: HeaderName = HeaderName::from_static("x-doctor-padding");
