//! The product's decisions as plain functions: no I/O, no async, no clock reads. Time is an argument.

pub mod fields;
pub mod identity;
pub mod token;
pub mod credential;
pub mod org;
pub mod path_rule;
pub mod request_id;
pub mod client;
pub mod proxy_protocol;
pub mod limit;
pub mod caller;
pub mod demand;
pub mod head;
pub mod sign_in;
pub mod misplaced;
pub mod reason;
pub mod past;
pub mod framing;
pub mod outline;
pub mod websocket;
pub mod classify;
pub mod decide;
