//! Limits that all replicas share, through Redis or Valkey.
//!
//! A bucket lives in the store as its theoretical arrival time (GCRA), moved on by one script on the store's clock and
//! gone by itself when the bucket is full. A replica takes what a busy token needs ahead, as a *lease*, so that most
//! requests ask nobody; a bucket that is known to be empty is refused without a question.
//!
//! What holds, whatever the number of replicas:
//!
//! * Admitted ≤ rate × time + burst, strictly, as long as the store keeps what it was told: leases are charged when they
//!   are taken.
//! * What a replica took and did not spend within a second is lost: at most one lease and a half for each token that
//!   falls silent there. A token that keeps sending loses nothing.
//! * A store that comes back empty is told by each replica, with its next question, what that one knows of a bucket's
//!   debt (but for the last 25 ms). What is admitted on top is at most what the other replicas spent since this one
//!   asked last, what is regained in 25 ms, and the unspent leases.
//! * No request waits longer than the deadline. Three answers in a row that are errors or too late, or a connection that
//!   is lost and not back within one deadline, and nobody waits at all until the store answers in time again. Leases are
//!   spent meanwhile, and buckets that are known to be empty still refuse.
//!
//! The store's user needs `EVALSHA`, `EVAL`, `TIME`, `GET` and `SET` on keys `gtp:*`; in a cluster `CLUSTER SLOTS`, too.
//! A key is `gtp:<limit>:<bucket>:<period in ns>:<burst>`; the bucket's first twelve digits are the token's fingerprint
//! in the logs.

mod address;
mod breaker;
mod driver;
mod holding;
mod link;
mod table;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::{Sleep, sleep_until};
use tokio_rustls::rustls::crypto::ring;

pub use self::address::{Address, AddressError, Place, Server};
use self::driver::Work;
pub use self::holding::Lease;
use self::holding::{Verdict, Want};
use self::table::{Table, Tag};
use crate::domain::limit::{Policy, Rate};
use crate::domain::token::BucketKey;

/// Questions under way at most; beyond, the store counts as out of reach.
const UNDER_WAY: usize = 1024;

/// Buckets of which something is held, at most: 64 bytes each.
const HELD: usize = 32_768;

/// How long a request may wait for the store, unless told otherwise.
pub const DEADLINE: Duration = Duration::from_millis(25);

/// Where the limits are shared, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The store.
    pub address: Address,
    /// PEM: whom to believe instead of the system's authorities, where the way is encrypted.
    pub authorities: Option<Vec<u8>>,
    /// How much is taken ahead.
    pub lease: Lease,
    /// How long a request may wait for the store: [`DEADLINE`].
    pub deadline: Duration,
    /// Buckets tracked at most; of at most 32 768 of them something is held here.
    pub max_tracked: usize,
}

/// One look at one shared bucket.
#[derive(Clone, Copy, Debug)]
pub struct Claim {
    /// Which bucket. Replicas share it only where their hash keys agree.
    pub key: BucketKey,
    /// Under which limit.
    pub policy: Policy,
    /// Its rate; another rate is another bucket.
    pub rate: Rate,
    /// Requests that this one counts as. More than the burst count as the whole burst.
    pub cost: u32,
    /// How far this replica knows the bucket to be in debt (its theoretical arrival time, as a time from now): a store
    /// that lost its memory, or an outage that was bridged locally, gives nobody a second burst.
    pub debt: Duration,
}

/// What the shared store says. [`Rate::left`] makes of a debt what the client is told; it leaves out what is leased here
/// and not spent yet. To be remembered, it counts from the `now` of the claim: the store counted later, and a memory that
/// runs ahead of the store would come back to it as [`Claim::debt`] and take from the budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The request may pass.
    Admitted {
        /// After it.
        debt: Duration,
    },
    /// It may not, and spent nothing.
    Refused {
        /// As it is.
        debt: Duration,
        /// How long until a retry succeeds, if nobody else is quicker.
        retry_after: Duration,
    },
    /// The store cannot be asked: `shared_failure` decides.
    Unavailable,
}

/// An answer, or one that is on its way.
#[derive(Debug)]
pub enum Claimed {
    /// Known here: spent from a lease, or known to be empty.
    Now(Answer),
    /// One round trip.
    Later(Pending),
}

/// An answer that is on its way. Comes at the deadline at the latest. Dropped, what it would have been given is left to
/// the next request of the same bucket.
#[derive(Debug)]
pub struct Pending {
    answer: oneshot::Receiver<Answer>,
    deadline: Instant,
    /// Made when it is first waited for: only then a runtime is known to be there.
    alarm: Option<Pin<Box<Sleep>>>,
}

impl Future for Pending {
    type Output = Answer;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Answer> {
        let pending = &mut *self;
        if let Poll::Ready(answer) = Pin::new(&mut pending.answer).poll(context) {
            return Poll::Ready(answer.unwrap_or(Answer::Unavailable));
        }
        let deadline = pending.deadline;
        let alarm = pending.alarm.get_or_insert_with(|| Box::pin(sleep_until(deadline.into())));
        alarm.as_mut().poll(context).map(|()| Answer::Unavailable)
    }
}

/// Whether the limits are shared at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The store answers.
    Shared,
    /// It does not: every claim is [`Answer::Unavailable`] at once.
    Degraded,
}

impl State {
    /// The name in metrics and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Shared => "shared",
            Self::Degraded => "degraded",
        }
    }
}

/// What claims and the thread that talks to the store have in common.
struct Board {
    address: Arc<Address>,
    authorities: Option<Vec<u8>>,
    deadline: Duration,
    start: Instant,
    table: Table,
    degraded: AtomicBool,
    connected: AtomicBool,
    round_trips: AtomicU64,
}

impl Board {
    fn at(&self, moment: Instant) -> u64 {
        nanos(moment.saturating_duration_since(self.start))
    }

    fn now(&self) -> u64 {
        self.at(Instant::now())
    }

    fn set(&self, state: State) {
        self.degraded.store(state == State::Degraded, Relaxed);
    }

    /// A question was not answered: another may be asked.
    fn forget(&self, work: &Work) {
        self.table.with(work.tag, work.claimed, |holding| holding.settled(work.ask));
    }
}

/// The limits that all replicas share.
pub struct Shared {
    board: Arc<Board>,
    works: mpsc::Sender<Work>,
    permits: Arc<Semaphore>,
    lease: Lease,
}

impl Shared {
    /// Starts the thread that talks to the store, which need not be there yet. The error is that of the system, which
    /// gave us no thread.
    pub fn start(settings: Settings) -> Result<Self, std::io::Error> {
        // The client of the store asks for the default of the process: ring, as everywhere here. An error means that
        // there is one already.
        let _ = ring::default_provider().install_default();
        let Settings { address, authorities, lease, deadline, max_tracked } = settings;
        let board = Arc::new(Board {
            address: Arc::new(address),
            authorities,
            deadline,
            start: Instant::now(),
            table: Table::new(max_tracked.min(HELD)),
            degraded: AtomicBool::new(false),
            connected: AtomicBool::new(false),
            round_trips: AtomicU64::new(0),
        });
        let (works, received) = mpsc::channel(UNDER_WAY);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = Arc::clone(&board);
        thread::Builder::new()
            .name("shared-limits".into())
            .spawn(move || runtime.block_on(driver::drive(thread, received)))?;
        Ok(Self { board, works, permits: Arc::new(Semaphore::new(UNDER_WAY)), lease })
    }

    /// Takes from a bucket, if there is enough in it.
    pub fn claim(&self, claim: &Claim, now: Instant) -> Claimed {
        let rate = claim.rate;
        let moment = self.board.at(now);
        let want = Want {
            period: nanos(rate.period).max(1),
            burst: rate.burst.get(),
            cost: claim.cost.min(rate.burst.get()),
            lease: self.lease,
            floor: moment.saturating_add(nanos(claim.debt)),
        };
        let tag = Tag::new(claim.key, claim.policy, &rate);
        let deadline = now + self.board.deadline;
        let verdict = self.board.table.with(tag, moment, |holding| holding.claim(&want, moment));
        let (ask, admitted) = match verdict {
            Verdict::Refused { debt, retry_after } => {
                let (debt, retry_after) = (Want::time(debt), Want::time(retry_after));
                return Claimed::Now(Answer::Refused { debt, retry_after });
            }
            Verdict::Admitted { debt, renew } => {
                let admitted = Claimed::Now(Answer::Admitted { debt: Want::time(debt) });
                match renew {
                    None => return admitted,
                    Some(ask) => (ask, Some(admitted)),
                }
            }
            Verdict::Unknown(ask) => (ask, None),
        };
        let (reply, answer) = oneshot::channel();
        let work = |permit, reply| Work {
            tag,
            key: format!("gtp:{}:{:032x}:{}:{}", claim.policy.name(), claim.key.0, want.period, want.burst),
            want,
            ask,
            claimed: moment,
            deadline,
            reply,
            permit,
        };
        let reply = admitted.is_none().then_some(reply);
        let under_way = self.state() == State::Shared
            && Arc::clone(&self.permits)
                .try_acquire_owned()
                .is_ok_and(|permit| self.works.try_send(work(permit, reply)).is_ok());
        if !under_way {
            self.board.table.with(tag, moment, |holding| holding.settled(ask));
        }
        match admitted {
            Some(admitted) => admitted,
            None if under_way => Claimed::Later(Pending { answer, deadline, alarm: None }),
            None => Claimed::Now(Answer::Unavailable),
        }
    }

    /// Whether the limits are shared at the moment.
    pub fn state(&self) -> State {
        if self.board.degraded.load(Relaxed) { State::Degraded } else { State::Shared }
    }

    /// Whether the store was found since the start. Until then, claims wait for it, each for one deadline.
    pub fn connected(&self) -> bool {
        self.board.connected.load(Relaxed)
    }

    /// Questions sent to the store since the start.
    pub fn round_trips(&self) -> u64 {
        self.board.round_trips.load(Relaxed)
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("address", &self.board.address).field("state", &self.state()).finish()
    }
}

/// Enough for five centuries.
fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
