//! The listeners for operators: telemetry, which probes and scrapers ask, and the console, where people look.

mod console;
mod filter;
mod host;
mod page;
mod rows;
mod serve;
mod state;
mod stream;
mod telemetry;

use std::net::SocketAddr;

pub use self::console::Console;
pub use self::rows::{ConfigRow, TokenRow};
pub use self::state::{Asked, Attempt, Current, InForce, Reload};
pub use self::telemetry::Telemetry;

/// Where operators look.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The telemetry listener; `None` switches it off.
    pub telemetry: Option<SocketAddr>,
    /// The console's listener; `None` switches it off.
    pub console: Option<SocketAddr>,
}
