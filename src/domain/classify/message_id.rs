//! Generation B (Grafana 10.1 and later): the error's name, `messageId`.

use super::super::reason::Reason;
use super::body::Document;
use super::{Case, Finding, credential, message};

/// What this `messageId` means here; nothing for names that say nothing about a refusal, or that we do not know.
pub(super) fn judge(case: &Case<'_>, document: &Document) -> Option<Finding> {
    let id = document.message_id.as_deref()?;
    let named = |reason| Some(Finding::new(reason, format!("Grafana says `{}`", message::quoted(id))));
    match id {
        "auth.unauthorized" => Some(unclaimed(case)),
        "api-key.invalid" => Some(message::invalid_token(case)),
        "api-key.expired" => named(Reason::TokenExpired),
        "api-key.revoked" => named(Reason::TokenRevoked),
        "api-key.organization-mismatch" => named(Reason::OrgMismatch),
        "identity.disabled"
            if credential::is_token(case.request) && case.request.auth.token.is_some_and(|token| token.is_sound()) =>
        {
            named(Reason::ServiceAccountDisabled)
        }
        "identity.disabled" => named(Reason::UserDisabled),
        "password-auth.failed" | "password-auth.invalid" | "password-auth.empty" => {
            Some(message::invalid_password(case))
        }
        "basic-auth.invalid-header" => Some(message::invalid_basic(case)),
        "login-attempt.blocked" | "passwordless.invalid.login-attempt" => named(Reason::LoginBlocked),
        "session.token.rotate" => named(Reason::SessionRotationDue),
        "oauth.expired-token" => named(Reason::OauthExpired),
        "render-auth.invalid-key" => named(Reason::RenderKeyInvalid),
        "user.sync.forbidden" => named(Reason::QuotaReached),
        "user.sync.fetch" | "user.sync.user-not-provisioned" => named(Reason::UserMissing),
        "user.sync.fetch-not-found" | "user.sync.signup-disabled" => named(Reason::UserMissing),
        "user.sync.mismatched-externalUID" | "user.sync.empty-externalUID" => named(Reason::UserMissing),
        "user.sync.user-externalUID-mismatch" => named(Reason::UserMissing),
        "user.sync.protected-role" => named(Reason::ForbiddenUnexplained),
        "user.sync.internal" => named(Reason::UnauthorizedUnexplained),
        "quota.disabled" => named(Reason::FeatureDisabled),
        "alerting.unauthorized" | "featuretoggle.canNotRead" | "featuretoggle.canNotWrite" => {
            named(Reason::PermissionMissing)
        }
        _ if is_family(id, &["auth-proxy."]) => named(Reason::AuthProxyRefused),
        _ if is_family(id, &["jwt.", "ext.jwt."]) => named(Reason::JwtInvalid),
        _ => None,
    }
}

/// Families of which every member means the same refusal.
fn is_family(id: &str, prefixes: &[&str]) -> bool {
    prefixes.iter().any(|prefix| id.starts_with(prefix))
}

/// No client of Grafana claimed the request.
fn unclaimed(case: &Case<'_>) -> Finding {
    let request = case.request;
    if let Some(finding) = credential::fault(request) {
        return finding;
    }
    if credential::is_absent(request) {
        if request.session_cookie {
            return Finding::new(
                Reason::CredentialNotRecognised,
                "the session cookie is not the one that this Grafana sets (`login_cookie_name`)",
            );
        }
        return credential::explain_vague(case);
    }
    let because = if credential::is_password(request) {
        "Grafana did not take the user and password: basic authentication is off, or the value is not \
            base64 of `user:password`"
    } else {
        "a well-formed token was sent, and Grafana says that it saw no credential: something between us \
            removes the header"
    };
    Finding::new(Reason::CredentialNotRecognised, because)
}
