//! Whether Grafana sees the same caller, organisation and permissions through `--url` as through `--direct`. Where it does
//! not, a hop signs in by itself, overwrites the credential, or sets the organisation.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use super::super::identity::Identity;
use super::super::observations::{Observations, Role, Way, reply};
use super::super::reply::{Refusal, Reply, printable};
use super::super::verdict::Code;
use super::{Finding, Step, advice};
use crate::domain::reason::{Reason, Source};
use crate::domain::token::TokenKind;

/// The difference between both ways; else, whether one way alone shows that another caller is seen.
pub(super) fn judge(seen: &Observations) -> Option<Finding> {
    let credential = seen.credential.as_ref().filter(|credential| credential.problem.is_none())?;
    if let (Some(url), Some(direct)) = (seen.way(Role::Url), seen.way(Role::Direct))
        && !is_replaced_by_proxy(url)
        && let Some(found) = compare(url, direct, seen)
    {
        return Some(found);
    }
    // A service account is no user, whatever the other way shows.
    let is_machine = matches!(credential.kind, Some(TokenKind::ServiceAccount | TokenKind::LegacyKey));
    seen.ways.iter().filter(|_| is_machine).find_map(|way| user_instead(way, seen))
}

/// The proxy sends another kind of credential on purpose, and not because it repaired this one.
fn is_replaced_by_proxy(url: &Way) -> bool {
    let saw = reply(&url.with).and_then(|reply| reply.saw.as_ref());
    saw.is_some_and(|saw| saw.received != saw.sent && saw.changes.is_empty())
}

fn compare(url: &Way, direct: &Way, seen: &Observations) -> Option<Finding> {
    match (url.is_served(), direct.is_served()) {
        (true, true) => served_by_both(url, direct, seen),
        (true, false) => served_by_url_only(url, direct, seen),
        // The journey of the header says why.
        (false, _) => None,
    }
}

/// A finding about both ways.
fn between(code: Code, detail: String, next: String) -> Finding {
    Finding { role: None, next, ..Finding::new(code, Step::Comparison, Role::Url, detail) }
}

fn served_by_both(url: &Way, direct: &Way, seen: &Observations) -> Option<Finding> {
    let (ours, theirs) = (url.identity(), direct.identity());
    if let (Some(ours), Some(theirs)) = (&ours, &theirs)
        && !ours.agrees_with(theirs)
    {
        let detail = format!(
            "through --url Grafana sees {}{}, through --direct {}{}{}",
            ours.name_beside(theirs),
            in_organisation(url),
            theirs.name_beside(ours),
            in_organisation(direct),
            without_credential(url, ours),
        );
        return Some(between(Code::IdentityDiffers, detail, advice::identity(url, seen, Some(ours))));
    }
    if let (Some(here), Some(there)) = (url.organisation(), direct.organisation())
        && here != there
    {
        let both = format!("organisation {here} through --url, and organisation {there} through --direct");
        return Some(match ours.filter(|ours| ours.is_named() && theirs.is_some()) {
            Some(ours) => {
                let detail = format!("Grafana serves {} {both}", ours.name());
                between(Code::OrganisationDiffers, detail, advice::organisation(url, seen))
            }
            // Another caller, or the same one in another organisation.
            None => {
                let next = format!("{} {}", advice::identity(url, seen, None), advice::organisation(url, seen));
                between(Code::IdentityDiffers, format!("Grafana serves {both}"), next)
            }
        });
    }
    let detail = permissions_differ(url, direct)?;
    Some(between(Code::IdentityDiffers, detail, advice::identity(url, seen, None)))
}

fn in_organisation(way: &Way) -> String {
    way.organisation().map(|org| format!(" in organisation {org}")).unwrap_or_default()
}

/// A hop that signs in by itself mostly does so for everybody.
fn without_credential(way: &Way, identity: &Identity) -> String {
    let is_same = way.identity_without().is_some_and(|other| !other.is_anonymous() && other.agrees_with(identity));
    if is_same { "; a request without a credential is signed in as the same caller".to_owned() } else { String::new() }
}

/// Each permission with its scope, where both ways list them and speak of the same version.
fn permissions_differ(url: &Way, direct: &Way) -> Option<String> {
    let (ours, theirs) = (permissions(url)?, permissions(direct)?);
    if ours == theirs || url.version() != direct.version() {
        return None;
    }
    let only = |way: &str, these: &BTreeSet<String>, others: &BTreeSet<String>| {
        let all: Vec<_> =
            these.difference(others).map(|permission| format!("`{}`", printable(permission, 80))).collect();
        let (shown, rest) = all.split_at(all.len().min(3));
        let more = if rest.is_empty() { String::new() } else { format!(" and {} more", rest.len()) };
        (!shown.is_empty()).then(|| format!("only through --{way} {}{more}", shown.join(", ")))
    };
    let differences: Vec<_> =
        [only("url", &ours, &theirs), only("direct", &theirs, &ours)].into_iter().flatten().collect();
    Some(format!("the permissions differ: {}", differences.join("; ")))
}

fn permissions(way: &Way) -> Option<BTreeSet<String>> {
    let listed = reply(&way.permissions).filter(|reply| reply.status == 200)?.body.as_ref()?.as_object()?;
    let each = listed.iter().flat_map(|(action, scopes)| {
        let scopes = scopes.as_array().into_iter().flatten().filter_map(|scope| scope.as_str());
        // A permission without any scope counts, too.
        std::iter::once(action.clone())
            .chain(scopes.filter(|scope| !scope.is_empty()).map(move |scope| format!("{action} {scope}")))
    });
    Some(each.collect())
}

fn served_by_url_only(url: &Way, direct: &Way, seen: &Observations) -> Option<Finding> {
    let reply = reply(&direct.with)?;
    let refusal = reply.refusal.as_ref().filter(|refusal| refusal.reason.source() == Source::Grafana)?;
    if !matches!(reply.status, 401 | 403) {
        return None;
    }
    let refused = format!("through --direct Grafana refuses the credential (status {})", reply.status);
    if is_about_organisation(refusal.reason) {
        let detail =
            format!("{refused}: {}; through --url it serves the credential{}", refusal.detail, in_organisation(url));
        let found = between(Code::OrganisationDiffers, detail, advice::organisation(url, seen));
        return Some(Finding { reason: Some(refusal.reason), ..found });
    }
    let identity = url.identity();
    let caller = identity.as_ref().map(|identity| format!(" as {}", identity.name())).unwrap_or_default();
    let also = identity.as_ref().map(|identity| without_credential(url, identity)).unwrap_or_default();
    let detail = format!("{refused}, and through --url it serves the request{caller}{also}");
    let found = between(Code::IdentityDiffers, detail, advice::identity(url, seen, identity.as_ref()));
    Some(Finding { reason: Some(refusal.reason), ..found })
}

const fn is_about_organisation(reason: Reason) -> bool {
    matches!(reason, Reason::OrgMismatch | Reason::NotAMember)
}

/// A token of a service account was sent, and Grafana sees a user.
fn user_instead(way: &Way, seen: &Observations) -> Option<Finding> {
    let identity = way.identity().filter(Identity::is_user)?;
    let detail = format!(
        "the token belongs to a service account and to no user, and through --{} Grafana sees {}{}{}",
        way.role.name(),
        identity.name(),
        in_organisation(way),
        without_credential(way, &identity),
    );
    let next = advice::identity(way, seen, Some(&identity));
    Some(Finding { next, ..Finding::new(Code::IdentityDiffers, Step::Identity, way.role, detail) })
}

/// Grafana refuses through `--url`, for a reason that the credential itself does not have: it was asked for another
/// organisation, or judged another credential.
pub(super) fn refused_through_url(way: &Way, seen: &Observations, reply: &Reply, refusal: &Refusal) -> Option<Finding> {
    let direct = seen.way(Role::Direct).filter(|direct| way.role == Role::Url && direct.accepts());
    let kind = seen.credential.as_ref().and_then(|credential| credential.kind);
    let is_machine = matches!(kind, Some(TokenKind::ServiceAccount | TokenKind::LegacyKey));
    let status = format!("through --{} Grafana answers {}: {}", way.role.name(), reply.status, refusal.detail);
    let found = |code, detail: String, next: String| {
        let found = Finding { next, ..Finding::new(code, Step::Header, way.role, detail) };
        Some(Finding { reason: Some(refusal.reason), ..found })
    };
    match (refusal.reason, direct) {
        (reason, Some(direct)) if is_about_organisation(reason) => {
            let asked = reply.saw.as_ref().and_then(|saw| saw.org.as_ref());
            let asked = asked.map(|org| format!(" (the proxy asked for organisation {org})")).unwrap_or_default();
            let detail =
                format!("{status}{asked}; through --direct it serves the credential{}", in_organisation(direct));
            found(Code::OrganisationDiffers, detail, advice::organisation(way, seen))
        }
        (Reason::PermissionMissing, Some(direct)) => {
            let (ours, theirs) = (way.identity(), direct.identity());
            let seen_as = |identity: &Option<Identity>| {
                identity.as_ref().map(|identity| format!(" {}", identity.name())).unwrap_or_default()
            };
            let detail = format!(
                "through --url Grafana refuses{} (status {}: {}), through --direct it serves{}{}",
                seen_as(&ours),
                reply.status,
                refusal.detail,
                seen_as(&theirs),
                in_organisation(direct),
            );
            // Grafana lets a user into an organisation of others, and grants nothing there.
            let is_same_user = ours.as_ref().zip(theirs.as_ref());
            match is_same_user.filter(|(ours, theirs)| ours.is_user() && ours.agrees_with(theirs)) {
                Some(_) => found(Code::OrganisationDiffers, detail, advice::organisation(way, seen)),
                None => found(Code::IdentityDiffers, detail, advice::identity(way, seen, ours.as_ref())),
            }
        }
        (
            Reason::JwtInvalid
            | Reason::AuthProxyRefused
            | Reason::UserMissing
            | Reason::UserDisabled
            | Reason::SessionExpired
            | Reason::SessionRotationDue
            | Reason::SessionRevoked
            | Reason::OauthExpired
            | Reason::RenderKeyInvalid,
            Some(_),
        ) => {
            let detail = format!("{status}; through --direct it serves the credential");
            found(Code::IdentityDiffers, detail, advice::identity(way, seen, None))
        }
        (Reason::JwtInvalid | Reason::AuthProxyRefused, None) if is_machine => {
            let detail = format!("{status}; a token was sent, and neither a JWT nor the name of a user");
            found(Code::IdentityDiffers, detail, advice::identity(way, seen, None))
        }
        _ => None,
    }
}

/// What is served without a credential: to everybody, or by a hop that signs in by itself.
pub(super) fn open(way: &Way, seen: &Observations) -> Option<Finding> {
    if !way.is_open() {
        return None;
    }
    let finding = |code, detail: String| Finding::new(code, Step::NoHeader, way.role, detail);
    let detail = "`/api/org` answers 200 without a credential";
    let direct = seen.way(Role::Direct).filter(|_| way.role == Role::Url);
    match way.identity_without() {
        Some(identity) if !identity.is_anonymous() => {
            return Some(finding(Code::SignedInByHop, format!("{detail}, as {}", identity.name())));
        }
        None if direct.and_then(|direct| reply(&direct.without)).is_some_and(|reply| reply.status == 401) => {
            return Some(finding(Code::SignedInByHop, format!("{detail} through --url, and 401 through --direct")));
        }
        _ => {}
    }
    Some(match way.identity() {
        Some(identity) if identity.is_anonymous() => Finding {
            next:
                "The credential is not accepted: create a new one, or switch `[auth.anonymous]` off to see why Grafana \
                   refuses it."
                    .to_owned(),
            ..finding(
                Code::AnonymousAccess,
                format!("{detail}; with the credential Grafana still sees an anonymous visitor"),
            )
        },
        Some(identity) => {
            finding(Code::AnonymousAccess, format!("{detail}; with the credential Grafana sees {}", identity.name()))
        }
        None => finding(Code::AnonymousAccess, detail.to_owned()),
    })
}
