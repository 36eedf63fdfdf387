//! What one thread gets from many: added under a lock that is held for a moment, and taken all at once.
//!
//! A channel costs each message what this costs each batch. Whoever adds decides what to do when there is too much.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Holds what waits for its thread.
#[derive(Debug, Default)]
pub(super) struct Mailbox<T> {
    state: Mutex<State<T>>,
    filled: Condvar,
    finished: Condvar,
}

#[derive(Debug, Default)]
struct State<T> {
    content: T,
    /// The thread sleeps: whoever adds wakes it.
    sleeps: bool,
    /// It is to take what is left, and end.
    ends: bool,
    has_ended: bool,
}

/// What the thread finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// Something.
    Filled,
    /// Nothing in time.
    Idle,
    /// Nothing, and nothing will come.
    Ended,
}

/// What knows whether it is empty.
pub(super) trait Content: Default {
    fn is_empty(&self) -> bool;
}

impl<T> Content for Vec<T> {
    fn is_empty(&self) -> bool {
        self.is_empty()
    }
}

impl Content for String {
    fn is_empty(&self) -> bool {
        self.is_empty()
    }
}

impl<T: Content> Mailbox<T> {
    /// Changes what waits, and wakes the thread if it sleeps.
    pub(super) fn put<R>(&self, change: impl FnOnce(&mut T) -> R) -> R {
        let mut state = self.lock();
        let result = change(&mut state.content);
        let wake = !state.content.is_empty() && std::mem::take(&mut state.sleeps);
        drop(state);
        if wake {
            self.filled.notify_one();
        }
        result
    }

    /// For the thread: swaps all that waits into `into`, which must be empty; sleeps until `until` where there is nothing.
    pub(super) fn take(&self, into: &mut T, until: Option<Instant>) -> Turn {
        let mut state = self.lock();
        while state.content.is_empty() {
            if state.ends {
                return Turn::Ended;
            }
            state.sleeps = true;
            state = match until.map(|until| until.saturating_duration_since(Instant::now())) {
                None => self.filled.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(Duration::ZERO) => {
                    state.sleeps = false;
                    return Turn::Idle;
                }
                Some(time) => self.filled.wait_timeout(state, time).unwrap_or_else(PoisonError::into_inner).0,
            };
        }
        state.sleeps = false;
        std::mem::swap(&mut state.content, into);
        Turn::Filled
    }

    /// For the thread: sleeps for a while though there may be something, so that more comes together; unless it is to end.
    pub(super) fn rest(&self, time: Duration) {
        drop(self.filled.wait_timeout_while(self.lock(), time, |state| !state.ends));
    }

    /// For the thread: everything is done.
    pub(super) fn finish(&self) {
        self.lock().has_ended = true;
        self.finished.notify_all();
    }

    /// Lets the thread end, and waits until it has; not beyond `deadline`.
    pub(super) fn end(&self, deadline: Instant) {
        let mut state = self.lock();
        state.ends = true;
        self.filled.notify_one();
        while !state.has_ended {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            state = self.finished.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Whoever panicked while it was held has at worst not finished its own line.
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn whatever_is_put_is_taken_once_and_in_order() {
        let mailbox = Arc::new(Mailbox::<Vec<u32>>::default());
        let taker = {
            let mailbox = Arc::clone(&mailbox);
            std::thread::spawn(move || {
                let (mut all, mut batch) = (Vec::new(), Vec::new());
                while mailbox.take(&mut batch, None) != Turn::Ended {
                    all.append(&mut batch);
                }
                mailbox.finish();
                all
            })
        };
        let putters: Vec<_> = (0..4)
            .map(|which| {
                let mailbox = Arc::clone(&mailbox);
                std::thread::spawn(move || {
                    (0..5000).for_each(|number| mailbox.put(|all| all.push(which * 10_000 + number)))
                })
            })
            .collect();
        putters.into_iter().for_each(|putter| putter.join().unwrap());
        mailbox.end(Instant::now() + Duration::from_secs(30));
        let all = taker.join().unwrap();
        for which in 0..4 {
            let its: Vec<u32> =
                all.iter().filter(|number| *number / 10_000 == which).map(|number| number % 10_000).collect();
            assert_eq!(its, (0..5000).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_rest_lasts_and_ends_with_the_end() {
        let mailbox = Mailbox::<Vec<u32>>::default();
        let began = Instant::now();
        mailbox.put(|all| all.push(1));
        mailbox.rest(Duration::from_millis(20));
        assert!(began.elapsed() >= Duration::from_millis(20));
        mailbox.end(Instant::now());
        mailbox.rest(Duration::from_secs(3600));
    }

    #[test]
    fn nothing_in_time_is_told_apart_from_the_end() {
        let mailbox = Mailbox::<Vec<u32>>::default();
        let mut batch = Vec::new();
        assert_eq!(mailbox.take(&mut batch, Some(Instant::now())), Turn::Idle);
        // Nobody takes: the wait is bounded.
        mailbox.end(Instant::now());
        mailbox.put(|all| all.push(1));
        assert_eq!((mailbox.take(&mut batch, None), batch.len()), (Turn::Filled, 1));
        batch.clear();
        assert_eq!(mailbox.take(&mut batch, None), Turn::Ended);
    }
}
