//! The thread that sends spans: whatever the collector does, no request waits for it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::{Duration, Instant};

use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::parent::Parent;
use super::post::{Failure, Target, post};
use super::settings::{Sampling, Settings};
use super::span;
use crate::telemetry::record::Refusal;

/// Spans that wait to be sent, at most.
const MAX_WAITING: usize = 2_048;

/// Spans in one request to the collector, at most.
const MAX_BATCH: usize = 512;

/// How often a batch is sent where the collector asks to try again.
const ATTEMPTS: u32 = 3;

/// What lies before the second attempt; it doubles.
const PAUSE: Duration = Duration::from_millis(500);

/// What the end of the program waits for the last spans.
const LAST_SPANS: Duration = Duration::from_secs(1);

#[derive(Debug)]
enum Message {
    Refusal(Arc<Refusal>),
    End(SyncSender<()>),
}

/// Where refusals are handed over to become spans.
#[derive(Clone, Debug)]
pub struct Spans {
    sender: Sender<Message>,
    dropped: Arc<AtomicU64>,
    sampling: Sampling,
}

impl Spans {
    /// Starts the thread.
    pub fn start(settings: Settings) -> io::Result<Self> {
        let (sender, receiver) = channel(MAX_WAITING);
        let dropped = Arc::<AtomicU64>::default();
        let spans = Self { sender, dropped: Arc::clone(&dropped), sampling: settings.sampling };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
        let exporter = Exporter { target: Target::new(&settings), settings, dropped };
        std::thread::Builder::new().name("spans".into()).spawn(move || runtime.block_on(exporter.run(receiver)))?;
        Ok(spans)
    }

    /// Hands a refusal over, if its trace is sampled and there is room.
    pub(in crate::telemetry) fn offer(&self, refusal: &Arc<Refusal>) {
        if !self.wants(refusal) {
            return;
        }
        match self.sender.try_reserve() {
            Ok(place) => place.send(Message::Refusal(Arc::clone(refusal))),
            Err(_) => {
                self.dropped.fetch_add(1, Relaxed);
            }
        }
    }

    fn wants(&self, refusal: &Refusal) -> bool {
        let parent = refusal.facts.traceparent.as_ref().and_then(|value| Parent::read(value));
        self.sampling == Sampling::Always || parent.is_none_or(|parent| parent.is_sampled())
    }

    /// Sends what still waits, for a second at most. Blocks.
    pub fn finish(&self) {
        let (done, wait) = sync_channel(1);
        let deadline = Instant::now() + LAST_SPANS;
        let mut end = Message::End(done);
        while let Err(tokio::sync::mpsc::error::TrySendError::Full(back)) = self.sender.try_send(end) {
            if Instant::now() > deadline {
                return;
            }
            end = back;
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = wait.recv_timeout(deadline.saturating_duration_since(Instant::now()));
    }
}

struct Exporter {
    target: Target,
    settings: Settings,
    dropped: Arc<AtomicU64>,
}

impl Exporter {
    async fn run(self, mut receiver: Receiver<Message>) {
        let mut told = 0;
        while let Some(first) = receiver.recv().await {
            let (batch, end) = self.collect(first, &mut receiver).await;
            if !batch.is_empty() {
                self.export(&batch).await;
            }
            let dropped = self.dropped.load(Relaxed);
            if dropped > told {
                tracing::warn!(event = "spans_dropped", count = dropped - told, "the collector was too slow for them");
                told = dropped;
            }
            if let Some(done) = end {
                let _ = done.try_send(());
            }
        }
    }

    /// What comes within the delay, up to a whole batch or to the end of the program.
    async fn collect(
        &self,
        first: Message,
        receiver: &mut Receiver<Message>,
    ) -> (Vec<Arc<Refusal>>, Option<SyncSender<()>>) {
        let deadline = tokio::time::Instant::now() + self.settings.delay;
        let mut batch = Vec::new();
        let mut next = Some(first);
        while let Some(message) = next {
            match message {
                Message::Refusal(refusal) => batch.push(refusal),
                Message::End(done) => return (batch, Some(done)),
            }
            if batch.len() >= MAX_BATCH {
                break;
            }
            next = tokio::time::timeout_at(deadline, receiver.recv()).await.ok().flatten();
        }
        (batch, None)
    }

    async fn export(&self, batch: &[Arc<Refusal>]) {
        let spans = batch.iter().map(|refusal| span::write(refusal, &random_ids())).collect();
        let body = span::envelope(&self.settings.resource, spans);
        let mut pause = PAUSE;
        for attempt in 1..=ATTEMPTS {
            let sent = tokio::time::timeout(self.settings.timeout, post(&self.target, body.clone().into())).await;
            let failure = match sent {
                Ok(Ok(())) => return,
                Ok(Err(failure)) => failure,
                Err(_) => Failure { detail: "the collector did not answer in time".into(), passing: true },
            };
            if attempt == ATTEMPTS || !failure.passing {
                let detail = failure.detail;
                tracing::warn!(event = "spans_lost", count = batch.len(), detail, "the collector did not take them");
                return;
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
    }
}

/// Ids must be random (W3C Trace Context §2.2.3 and §7), not secret: without randomness a span is better than none.
fn random_ids() -> span::Ids {
    let mut ids = span::Ids::default();
    if getrandom::fill(&mut ids).is_err() || ids.iter().all(|byte| *byte == 0) {
        ids = [1; 24];
    }
    ids
}
