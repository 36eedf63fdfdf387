//! The bytes of an HTTP/1 connection, judged before anything acts on them: where heads and bodies begin and end, and
//! what no two parsers would read alike (RFC 9112). Stricter than the parsers of libraries, which take a bare LF for a
//! line's end, so that the rest of a head with a newline in its token becomes a second request.

mod chunked;
mod decoded;
mod dechunk;
mod fast;
mod head;
mod line;
mod request_line;

pub use self::dechunk::{Dechunker, Part};
pub use self::decoded::check_decoded;
pub use self::head::{Found, HeadReader, RequestHead};
pub use self::line::{count_controls, is_token, name_end};
use super::reason::Reason;

/// What is wrong with the bytes of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The reason to give.
    pub reason: Reason,
    /// The status to answer with.
    pub status: u16,
    /// What was found, and where, without the bytes themselves.
    pub detail: String,
}

impl Fault {
    /// A head is malformed.
    pub fn head(detail: impl Into<String>) -> Self {
        Self { reason: Reason::HeadMalformed, status: 400, detail: detail.into() }
    }

    fn newline(detail: impl Into<String>) -> Self {
        Self { reason: Reason::NewlineInHead, status: 400, detail: detail.into() }
    }

    fn too_large(status: u16, detail: impl Into<String>) -> Self {
        Self { reason: Reason::HeadTooLarge, status, detail: detail.into() }
    }

    /// A body's framing is at fault.
    pub fn body(detail: impl Into<String>) -> Self {
        Self { reason: Reason::BodyMalformed, status: 400, detail: detail.into() }
    }
}

/// How much of a head is taken.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Bytes of a head (and of trailers) at most.
    pub max_head: usize,
    /// Header lines at most.
    pub max_headers: usize,
    /// Bytes of a target at most.
    pub max_target: usize,
}

/// How the body of a request is framed (RFC 9112 §6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// There is none.
    None,
    /// So many bytes.
    Sized(u64),
    /// Chunks.
    Chunked,
}

#[cfg(test)]
mod tests;
