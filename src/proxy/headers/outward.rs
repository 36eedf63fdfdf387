//! The head of a request on its way to Grafana, written as bytes in one pass: what is left out costs nothing, and nothing
//! is put into a map only to be read out of it again.

use std::io::Write as _;
use std::net::IpAddr;

use http::request::Parts;
use http::{HeaderName, HeaderValue, header};
use smallvec::SmallVec;

use super::{name, taken_away};
use crate::domain::credential::Outward;
use crate::domain::decide::{Findings, Policy};
use crate::domain::head::{Head, is_plain};
use crate::domain::org::OrgHeader;

/// Most heads fit: no second allocation.
const USUAL_SIZE: usize = 1024;

/// What we add to every request.
#[derive(Clone, Copy, Debug)]
pub struct Stamp<'a> {
    /// The id, where the client brought none that is sane.
    pub request_id: Option<&'a HeaderValue>,
    /// The other end of the connection, as a header value.
    pub peer: &'a HeaderValue,
    /// The client, which behind trusted hops is another.
    pub client: IpAddr,
    /// `http` or `https`.
    pub scheme: &'static str,
    /// `Host` for an HTTP/1.0 request without one.
    pub authority: &'a HeaderValue,
    /// The body comes without a length.
    pub chunked: bool,
}

/// Writes the head that Grafana gets, its last blank line included.
pub fn write_request(
    parts: &Parts,
    head: &Head<'_>,
    found: &Findings<'_>,
    policy: &Policy,
    stamp: Stamp<'_>,
) -> Vec<u8> {
    let mut out = Vec::with_capacity(USUAL_SIZE);
    // A target in absolute form names us; Grafana wants the path.
    let target = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    // `http://g?x` has no path, and means `/?x` (RFC 9112 §3.2.1).
    let slash = if target.starts_with('?') { "/" } else { "" };
    for piece in [parts.method.as_str(), " ", slash, target, " HTTP/1.1\r\n"] {
        out.extend_from_slice(piece.as_bytes());
    }
    let left_out = LeftOut::new(head, found, policy, stamp.request_id.is_some());
    for (name, value) in &parts.headers {
        if left_out.holds(name) {
            continue;
        }
        match left_out.appended {
            Some(last) if std::ptr::eq(last, value) => {
                put(&mut out, name.as_str(), &[value.as_bytes(), b", ", stamp.peer.as_bytes()]);
            }
            _ => put(&mut out, name.as_str(), &[value.as_bytes()]),
        }
    }
    if let Some(value) = left_out.credential {
        put(&mut out, "authorization", &[value]);
    }
    if let OrgHeader::Set(org) = found.org.header {
        let _ = write!(out, "x-grafana-org-id: {org}\r\n");
    }
    if let Some(id) = stamp.request_id {
        put(&mut out, "x-request-id", &[id.as_bytes()]);
    }
    put_forwarding(&mut out, head, found.trusted, stamp);
    if let Some(protocol) = head.websocket() {
        put(&mut out, "upgrade", &[protocol.as_bytes()]);
        out.extend_from_slice(b"connection: Upgrade\r\n");
    }
    if head.trailers {
        out.extend_from_slice(b"te: trailers\r\n");
    }
    if stamp.chunked {
        out.extend_from_slice(b"transfer-encoding: chunked\r\n");
    }
    out.extend_from_slice(b"\r\n");
    out
}

/// Whether bytes may stand behind a field's name (RFC 9110 §5.5).
fn is_field_value(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == b'\t' || (*byte >= 0x20 && *byte != 0x7f))
}

fn put(out: &mut Vec<u8>, name: &str, pieces: &[&[u8]]) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    for piece in pieces {
        out.extend_from_slice(piece);
    }
    out.extend_from_slice(b"\r\n");
}

/// Who speaks to us, and how: `Host` where it is missing, `X-Forwarded-*`, `X-Real-IP`.
fn put_forwarding(out: &mut Vec<u8>, head: &Head<'_>, trusted: bool, stamp: Stamp<'_>) {
    let peer = stamp.peer.as_bytes();
    let host = head.host.unwrap_or(stamp.authority);
    if head.host.is_none() {
        put(out, "host", &[host.as_bytes()]);
    }
    // What a trusted hop said about its own client stays.
    let said = |name: &HeaderName| trusted && head.forwarding.contains(&name);
    if !said(&name::FORWARDED_FOR) {
        put(out, "x-forwarded-for", &[peer]);
    }
    if !said(&name::REAL_IP) {
        // Grafana counts failed logins by this header: naming the hop would lock all of its users out together.
        if trusted {
            put(out, "x-real-ip", &[stamp.client.to_string().as_bytes()]);
        } else {
            put(out, "x-real-ip", &[peer]);
        }
    }
    if !said(&name::FORWARDED_PROTO) {
        put(out, "x-forwarded-proto", &[stamp.scheme.as_bytes()]);
    }
    if !said(&name::FORWARDED_HOST) {
        put(out, "x-forwarded-host", &[host.as_bytes()]);
    }
}

/// The fields that do not go on as they came.
struct LeftOut<'a, 'h> {
    head: &'a Head<'h>,
    trusted: bool,
    /// What stands in for all `Authorization` lines.
    credential: Option<&'a [u8]>,
    organisation: bool,
    request_id: bool,
    policy: &'a Policy,
    nominated: SmallVec<[HeaderName; 2]>,
    /// The line to which we append who spoke to us.
    appended: Option<&'h HeaderValue>,
}

impl<'a, 'h> LeftOut<'a, 'h> {
    fn new(head: &'a Head<'h>, found: &'a Findings<'_>, policy: &'a Policy, request_id: bool) -> Self {
        let credential = match &found.credential.outward {
            // Some repairs decode: nothing of what they find may end a line.
            Outward::Replace(value) if is_field_value(value) => Some(&**value),
            _ => None,
        };
        let mut nominated = SmallVec::new();
        if !is_plain(&head.connection) {
            nominated.extend(taken_away(&head.connection));
        }
        Self {
            head,
            trusted: found.trusted,
            credential,
            organisation: found.org.header != OrgHeader::Keep,
            request_id,
            policy,
            nominated,
            appended: if found.trusted { head.forwarded_for.last().copied() } else { None },
        }
    }

    fn holds(&self, header: &HeaderName) -> bool {
        let by_name = match *header {
            header::AUTHORIZATION => self.credential.is_some(),
            header::ACCEPT | header::ACCEPT_ENCODING | header::HOST | header::USER_AGENT | header::COOKIE => false,
            _ if *header == name::ORGANISATION => self.organisation,
            _ if *header == name::REQUEST_ID => self.request_id,
            _ => self.head.dropped.contains(&header) || (!self.trusted && self.head.forwarding.contains(&header)),
        };
        by_name || self.is_seldom(header)
    }

    /// What few requests carry and few configurations name.
    fn is_seldom(&self, header: &HeaderName) -> bool {
        let restore_from = &self.policy.authorization.restore_from;
        let may_identify = || self.trusted && self.policy.clients.identity_headers.contains(header);
        (!restore_from.is_empty() && restore_from.contains(header))
            || (!self.head.identity.is_empty() && self.head.identity.contains(&header) && !may_identify())
            || (!self.nominated.is_empty() && self.nominated.contains(header))
    }
}
