//! What the programs of the comparison share: requests as real callers send them, the reading of answers, sockets that
//! are drained without asking twice, and the processor time of a process.
//!
//! The proxy under test has a core of its own; the load generator and the upstream share the other. They must therefore
//! cost less together than the proxy alone, so they use bare readiness events and make two system calls for a message.

pub mod aim;
pub mod answer;
pub mod http2;
pub mod processor;
pub mod request;
pub mod socket;
pub mod wire;
