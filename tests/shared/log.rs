//! What the program says while a store comes and goes: it does so on a thread of its own, so all of it is kept.

use std::fmt;
use std::sync::{Mutex, Once};

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

static LINES: Mutex<Vec<String>> = Mutex::new(Vec::new());

struct Keep;

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.push_str(&format!(" {field}={value:?}"));
    }
}

impl<S: Subscriber> Layer<S> for Keep {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut line = Line(event.metadata().level().to_string());
        event.record(&mut line);
        LINES.lock().unwrap().push(line.0);
    }
}

/// Keeps what is said from now on.
pub(crate) fn keep() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        tracing::subscriber::set_global_default(tracing_subscriber::registry().with(Keep)).unwrap();
    });
}

/// What was said about the store at a port.
pub(crate) fn lines(port: u16) -> Vec<String> {
    let port = format!(":{port}/");
    LINES.lock().unwrap().iter().filter(|line| line.contains(&port)).cloned().collect()
}

/// Everything that was said.
pub(crate) fn all() -> String {
    LINES.lock().unwrap().join("\n")
}
