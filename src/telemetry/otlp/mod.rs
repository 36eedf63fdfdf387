//! A span for each refused request, sent to an OpenTelemetry collector where the standard variables name one.
//!
//! OTLP over HTTP in its JSON encoding, which every collector takes on the same port as protobuf. Written by hand: the
//! refusal is a record already, and needs neither a tracing pipeline nor generated messages to become a document.

mod exporter;
mod parent;
mod post;
mod settings;
mod span;

pub use self::exporter::Spans;
pub use self::settings::{Problem, Settings};
