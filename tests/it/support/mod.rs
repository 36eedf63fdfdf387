//! Real parts for the tests: the program itself, an origin that records what reaches it, raw sockets.

pub mod browser;
pub mod certificates;
pub mod frames;
pub mod hops;
pub mod origin;
pub mod peers;
pub mod program;
pub mod wire;

pub use origin::Origin;
pub use program::{Program, binary};
pub use wire::{Answer, ask, get};

/// A token that Grafana could have issued: its checksum is right.
pub const TOKEN: &str = "glsa_yscW25imSKJIuav8zF37RZmnbiDvB05G_fcaaf58a";
