//! Every promise once, over real sockets, against the real program.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::string_slice)]

mod captures;
mod explains;
mod framing;
mod lifecycle;
mod limits;
mod organisation;
mod passes;
mod repairs;
mod secrets;
mod streams;
mod support;
mod upstream;
