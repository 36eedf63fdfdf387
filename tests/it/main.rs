//! Every promise once, over real sockets, against the real program.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    unreachable_pub,
    reason = "a test fails by panicking; the support is shared by its modules alone"
)]

mod admin;
mod behaviours;
mod budgets;
mod callers;
mod captures;
mod clients;
mod demo;
mod departures;
mod doctor;
mod endurance;
mod desync;
mod differential;
mod exactness;
mod explains;
mod framing;
mod http2;
mod http2_raw;
mod identity;
mod lifecycle;
mod migrate;
mod monitoring;
mod limits;
mod memory;
mod organisation;
mod otlp;
mod page;
mod passes;
mod reload;
mod raw;
mod recorder;
mod repairs;
mod replicas;
mod secrets;
mod sockets;
mod streams;
mod suggest;
mod support;
mod tls;
mod upstream;
mod watch;
