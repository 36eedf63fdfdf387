//! Generation A (up to Grafana 10.0), and what handlers of every version say: the message alone.

use super::super::reason::Reason;
use super::body::Document;
use super::{Case, Finding, credential};

/// What this message means as a 401, or as a 500 in its place.
pub(super) fn judge(case: &Case<'_>, document: &Document) -> Option<Finding> {
    if document.message_id.is_some() {
        // A name that we do not know: the text may belong to another refusal than the one that it belonged to once.
        return None;
    }
    if document.has_error_id("ERR_TOKEN_REVOKED") || document.says("Token revoked") {
        return Some(said(Reason::SessionRevoked, document));
    }
    let message = document.lower_message();
    let reason = match message.as_str() {
        "invalid api key" => return Some(invalid_token(case)),
        "invalid basic auth header" => return Some(invalid_basic(case)),
        "invalid username or password" => return Some(invalid_password(case)),
        "expired api key" => Reason::TokenExpired,
        "revoked token" => Reason::TokenRevoked,
        "service account is disabled" => Reason::ServiceAccountDisabled,
        "unable to link api key to service account" | "user not found" => Reason::UserMissing,
        "invalid old password" => Reason::PasswordWrong,
        "invalid render key" => Reason::RenderKeyInvalid,
        "invalid jwt" => Reason::JwtInvalid,
        "not a valid organization" => Reason::NotAMember,
        "user signup is disabled" | "login is disabled" => Reason::FeatureDisabled,
        "limit reached for anonymous devices" => Reason::QuotaReached,
        _ if message.starts_with("not allowed to reset password") => Reason::FeatureDisabled,
        // Alerting up to 10.x answers 401 where a permission is missing.
        _ if message.starts_with("user is not authorized to ") => Reason::PermissionMissing,
        _ => return None,
    };
    Some(said(reason, document))
}

/// A finding that rests on the answer's own words.
pub(super) fn said(reason: Reason, document: &Document) -> Finding {
    let message = document.message.as_deref().unwrap_or_default();
    Finding::new(reason, format!("Grafana says `{}`", quoted(message)))
}

/// How many characters of a message are worth repeating: the longest permission that Grafana asks for fits.
const QUOTED: usize = 400;

/// Words of an answer, fit for a log.
pub(super) fn quoted(message: &str) -> String {
    if message.len() <= QUOTED && message.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'`') {
        return message.to_owned();
    }
    let mut kept: Vec<char> = message.chars().filter(|c| !c.is_control() && *c != '`').collect();
    // The cause stands at the end of a long message: `… is forbidden: User … cannot …: <cause>`.
    if let Some(surplus) = kept.len().checked_sub(QUOTED).filter(|surplus| *surplus > 0) {
        kept.splice(..=surplus, ['…']);
    }
    kept.into_iter().collect()
}

/// `Invalid API key`: Grafana took the credential for a token, and it was none, or not one of its own.
pub(super) fn invalid_token(case: &Case<'_>) -> Finding {
    if let Some(finding) = credential::fault(case.request) {
        return finding;
    }
    if credential::is_token(case.request) {
        let because = "a well-formed token, and Grafana says that it is not one of its own";
        return Finding::new(Reason::TokenUnknown, because);
    }
    if credential::is_absent(case.request) {
        return Finding::new(
            Reason::TokenUnknown,
            "Grafana speaks of a token that it does not accept, and the request as we know it carries none",
        );
    }
    let because = "Grafana speaks of a token, and none was sent: something between us sets another `Authorization`";
    Finding::new(Reason::UnauthorizedUnexplained, because)
}

/// `Invalid Basic Auth Header`: up to 10.0 for everything that is neither `Bearer x` nor Basic.
pub(super) fn invalid_basic(case: &Case<'_>) -> Finding {
    if credential::is_absent(case.request) {
        return credential::explain_vague(case);
    }
    credential::fault(case.request).unwrap_or_else(|| {
        Finding::new(
            Reason::CredentialNotRecognised,
            "Grafana could not read the value: the scheme is not exactly `Basic`, or it is not base64 of \
                `user:password`",
        )
    })
}

/// A wrong password; but `Basic api_key:<token>` is answered so, too, where Grafana does not know the token.
pub(super) fn invalid_password(case: &Case<'_>) -> Finding {
    if credential::is_token(case.request) {
        if let Some(finding) = credential::fault(case.request) {
            return finding;
        }
        let because = "`Basic api_key:<token>` with a well-formed token is answered like a wrong password where \
            Grafana does not find it";
        return Finding::new(Reason::TokenUnknown, because);
    }
    if case.request.auth.basic_holds_token {
        let because = "user or password is a token, which Grafana tries as a password in vain";
        return Finding::new(Reason::PasswordWrong, because);
    }
    if credential::may_come_from_netrc(case.request) {
        let because = "Grafana does not accept this user with this password; perhaps the program meant to send a token, for \
            its library puts the user and password that `.netrc` has for this host in its place";
        return Finding::new(Reason::PasswordWrong, because);
    }
    Finding::new(Reason::PasswordWrong, "Grafana does not accept this user with this password")
}
