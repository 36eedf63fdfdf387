//! What keeps a way from leading to Grafana.

use std::net::IpAddr;
use std::time::Duration;

use super::super::observations::{Observations, Stage, TlsFault, Trouble, Way, reply};
use super::super::reply::Reply;
use super::super::verdict::Code;
use super::{Finding, Step};
use crate::domain::reason::{Reason, Source};

/// With fewer days a certificate should have been renewed: ACME does so thirty days before.
const SOON: i64 = 14;

/// Clocks that differ by more are set wrong: less is the way of the answer, and the whole seconds of `Date`.
const SKEW: i64 = 30;

pub(super) fn judge(way: &Way, now: Duration) -> Vec<Finding> {
    if let Some(trouble) = &way.trouble {
        return vec![trouble_finding(way, trouble)];
    }
    let mut found = Vec::new();
    match &way.health {
        Some(Err(trouble)) => found.push(trouble_finding(way, trouble)),
        // A hop that wants a credential, and passes those who bring one, refuses nobody.
        Some(Ok(health)) => {
            let passes = reply(&way.with).is_some_and(|reply| reply.status == 200);
            found.extend(health_finding(way, health).filter(|finding| !(passes && finding.code == Code::HopRefuses)));
        }
        None => {}
    }
    let days = way.tls.as_ref().and_then(|tls| tls.certificate.as_ref()).map(|certificate| certificate.days_left(now));
    if let Some(days) = days.filter(|days| *days < SOON) {
        found.push(Finding::new(Code::TlsExpiresSoon, Step::Tls, way.role, format!("{days} days are left")));
    }
    if let Some(skew) = way.replies().find_map(|reply| reply.skew).filter(|skew| skew.abs() > SKEW) {
        let side = if skew > 0 { "ahead of" } else { "behind" };
        let detail = format!("the server's clock is {} s {side} this machine's", skew.abs());
        found.push(Finding::new(Code::ClockSkewed, Step::Clock, way.role, detail));
    }
    if !way.target.encrypted && way.with.is_some() && way.address.is_some_and(|address| is_public(address.ip())) {
        let detail = "the URL is http, and the address is a public one";
        found.push(Finding::new(Code::TokenInClear, Step::Header, way.role, detail));
    }
    found
}

/// Where nothing else is known to be wrong with a way, it may still be the wrong way.
pub(super) fn without_proxy(way: &Way, seen: &Observations) -> Option<Finding> {
    if way.without.is_none() || way.has_proxy() {
        return None;
    }
    let detail = "no answer has `X-Token-Proxy-Saw`: requests go past the proxy, or a hop takes its headers off";
    let finding = Finding::new(Code::ProxyNotSeen, Step::Proxy, way.role, detail);
    let Some(service) = seen.service(way) else { return Some(finding) };
    // A sidecar that no Service leads to is the usual reason.
    let next = format!(
        "If one should be: the Service `{}` leads to Grafana's own port; let its `targetPort` be the proxy's.",
        service.name
    );
    Some(Finding { next, ..finding })
}

const fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            // 100.64.0.0/10 is shared address space (RFC 6598), which clusters use for pods.
            let [first, second, ..] = v4.octets();
            !(v4.is_loopback() || v4.is_private() || v4.is_link_local() || first == 100 && second & 0xc0 == 64)
        }
        IpAddr::V6(v6) => !(v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local()),
    }
}

/// Why there is no answer at all.
pub(super) fn trouble_finding(way: &Way, trouble: &Trouble) -> Finding {
    let name = &way.target.host;
    let place = way.address.or(way.addresses.first().copied());
    let place = place.map_or_else(|| way.target.authority(), |address| address.to_string());
    let (code, step, detail) = match trouble {
        Trouble::NameUnknown(why) => (Code::NameUnknown, Step::Name, format!("`{name}`: {why}")),
        Trouble::Refused => (Code::NothingListens, Step::Connection, format!("{place} refuses connections")),
        Trouble::Unreachable(why) => (Code::Unreachable, Step::Connection, format!("{place}: {why}")),
        Trouble::TimedOut(Stage::Name) => {
            (Code::NameUnknown, Step::Name, format!("no DNS server answers for `{name}`"))
        }
        Trouble::TimedOut(Stage::Connection) => {
            (Code::Unreachable, Step::Connection, format!("{place} does not answer in time"))
        }
        Trouble::TimedOut(Stage::Tls) => (Code::TlsFailed, Step::Tls, "the handshake does not end".to_owned()),
        Trouble::TimedOut(Stage::Answer) => (Code::NoAnswer, Step::Grafana, format!("{place} says nothing")),
        Trouble::Closed => (Code::ConnectionClosed, Step::Grafana, format!("{place} closed the connection")),
        Trouble::NotHttp => (Code::NotHttp, Step::Grafana, format!("{place} answers with something else")),
        Trouble::Tls(fault) => {
            let (code, detail) = tls_fault(way, fault);
            (code, Step::Tls, detail)
        }
    };
    Finding::new(code, step, way.role, detail)
}

fn tls_fault(way: &Way, fault: &TlsFault) -> (Code, String) {
    let name = &way.target.host;
    let certificate = way.tls.as_ref().and_then(|tls| tls.certificate.as_ref());
    let whose = certificate.map_or_else(String::new, |certificate| {
        format!(" (`{}`, issued by `{}`)", certificate.subject, certificate.issuer)
    });
    match fault {
        TlsFault::Missing => (Code::TlsMissing, "the handshake is not answered with TLS".to_owned()),
        TlsFault::Expired => (Code::TlsExpired, format!("the certificate{whose} has expired")),
        TlsFault::NotYetValid => (Code::TlsNotYetValid, format!("the certificate{whose} is not valid yet")),
        TlsFault::WrongName(names) if names.is_empty() => {
            (Code::TlsWrongName, format!("the certificate{whose} is not for `{name}`"))
        }
        TlsFault::WrongName(names) => {
            (Code::TlsWrongName, format!("the certificate is for {}, not for `{name}`", names.join(", ")))
        }
        TlsFault::UnknownIssuer => (Code::TlsUnknownIssuer, unknown_issuer(way)),
        TlsFault::Other(why) => (Code::TlsFailed, why.clone()),
    }
}

fn unknown_issuer(way: &Way) -> String {
    let Some(tls) = &way.tls else { return "its issuer is unknown".to_owned() };
    match &tls.certificate {
        Some(certificate) if certificate.is_self_signed() => format!("`{}` vouches for itself", certificate.subject),
        Some(certificate) => {
            let sent = if tls.chain == 1 { ", and the server sends no intermediate" } else { "" };
            format!("the issuer `{}` is unknown here{sent}", certificate.issuer)
        }
        None => "the certificate cannot be read".to_owned(),
    }
}

/// What the answer to `/api/health` says, where it is not a healthy Grafana's.
fn health_finding(way: &Way, health: &Reply) -> Option<Finding> {
    let status = health.status;
    let by = health.server.as_ref().map(|server| format!(" (`{server}`)")).unwrap_or_default();
    let finding = |code, detail: String| Finding::new(code, Step::Grafana, way.role, detail);
    if let Some(location) = health.location.as_ref().filter(|_| (300..400).contains(&status)) {
        return Some(redirect(way, health, location));
    }
    if let Some(refusal) = &health.refusal {
        // Grafana asks nobody for a credential here.
        if refusal.reason.source() == Source::Grafana {
            let detail = format!("status {status}{by}: `/api/health` is never refused, so a hop changes the path");
            return Some(finding(Code::NotGrafana, detail));
        }
        let code = match (refusal.reason, refusal.reason.source()) {
            (reason, _) if is_unreachable(reason) => Code::GrafanaUnreachable,
            (_, Source::Proxy | Source::Client) => Code::ProxyRefuses,
            _ => Code::HopRefuses,
        };
        let detail = format!("status {status}{by}: {}", refusal.detail);
        return Some(finding(code, detail).because(refusal.reason, &refusal.hint));
    }
    let database = health.body.as_ref().and_then(|body| body.get("database")).and_then(|state| state.as_str());
    match (status, database) {
        (200, Some("ok")) => None,
        (_, Some(state)) => {
            let state = super::super::reply::printable(state, 40);
            Some(finding(Code::GrafanaUnwell, format!("status {status}, and its database is `{state}`")))
        }
        (502..=504, None) => Some(finding(Code::HopCannotReach, format!("status {status}{by}"))),
        (400 | 497, None) if health.text.to_ascii_lowercase().contains("https") => {
            Some(finding(Code::TlsWanted, format!("status {status}: `{}`", health.text)))
        }
        _ => {
            let detail = format!("`/api/health` answers {status}{by}, not in Grafana's words");
            Some(finding(Code::NotGrafana, detail))
        }
    }
}

/// Whether our proxy says that it did not get an answer of Grafana.
pub(super) const fn is_unreachable(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::UpstreamUnreachable | Reason::UpstreamTimeout | Reason::UpstreamReset | Reason::UpstreamMalformed
    )
}

/// Where a redirect leads, and what that does to the header.
fn redirect(way: &Way, health: &Reply, location: &str) -> Finding {
    let same_host = location
        .parse::<http::Uri>()
        .is_ok_and(|uri| uri.host().is_some_and(|host| host.eq_ignore_ascii_case(&way.target.host)));
    let detail = format!("status {} leads to `{location}`", health.status);
    if !way.target.encrypted && same_host && location.starts_with("https://") {
        return Finding::new(Code::RedirectedToHttps, Step::Grafana, way.role, detail);
    }
    match health.refusal.as_ref().filter(|refusal| refusal.reason == Reason::HopUnauthorized && !same_host) {
        Some(refusal) => {
            Finding::new(Code::HopRefuses, Step::Grafana, way.role, detail).because(refusal.reason, &refusal.hint)
        }
        None => Finding::new(Code::RedirectedElsewhere, Step::Grafana, way.role, detail),
    }
}
