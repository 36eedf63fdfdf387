//! The thread that talks to the store. It alone holds the connection; workers hand it questions through a bounded
//! channel, and wait no longer than the deadline whatever happens here.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tokio::time::{sleep, timeout, timeout_at};

use super::breaker::Breaker;
use super::holding::{Ask, Grant, Want};
use super::link::{Fault, LATE, Link, Question};
use super::table::Tag;
use super::{Answer, Board, State};

/// One question on its way.
pub(super) struct Work {
    pub(super) tag: Tag,
    pub(super) key: String,
    pub(super) want: Want,
    pub(super) ask: Ask,
    /// When the claim was made, and until when its answer is of use.
    pub(super) claimed: u64,
    pub(super) deadline: Instant,
    /// Who waits; nobody for a lease that is renewed.
    pub(super) reply: Option<oneshot::Sender<Answer>>,
    /// Bounds what is under way.
    pub(super) permit: OwnedSemaphorePermit,
}

/// What became of a question.
enum Outcome {
    Answered,
    Failed(String),
    Lost(String),
}

/// Why questions are no longer asked on a connection.
enum End {
    /// It is gone. The store need not be: it was moved, or restarted.
    Lost(String),
    /// The store does not answer in time, or with errors.
    Failed(String),
    /// Nobody is left to ask.
    Over,
}

/// Serves until all senders are gone.
pub(super) async fn drive(board: Arc<Board>, mut works: mpsc::Receiver<Work>) {
    let mut breaker = Breaker::new();
    // Until it is known that the store is there, requests wait for it: not long.
    let mut link = match timeout(4 * board.deadline, attempt(&board)).await {
        Ok(link) => link.map_err(Fault::cause),
        Err(_) => Err(missed(4 * board.deadline)),
    };
    loop {
        let cause = match link {
            Ok(open) => match serve(&board, open, &mut works, &mut breaker).await {
                End::Over => return,
                End::Failed(cause) => cause,
                End::Lost(cause) => {
                    // One try, within the deadline of those who wait, before anything is said.
                    let again = timeout(board.deadline, attempt(&board)).await;
                    if let (Ok(Ok(open)), false) = (again, breaker.failed()) {
                        link = Ok(open);
                        continue;
                    }
                    cause
                }
            },
            Err(cause) => cause,
        };
        breaker.opened(board.now());
        board.set(State::Degraded);
        tracing::warn!(event = "limits_backend", state = State::Degraded.name(), store = %board.address, detail = %cause,
            "the shared limits are out of reach: shared_failure decides");
        let Some(open) = recover(&board, &mut works, &mut breaker).await else { return };
        breaker.closed(board.now());
        board.set(State::Shared);
        tracing::info!(event = "limits_backend", state = State::Shared.name(), store = %board.address,
            "the limits are shared again");
        link = Ok(open);
    }
}

/// Connects, and sees whether the script runs in time.
async fn attempt(board: &Board) -> Result<Link, Fault> {
    let mut link = Link::open(&board.address, board.authorities.as_deref()).await?;
    // The first time, the script itself travels: only the second look is one round trip.
    link.ask(&Question::probe()).await?;
    match timeout(board.deadline, link.ask(&Question::probe())).await {
        Ok(answer) => {
            answer?;
            board.connected.store(true, Relaxed);
            Ok(link)
        }
        Err(_) => Err(Fault::Failed(missed(board.deadline))),
    }
}

fn missed(deadline: Duration) -> String {
    format!("no answer within {} ms", deadline.as_millis())
}

/// Looks for the store until it answers. Meanwhile nobody waits.
async fn recover(board: &Board, works: &mut mpsc::Receiver<Work>, breaker: &mut Breaker) -> Option<Link> {
    loop {
        let wait = sleep(breaker.wait());
        tokio::pin!(wait);
        loop {
            tokio::select! {
                () = &mut wait => break,
                // Dropped, and so answered: it came in before the state was seen.
                work = works.recv() => board.forget(&work?),
            }
        }
        if let Ok(Ok(link)) = timeout(4 * LATE, attempt(board)).await {
            return Some(link);
        }
    }
}

/// Asks what is to be asked, until the connection or the store's answers fail.
async fn serve(board: &Arc<Board>, link: Link, works: &mut mpsc::Receiver<Work>, breaker: &mut Breaker) -> End {
    // As many as there are permits at most, twice. A new channel for each connection: what becomes of the questions of
    // the last one says nothing about this one.
    let (report, mut outcomes) = mpsc::unbounded_channel();
    loop {
        tokio::select! {
            biased;
            outcome = outcomes.recv() => match outcome {
                Some(Outcome::Answered) => breaker.answered(),
                Some(Outcome::Failed(cause)) if breaker.failed() => return End::Failed(cause),
                Some(Outcome::Lost(cause)) => return End::Lost(cause),
                Some(Outcome::Failed(_)) | None => {}
            },
            work = works.recv() => {
                let Some(work) = work else { return End::Over };
                if work.deadline <= Instant::now() {
                    board.forget(&work);
                } else {
                    tokio::spawn(carry(Arc::clone(board), link.clone(), work, report.clone()));
                }
            }
        }
    }
}

/// Carries one question there and its answer back.
async fn carry(board: Arc<Board>, mut link: Link, work: Work, report: mpsc::UnboundedSender<Outcome>) {
    let sent = board.now();
    let question = Question {
        key: work.key.clone(),
        period: work.want.period,
        burst: work.want.burst,
        least: work.ask.least,
        most: work.ask.most,
        debt: work.ask.debt(sent),
    };
    board.round_trips.fetch_add(1, Relaxed);
    let answer = link.ask(&question);
    tokio::pin!(answer);
    let (answer, in_time) = match timeout_at(work.deadline.into(), &mut answer).await {
        Ok(answer) => (Some(answer), true),
        Err(_) => {
            let _ = report.send(Outcome::Failed(missed(board.deadline)));
            (timeout(LATE, &mut answer).await.ok(), false)
        }
    };
    match answer {
        Some(Ok(grant)) => {
            if in_time {
                let _ = report.send(Outcome::Answered);
            }
            deliver(&board, work, grant, sent);
        }
        Some(Err(fault)) => {
            board.forget(&work);
            let outcome = match fault {
                Fault::Lost(cause) => Outcome::Lost(cause),
                Fault::Failed(cause) => Outcome::Failed(cause),
            };
            let _ = report.send(outcome);
        }
        None => board.forget(&work),
    }
}

/// Keeps what was granted, and tells who waits. Who does not wait any more leaves the share to the next.
fn deliver(board: &Board, work: Work, grant: Grant, sent: u64) {
    let Work { tag, want, ask, reply, permit, .. } = work;
    let now = board.now();
    let reply = reply.filter(|reply| !reply.is_closed());
    let cost = if reply.is_some() { want.cost } else { 0 };
    let (admitted, debt, wait) = board.table.with(tag, now, |holding| {
        let admitted = holding.answered(ask, grant, sent, cost, now);
        (admitted, Want::time(holding.unleased(&want, grant.debt)), holding.wait(&want, now))
    });
    let Some(reply) = reply else { return };
    let answer = if admitted {
        Answer::Admitted { debt }
    } else {
        Answer::Refused { debt, retry_after: Want::time(grant.retry_after.max(wait)) }
    };
    if reply.send(answer).is_err() && admitted {
        board.table.with(tag, now, |holding| holding.returned(cost, now));
    }
    drop(permit);
}
