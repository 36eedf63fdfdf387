//! The bytes of an HTTP/1 connection, judged before anything acts on them: where heads and bodies begin and end, and
//! what no two parsers would read alike (RFC 9112). Stricter than the parsers of libraries, which take a bare LF for a
//! line's end, so that the rest of a head with a newline in its token becomes a second request.

/// Which bytes fit: one look for each, and no branch.
macro_rules! bytes_where {
    (|$byte:ident| $fits:expr) => {{
        let mut table = [false; 256];
        let mut at = 0usize;
        while at < 256 {
            let $byte = at as u8;
            #[allow(clippy::indexing_slicing, reason = "the loop ends at 256; evaluated by the compiler")]
            {
                table[at] = $fits;
            }
            at += 1;
        }
        table
    }};
}

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
pub use self::request_line::read as request_line;
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
    /// The next step.
    pub hint: &'static str,
}

/// Where the secret was read with the line break behind it.
const SECRET: &str = "Read the secret without its newline: `printf %s`, `tr -d '\\n'`, or `kubectl create secret --from-file` of a \
                      file without one.";

impl Fault {
    /// With the usual status and hint of `reason`.
    pub fn new(reason: Reason, status: u16, detail: impl Into<String>) -> Self {
        Self { reason, status, detail: detail.into(), hint: usual_hint(reason) }
    }

    /// A head is malformed.
    pub fn head(detail: impl Into<String>) -> Self {
        Self::new(Reason::HeadMalformed, 400, detail)
    }

    /// A line break inside a head.
    fn newline(detail: impl Into<String>) -> Self {
        Self::new(Reason::NewlineInHead, 400, detail)
    }

    /// A line break inside the credential.
    fn newline_in_secret(detail: impl Into<String>) -> Self {
        Self::newline(detail).with_hint(SECRET)
    }

    /// More than `http.max_head`.
    fn head_too_large(max: usize) -> Self {
        Self::new(Reason::HeadTooLarge, 431, format!("The head is larger than `http.max_head`, {max} bytes."))
    }

    /// More than `http.max_headers`.
    fn too_many_lines(max: usize) -> Self {
        Self::new(Reason::HeadTooLarge, 431, format!("More than `http.max_headers`, {max} lines."))
            .with_hint("Send fewer headers, or raise `http.max_headers`.")
    }

    /// A target beyond the bound, which no setting moves.
    fn target_too_long(detail: String) -> Self {
        Self::new(Reason::HeadTooLarge, 414, detail).with_hint(
            "Shorten the path or the query, or send what it holds as the body of a POST (`/api/ds/query` takes one).",
        )
    }

    /// A body's framing is at fault.
    pub fn body(detail: impl Into<String>) -> Self {
        Self::new(Reason::BodyMalformed, 400, detail)
    }

    /// With a next step closer than the usual one.
    #[must_use]
    pub fn with_hint(self, hint: &'static str) -> Self {
        Self { hint, ..self }
    }
}

const fn usual_hint(reason: Reason) -> &'static str {
    match reason {
        Reason::NewlineInHead => {
            "End lines with CR LF, and look for a value (a secret, a name out of a file) that was put into the head with a \
             newline in it."
        }
        Reason::HeadTooLarge => "Send fewer or smaller headers (often a heap of cookies), or raise `http.max_head`.",
        Reason::HeadTimeout => "Send the whole head at once; look for a slow hop, or raise `http.head_timeout`.",
        Reason::TlsFailed => {
            "Speak TLS to this port (https://), show a certificate where `tls.client_auth` asks for one, and trust the \
             authority of ours."
        }
        Reason::BodyMalformed => "Mend the client or the hop that framed this body.",
        _ => "Mend the client or the hop that wrote this head; `curl -v` through the same way shows a sound one.",
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
