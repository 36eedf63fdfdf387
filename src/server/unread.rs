//! Streams of an HTTP/2 connection whose client takes nothing of an answer, while others of it may go on: each is ended by
//! itself.
//!
//! hyper asks a body for more only when the client has room for it, so that what waits for room is not asked at all. The
//! task of the stream sees both, and drops its future in time: h2 then resets the stream.

use std::cell::RefCell;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

thread_local! {
    /// The stream whose task is polled on this thread.
    static CURRENT: RefCell<Option<Arc<Reading>>> = const { RefCell::new(None) };
}

/// Since when the client of a stream could have taken something and has not.
#[derive(Debug)]
pub(super) struct Reading {
    epoch: Instant,
    /// Nanoseconds of the epoch's age, plus one; zero while Grafana is waited for.
    waiting: AtomicU64,
}

impl Reading {
    /// Of the stream whose task is running.
    pub(super) fn current() -> Option<Arc<Self>> {
        CURRENT.with_borrow(Clone::clone)
    }

    /// There is something to be taken.
    pub(super) fn offer(&self) {
        let age = u64::try_from(self.epoch.elapsed().as_nanos()).unwrap_or(u64::MAX - 1);
        self.waiting.store(age.saturating_add(1), Relaxed);
    }

    /// It was taken.
    pub(super) fn take(&self) {
        self.waiting.store(0, Relaxed);
    }

    fn since(&self) -> Option<Instant> {
        let age = self.waiting.load(Relaxed).checked_sub(1)?;
        Some(self.epoch + Duration::from_nanos(age))
    }
}

/// The task of a stream, which ends where its client takes nothing for so long.
#[derive(Debug)]
pub(super) struct Patient<F> {
    task: Pin<Box<F>>,
    reading: Arc<Reading>,
    limit: Duration,
    timer: Option<Pin<Box<Sleep>>>,
}

impl<F> Patient<F> {
    pub(super) fn new(task: F, limit: Duration) -> Self {
        let reading = Arc::new(Reading { epoch: Instant::now(), waiting: AtomicU64::new(0) });
        Self { task: Box::pin(task), reading, limit, timer: None }
    }
}

impl<F: Future<Output = ()>> Future for Patient<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        CURRENT.set(Some(Arc::clone(&this.reading)));
        let polled = this.task.as_mut().poll(cx);
        CURRENT.set(None);
        if polled.is_ready() {
            return polled;
        }
        let Some(since) = this.reading.since() else { return Poll::Pending };
        let end = since + this.limit;
        let timer = this.timer.get_or_insert_with(|| Box::pin(sleep_until(end)));
        if timer.deadline() != end {
            timer.as_mut().reset(end);
        }
        timer.as_mut().poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    /// Offers once, and takes so many times, each after `pause`.
    async fn reader(taken: usize, pause: Duration) {
        let reading = Reading::current().unwrap();
        for _ in 0..taken {
            reading.offer();
            tokio::time::sleep(pause).await;
            reading.take();
        }
        reading.offer();
        poll_fn::<(), _>(|_| Poll::Pending).await;
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_something_now_and_then_goes_on_and_who_takes_nothing_ends() {
        let (limit, began) = (Duration::from_secs(30), Instant::now());
        Patient::new(reader(3, Duration::from_secs(20)), limit).await;
        assert_eq!(began.elapsed().as_secs(), 3 * 20 + 30);
        assert!(Reading::current().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_for_grafana_is_nobody_s_fault() {
        let waits = async {
            Reading::current().unwrap().take();
            tokio::time::sleep(Duration::from_secs(3600)).await;
        };
        let began = Instant::now();
        Patient::new(waits, Duration::from_secs(30)).await;
        assert_eq!(began.elapsed().as_secs(), 3600);
    }
}
