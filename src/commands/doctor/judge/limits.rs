//! Which limits bite on the way: cookies, upgrades, silence, large headers and bodies; and whose they are.

use super::super::observations::{Observations, Outcome, Role, Socket, Way, reply};
use super::super::reply::Reply;
use super::super::verdict::Code;
use super::{Finding, Step};
use crate::domain::reason::{Reason, Source};

/// What any dashboard may have; more is a large one.
pub(in super::super) const ORDINARY: usize = 64 * 1024;

pub(super) fn judge(way: &Way, seen: &Observations) -> Vec<Finding> {
    let found = [
        way.large_head.as_ref().and_then(|outcome| head(way, seen, outcome)),
        way.bodies.iter().find_map(|(size, outcome)| body(way, seen, *size, outcome)),
        way.socket.as_ref().and_then(|socket| upgrade(way, seen, socket)),
        cookie(way),
        rate(way),
    ];
    found.into_iter().flatten().collect()
}

/// Whose limit it is, as far as it shows. `passes`: whether the other way has it, too.
fn place(way: &Way, seen: &Observations, reply: &Reply, passes: impl Fn(&Way) -> bool) -> String {
    let by = reply.server.as_ref().map(|server| format!(" (`{server}`)")).unwrap_or_default();
    let is_own = |reason: Reason| matches!(reason.source(), Source::Proxy | Source::Client);
    if reply.refusal.as_ref().is_some_and(|refusal| refusal.told && is_own(refusal.reason)) {
        return "the proxy itself".to_owned();
    }
    let direct = seen.way(Role::Direct).filter(|_| way.role == Role::Url);
    let place = match (direct.map(passes), &reply.saw, way.has_proxy()) {
        (_, None, true) => "a hop before the proxy",
        (Some(true), Some(_), _) => "a hop behind the proxy",
        (Some(false), ..) => "Grafana, or a hop that --direct passes as well,",
        (None, Some(_), _) => "Grafana, or a hop behind the proxy,",
        (Some(true), None, false) => "a hop",
        (None, None, false) => "Grafana, or a hop before it,",
    };
    format!("{place}{by}")
}

fn head(way: &Way, seen: &Observations, outcome: &Outcome) -> Option<Finding> {
    let finding = |detail: String| Finding::new(Code::LargeHeaderRefused, Step::LargeHeader, way.role, detail);
    let is_refused = |reply: &Reply| matches!(reply.status, 400 | 413 | 414 | 431 | 494);
    let Ok(reply) = outcome else { return Some(finding("the connection is closed instead of an answer".to_owned())) };
    let passes =
        |other: &Way| super::super::observations::reply(&other.large_head).is_some_and(|reply| !is_refused(reply));
    is_refused(reply).then(|| finding(format!("{} answers {} to 6 KiB", place(way, seen, reply, passes), reply.status)))
}

/// Grafana may close before it has read all: only an answer shows a limit.
fn body(way: &Way, seen: &Observations, size: usize, outcome: &Outcome) -> Option<Finding> {
    let reply = outcome.as_ref().ok().filter(|reply| reply.status == 413)?;
    let code = if size <= ORDINARY { Code::LargeBodyRefused } else { Code::LargeBodyLimited };
    let passes = |other: &Way| {
        let mut same = other.bodies.iter().filter(|(other, _)| *other == size);
        same.any(|(_, outcome)| outcome.as_ref().is_ok_and(|reply| reply.status != 413))
    };
    let detail = format!("{} answers 413 to {} KiB", place(way, seen, reply, passes), size / 1024);
    Some(Finding::new(code, Step::LargeBody, way.role, detail))
}

fn upgrade(way: &Way, seen: &Observations, socket: &Socket) -> Option<Finding> {
    let finding = |code, detail: String| Finding::new(code, Step::WebSocket, way.role, detail);
    match socket {
        Socket::Held(_) => None,
        Socket::Cut(after) => {
            let direct = seen.way(Role::Direct).filter(|_| way.role == Role::Url);
            let whose = match direct.and_then(|direct| direct.socket.as_ref()) {
                Some(Socket::Held(_)) => " by a hop, for --direct holds it",
                Some(Socket::Cut(_)) => ", by --direct as well",
                _ => "",
            };
            Some(finding(Code::UpgradeCut, format!("it was cut after {:.1} s of silence{whose}", after.as_secs_f64())))
        }
        Socket::Refused(outcome) => refused_upgrade(way, seen, outcome),
    }
}

fn refused_upgrade(way: &Way, seen: &Observations, outcome: &Outcome) -> Option<Finding> {
    let finding = |detail: String| Finding::new(Code::UpgradeRefused, Step::WebSocket, way.role, detail);
    let Ok(reply) = outcome else { return Some(finding("the connection is closed instead of an answer".to_owned())) };
    // Grafana before 8 has no Live, and some switch it off; a rate limit is told as such.
    if matches!(reply.status, 404 | 429) {
        return None;
    }
    let opens = |other: &Way| matches!(other.socket, Some(Socket::Held(_) | Socket::Cut(_)));
    let refused = finding(format!("{} answers {}", place(way, seen, reply, opens), reply.status));
    match &reply.refusal {
        Some(refusal) if refusal.reason == Reason::LiveOriginNotAllowed => {
            Some(refused.because(refusal.reason, &refusal.hint))
        }
        _ => Some(refused),
    }
}

/// A limit that the walk has met; the one that stops the header itself is told there.
fn rate(way: &Way) -> Option<Finding> {
    let is_header =
        |reply: &Reply| super::super::observations::reply(&way.with).is_some_and(|with| std::ptr::eq(with, reply));
    let limited = way.replies().find(|reply| reply.status == 429 && !is_header(reply))?;
    let by = limited.server.as_ref().map(|server| format!(" (`{server}`)")).unwrap_or_default();
    let told = limited.refusal.as_ref().map(|refusal| format!(": {}", refusal.detail)).unwrap_or_default();
    let finding = Finding::new(Code::RateLimited, Step::Limits, way.role, format!("status 429{by}{told}"));
    Some(Finding { reason: limited.refusal.as_ref().map(|refusal| refusal.reason), ..finding })
}

/// The cookie of a session that is none is refused in other words than no cookie at all.
fn cookie(way: &Way) -> Option<Finding> {
    let reply = reply(&way.cookie)?;
    let refusal = reply.refusal.as_ref()?;
    // Where our proxy says nothing, only the five members of 10.1 and later tell the two apart.
    let id = reply.body.as_ref().and_then(|body| body.get("messageId")).and_then(|id| id.as_str());
    let is_missing = refusal.told && refusal.reason == Reason::CredentialMissing || id == Some("auth.unauthorized");
    is_missing.then(|| {
        let detail = "a session cookie was sent, and was answered as if there were none";
        Finding::new(Code::CookieDropped, Step::Cookie, way.role, detail)
    })
}
