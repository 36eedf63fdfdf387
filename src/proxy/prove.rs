//! What makes a credential count as accepted: Grafana's own response to a request in which nothing else could have signed
//! in, or its answer to a question of our own.
//!
//! Questions are bounded: each spends the budget of the address that brought the credential, no credential is asked about
//! twice within a minute, and few are on their way at once. Nobody waits for them.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::{Method, StatusCode};
use tokio::time::timeout;

use super::Proxy;
use super::anonymous::{Access, Anonymous, Weight};
use super::gate::Judged;
use super::learn::sub_path;
use super::peek::peek;
use crate::body::RequestBody;
use crate::domain::caller::Secret;
use crate::domain::decide::address_key;
use crate::domain::limit::{Budget, Standing};
use crate::domain::past::Proof;
use crate::domain::token::{BucketKey, TokenKind};
use crate::limits::{Hold, Limits};
use crate::progress::Progress;
use crate::telemetry::Recorder;
use crate::telemetry::memory::{Caller, Sighting};
use crate::upstream::{Outward, Upstream};

/// For the whole of a question.
const PATIENCE: Duration = Duration::from_secs(10);

/// Questions on their way at once.
const MOST_QUESTIONS: usize = 32;

/// After so many credentials of one address and none of another, all clients seem to share one address.
const ONE_ADDRESS: u32 = 20;

/// What all workers know of Grafana's sign-in.
#[derive(Debug, Default)]
pub struct Proving {
    anonymous: Anonymous<Candidate>,
    /// The anonymous visitor is served.
    serves_visitors: AtomicBool,
    questions: AtomicUsize,
    addresses: Mutex<Addresses>,
}

/// Where accepted credentials come from.
#[derive(Debug, Default)]
enum Addresses {
    #[default]
    None,
    /// All from one address.
    One(IpAddr, u32),
    /// From several, or it has been said that there is only one.
    Settled,
}

/// A credential that may come to be accepted.
#[derive(Debug)]
pub(super) struct Candidate {
    from: Budget,
    client: IpAddr,
    address: BucketKey,
    hold: Option<Hold>,
    /// The request that asks Grafana about it.
    question: Option<Secret>,
    /// The request that asks Grafana about a visitor without a credential.
    visitor: Vec<u8>,
    history: History,
}

/// What is filed in the history when it is accepted after all.
#[derive(Debug)]
enum History {
    Token { key: BucketKey, kind: Option<TokenKind>, name: Option<Arc<str>>, organisation: Option<u32> },
    User { name: BucketKey, pair: BucketKey },
    Other,
}

impl Candidate {
    fn of(judged: &mut Judged, from: Budget, address: BucketKey, authority: &[u8]) -> Self {
        let facts = &judged.facts;
        let host = facts.host.as_deref().unwrap_or(authority);
        let path = sub_path(facts.uri.path());
        let question = judged.line.as_ref().map(|line| {
            let org = facts.org.sent.map(|org| format!("x-grafana-org-id: {org}\r\n")).unwrap_or_default();
            Secret::new(request(path, "/api/user", host, &[line.reveal(), org.as_bytes()]))
        });
        let history = match super::recall::caller(judged, Instant::now()) {
            Caller::Token(Sighting { key, kind, name, organisation, .. }) => {
                History::Token { key, kind, name: name.cloned(), organisation }
            }
            Caller::User { name, pair } => History::User { name, pair },
            Caller::Nobody | Caller::Other => History::Other,
        };
        let visitor = request(path, "/api/org", host, &[]);
        Self { from, client: judged.client, address, hold: judged.hold.take(), question, visitor, history }
    }

    fn caller(&self) -> Caller<'_> {
        match &self.history {
            History::Token { key, kind, name, organisation } => Caller::Token(Sighting {
                key: *key,
                kind: *kind,
                name: name.as_ref(),
                organisation: *organisation,
                at: Instant::now(),
            }),
            History::User { name, pair } => Caller::User { name: *name, pair: *pair },
            History::Other => Caller::Other,
        }
    }
}

fn request(sub_path: &str, path: &str, host: &[u8], lines: &[&[u8]]) -> Vec<u8> {
    let mut head = [b"GET ", sub_path.as_bytes(), path.as_bytes(), b" HTTP/1.1\r\nhost: ", host, b"\r\n"].concat();
    for line in lines {
        head.extend_from_slice(line);
    }
    let end =
        concat!("accept: application/json\r\nuser-agent: grafana-token-proxy/", env!("CARGO_PKG_VERSION"), "\r\n\r\n");
    head.extend_from_slice(end.as_bytes());
    head
}

impl Proxy {
    /// Weighs what an exchange proves about the credential that it is filed under. Returns whether it counts as accepted.
    pub(super) fn weigh(&self, judged: &mut Judged, proof: Proof) -> bool {
        let Some(from) = judged.ask.map(|ask| ask.from).filter(|_| !judged.accepted) else { return judged.accepted };
        let Some(credential) = from.credential() else { return false };
        if proof == Proof::Nothing || credential.standing == Standing::Unsound {
            return false;
        }
        let address = address_key(judged.client, &self.policy.hash_key);
        let candidate = Candidate::of(judged, from, address, self.upstream.authority().as_bytes());
        let asker = Asker {
            limits: Arc::clone(&self.limits),
            recorder: self.recorder.clone(),
            proving: Arc::clone(&self.proving),
            upstream: Arc::clone(&self.upstream),
        };
        judged.accepted = asker.weigh(candidate, judged.is_alone, proof);
        judged.accepted
    }
}

/// Weighs, accepts and asks, also after the exchange has ended.
#[derive(Clone)]
struct Asker {
    limits: Arc<Limits>,
    recorder: Recorder,
    proving: Arc<Proving>,
    upstream: Arc<Upstream>,
}

impl Asker {
    fn weigh(self, candidate: Candidate, is_alone: bool, proof: Proof) -> bool {
        if !is_alone {
            self.ask(candidate);
            return false;
        }
        if proof == Proof::KnownCaller {
            return self.accept(&candidate);
        }
        let Candidate { from, address, hold, client, .. } = candidate;
        let visitor = candidate.visitor.clone();
        let (weight, asks) = self.proving.anonymous.weigh(Instant::now(), candidate);
        let accepted = match weight {
            Weight::Accepted(candidate) => self.accept(&candidate),
            // What it held is returned: it is taken again where Grafana has to be asked after all.
            Weight::Provisional => self.take_in(from, address, hold, client),
            Weight::Ask(candidate) => {
                self.clone().ask(candidate);
                false
            }
            Weight::Nothing => false,
        };
        if asks {
            self.ask_about_visitors(visitor);
        }
        accepted
    }

    /// Grafana has accepted it, and the history may say so.
    fn accept(&self, candidate: &Candidate) -> bool {
        let Candidate { from, address, hold, client, .. } = *candidate;
        self.take_in(from, address, hold, client)
    }

    fn take_in(&self, from: Budget, address: BucketKey, hold: Option<Hold>, client: IpAddr) -> bool {
        let accepted = self.limits.accept(from, address);
        if accepted {
            hold.into_iter().for_each(|hold| self.limits.release(hold));
            self.proving.notice(client);
        }
        accepted
    }

    /// Asks Grafana about a visitor without a credential.
    fn ask_about_visitors(self, head: Vec<u8>) {
        tokio::spawn(async move {
            let access = timeout(PATIENCE, visitors(&self.upstream, head)).await.unwrap_or(Access::Unclear);
            self.proving.serves_visitors.store(access == Access::On, Relaxed);
            for candidate in self.proving.anonymous.answered(Instant::now(), access) {
                self.limits.retract(candidate.from);
                if let Caller::Token(sighting) = candidate.caller() {
                    self.recorder.memory().tokens().retract(&sighting);
                }
                if access == Access::On {
                    self.clone().ask(Candidate { hold: None, ..candidate });
                }
            }
        });
    }

    /// Asks Grafana about a credential, unless that would cost more than its address has.
    fn ask(self, mut candidate: Candidate) {
        let limits = Arc::clone(&self.limits);
        let Some(hold) = limits.hold_for_question(candidate.hold, candidate.address) else { return };
        candidate.hold = Some(hold);
        let place = Place::take(&self.proving).filter(|_| limits.may_ask(candidate.from));
        let Some((question, place)) = candidate.question.take().zip(place) else {
            return limits.release_question(hold);
        };
        tokio::spawn(async move {
            let answer = timeout(PATIENCE, profile(&self.upstream, question.reveal().to_vec())).await;
            match answer.unwrap_or_default() {
                Profile::Known if self.accept(&candidate) => {
                    let memory = self.recorder.memory();
                    memory.served(&candidate.caller(), false, true, Instant::now(), || Proof::KnownCaller);
                }
                Profile::Refused => limits.fail(candidate.from, candidate.address, true),
                Profile::Known | Profile::Unclear => {}
            }
            drop(place);
        });
    }
}

/// One of the questions on their way.
struct Place(Arc<Proving>);

impl Place {
    fn take(proving: &Arc<Proving>) -> Option<Self> {
        let place = Self(Arc::clone(proving));
        (proving.questions.fetch_add(1, Relaxed) < MOST_QUESTIONS).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.questions.fetch_sub(1, Relaxed);
    }
}

/// What Grafana says of the sender of a credential.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Profile {
    Known,
    Refused,
    #[default]
    Unclear,
}

/// Asks who is signed in. A service account gets 200, 403 or 404 there, by version.
async fn profile(upstream: &Upstream, head: Vec<u8>) -> Profile {
    let request = Outward { method: Method::GET, head, body: RequestBody::Empty };
    let Ok((head, body)) = upstream.send(request, tokio::time::Instant::now(), &Progress::default()).await else {
        return Profile::Unclear;
    };
    if Proof::of(&Method::GET, StatusCode::OK, "/api/user", &head.fields) == Proof::Nothing {
        return Profile::Unclear;
    }
    let (seen, _) = peek(body, &head.fields).await;
    let says = |words: &[u8]| memchr::memmem::find(&seen.to_ascii_lowercase(), words).is_some();
    match head.status.as_u16() {
        200 => Profile::Known,
        403 if says(b"only available for users") => Profile::Known,
        404 if says(b"user not found") => Profile::Known,
        401 => Profile::Refused,
        _ => Profile::Unclear,
    }
}

/// Asks for the organisation of nobody.
async fn visitors(upstream: &Upstream, head: Vec<u8>) -> Access {
    let request = Outward { method: Method::GET, head, body: RequestBody::Empty };
    let Ok((head, body)) = upstream.send(request, tokio::time::Instant::now(), &Progress::default()).await else {
        return Access::Unclear;
    };
    // The connection can be used again once the response has been read.
    drop(peek(body, &head.fields).await);
    let is_grafanas = Proof::of(&Method::GET, StatusCode::OK, "/api/org", &head.fields) != Proof::Nothing;
    match head.status.as_u16() {
        // A role of the anonymous visitor that may not read the organisation is 403.
        200..=299 | 403 if is_grafanas => Access::On,
        429 | 500..=599 => Access::Unclear,
        _ => Access::Off,
    }
}

impl Proving {
    /// Whether the anonymous visitor is served, so that no success accepts a credential.
    pub(super) fn serves_visitors(&self) -> bool {
        self.serves_visitors.load(Relaxed)
    }

    /// A credential of `client` was accepted. Says once if all of many came from one address.
    fn notice(&self, client: IpAddr) {
        let mut addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        *addresses = match *addresses {
            Addresses::None => Addresses::One(client, 1),
            Addresses::One(one, count) if one == client && count + 1 < ONE_ADDRESS => Addresses::One(one, count + 1),
            Addresses::One(one, _) if one == client => {
                tracing::warn!(
                    event = "one_client_address",
                    client = %client,
                    detail = "All credentials that Grafana accepted so far came from this one address: it is likely the \
                              proxy in front of this one.",
                    hint = "Name it in `clients.trusted_proxies`, so that limits by address tell clients apart.",
                    "all clients seem to share one address"
                );
                Addresses::Settled
            }
            Addresses::One(..) | Addresses::Settled => Addresses::Settled,
        };
    }
}
