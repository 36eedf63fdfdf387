//! The limiters: governor's GCRA over bounded stores, on a monotonic clock.

mod acceptance;
mod clock;
mod demands;
mod failures;
mod limiter;
mod outstanding;
mod round;
pub mod shared;
mod store;
mod stores;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use governor::clock::{Clock, MonotonicClock};
use http::HeaderValue;

pub use self::acceptance::Hold;
use self::clock::{Last, SinceStart};
use self::demands::Demands;
use self::failures::Failures;
use self::limiter::Limiter;
use self::outstanding::Outstanding;
pub use self::outstanding::Slot;
pub use self::round::Round;
use self::shared::Shared;
use self::stores::{Home, Stores};
use crate::domain::demand::Demand;
use crate::domain::limit::{Ask, Budget, Credential, Decision, Mode, OnFailure, Outcome, Policy, Settings};
use crate::domain::token::BucketKey;

/// What the limits said to one request.
#[derive(Debug, Default)]
pub struct Checked {
    /// What the last one that was asked said; none where none is in force.
    pub decision: Option<Decision>,
    /// The first that would have refused it, and is not enforced.
    pub shadowed: Option<Decision>,
    /// Whether Grafana has accepted the credential before.
    pub accepted: bool,
    /// Its place among the answers that are outstanding.
    pub slot: Option<Slot>,
    /// What it holds of its address's budget until Grafana accepts its credential.
    pub hold: Option<Hold>,
    /// What the limits that all replicas share still have to say: [`Limits::settle`].
    pub round: Option<Box<Round>>,
    /// Those limits could not be asked, and then nothing may pass.
    pub is_unavailable: bool,
}

impl Checked {
    /// Takes a decision in; whether it ends the matter.
    fn settles(&mut self, decision: Decision) -> bool {
        if decision.outcome == Outcome::Shadow {
            self.shadowed.get_or_insert(decision);
        }
        let refused = decision.outcome == Outcome::Refused;
        self.decision = Some(decision);
        refused
    }
}

/// One bucket, and who limits it.
#[derive(Debug)]
struct Visited<'l, C: Clock + Clone> {
    key: BucketKey,
    home: Home,
    limiter: &'l Limiter<C>,
}

/// What outlives a reload.
#[derive(Clone, Debug)]
struct Kept<C: Clock> {
    stores: Stores,
    clock: SinceStart<C>,
    spent_until: Arc<AtomicU64>,
    outstanding: Arc<Outstanding>,
    demands: Arc<Demands>,
    /// The store that all replicas share.
    shared: Option<Arc<Shared>>,
}

/// The limits of all callers.
#[derive(Debug)]
pub struct Limits<C: Clock + Clone = MonotonicClock> {
    kept: Kept<C>,
    token: Limiter<C>,
    callers: Vec<Option<Limiter<C>>>,
    client: Limiter<C>,
    failures: Failures<C>,
    in_flight: Option<(NonZeroU32, Mode, HeaderValue)>,
    on_failure: OnFailure,
    /// How many credentials of one address Grafana may accept at once.
    acceptances: NonZeroU32,
}

impl Limits {
    /// Limits as configured, all buckets full.
    pub fn new(settings: &Settings) -> Self {
        Self::with_clock(settings, MonotonicClock)
    }

    /// The same limits, in a store that all replicas share.
    pub fn sharing(mut self, shared: Option<Arc<Shared>>) -> Self {
        self.kept.shared = shared;
        self
    }
}

impl<C: Clock + Clone> Limits<C> {
    /// Limits on another clock.
    pub fn with_clock(settings: &Settings, clock: C) -> Self {
        Self::over(
            settings,
            Kept {
                stores: Stores::new(settings.max_tracked),
                clock: SinceStart::new(clock),
                spent_until: Arc::default(),
                outstanding: Outstanding::new(),
                demands: Arc::new(Demands::new()),
                shared: None,
            },
        )
    }

    /// The same buckets under new settings: each keeps what is left in it, as far as its limit goes. The number of
    /// buckets stays.
    pub fn reloaded(&self, settings: &Settings) -> Self {
        Self::over(settings, self.kept.clone())
    }

    fn over(settings: &Settings, kept: Kept<C>) -> Self {
        let limiter = |policy, rate, mode| Limiter::new(policy, rate, mode, &kept.stores, &kept.clock);
        let mode = settings.mode_of(&settings.per_token);
        let callers = settings.overrides.iter().map(|rate| rate.map(|rate| limiter(Policy::Token, rate, mode)));
        let callers = callers.collect();
        let token = limiter(Policy::Token, settings.per_token.rate, mode);
        let client = limiter(Policy::Client, settings.per_client.rate, settings.mode_of(&settings.per_client));
        let mode = settings.mode_of(&settings.auth_failures);
        let failures = limiter(Policy::AuthFailures, settings.auth_failures.rate, mode);
        let failures = Failures::new(failures, &kept.stores, &kept.spent_until);
        let in_flight = settings.in_flight_per_token.map(|most| (most, settings.mode, Policy::in_flight_header(most)));
        // A quarter of all: no address pushes out everybody else's.
        let acceptances = u32::try_from(settings.max_tracked / 4).ok().and_then(NonZeroU32::new);
        let acceptances = acceptances.unwrap_or(NonZeroU32::MIN);
        Self { kept, token, callers, client, failures, in_flight, on_failure: settings.on_failure, acceptances }
    }

    /// Asks all limits that a request has to pass: what its address did before what it spends itself, so that a refusal
    /// costs nothing. `address` is what requests of its address without a credential are counted under.
    pub fn check(&self, ask: &Ask, address: impl Fn() -> BucketKey) -> Checked {
        let mut checked = Checked::default();
        let credential = ask.from.credential();
        if let Some(credential) = credential
            && !self.failures.is_quiet()
            && let Some(decision) = self.failures.check(credential, address(), self.now())
            && checked.settles(decision)
        {
            return checked;
        }
        let Visited { key, home, limiter } = self.bucket(ask.from);
        if let Some(decision) = self.begin(key, ask.from, &mut checked)
            && checked.settles(decision)
        {
            return checked;
        }
        if limiter.mode == Mode::Off {
            checked.accepted = home == Home::Accepted || self.kept.stores.is_accepted(key);
        } else {
            self.take(Visited { key, home, limiter }, ask, &mut checked);
            if checked.accepted {
                self.kept.demands.observe(key, Last::read(), ask.cost.get());
            }
        }
        if let Some(credential) = credential
            && !checked.accepted
            && checked.decision.is_none_or(|decision| decision.is_admitted())
        {
            self.hold(credential, address(), ask.cost, &mut checked);
        }
        checked
    }

    /// What the limit of outstanding answers says where it says no.
    fn begin(&self, key: BucketKey, from: Budget, checked: &mut Checked) -> Option<Decision> {
        let (most, mode, _) = self.in_flight.as_ref().filter(|_| !matches!(from, Budget::Client(_)))?;
        match self.kept.outstanding.begin(key, *most) {
            Some((slot, _)) => {
                checked.slot = Some(slot);
                None
            }
            None => {
                let outcome = if *mode == Mode::Enforce { Outcome::Refused } else { Outcome::Shadow };
                let wait = Duration::from_secs(1);
                Some(Decision {
                    policy: Policy::InFlight,
                    outcome,
                    burst: *most,
                    remaining: 0,
                    next: wait,
                    retry_after: wait,
                })
            }
        }
    }

    /// Where a budget is kept, and who limits it.
    fn bucket(&self, from: Budget) -> Visited<'_, C> {
        let (key, home, limiter) = match from {
            Budget::Credential(Credential { key, budget, .. }) if key != budget => {
                match self.kept.stores.is_accepted(key) {
                    true => (budget, Home::Accepted, &self.token),
                    false => (key, Home::Wherever, &self.token),
                }
            }
            Budget::Credential(Credential { key, .. }) => (key, Home::Wherever, &self.token),
            Budget::Caller(key, place) => (key, Home::Accepted, self.of_caller(Some(place))),
            Budget::Client(key) => (key, Home::Addresses, &self.client),
        };
        Visited { key, home, limiter }
    }

    fn of_caller(&self, place: Option<usize>) -> &Limiter<C> {
        place.and_then(|place| self.callers.get(place)?.as_ref()).unwrap_or(&self.token)
    }

    /// Whole requests left in the bucket of a token now, of how many. Takes none.
    pub fn left(&self, token: BucketKey, caller: Option<usize>) -> (u32, u32) {
        let limiter = self.of_caller(caller);
        let debt = limiter.debt(self.kept.stores.time(token, Home::Wherever), self.now());
        (limiter.rate.left(debt).0, limiter.rate.burst.get())
    }

    /// What a token has needed, and for how long that has been looked at; nothing of one that was never accepted.
    pub fn demand(&self, token: BucketKey) -> Option<(Demand, Duration)> {
        let (demand, since) = self.kept.demands.of(token)?;
        Some((demand, Duration::from_nanos(self.now().saturating_sub(since))))
    }

    /// `RateLimit-Policy` of the limit that decided about a caller.
    pub fn policy_header(&self, policy: Policy, caller: Option<usize>) -> &HeaderValue {
        match (policy, &self.in_flight) {
            (Policy::InFlight, Some((.., header))) => header,
            (Policy::Token | Policy::InFlight, _) => &self.of_caller(caller).header,
            (Policy::Client, _) => &self.client.header,
            (Policy::AuthFailures, _) => &self.failures.limiter.header,
        }
    }

    /// What becomes of requests beyond a limit, and how many it lets through at once; nothing where there is none.
    pub fn rule(&self, policy: Policy) -> Option<(Mode, NonZeroU32)> {
        let limiter = match policy {
            Policy::Token => &self.token,
            Policy::Client => &self.client,
            Policy::AuthFailures => &self.failures.limiter,
            Policy::InFlight => return self.in_flight.as_ref().map(|(most, mode, _)| (*mode, *most)),
        };
        Some((limiter.mode, limiter.rate.burst)).filter(|(mode, _)| *mode != Mode::Off)
    }

    /// Buckets that are not full now.
    pub fn tracked(&self) -> usize {
        self.kept.stores.in_debt(self.now())
    }

    fn now(&self) -> u64 {
        self.kept.clock.now().as_nanos()
    }
}

#[cfg(test)]
mod tests;
