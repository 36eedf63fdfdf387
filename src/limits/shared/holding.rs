//! What this replica holds of one shared bucket: requests that it has paid for at the store and not yet spent (a lease),
//! and how deep in debt it knows the bucket to be. Pure: moments are nanoseconds given to it.
//!
//! A lease is charged at the store when it is taken, so that all replicas together never admit more than the budget;
//! what is not spent of it within [`KEPT`] is lost, at most one lease (and the half that was left when it was
//! renewed) for each replica and token that falls silent.

use std::time::Duration;

/// Use is measured over windows of this length.
const WINDOW: u64 = 45_000_000;

/// How long an unspent lease is kept: twenty times as long as it should take to spend it.
const KEPT: u64 = 1_000_000_000;

/// A request for a lease that was not answered for so long does not keep another from being made.
const FORGOTTEN: u64 = 100_000_000;

/// An empty bucket is not asked again before this much has been regained (or half a lease, if that is less): otherwise
/// each regained request would cost a round trip of its own.
const GATHERED: u64 = 10_000_000;

/// A question that is under way for longer is past its deadline.
const SLACK: u64 = 25_000_000;

/// Leases smaller than this are not renewed before they are needed.
const WORTH_RENEWING: u32 = 4;

/// How much is taken from the store at once: `limits.shared_lease`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lease {
    /// Twice what the token used on this replica in the last 45 ms, at most an eighth of its burst.
    #[default]
    Auto,
    /// Nothing ahead: each request is asked for.
    Exact,
    /// So many requests (at most the burst).
    Fixed(u32),
}

/// One bucket's limit, and what is wanted of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Want {
    /// Nanoseconds in which one request is regained.
    pub(super) period: u64,
    pub(super) burst: u32,
    pub(super) cost: u32,
    pub(super) lease: Lease,
    /// Until when the caller knows the bucket to be in debt.
    pub(super) floor: u64,
}

/// A question to the store: between `least` and `most` requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ask {
    pub(super) least: u32,
    pub(super) most: u32,
    /// Until when the bucket is known to be in debt.
    pub(super) floor: u64,
}

impl Ask {
    /// The debt that the store is told of in a question sent at `sent`. It counts from when the question arrives, which
    /// may take longer than the last one did: without some slack, each question would move the bucket on by the
    /// difference, and budget would be lost. What a store that forgot gives twice is what is regained in that time.
    pub(super) const fn debt(self, sent: u64) -> u64 {
        self.floor.saturating_sub(sent).saturating_sub(SLACK)
    }
}

/// The store's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Grant {
    pub(super) granted: u32,
    pub(super) debt: u64,
    pub(super) retry_after: u64,
}

/// What a look at the holding says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Spent from the lease; it is time to ask for the next one, if so said.
    Admitted { debt: u64, renew: Option<Ask> },
    /// The bucket cannot have regained enough yet.
    Refused { debt: u64, retry_after: u64 },
    /// Only the store knows.
    Unknown(Ask),
}

/// What this replica holds of one bucket.
#[derive(Clone, Debug, Default)]
pub(super) struct Holding {
    /// The bucket's theoretical arrival time as far as it is known: never later than it is, for it counts from when
    /// the question was sent. Others can only have moved it on.
    arrival: u64,
    /// When the unspent lease is given up.
    kept: u64,
    /// Since when a lease is asked for; 0: none is.
    asked: u64,
    window: u64,
    /// How long the last answer took: a refusal is told that much longer, for the store counted from later on.
    lag: u64,
    unspent: u32,
    used: u32,
    used_before: u32,
    /// The store last gave less than was asked for.
    drained: bool,
}

impl Holding {
    /// Spends, refuses, or says what to ask.
    pub(super) fn claim(&mut self, want: &Want, now: u64) -> Verdict {
        self.pass(now);
        let size = self.size(want);
        let asking = self.asked != 0 && now < self.asked.saturating_add(FORGOTTEN);
        let floor = self.arrival.max(want.floor);
        if self.unspent >= want.cost {
            self.unspent -= want.cost;
            self.used = self.used.saturating_add(want.cost);
            let due = size >= WORTH_RENEWING && size > want.cost && self.unspent <= size / 2;
            let renew = due && !asking && self.missing(want, 1, size, now) == 0;
            let renew = renew.then(|| {
                self.asked = now.max(1);
                Ask { least: 1, most: size, floor }
            });
            return Verdict::Admitted { debt: self.unleased(want, self.arrival.saturating_sub(now)), renew };
        }
        let retry_after = self.wait(want, now);
        if retry_after > 0 {
            return Verdict::Refused { debt: self.unleased(want, self.arrival.saturating_sub(now)), retry_after };
        }
        // One question for a lease at a time: a crowd that finds none would take one each.
        let most = if asking { want.cost } else { size };
        if most > want.cost {
            self.asked = now.max(1);
        }
        Verdict::Unknown(Ask { least: want.cost, most, floor })
    }

    /// Takes in the answer to a question sent at `sent`, and spends `cost` (0: nobody waits any more): whether it was
    /// there. A lease that came in meanwhile may have it although the answer has not.
    pub(super) fn answered(&mut self, ask: Ask, grant: Grant, sent: u64, cost: u32, now: u64) -> bool {
        self.pass(now);
        self.settled(ask);
        self.arrival = self.arrival.max(sent.saturating_add(grant.debt));
        self.lag = now.saturating_sub(sent);
        self.drained = grant.granted < ask.most;
        self.returned(grant.granted, now);
        let there = cost > 0 && self.unspent >= cost;
        if there {
            self.unspent -= cost;
            self.used = self.used.saturating_add(cost);
        }
        there
    }

    /// A question was not answered. What it may have cost at the store is lost.
    pub(super) const fn settled(&mut self, ask: Ask) {
        if ask.most > ask.least || ask.least == 0 {
            self.asked = 0;
        }
    }

    /// Nobody waits any more for requests that were granted: the next one may have them.
    pub(super) const fn returned(&mut self, count: u32, now: u64) {
        if count > 0 {
            self.unspent = self.unspent.saturating_add(count);
            self.kept = now.saturating_add(KEPT);
        }
    }

    /// A debt for those who may still spend our lease.
    pub(super) fn unleased(&self, want: &Want, debt: u64) -> u64 {
        debt.saturating_sub(want.period.saturating_mul(self.unspent.into()))
    }

    /// How long the bucket is known to be too empty; zero where only the store knows.
    pub(super) fn wait(&self, want: &Want, now: u64) -> u64 {
        let missing = self.missing(want, want.cost, self.size(want), now);
        if missing > 0 { missing.saturating_add(self.lag) } else { 0 }
    }

    /// What it is worth to keep: who has a lease comes first, then who is deepest in debt.
    pub(super) const fn worth(&self, now: u64) -> (bool, u64) {
        (self.unspent > 0 && self.kept > now, self.arrival)
    }

    fn pass(&mut self, now: u64) {
        if now >= self.kept {
            self.unspent = 0;
        }
        let since = now.saturating_sub(self.window);
        if since >= WINDOW {
            self.used_before = if since < 2 * WINDOW { self.used } else { 0 };
            self.used = 0;
            self.window = now;
        }
    }

    fn size(&self, want: &Want) -> u32 {
        let size = match want.lease {
            Lease::Exact => 0,
            Lease::Auto => self.used.max(self.used_before).saturating_mul(2).min(want.burst / 8),
            Lease::Fixed(size) => size.min(want.burst),
        };
        size.max(want.cost)
    }

    /// How long until the bucket can have regained `cost`, or what is worth a question where it was found empty.
    fn missing(&self, want: &Want, cost: u32, size: u32, now: u64) -> u64 {
        let gathered = u32::try_from(GATHERED / want.period.max(1)).unwrap_or(u32::MAX).min(size / 2);
        let need = if self.drained { cost.max(gathered) } else { cost };
        let room = want.period.saturating_mul(want.burst.saturating_sub(need).into());
        self.arrival.saturating_sub(now).saturating_sub(room)
    }
}

impl Want {
    /// A debt as the rest of the program counts it.
    pub(super) const fn time(nanos: u64) -> Duration {
        Duration::from_nanos(nanos)
    }
}

#[cfg(test)]
mod tests;
