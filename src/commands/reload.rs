//! Loads the configuration anew while serving: on SIGHUP, when a file of it changed, or when the console is asked. All or
//! nothing: with one mistake in it, what is in force stays.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::signal::unix::Signal;
use tokio::sync::mpsc::Receiver;
use tokio::time::{MissedTickBehavior, interval};

use crate::admin::{Asked, Attempt, Current, InForce};
use crate::app::App;
use crate::config::effective::Effective;
use crate::config::print;
use crate::config::reload::{self, Watched};

/// How often files are looked at. One that changed is taken a turn later.
const LOOK: Duration = Duration::from_secs(1);

/// What serves, and what it serves by.
pub(super) struct Reloader<'l> {
    app: App,
    effective: Effective,
    load: &'l dyn Fn() -> Effective,
    current: Current,
    watched: Watched,
}

impl<'l> Reloader<'l> {
    pub(super) fn new(
        app: App,
        (effective, watched): (Effective, Watched),
        load: &'l dyn Fn() -> Effective,
        current: Current,
    ) -> Self {
        Self { app, effective, load, current, watched }
    }

    pub(super) fn into_app(self) -> App {
        self.app
    }

    /// Reloads whenever there is reason to. Never returns.
    pub(super) async fn watch(&mut self, mut hangup: Signal, mut asked: Receiver<Asked>) {
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = hangup.recv() => drop(self.reload("signal")),
                Some(answer) = asked.recv() => {
                    // Whoever asked may be gone.
                    let _ = answer.send(self.reload("request"));
                }
                _ = look.tick(), if !self.watched.is_empty() => {
                    if self.watched.is_due() {
                        drop(self.reload("file"));
                    }
                }
            }
        }
    }

    fn reload(&mut self, by: &'static str) -> Attempt {
        let (watched, mut fresh) = Watched::load(Some(&self.effective), self.load);
        let mut attempt = Attempt {
            at: SystemTime::now(),
            by,
            ok: true,
            changed: Vec::new(),
            needs_restart: Vec::new(),
            mistakes: fresh.errors().map(|mistake| format!("{}: {}", mistake.place(), mistake.summary())).collect(),
        };
        attempt.ok = attempt.mistakes.is_empty();
        self.app.recorder().metrics().reloaded(attempt.ok);
        let before = self.current.load_full();
        // What is named now is watched from now on, a faulty file too: until it is mended.
        self.watched = watched;
        if !attempt.ok {
            let detail = attempt.mistakes.join("; ");
            tracing::error!(event = "config_reload_failed", by, detail, "what was in force stays so");
            self.current.store(Arc::new(InForce { attempt: Some(attempt.clone()), ..(*before).clone() }));
            return attempt;
        }
        let difference = reload::settle(&self.effective.config, &mut fresh.config);
        self.app.reload(&fresh.config);
        self.effective = fresh;
        (attempt.changed, attempt.needs_restart) = (difference.changed, difference.fixed);
        let hash = reload::hash(&self.effective);
        self.app.recorder().metrics().configured(&hash, self.effective.config.certificate_ends());
        let (changed, needs_restart) = (attempt.changed.join(","), attempt.needs_restart.join(","));
        tracing::info!(
            event = "config_reloaded",
            by,
            changed,
            needs_restart,
            hash,
            "the new configuration is in force"
        );
        self.current.store(Arc::new(InForce {
            limits: Arc::clone(self.app.limits()),
            callers: self.effective.config.names(),
            config: print::rows(&self.effective),
            upstream: self.effective.config.upstream.url.to_string(),
            hash,
            since: attempt.at,
            attempt: Some(attempt.clone()),
        }));
        attempt
    }
}
