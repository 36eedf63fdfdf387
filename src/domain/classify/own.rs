//! What the proxy itself did to a credential, which is said before anything else.

use super::super::credential::AuthForm;
use super::super::head::RequestFacts;
use super::super::sign_in::{CarrierUnused, DroppedIdentity, IdentityDropped};
use super::credential;
use super::signers::header;

/// The header that names a user and was dropped.
pub(super) fn dropped_identity(request: &RequestFacts) -> Option<String> {
    let DroppedIdentity { name, why, peer } = request.identity_dropped()?;
    let name = header(name);
    Some(match why {
        IdentityDropped::UntrustedPeer => {
            format!("{name} came from {peer}, which is not in `clients.trusted_proxies`, and was dropped")
        }
        IdentityDropped::NotConfigured { trusted: true } => {
            format!("{name} is not in `clients.identity_headers`, and was dropped")
        }
        IdentityDropped::NotConfigured { trusted: false } => format!(
            "{name} is not in `clients.identity_headers`, nor is {peer}, from which it came, in \
             `clients.trusted_proxies`, and it was dropped"
        ),
        IdentityDropped::Alias { .. } => format!(
            "{name} is another spelling of a header that names a user, and was dropped, as it is from every client"
        ),
    })
}

/// The credential in a header of `authorization.restore_from` that was not used.
pub(super) fn unused_carrier(request: &RequestFacts) -> Option<String> {
    let unused = request.carrier_unused()?;
    let name = header(&unused.name);
    Some(match unused.why {
        CarrierUnused::AuthorizationWins => {
            format!("the credential in {name} was not used, because `Authorization` held {}", held(request))
        }
        CarrierUnused::UntrustedPeer(peer) => format!(
            "the credential in {name} was not used, because it came from {peer}, which is not in \
             `clients.trusted_proxies`"
        ),
    })
}

fn held(request: &RequestFacts) -> &'static str {
    match request.auth.received {
        AuthForm::Basic => "user and password",
        AuthForm::Bearer | AuthForm::BareToken | AuthForm::BasicApiKey => "another token",
        AuthForm::Jwt => "a JWT",
        AuthForm::None | AuthForm::Other => "another credential",
    }
}

/// The next step after a header that names a user was dropped.
pub(super) fn step_for_identity(request: &RequestFacts) -> Option<String> {
    let DroppedIdentity { name, why, peer } = request.identity_dropped()?;
    let name = header(name);
    let otherwise = "if no proxy of yours sets this header, send `Authorization: Bearer <token>` instead";
    Some(match why {
        IdentityDropped::UntrustedPeer => {
            format!("add the proxy in front ({peer}) to `clients.trusted_proxies`; {otherwise}")
        }
        IdentityDropped::NotConfigured { trusted: true } => {
            format!("name {name} in `clients.identity_headers`; {otherwise}")
        }
        IdentityDropped::NotConfigured { trusted: false } => format!(
            "name {name} in `clients.identity_headers`, and add the proxy in front ({peer}) to \
             `clients.trusted_proxies`; {otherwise}"
        ),
        IdentityDropped::Alias { configured: true } => {
            format!("send {name} in exactly the configured spelling (`clients.identity_headers`); {otherwise}")
        }
        IdentityDropped::Alias { configured: false } => {
            format!("send {name} with hyphens only, and name it so in `clients.identity_headers`; {otherwise}")
        }
    })
}

/// The next step after a credential of `authorization.restore_from` was not used.
pub(super) fn step_for_carrier(request: &RequestFacts) -> Option<String> {
    let unused = request.carrier_unused()?;
    let name = header(&unused.name);
    Some(match unused.why {
        CarrierUnused::AuthorizationWins => {
            format!("let the proxy in front stop sending its own `Authorization` beside {name}")
        }
        CarrierUnused::UntrustedPeer(peer) => {
            format!(
                "add the proxy in front ({peer}) to `clients.trusted_proxies`, or send the token in `Authorization`"
            )
        }
    })
}

/// Whether a dropped header that names a user could have changed the outcome: an accepted token wins over it.
pub(super) fn may_have_mattered(request: &RequestFacts, forbidden: bool) -> bool {
    !(forbidden && credential::is_token(request) && credential::fault(request).is_none())
}
