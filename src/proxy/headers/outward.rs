//! The head of a request on its way to Grafana, written as bytes in one pass: what is left out costs nothing, and nothing
//! is put into a map only to be read out of it again.

use std::net::IpAddr;

use http::{HeaderName, HeaderValue};
use smallvec::SmallVec;

use super::taken_away;
use crate::domain::credential::Outward;
use crate::domain::decide::{Findings, Policy};
use crate::domain::fields::is;
use crate::domain::head::{Head, Kind, RequestParts, is_plain};
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
    parts: &RequestParts,
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
    let mut kinds = head.kinds.iter();
    parts.fields.write(&mut out, |name, value| {
        let kind = kinds.next().copied().unwrap_or(Kind::Dropped);
        !left_out.holds(kind, name) && !left_out.appended.is_some_and(|last| std::ptr::eq(last, value))
    });
    match left_out.appended {
        Some(b"") => put(&mut out, "x-forwarded-for", &[stamp.peer.as_bytes()]),
        Some(last) => put(&mut out, "x-forwarded-for", &[last, b", ", stamp.peer.as_bytes()]),
        None => {}
    }
    if let Some(value) = left_out.credential {
        put(&mut out, "authorization", &[value]);
    }
    if let OrgHeader::Set(org) = found.org.header {
        put(&mut out, "x-grafana-org-id", &[itoa::Buffer::new().format(org).as_bytes()]);
    }
    if let Some(id) = stamp.request_id {
        put(&mut out, "x-request-id", &[id.as_bytes()]);
    }
    put_forwarding(&mut out, head, found.trusted, stamp);
    if let Some(protocol) = head.websocket() {
        put(&mut out, "upgrade", &[protocol]);
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
    let host = head.host.unwrap_or(stamp.authority.as_bytes());
    if head.host.is_none() {
        put(out, "host", &[host]);
    }
    // What a trusted hop said about its own client stays.
    let said = |name: &str| trusted && head.fields.contains(name);
    if !said("x-forwarded-for") {
        put(out, "x-forwarded-for", &[peer]);
    }
    // A trusted proxy may have passed on the client's own `X-Real-IP` beside the `X-Forwarded-For` that it wrote.
    if !said("x-real-ip") || !head.forwarded_for.is_empty() {
        // Grafana counts failed logins by this header: naming the hop would lock all of its users out together.
        if trusted {
            put(out, "x-real-ip", &[stamp.client.to_string().as_bytes()]);
        } else {
            put(out, "x-real-ip", &[peer]);
        }
    }
    if !said("x-forwarded-proto") {
        put(out, "x-forwarded-proto", &[stamp.scheme.as_bytes()]);
    }
    if !said("x-forwarded-host") {
        put(out, "x-forwarded-host", &[host]);
    }
}

/// The fields that do not go on as they came.
struct LeftOut<'a, 'h> {
    trusted: bool,
    /// What stands in for all `Authorization` lines.
    credential: Option<&'a [u8]>,
    organisation: bool,
    request_id: bool,
    policy: &'a Policy,
    nominated: SmallVec<[HeaderName; 2]>,
    /// The line to which we append who spoke to us.
    appended: Option<&'h [u8]>,
    /// `X-Forwarded-For` decided who the client is, so `X-Real-IP` is ours to write.
    real_ip: bool,
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
            trusted: found.trusted,
            credential,
            organisation: found.org.header != OrgHeader::Keep,
            request_id,
            policy,
            nominated,
            real_ip: found.trusted && !head.forwarded_for.is_empty(),
            appended: if found.trusted { head.forwarded_for.last().copied() } else { None },
        }
    }

    fn holds(&self, kind: Kind, name: &[u8]) -> bool {
        let by_kind = match kind {
            Kind::Plain => false,
            Kind::Authorization => self.credential.is_some(),
            Kind::Organisation => self.organisation,
            Kind::RequestId => self.request_id,
            Kind::Dropped | Kind::Disguised => true,
            Kind::Forwarding => !self.trusted || self.real_ip && is(name, "x-real-ip"),
            Kind::Identity => !self.trusted,
        };
        by_kind || any(&self.policy.authorization.restore_from, name) || any(&self.nominated, name)
    }
}

fn any(names: &[HeaderName], name: &[u8]) -> bool {
    names.iter().any(|other| is(name, other.as_str()))
}
