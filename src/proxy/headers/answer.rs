//! The head of an answer on its way back.

use http::{HeaderName, Version};
use smallvec::SmallVec;

use super::taken_away;
use crate::domain::fields::{Fields, is};

/// Takes off an answer what was meant for our connection to Grafana alone, or is ours to say.
pub fn clean_answer(fields: &mut Fields, version: Version) {
    if !fields.names().any(is_for_one_hop) {
        return;
    }
    let coded = fields.contains("transfer-encoding");
    let connection: SmallVec<[&[u8]; 2]> = fields.get_all("connection").collect();
    let nominated: SmallVec<[HeaderName; 2]> =
        taken_away(&connection).filter(|name| *name != http::header::SET_COOKIE).collect();
    drop(connection);
    // Both framings: the coding wins (RFC 9112 §6.3), and a length beside it would break our answer.
    let no_length = coded && version == Version::HTTP_11;
    fields.retain(|name| {
        !(is_for_one_hop(name)
            || no_length && is(name, "content-length")
            || nominated.iter().any(|other| is(name, other.as_str())))
    });
}

fn is_for_one_hop(name: &[u8]) -> bool {
    match name.len() {
        7 => is(name, "upgrade"),
        10 => is(name, "connection") || is(name, "keep-alive"),
        12 => is(name, "x-request-id"),
        16 => is(name, "proxy-connection") || is_ours(name),
        17 => is(name, "transfer-encoding") || is_ours(name),
        18 => is(name, "proxy-authenticate") || is_ours(name),
        25 => is(name, "proxy-authentication-info") || is_ours(name),
        length => length > 13 && is_ours(name),
    }
}

/// `X-Token-Proxy-*`.
fn is_ours(name: &[u8]) -> bool {
    const PREFIX: &[u8] = b"x-token-proxy-";
    name.get(..PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(PREFIX))
}
