//! What the program says about itself (`tracing` events), in the log's own formats.

use std::fmt::{Debug, Write as _};
use std::time::SystemTime;

use tracing::field::{Field as Name, Visit};
use tracing::subscriber::Interest;
use tracing::{Event, Level as Tracing, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use super::format::{Field, Keys, Opening, Tell};
use super::redact::redact;
use super::{Level, Log};

/// Hands the program's own events to the log.
#[derive(Debug)]
pub struct Events(Log);

impl Events {
    /// Events go to `log`.
    pub const fn new(log: Log) -> Self {
        Self(log)
    }
}

/// Libraries speak of what they do; only we speak of what happened.
fn is_ours(metadata: &Metadata<'_>) -> bool {
    metadata.is_event() && metadata.target().starts_with("grafana_token_proxy")
}

impl<S: Subscriber> Layer<S> for Events {
    /// Asked once for each place that speaks. Spans of h2 that nobody reads cost more than the request that they are of.
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if is_ours(metadata) { Interest::always() } else { Interest::never() }
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        is_ours(metadata)
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let level = match *event.metadata().level() {
            Tracing::ERROR => Level::Error,
            Tracing::WARN => Level::Warn,
            Tracing::INFO => Level::Info,
            _ => Level::Debug,
        };
        if !self.0.wants(level) {
            return;
        }
        let mut said = Said::default();
        event.record(&mut said);
        self.0.line(&Spoken { at: SystemTime::now(), level, said });
    }
}

struct Spoken {
    at: SystemTime,
    level: Level,
    said: Said,
}

impl Tell for Spoken {
    fn opening(&self) -> Opening<'_> {
        let event = Field::Text(self.said.event.as_deref().unwrap_or("program").into());
        Opening { at: self.at, level: self.level, event }
    }

    fn tell(&self, keys: &mut impl Keys) {
        for (key, value) in &self.said.fields {
            keys.put(key, Field::Text(redact(value)));
        }
        if !self.said.message.is_empty() {
            keys.put("detail", Field::Text(redact(&self.said.message)));
        }
    }
}

#[derive(Default)]
struct Said {
    event: Option<String>,
    message: String,
    fields: Vec<(&'static str, String)>,
}

impl Said {
    fn take(&mut self, name: &Name, value: String) {
        match name.name() {
            "event" => self.event = Some(value),
            "message" => {
                let rest = std::mem::replace(&mut self.message, value);
                if !rest.is_empty() {
                    let _ = write!(self.message, ": {rest}");
                }
            }
            "detail" if self.message.is_empty() => self.message = value,
            "detail" => {
                let _ = write!(self.message, ": {value}");
            }
            name => self.fields.push((name, value)),
        }
    }
}

impl Visit for Said {
    fn record_str(&mut self, name: &Name, value: &str) {
        self.take(name, value.to_owned());
    }

    fn record_debug(&mut self, name: &Name, value: &dyn Debug) {
        self.take(name, format!("{value:?}"));
    }
}
