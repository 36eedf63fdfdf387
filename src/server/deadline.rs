//! One timer for all the deadlines of a connection and its exchange.

use std::pin::Pin;
use std::task::Context;

use tokio::time::{Instant, Sleep};

use crate::progress::{Progress, Wait};

/// What became of the deadlines.
pub(super) enum Overdue {
    Nothing,
    /// The exchange must look at its own.
    Exchange,
    /// Nobody is left to answer: the connection ends.
    Connection,
}

/// Looks at the timer, which stands at the earliest deadline or before it.
pub(super) fn overdue(progress: &Progress, mut timer: Pin<&mut Sleep>, cx: &mut Context<'_>) -> Overdue {
    loop {
        let Some(next) = progress.earliest().map(|at| progress.moment(at)) else { return Overdue::Nothing };
        if next < timer.deadline() {
            timer.as_mut().reset(next);
        }
        if timer.as_mut().poll(cx).is_pending() {
            return Overdue::Nothing;
        }
        if progress.expire(Instant::now()) {
            let orphan = progress.has_expired(Wait::Body) && progress.has_replied();
            let over = progress.has_expired(Wait::Head) || progress.has_expired(Wait::Reader) || orphan;
            return if over { Overdue::Connection } else { Overdue::Exchange };
        }
        timer.as_mut().reset(next);
    }
}
