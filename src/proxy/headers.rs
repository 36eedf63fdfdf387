//! What we take off and put on: the head of a request on its way to Grafana, the head of an answer on its way back.

use std::net::IpAddr;

use http::{HeaderMap, HeaderName, HeaderValue, Version, header};
use smallvec::SmallVec;

use crate::domain::client;
use crate::domain::credential::Outward;
use crate::domain::decide::Findings;
use crate::domain::head::{Head, is_plain, is_protected, nominated};
use crate::domain::org::OrgHeader;

/// Our own fields.
#[allow(missing_docs, reason = "each constant is the header's name")]
pub mod name {
    use http::HeaderName;

    pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
    pub const REASON: HeaderName = HeaderName::from_static("x-token-proxy-reason");
    pub const SAW: HeaderName = HeaderName::from_static("x-token-proxy-saw");
    pub const PROXY_STATUS: HeaderName = HeaderName::from_static("proxy-status");
    pub const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
    pub const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
    pub const ORGANISATION: HeaderName = HeaderName::from_static("x-grafana-org-id");
    pub const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
    pub const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
    pub const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
    pub const REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");
}

/// The changes to make to a request's headers, worked out while they are still borrowed.
#[derive(Debug, Default)]
pub struct Plan {
    remove: SmallVec<[HeaderName; 6]>,
    authorization: Option<HeaderValue>,
    organisation: OrgHeader,
    upgrade: Option<HeaderValue>,
    trailers: bool,
    forwarded_for: Option<HeaderValue>,
    trusted: bool,
}

impl Plan {
    /// Works out what must change, from one look at the head and what was decided about it.
    pub fn new(head: &Head<'_>, found: &Findings<'_>, clients: &client::Settings, restore_from: &[HeaderName]) -> Self {
        let mut remove: SmallVec<[HeaderName; 6]> = head.dropped.iter().map(|name| (*name).clone()).collect();
        let replaced =
            |name: &str| matches!(name, "x-forwarded-for" | "x-forwarded-host" | "x-forwarded-proto" | "x-real-ip");
        if !found.trusted {
            remove.extend(head.forwarding.iter().filter(|name| !replaced(name.as_str())).map(|name| (*name).clone()));
        }
        let may_identify = |name: &HeaderName| found.trusted && clients.identity_headers.contains(name);
        remove.extend(head.identity.iter().filter(|name| !may_identify(name)).map(|name| (*name).clone()));
        remove.extend(restore_from.iter().cloned());
        if !is_plain(&head.connection) {
            remove.extend(taken_away(&head.connection));
        }
        Self {
            remove,
            authorization: authorization(&found.credential.outward),
            organisation: found.org.header,
            upgrade: head.upgrade.filter(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket")).cloned(),
            trailers: head.trailers,
            forwarded_for: if found.trusted { head.forwarded_for.last().map(|value| (*value).clone()) } else { None },
            trusted: found.trusted,
        }
    }

    /// Whether the client wants a WebSocket.
    pub const fn wants_upgrade(&self) -> bool {
        self.upgrade.is_some()
    }

    /// Changes the headers.
    pub fn apply(self, headers: &mut HeaderMap, stamp: Stamp<'_>) {
        for name in &self.remove {
            headers.remove(name);
        }
        if let Some(value) = self.authorization {
            headers.insert(header::AUTHORIZATION, value);
        }
        match self.organisation {
            OrgHeader::Keep => {}
            OrgHeader::Remove => {
                headers.remove(name::ORGANISATION);
            }
            OrgHeader::Set(org) => {
                headers.insert(name::ORGANISATION, HeaderValue::from(org));
            }
        }
        if let Some(value) = self.upgrade {
            headers.insert(header::UPGRADE, value);
            headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        }
        if self.trailers {
            headers.insert(header::TE, HeaderValue::from_static("trailers"));
        }
        stamp.put(headers, self.trusted, self.forwarded_for);
    }
}

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
}

impl Stamp<'_> {
    fn put(&self, headers: &mut HeaderMap, trusted: bool, forwarded_for: Option<HeaderValue>) {
        if let Some(id) = self.request_id {
            headers.insert(name::REQUEST_ID, id.clone());
        }
        if !headers.contains_key(header::HOST) {
            headers.insert(header::HOST, self.authority.clone());
        }
        if trusted {
            append_forwarded_for(headers, forwarded_for, self.peer);
            headers.entry(name::FORWARDED_PROTO).or_insert(HeaderValue::from_static(self.scheme));
            if let Some(host) = headers.get(header::HOST).cloned() {
                headers.entry(name::FORWARDED_HOST).or_insert(host);
            }
            // Grafana counts failed logins by this header: naming the hop would lock all of its users out together.
            if !headers.contains_key(name::REAL_IP)
                && let Ok(client) = HeaderValue::try_from(self.client.to_string())
            {
                headers.insert(name::REAL_IP, client);
            }
            return;
        }
        headers.insert(name::FORWARDED_FOR, self.peer.clone());
        headers.insert(name::REAL_IP, self.peer.clone());
        headers.insert(name::FORWARDED_PROTO, HeaderValue::from_static(self.scheme));
        if let Some(host) = headers.get(header::HOST).cloned() {
            headers.insert(name::FORWARDED_HOST, host);
        }
    }
}

/// The hops a trusted peer told of, and the peer itself.
fn append_forwarded_for(headers: &mut HeaderMap, last: Option<HeaderValue>, peer: &HeaderValue) {
    let Some(last) = last else {
        headers.insert(name::FORWARDED_FOR, peer.clone());
        return;
    };
    let joined = [last.as_bytes(), b", ", peer.as_bytes()].concat();
    let Ok(value) = HeaderValue::from_bytes(&joined) else { return };
    let mut lines: Vec<HeaderValue> = headers.get_all(name::FORWARDED_FOR).iter().cloned().collect();
    lines.pop();
    lines.push(value);
    headers.remove(name::FORWARDED_FOR);
    for line in lines {
        headers.append(name::FORWARDED_FOR, line);
    }
}

fn authorization(outward: &Outward<'_>) -> Option<HeaderValue> {
    let Outward::Replace(bytes) = outward else { return None };
    let mut value = HeaderValue::from_bytes(bytes).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// What the `Connection` lines nominate and may take away.
fn taken_away<'h>(lines: &[&'h HeaderValue]) -> impl Iterator<Item = HeaderName> + use<'h> {
    let names: Vec<HeaderName> = nominated(lines)
        .filter(|name| !matches!(name.to_ascii_lowercase().as_slice(), b"keep-alive" | b"close" | b"upgrade" | b"te"))
        .filter(|name| !is_protected(name))
        .filter_map(|name| HeaderName::from_bytes(name).ok())
        .collect();
    names.into_iter()
}

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
