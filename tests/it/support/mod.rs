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

/// One of as many tokens as numbers: each with the right checksum, as a token that Grafana issued has, and as anybody can
/// compute.
pub fn sound_token(number: u64) -> String {
    let body = format!("glsa_{number:032}");
    let digits: String =
        crc32fast::hash(body.as_bytes()).to_le_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{body}_{digits}")
}
