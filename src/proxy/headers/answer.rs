//! The head of an answer on its way back.

use http::{HeaderMap, HeaderName, HeaderValue, Version, header};
use smallvec::SmallVec;

use super::taken_away;

/// Takes off an answer what was meant for our connection to Grafana alone, or is ours to say.
pub fn clean_answer(headers: &mut HeaderMap, version: Version) {
    let mut remove: SmallVec<[HeaderName; 4]> = SmallVec::new();
    let mut coded = false;
    for name in headers.keys() {
        match *name {
            header::CONNECTION | header::UPGRADE | header::PROXY_AUTHENTICATE => remove.push(name.clone()),
            header::TRANSFER_ENCODING => {
                coded = true;
                remove.push(name.clone());
            }
            _ if is_for_one_hop(name.as_str()) => remove.push(name.clone()),
            _ => {}
        }
    }
    if remove.is_empty() {
        return;
    }
    let connection: SmallVec<[HeaderValue; 2]> = headers.get_all(header::CONNECTION).iter().cloned().collect();
    let lines: SmallVec<[&HeaderValue; 2]> = connection.iter().collect();
    remove.extend(taken_away(&lines).filter(|name| *name != header::SET_COOKIE));
    for name in &remove {
        headers.remove(name);
    }
    // Both framings: the coding wins (RFC 9112 §6.3), and a length beside it would break our answer.
    if coded && version == Version::HTTP_11 {
        headers.remove(header::CONTENT_LENGTH);
    }
}

fn is_for_one_hop(name: &str) -> bool {
    match name.as_bytes().first() {
        Some(b'k') => name == "keep-alive",
        Some(b'p') => name == "proxy-connection",
        Some(b'x') => name.starts_with("x-token-proxy-") || name == "x-request-id",
        _ => false,
    }
}
