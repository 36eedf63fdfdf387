//! What becomes of the header between here and Grafana: lost, changed, on which side of the proxy; or it arrives, and
//! Grafana has a reason to refuse it. Then what the token may do.

use super::super::credential::Facts;
use super::super::observations::{Observations, Role, Way, reply};
use super::super::reply::{Refusal, Reply, Saw};
use super::super::verdict::Code;
use super::way::{is_unreachable, trouble_finding};
use super::{Finding, Step, identity};
use crate::domain::credential::AuthForm;
use crate::domain::reason::{Reason, Source};
use crate::domain::token::TokenKind;

/// The journey of the header on one way.
pub(super) fn judge(way: &Way, seen: &Observations) -> Option<Finding> {
    // What is damaged from the start is refused in any case.
    let credential = seen.credential.as_ref().filter(|credential| credential.problem.is_none())?;
    let reply = match way.with.as_ref()? {
        Err(trouble) => return Some(Finding { step: Step::Header, ..trouble_finding(way, trouble) }),
        Ok(reply) => reply,
    };
    let finding = |code, detail: String| Finding::new(code, Step::Header, way.role, detail);
    if let Some(refusal) = &reply.refusal
        && let Some(code) = by_proxy(refusal)
    {
        let hint = if code == Code::ProxyRefuses { refusal.hint.as_str() } else { "" };
        let detail = format!("status {}: {}", reply.status, refusal.detail);
        return Some(finding(code, detail).because(refusal.reason, hint));
    }
    if let Some(detail) = reply.saw.as_ref().and_then(|saw| arrival(saw, credential)) {
        let is_lost = reply.saw.as_ref().is_some_and(is_nothing);
        return Some(finding(if is_lost { Code::LostBeforeProxy } else { Code::ChangedBeforeProxy }, detail));
    }
    match &reply.refusal {
        None => accepted(way, reply),
        Some(refusal) => Some(refused(way, seen, credential, reply, refusal)),
    }
}

/// Refusals of our proxy: it refuses what it was sent, or what a hop has made of it.
fn by_proxy(refusal: &Refusal) -> Option<Code> {
    match (refusal.reason, refusal.reason.source()) {
        (reason, _) if is_unreachable(reason) => Some(Code::GrafanaUnreachable),
        // One clean line was sent.
        (Reason::NewlineInHead | Reason::CredentialConflict | Reason::HeadMalformed, _) => {
            Some(Code::ChangedBeforeProxy)
        }
        (_, Source::Proxy | Source::Client) => Some(Code::ProxyRefuses),
        _ => None,
    }
}

fn is_nothing(saw: &Saw) -> bool {
    saw.received == AuthForm::None.name() && saw.changes.is_empty()
}

/// What arrived at the proxy, where it is not what was sent and the proxy could not mend it.
fn arrival(saw: &Saw, credential: &Facts) -> Option<String> {
    let sent = credential.form.name();
    if is_nothing(saw) {
        return Some("it was sent, and no credential reached the proxy".to_owned());
    }
    let is_mended = !saw.changes.is_empty() && saw.sent == sent;
    if saw.received != sent && !is_mended {
        return Some(format!("`{sent}` was sent, and `{}` reached the proxy", saw.received));
    }
    let kind = credential.kind.map(TokenKind::name)?;
    let arrived = saw.kind.as_deref().unwrap_or("none");
    (arrived != kind).then(|| format!("a token of kind `{kind}` was sent, and `{arrived}` reached the proxy"))
}

/// It works: was it mended on the way?
fn accepted(way: &Way, reply: &Reply) -> Option<Finding> {
    if reply.status != 200 {
        let code = if (502..=504).contains(&reply.status) { Code::HopCannotReach } else { Code::NotGrafana };
        return Some(Finding::new(code, Step::Header, way.role, format!("`/api/org` answers {}", reply.status)));
    }
    let saw = reply.saw.as_ref().filter(|saw| !saw.changes.is_empty())?;
    let detail = format!("it was sent whole, and the proxy had to repair it: {}", saw.changes.join(", "));
    Some(Finding::new(Code::RepairedByProxy, Step::Header, way.role, detail))
}

/// Somebody behind the proxy, or without one, refuses.
fn refused(way: &Way, seen: &Observations, credential: &Facts, reply: &Reply, refusal: &Refusal) -> Finding {
    let status = reply.status;
    let is_token = credential.kind.is_some();
    let finding = |code, detail: String, hint: &str| {
        Finding::new(code, Step::Header, way.role, detail).because(refusal.reason, hint)
    };
    if refusal.reason.source() == Source::Hop {
        let place = match (&reply.saw, way.has_proxy()) {
            (Some(_), _) => " behind the proxy",
            (None, true) => " before the proxy",
            (None, false) => "",
        };
        let by = reply.server.as_ref().map(|server| format!(" (`{server}`)")).unwrap_or_default();
        let detail = format!("status {status} from a hop{place}{by}: {}", refusal.detail);
        return finding(Code::HopRefuses, detail, &refusal.hint);
    }
    // A hop may drop our probe; what the proxy says of a refusal shows as well that it was passed.
    let behind = reply.saw.is_some() || refusal.told;
    let (lost, changed) = match behind {
        true => (Code::LostAfterProxy, Code::ChangedAfterProxy),
        false => (Code::LostOnTheWay, Code::ChangedOnTheWay),
    };
    if let Some(found) = identity::refused_through_url(way, seen, reply, refusal) {
        return found;
    }
    let works_directly = way.role == Role::Url && seen.way(Role::Direct).is_some_and(Way::accepts);
    match refusal.reason {
        // The checksum held here, and held no longer when the proxy looked, which it does before it sends.
        Reason::TokenMalformed | Reason::TokenWrongKind if is_token && behind && refusal.told => {
            let detail = format!("a whole token was sent, and status {status} came: {}", refusal.detail);
            finding(Code::ChangedBeforeProxy, detail, "")
        }
        Reason::CredentialMissing if is_token && refusal.told => {
            finding(Code::LostBeforeProxy, "it was sent, and the proxy says that none came".to_owned(), "")
        }
        Reason::TokenMalformed | Reason::CredentialMissing | Reason::CredentialNotRecognised if is_token => {
            finding(lost, format!("it was sent, and Grafana saw none that it knows (status {status})"), "")
        }
        _ if credential.form == AuthForm::Bearer && speaks_of_password(reply) => {
            let detail = format!("a token was sent, and Grafana was asked for a user and a password (status {status})");
            finding(changed, detail, "")
        }
        // By --direct nothing had set another organisation.
        Reason::OrgMismatch | Reason::NotAMember | Reason::PermissionMissing => grafana_refuses(way, reply, refusal),
        _ if works_directly => {
            let detail = format!("Grafana takes it by --direct, and answers {status} by --url: {}", refusal.detail);
            finding(changed, detail, "")
        }
        _ => grafana_refuses(way, reply, refusal),
    }
}

/// Grafana names a password only where it got `Basic`: behind `Bearer` it looks for a token, a key or a JWT.
fn speaks_of_password(reply: &Reply) -> bool {
    let member = |name: &str| reply.body.as_ref().and_then(|body| body.get(name)).and_then(|value| value.as_str());
    let is_named =
        member("messageId").is_some_and(|id| id.starts_with("password-auth.") || id.starts_with("basic-auth."));
    is_named || member("message").is_some_and(|message| message.eq_ignore_ascii_case("invalid username or password"))
}

fn grafana_refuses(way: &Way, reply: &Reply, refusal: &Refusal) -> Finding {
    let org = reply.saw.as_ref().and_then(|saw| saw.org.as_ref());
    let told = org.map(|org| format!(" (the proxy asked for organisation {org})")).unwrap_or_default();
    let detail = format!("status {}{told}: {}", reply.status, refusal.detail);
    Finding::new(Code::GrafanaRefuses, Step::Header, way.role, detail).because(refusal.reason, &refusal.hint)
}

/// What the token may do, where it is taken.
pub(super) fn rights(way: &Way, seen: &Observations) -> Vec<Finding> {
    let mut found = Vec::new();
    if !way.is_served() {
        return found;
    }
    if let (Some(wanted), Some(landed)) = (seen.org, way.organisation())
        && u64::from(wanted) != landed
    {
        let detail = format!("organisation {wanted} is wanted, and the token landed in {landed}");
        found.push(Finding::new(Code::WrongOrganisation, Step::Organisation, way.role, detail));
    }
    let held = reply(&way.permissions).filter(|reply| reply.status == 200).and_then(|reply| reply.body.as_ref());
    if let Some(held) = held {
        let missing: Vec<_> = seen.needs.iter().filter(|need| held.get(need.as_str()).is_none()).cloned().collect();
        if !missing.is_empty() {
            let detail = format!("it lacks {}", missing.join(", "));
            let finding = Finding::new(Code::PermissionMissing, Step::Permissions, way.role, detail);
            found.push(finding.because(Reason::PermissionMissing, ""));
        }
    }
    found.extend(identity::open(way, seen));
    found
}
