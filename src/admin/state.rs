//! What is in force, as the console shows it: replaced as a whole by each reload.

use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwap;
use serde::Serialize;
use tokio::sync::{mpsc, oneshot};

use super::rows::ConfigRow;
use crate::limits::Limits;
use crate::telemetry::timestamp;

/// What is in force.
#[derive(Clone, Debug)]
pub struct InForce {
    /// The limits.
    pub limits: Arc<Limits>,
    /// The names of known callers, in their order.
    pub callers: Vec<Arc<str>>,
    /// The configuration.
    pub config: Vec<ConfigRow>,
    /// Where Grafana is.
    pub upstream: String,
    /// What stands for the configuration: equal on replicas with equal configurations.
    pub hash: String,
    /// Since when.
    pub since: SystemTime,
    /// The last attempt to replace it.
    pub attempt: Option<Attempt>,
}

/// What is in force, shared.
pub type Current = Arc<ArcSwap<InForce>>;

/// One attempt to load the configuration anew.
#[derive(Clone, Debug, Serialize)]
pub struct Attempt {
    /// When.
    #[serde(serialize_with = "as_timestamp")]
    pub at: SystemTime,
    /// Who asked for it: `signal`, `file` or `request`.
    pub by: &'static str,
    /// Whether the new configuration is in force.
    pub ok: bool,
    /// Keys whose values are other ones now.
    pub changed: Vec<&'static str>,
    /// Keys that were changed, and take a restart.
    pub needs_restart: Vec<&'static str>,
    /// What is wrong, if it is not in force: each mistake on a line, without secrets.
    pub mistakes: Vec<String>,
}

fn as_timestamp<S: serde::Serializer>(at: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&timestamp(*at))
}

/// Whoever asks for a reload gets what came of it.
pub type Asked = oneshot::Sender<Attempt>;

/// How the console asks for a reload.
#[derive(Clone, Debug)]
pub struct Reload(mpsc::Sender<Asked>);

impl Reload {
    /// A way to ask, and where the asking arrives. One at a time: more at once learn nothing more.
    pub fn channel() -> (Self, mpsc::Receiver<Asked>) {
        let (sender, receiver) = mpsc::channel(1);
        (Self(sender), receiver)
    }

    /// Asks, and waits for what came of it. `None`: one is under way, or the program ends.
    pub(super) async fn ask(&self) -> Option<Attempt> {
        let (sender, outcome) = oneshot::channel();
        self.0.try_send(sender).ok()?;
        outcome.await.ok()
    }
}
